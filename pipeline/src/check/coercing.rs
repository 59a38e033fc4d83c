//! What is made to fit before an event is walked along its table: names, times, ids, and Sunbird's own corrections.

use super::{
    flags::Coercion,
    moment,
    path::Path::{self, Member, Root},
    posthog,
    walk::Findings,
};
use crate::{
    identity::{Fingerprint, Scratch},
    profile::Profile,
    provenance::Provenance,
    value::{Object, Value},
};

/// Where old clients write something under another name: the kind (any, if empty), the object, the name, ours.
const RENAMES: [(&str, &[&str], &str, &str); 4] = [
    ("", &[], "eData", "edata"),
    ("", &[], "ts", "ets"),
    ("END", &["edata"], "summaryList", "summary"),
    ("SEARCH", &["edata", "filters"], "dialCodes", "dialcodes"),
];

/// Makes an event fit, as far as it can be known what is meant.
pub(super) fn prepare(event: &mut Value<'_>, provenance: &Provenance, findings: &mut Findings) {
    // Of the event as it came, so that every copy of it gets the same.
    let made = mid(event).is_none().then(|| Fingerprint::of(event, &mut Scratch::default()));
    posthog::turn(event, findings);
    for (eid, place, from, to) in RENAMES {
        if eid.is_empty() || event.get("eid").and_then(Value::as_str) == Some(eid) {
            rename(event, place, (from, to), findings);
        }
    }
    let Some(event) = event.as_object_mut() else { return };
    if let Some(made) = made {
        event.set("mid", made.short());
        findings.coerced(&Member(&Root, "mid"), Coercion::Made);
    }
    if let Some(ets) = event.get_mut("ets")
        && let Some((time, how)) = moment::of_text(ets)
    {
        *ets = time;
        findings.coerced(&Member(&Root, "ets"), how);
    }
    if let Some(Value::Object(context)) = event.get_mut("context") {
        let fills = [
            ("did", provenance.did.as_deref().unwrap_or_default(), Coercion::BatchDid),
            ("channel", &provenance.channel, Coercion::KeyChannel),
        ];
        for (name, value, how) in fills {
            if !value.is_empty() && is_blank(context.get(name)) {
                context.set(name, value.to_owned());
                findings.coerced(&Member(&Member(&Root, "context"), name), how);
            }
        }
    }
    if provenance.profile == Profile::Lenient {
        correct(event, findings);
    }
}

/// Demands what an event cannot be kept without.
pub(super) fn demand(event: &Value<'_>, findings: &mut Findings) {
    for (name, fits, what) in [
        (
            "eid",
            event.get("eid").and_then(Value::as_str).is_some_and(|eid| !eid.is_empty()),
            "the kind of the event, a text",
        ),
        (
            "ets",
            event.get("ets").is_some_and(|ets| ets.as_number().is_some()),
            "its time in milliseconds since 1970",
        ),
    ] {
        if !fits {
            let code = if is_blank(event.get(name)) { "missing" } else { "wrong_type" };
            findings.refuse(&Member(&Root, name), code, format!("give `{name}`, {what}"));
        }
    }
}

/// Returns the id that an event has, in its own form or in PostHog's.
fn mid<'v>(event: &'v Value<'_>) -> Option<&'v Value<'v>> {
    let is_id = |value: &&Value<'_>| match value {
        Value::Text(text) => !text.is_empty(),
        Value::Number(_) => true,
        _ => false,
    };
    posthog::mid(event).or_else(|| event.get("mid")).filter(is_id)
}

/// Moves a member to its name, unless there is one.
fn rename(
    event: &mut Value<'_>,
    place: &[&'static str],
    (from, to): (&'static str, &'static str),
    findings: &mut Findings,
) {
    let Some(Value::Object(object)) = event.at_mut(place) else { return };
    if !is_blank(object.get(to)) {
        return;
    }
    let Some(value) = object.remove(from) else { return };
    object.set(to, value);
    note_renamed(&Root, place, to, findings);
}

fn note_renamed(path: &Path<'_>, place: &[&str], name: &str, findings: &mut Findings) {
    match place {
        [] => findings.coerced(&Member(path, name), Coercion::Renamed),
        [first, rest @ ..] => note_renamed(&Member(path, first), rest, name, findings),
    }
}

/// Corrects what Sunbird's preprocessor corrects.
fn correct(event: &mut Object<'_>, findings: &mut Findings) {
    if let Some(Value::Object(actor)) = event.get_mut("actor")
        && let Some(Value::Text(id)) = actor.get_mut("id")
        && let Some((_, user)) = id.strip_prefix("f:").and_then(|rest| rest.rsplit_once(':'))
        && !user.is_empty()
    {
        *id = user.to_owned().into();
        findings.coerced(&Member(&Member(&Root, "actor"), "id"), Coercion::Realm);
    }
    if let Some(Value::Object(object)) = event.get_mut("object")
        && is_dialcode(object.get("type"))
        && let Some(Value::Text(id)) = object.get_mut("id")
        && id.contains(|char: char| char.is_ascii_lowercase())
    {
        id.to_mut().make_ascii_uppercase();
        findings.coerced(&Member(&Member(&Root, "object"), "id"), Coercion::UpperCase);
    }
}

fn is_dialcode(kind: Option<&Value<'_>>) -> bool {
    let kind = kind.and_then(Value::as_str).unwrap_or_default();
    kind.eq_ignore_ascii_case("dialcode") || kind.eq_ignore_ascii_case("qr")
}

fn is_blank(value: Option<&Value<'_>>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Text(text)) => text.is_empty(),
        Some(_) => false,
    }
}
