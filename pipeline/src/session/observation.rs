//! What an event tells of a session.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::{redact::stripped, route::share, value::Value};

/// Kinds that no person has caused; the originals leave them out of sessions too.
const IGNORED: [&str; 4] = ["LOG", "AUDIT", "SEARCH", share::KIND];

/// What platforms derive; their kinds begin so.
const DERIVED: &str = "ME_";

/// Kinds that tell of a page that is being left, or was.
const BEHIND: [&str; 2] = ["END", "SUMMARY"];

/// Whose session it is: a hash of device, channel and producer, and of the channel whose key it was sent with.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Who(pub(super) [u8; 16]);

/// What an event tells of a session.
#[derive(Debug)]
pub(super) struct Observation<'e> {
    pub(super) who: Who,
    pub(super) ets: i64,
    /// When the relay took it.
    pub(super) syncts: i64,
    /// Where it came from, as it stands in its metadata: partition, offset and place in the batch.
    pub(super) source: &'e str,
    /// Its document id.
    pub(super) id: &'e str,
    /// The channel of the key that it was sent with.
    pub(super) sender: &'e str,
    pub(super) eid: &'e str,
    pub(super) device: &'e str,
    pub(super) channel: &'e str,
    pub(super) pdata: &'e str,
    pub(super) actor: Option<&'e Value<'e>>,
    pub(super) env: Option<&'e str>,
    /// The page that the event is on.
    pub(super) page: Option<Cow<'e, str>>,
    /// The section that it begins or ends.
    pub(super) edge: Option<Edge<'e>>,
    /// Whether nobody is there until the next event.
    pub(super) leaves: bool,
}

/// One end of a section.
#[derive(Debug)]
pub(super) struct Edge<'e> {
    pub(super) begins: bool,
    pub(super) kind: &'e str,
    pub(super) id: Cow<'e, str>,
}

impl<'e> Observation<'e> {
    /// Reads a unique event; `None` if it is no part of any session.
    pub(super) fn of(event: &'e Value<'_>) -> Option<Self> {
        let text =
            |path: &[&str]| event.at(path).and_then(Value::as_str).filter(|text| !text.is_empty());
        let eid = text(&["eid"])?;
        if IGNORED.contains(&eid) || eid.starts_with(DERIVED) {
            return None;
        }
        let device = text(&["context", "did"]).or_else(|| text(&["actor", "id"]))?;
        let channel = text(&["context", "channel"]).unwrap_or_default();
        let pdata = text(&["context", "pdata", "id"]).unwrap_or_default();
        let sender = text(&["metadata", "channel"]).unwrap_or_default();
        let kind = text(&["edata", "type"]).unwrap_or_default();
        let url = || text(&["edata", "url"]).map(stripped);
        let page = text(&["edata", "pageid"]).map(Cow::Borrowed).or_else(url);
        let form = text(&["edata", "formKey"]).map(Cow::Borrowed);
        let begins = eid == "START";
        let edge = (begins || eid == "END").then(|| {
            // A form on a page has the page's URL too, so its own key comes first.
            let id = form.or_else(|| page.clone()).unwrap_or_default();
            Edge { begins, kind, id }
        });
        let app = ["app", "session"].contains(&kind);
        Some(Self {
            who: Who::of([device, channel, pdata, sender]),
            ets: event.get("ets").and_then(whole)?,
            syncts: event.get("syncts").and_then(Value::as_i64).unwrap_or_default(),
            source: text(&["metadata", "source"]).unwrap_or_default(),
            id: text(&["metadata", "id"]).unwrap_or_default(),
            sender,
            eid,
            device,
            channel,
            pdata,
            actor: event.get("actor"),
            env: text(&["context", "env"]),
            page: page.filter(|_| !BEHIND.contains(&eid)),
            edge,
            leaves: (eid == "INTERRUPT" && kind == "background") || (eid == "END" && app),
        })
    }
}

impl Who {
    fn of(parts: [&str; 4]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let mut who = [0; 16];
        who.copy_from_slice(&hash.finalize()[..16]);
        Self(who)
    }
}

/// Returns a time as a whole number; clients send floats too.
fn whole(value: &Value<'_>) -> Option<i64> {
    let number = value.as_number()?;
    #[expect(clippy::cast_possible_truncation, reason = "times beyond 2^63 ms are cut to it")]
    number.as_i64().or_else(|| number.as_f64().map(|float| float as i64))
}
