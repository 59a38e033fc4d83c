//! What has changed between two snapshots of a catalogue, and what of it breaks those who consume the events.
//!
//! One rule decides about schemas: every event of the newer schema has to be one that the older schema allows, except
//! that fields may have been added.
//! So a schema may become narrower (a required field that was optional, a smaller range, a value less) and never wider.
//!
//! Breaking, each of them:
//!
//! * a field has gone, whether it was required or not; somebody has read it;
//! * a field may be absent or null now, has another type, or has left its range, length or format;
//! * an enum has another value, a union another alternative, because consumers list them: the exported TypeScript is a
//!   closed union, and a `match` in Rust is one too. Where values are to come, declare text;
//! * an object that allowed no other fields (`deny_unknown_fields`) has another field, or allows them now;
//! * a type has gone without having been retired; its audience is smaller; its scope no longer begins with the same
//!   keys, so that subscriptions to a scope would be left without it.
//!
//! Not breaking, but told: types, versions, fields and audiences that were added, scopes that go further into the
//! particular, types that were retired, levels, and whatever has become narrower.
//! Titles, descriptions, examples and defaults do not count.

mod branch;
mod difference;
mod schema;

pub(super) use self::branch::resolve;
pub use self::difference::{Difference, Kind};

use std::collections::BTreeSet;

use super::snapshot::{Entry, Snapshot};

/// Returns what is different in `new`, by type, version and place.
pub(super) fn snapshots(old: &Snapshot, new: &Snapshot) -> Vec<Difference> {
    let mut found = Vec::new();
    for entry in old.iter() {
        let id = &entry.id;
        if new.is_retired(id) && !old.is_retired(id) {
            found.push(Difference::of_type(id, Kind::TypeRetired, "retired".to_owned()));
        }
        match new.get(&id.event_type, id.version) {
            Some(newer) => found.extend(entries(entry, newer)),
            None if new.is_retired(id) => {}
            None => {
                let message =
                    "no longer declared; keep the type, or retire it where nobody needs it"
                        .to_owned();
                found.push(Difference::of_type(id, Kind::TypeRemoved, message));
            }
        }
    }
    for entry in new.iter() {
        if old.get(&entry.id.event_type, entry.id.version).is_none() {
            let message = "declared for the first time".to_owned();
            found.push(Difference::of_type(&entry.id, Kind::TypeAdded, message));
        }
    }
    found.sort();
    found
}

/// Returns what is different in `new`, a type of the same name and version as `old`.
pub(super) fn entries(old: &Entry, new: &Entry) -> Vec<Difference> {
    let id = &old.id;
    let mut found = Vec::new();
    let mut push = |kind, message| found.push(Difference::of_type(id, kind, message));

    let (before, after): (BTreeSet<_>, BTreeSet<_>) =
        (old.audience.iter().collect(), new.audience.iter().collect());
    for gone in before.difference(&after) {
        push(Kind::AudienceNarrowed, format!("no longer for the audience `{gone}`"));
    }
    for added in after.difference(&before) {
        push(Kind::AudienceWidened, format!("for the audience `{added}` as well"));
    }

    let message = || format!("scope changed from {} to {}", keys(&old.scopes), keys(&new.scopes));
    if !new.scopes.starts_with(&old.scopes) {
        push(Kind::ScopesChanged, message());
    } else if new.scopes != old.scopes {
        push(Kind::ScopesExtended, message());
    }
    if old.level != new.level {
        let message = format!("telemetry level changed from `{}` to `{}`", old.level, new.level);
        push(Kind::LevelChanged, message);
    }

    if old.call != new.call {
        push(Kind::CallChanged, format!("call changed from `{}` to `{}`", old.call, new.call));
    }

    let of_schema = schema::compare(&old.schema, &new.schema);
    found.extend(of_schema.into_iter().map(|note| note.of(id)));
    found
}

fn keys(scopes: &[String]) -> String {
    if scopes.is_empty() { "none".to_owned() } else { format!("`{}`", scopes.join("/")) }
}

#[cfg(test)]
mod tests;
