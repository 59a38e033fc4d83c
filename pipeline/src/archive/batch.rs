//! What is in a batch, as far as importing it needs to know.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Batch, Limits, Problem};
use crate::value::Name;

/// A batch, and what was counted in it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) batch: Batch,
    pub(super) events: usize,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    mid: Option<&'a RawValue>,
    #[serde(borrow)]
    events: Option<Events<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    msgid: Option<&'a RawValue>,
    #[serde(borrow)]
    did: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    context: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Context<'a> {
    #[serde(borrow)]
    did: Option<&'a RawValue>,
}

/// How many events there are, and the first one.
struct Events<'a> {
    first: Option<&'a RawValue>,
    count: usize,
}

/// Looks at a batch; `did` is the device of the archive.
///
/// # Errors
///
/// It is no JSON with an array `events`, or has none or too many of them.
pub(super) fn look(bytes: Vec<u8>, did: Option<&str>, limits: &Limits) -> Result<Found, Problem> {
    let envelope: Envelope<'_> = serde_json::from_slice(&bytes).map_err(|error| {
        Problem::new("malformed_batch", format!("it is no batch of telemetry: {error}"))
    })?;
    let events = envelope.events.filter(|events| events.count > 0);
    let events = events.ok_or_else(|| Problem::new("no_events", "it has no `events`"))?;
    if events.count > limits.events_max {
        let message =
            format!("it has {} events, and {} are taken", events.count, limits.events_max);
        return Err(Problem::new("too_many_events", message));
    }
    let params = envelope.params.and_then(read::<Params<'_>>);
    let (msgid, own) = params.map_or((None, None), |params| (params.msgid, params.did));
    let context = events.first.and_then(read::<Event<'_>>).and_then(|event| event.context);
    let first = context.and_then(read::<Context<'_>>).and_then(|context| context.did);
    let message_id = [msgid, envelope.mid].into_iter().flatten().find_map(text);
    let device = [own, first].into_iter().flatten().find_map(text);
    let device = device.or_else(|| did.map(str::to_owned));
    let events = events.count;
    Ok(Found { batch: Batch { bytes: Bytes::from(bytes), message_id, device }, events })
}

fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

/// Returns the text that a value is, if it is not empty.
pub(super) fn text(raw: &RawValue) -> Option<String> {
    let Name(text) = read(raw)?;
    (!text.is_empty()).then(|| Cow::into_owned(text))
}

impl<'de: 'a, 'a> Deserialize<'de> for Events<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EventsVisitor)
    }
}

struct EventsVisitor;

impl<'de> Visitor<'de> for EventsVisitor {
    type Value = Events<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let first = items.next_element::<&RawValue>()?;
        let mut count = usize::from(first.is_some());
        while items.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Events { first, count })
    }
}
