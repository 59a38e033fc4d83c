//! What stands around the events of a batch, read in one pass that leaves the events as they are.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::EVENTS_MAX;
use crate::{
    check::moment::{self, Moment},
    provenance::Format,
    reason::Reason,
    value::Name,
};

/// The members of a batch that count; of two with one name the last.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    id: Option<&'a RawValue>,
    ver: Option<&'a RawValue>,
    ets: Option<&'a RawValue>,
    ts: Option<&'a RawValue>,
    /// The device that the batch names, at its top or among its parameters.
    pub(super) did: Option<Cow<'a, str>>,
    /// What stands where the events have to.
    pub(super) list: Option<Listing<'a>>,
}

/// What stands where the events have to.
#[derive(Debug)]
pub(super) enum Listing<'a> {
    List(Vec<&'a RawValue>),
    TooMany,
    /// No array.
    Other,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow, default)]
    did: Option<&'a RawValue>,
}

/// Returns the member that the events stand in.
pub(super) const fn list_name(format: Format) -> &'static str {
    match format {
        Format::Sunbird => "events",
        Format::Posthog => "batch",
    }
}

impl<'a> Envelope<'a> {
    /// Reads a batch.
    ///
    /// # Errors
    ///
    /// It is no JSON, or no object.
    pub(super) fn read(text: &'a str, format: Format) -> serde_json::Result<Self> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let envelope = Seed(list_name(format)).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(envelope)
    }

    /// Returns when it was sent, by its sender's clock, in milliseconds since 1970.
    pub(super) fn sent_at(&self) -> Option<i64> {
        let read = |value: &RawValue| match text(value) {
            Some(text) => moment::parse(&text),
            None => Some(Moment::of(&serde_json::from_str(value.get()).ok()?)?.milliseconds),
        };
        self.ets.and_then(read).or_else(|| self.ts.and_then(read))
    }

    /// Checks it as the specification has it.
    ///
    /// # Errors
    ///
    /// `id` or `ver` is no text, or neither `ets` nor `ts` is a time.
    pub(super) fn check(&self) -> Result<(), Reason> {
        for (name, value) in [("id", self.id), ("ver", self.ver)] {
            if value.and_then(text).is_none() {
                let message = format!("give the batch `{name}`, a text that is not empty");
                return Err(Reason::new(format!("$.{name}"), "missing", message));
            }
        }
        let is_number = |value: &&RawValue| {
            value.get().starts_with(|first: char| first == '-' || first.is_ascii_digit())
        };
        let has_ts = self.ts.is_some_and(|ts| is_number(&ts) || text(ts).is_some());
        if self.ets.as_ref().is_none_or(|ets| !is_number(ets)) && !has_ts {
            let message = "give the batch `ets`, in milliseconds since 1970, or `ts`";
            return Err(Reason::new("$.ets", "missing", message));
        }
        Ok(())
    }
}

/// Returns the text that a value is, if it is not empty.
fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let Name(text) = serde_json::from_str(value.get()).ok()?;
    (!text.is_empty()).then_some(text)
}

struct Seed(&'static str);

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Envelope<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Envelope<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a batch")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope::default();
        let (mut did, mut params) = (None, None);
        while let Some(Name(name)) = map.next_key()? {
            match &*name {
                "id" => envelope.id = Some(map.next_value()?),
                "ver" => envelope.ver = Some(map.next_value()?),
                "ets" => envelope.ets = Some(map.next_value()?),
                "ts" => envelope.ts = Some(map.next_value()?),
                "did" => did = text(map.next_value()?),
                "params" => params = Some(map.next_value::<&RawValue>()?),
                name if name == self.0 => envelope.list = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let params = params.and_then(|params| serde_json::from_str(params.get()).ok());
        let of_params = |Params { did }: Params<'de>| text(did?);
        envelope.did = params.and_then(of_params).or(did);
        Ok(envelope)
    }
}

impl<'de> Deserialize<'de> for Listing<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor)
    }
}

struct ListVisitor;

/// Accepts every kind of value that is no array.
macro_rules! otherwise {
    ($($method:ident($argument:ty))*) => {$(
        fn $method<E>(self, _: $argument) -> Result<Self::Value, E> {
            Ok(Listing::Other)
        }
    )*};
}

impl<'de> Visitor<'de> for ListVisitor {
    type Value = Listing<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<&RawValue>()? {
            if list.len() == EVENTS_MAX {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Listing::TooMany);
            }
            list.push(item);
        }
        Ok(Listing::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Listing::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Listing::Other)
    }

    otherwise! { visit_bool(bool) visit_i64(i64) visit_u64(u64) visit_f64(f64) visit_str(&str) }
}
