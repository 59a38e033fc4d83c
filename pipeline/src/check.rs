//! The check of one event by the profile of its channel, and what a lenient profile makes fit.
//!
//! ```text
//!            strict, tidings: every reason at once ─▶ refused
//!  event ──┤
//!            lenient, digit: coerced, or kept as it is; flagged either way ─▶ accepted
//! ```
//!
//! An accepted event has a kind, an id, and a time in whole milliseconds; checked again, it is accepted unchanged.
//! The tables are in [`kinds`] and [`producers`]; nothing in them is a function.

mod coercing;
mod flags;
mod kinds;
pub(crate) mod moment;
mod path;
mod posthog;
mod producers;
mod shape;
mod walk;

pub use self::flags::{Coercion, Flags};
use self::{
    moment::Moment,
    path::Path,
    shape::Shape,
    walk::{Findings, walk_record},
};
use crate::{profile::Profile, provenance::Provenance, reason::Reason, value::Value};

/// What a check has found out about an event that it has accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// Its kind: one of the specification's, or under a lenient profile any text.
    pub eid: String,
    /// Its id, as it stands in the event now; never empty.
    pub mid: String,
    /// When it happened, by its sender's clock: milliseconds since 1970, of the years 2000 to 9999.
    pub ets_ms: i64,
    /// What was coerced, and what does not fit.
    pub flags: Flags,
}

/// Checks an event by a profile, and makes it fit as far as the profile says.
///
/// What is refused may have been changed already; its bytes are what is kept of it.
///
/// # Errors
///
/// It does not keep to the profile, for these reasons, of which there is at least one.
pub fn check(event: &mut Value<'_>, provenance: &Provenance) -> Result<Checked, Vec<Reason>> {
    let profile = provenance.profile;
    if event.as_object().is_none() {
        return Err(vec![Reason::new("$", "not_an_object", "write an event as a JSON object")]);
    }
    let coerces = matches!(profile, Profile::Lenient | Profile::Digit);
    let mut findings = if coerces { Findings::lenient() } else { Findings::strict() };
    if coerces {
        coercing::prepare(event, provenance, &mut findings);
        coercing::demand(event, &mut findings);
    }
    walk_record(event, envelope(profile), &Path::Root, &mut findings);
    let ets_ms = settle_time(event, &mut findings);
    let eid = text(event, "eid");
    if let Some(eid) = &eid {
        walk_edata(event, eid, profile, &mut findings);
    }
    let (reasons, flags) = findings.into_parts();
    match (eid, text(event, "mid"), ets_ms) {
        (Some(eid), Some(mid), Some(ets_ms)) if reasons.is_empty() => {
            Ok(Checked { eid, mid, ets_ms, flags })
        }
        _ => Err(reasons),
    }
}

/// Returns the envelope of a profile.
const fn envelope(profile: Profile) -> &'static Shape {
    match profile {
        Profile::Strict30 => &kinds::STRICT_30,
        Profile::Strict31 => &kinds::STRICT_31,
        Profile::Lenient | Profile::Digit => &kinds::LENIENT,
        Profile::Tidings => &producers::TIDINGS,
    }
}

/// Checks what is said about the event by its kind.
fn walk_edata(event: &mut Value<'_>, eid: &str, profile: Profile, findings: &mut Findings) {
    let shape = match profile {
        // It stands in the envelope.
        Profile::Tidings => return,
        Profile::Digit => {
            kinds::find(&producers::DIGIT, eid).or_else(|| kinds::find(&kinds::KINDS, eid))
        }
        _ => kinds::find(&kinds::KINDS, eid),
    };
    let Some(shape) = shape else {
        findings.unknown_kind(eid);
        return;
    };
    let edata = event.as_object_mut().and_then(|event| event.get_mut("edata"));
    if let Some(edata) = edata.filter(|edata| edata.as_object().is_some()) {
        walk_record(edata, shape, &Path::Member(&Path::Root, "edata"), findings);
    }
}

/// Reads `ets`, and leaves it in whole milliseconds.
///
/// Seconds and fractions keep to the specification, which bounds nothing, but are read as what they are in every
/// profile: as milliseconds they would be a day of 1970.
fn settle_time(event: &mut Value<'_>, findings: &mut Findings) -> Option<i64> {
    let path = Path::Member(&Path::Root, "ets");
    let ets = event.as_object_mut()?.get_mut("ets")?;
    let Some(Moment { milliseconds, coercion }) = Moment::of(ets.as_number()?) else {
        let message = "write `ets` in milliseconds since 1970, of a time from the year 2000 on";
        findings.refuse(&path, "out_of_range", message);
        return None;
    };
    if let Some(coercion) = coercion {
        *ets = milliseconds.into();
        findings.coerced(&path, coercion);
    }
    Some(milliseconds)
}

/// Returns a member that is a text.
fn text(event: &Value<'_>, name: &str) -> Option<String> {
    event.get(name)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests;
