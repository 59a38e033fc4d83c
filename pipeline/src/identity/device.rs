//! The device that an event is of, read from the tree or straight from the text.
//!
//! It is `context.did`; where there is none, `actor.id`; where there is none, the hash of the content.
//! In an event of PostHog's form both lie among its properties, and `distinct_id` counts as the actor's id.
//! The sender of a batch is no device of its events: whoever imports the files of others changes nothing of whose they are.

use std::{borrow::Cow, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, value::RawValue};
use sha2::{Digest, Sha256};

use super::{Fingerprint, Scratch};
use crate::value::{Name, Object, Value};

/// The longest device that stands as it is, in bytes: it is the key of every record.
const DEVICE_BYTES_MAX: usize = 256;

/// An event that cannot be read: it nests too deeply, or a text in it is none.
#[derive(Debug, thiserror::Error)]
#[error("read an event")]
pub struct Unreadable(#[from] pub serde_json::Error);

/// Returns the device of an event.
pub fn device<'a>(event: &Value<'a>, scratch: &mut Scratch) -> Cow<'a, str> {
    let found = event.as_object().map(Glance::of_object).and_then(Glance::device);
    found.unwrap_or_else(|| Fingerprint::of(event, scratch).short().into())
}

/// Whom an event names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ids<'a> {
    /// Who has acted.
    pub actor: Option<Cow<'a, str>>,
    /// Its device; the actor where it names none.
    pub device: Option<Cow<'a, str>>,
}

/// Returns whom an event names.
#[must_use]
pub fn ids<'a>(event: &Value<'a>) -> Ids<'a> {
    let Some(glance) = event.as_object().map(Glance::of_object) else { return Ids::default() };
    let actor = glance.actor();
    Ids { actor, device: glance.device() }
}

/// Returns the same for the text of an event, in one pass over it unless it names no device.
///
/// # Errors
///
/// It names none, and cannot be read as a tree.
pub fn device_of_text<'a>(
    event: &'a RawValue,
    scratch: &mut Scratch,
) -> Result<Cow<'a, str>, Unreadable> {
    let glance = At::Event.deserialize(&mut serde_json::Deserializer::from_str(event.get()))?;
    if let Some(device) = glance.device() {
        return Ok(device);
    }
    let tree = Value::parse(event.get().as_bytes())?;
    Ok(Fingerprint::of(&tree, scratch).short().into())
}

/// What of an event, or of a part of it, tells the device.
#[derive(Debug, Default)]
struct Glance<'a> {
    /// The id that the part is, or has.
    id: Option<Cow<'a, str>>,
    has_eid: bool,
    did: Option<Cow<'a, str>>,
    actor: Option<Cow<'a, str>>,
    distinct: Option<Cow<'a, str>>,
    properties: Option<Box<Self>>,
}

impl<'a> Glance<'a> {
    fn of_object(event: &Object<'a>) -> Self {
        let inner = |object: &Object<'a>| Self {
            has_eid: object.get("eid").is_some(),
            did: object.get("context").and_then(|context| context.get("did")).and_then(id),
            actor: object.get("actor").and_then(|actor| actor.get("id")).and_then(id),
            distinct: object.get("distinct_id").and_then(id),
            ..Self::default()
        };
        let properties = event.get("properties").and_then(Value::as_object);
        Self { properties: properties.map(|object| Box::new(inner(object))), ..inner(event) }
    }

    fn actor(&self) -> Option<Cow<'a, str>> {
        match &self.properties {
            Some(inner) if !self.has_eid && inner.has_eid => {
                let actor = inner.actor.as_ref().or(self.actor.as_ref());
                actor.or(self.distinct.as_ref()).cloned()
            }
            _ => self.actor.clone(),
        }
    }

    fn device(self) -> Option<Cow<'a, str>> {
        let found = match self.properties {
            Some(inner) if !self.has_eid && inner.has_eid => {
                let did = inner.did.or(self.did);
                did.or(inner.actor).or(self.actor).or(self.distinct)
            }
            _ => self.did.or(self.actor),
        };
        found.map(fit)
    }
}

/// Returns a device as it stands: one that is too long for a key, or cannot be stored as a text, by its hash.
pub(crate) fn fit(device: Cow<'_, str>) -> Cow<'_, str> {
    if device.len() <= DEVICE_BYTES_MAX && !device.contains('\0') {
        return device;
    }
    super::hex(&super::first::<16>(&Sha256::digest(&*device).into())).into()
}

/// Returns what a member says, if it is an id: a text that is not empty, or a number.
fn id<'a>(value: &Value<'a>) -> Option<Cow<'a, str>> {
    match value {
        Value::Text(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string().into()),
        _ => None,
    }
}

/// Where in an event something is read; what is read of it.
#[derive(Clone, Copy)]
enum At {
    Event,
    Properties,
    Context,
    Actor,
    Id,
}

impl<'de> DeserializeSeed<'de> for At {
    type Value = Glance<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Glance<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl At {
    /// Returns what stands there, if it is an id and an id may stand there.
    fn found(self, id: Option<Cow<'_, str>>) -> Glance<'_> {
        Glance { id: id.filter(|_| matches!(self, Self::Id)), ..Glance::default() }
    }
}

impl<'de> Visitor<'de> for At {
    type Value = Glance<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Glance<'de>, A::Error> {
        let mut glance = Glance::default();
        while let Some(Name(name)) = map.next_key()? {
            match (self, &*name) {
                (Self::Event | Self::Properties, "context") => {
                    glance.did = map.next_value_seed(Self::Context)?.id;
                }
                (Self::Event | Self::Properties, "actor") => {
                    glance.actor = map.next_value_seed(Self::Actor)?.id;
                }
                (Self::Event | Self::Properties, "distinct_id") => {
                    glance.distinct = map.next_value_seed(Self::Id)?.id;
                }
                (Self::Context, "did") | (Self::Actor, "id") => {
                    glance.id = map.next_value_seed(Self::Id)?.id;
                }
                (Self::Event, "properties") => {
                    let inner = map.next_value_seed(Self::Properties)?;
                    glance.properties = Some(Box::new(inner));
                }
                (_, "eid") => {
                    glance.has_eid = true;
                    map.next_value::<IgnoredAny>()?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(glance)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Glance<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Glance::default())
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Glance<'de>, E> {
        Ok(self.found((!text.is_empty()).then_some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Glance<'de>, E> {
        Ok(self.found((!text.is_empty()).then(|| text.to_owned().into())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Glance<'de>, E> {
        Ok(self.found(Some(number.to_string().into())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Glance<'de>, E> {
        Ok(self.found(Some(number.to_string().into())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Glance<'de>, E> {
        Ok(self.found(Number::from_f64(number).map(|number| number.to_string().into())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Glance<'de>, E> {
        Ok(Glance::default())
    }

    fn visit_unit<E>(self) -> Result<Glance<'de>, E> {
        Ok(Glance::default())
    }
}
