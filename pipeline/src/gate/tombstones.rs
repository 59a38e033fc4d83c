//! Whose telemetry was erased: known by keyed hashes alone.

use std::{collections::HashSet, fmt, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{
    identity::{self, Ids},
    value::Value,
};

/// How much of a hash is kept.
const HASH_BYTES: usize = 16;

type Hash = [u8; HASH_BYTES];

/// Whose telemetry was erased.
#[derive(Clone, Default)]
pub struct Tombstones {
    key: Option<Hmac<Sha256>>,
    /// The last one that was read.
    last: i64,
    graves: Arc<Graves>,
}

#[derive(Clone, Default, PartialEq)]
struct Graves {
    actors: HashSet<Hash>,
    devices: HashSet<Hash>,
    /// Hashes under the installation's keys, as they stand in events that were redacted.
    subjects: HashSet<String>,
}

/// A tombstone as it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Grave {
    pub(crate) tombstone_id: i64,
    pub(crate) kind: Kind,
    pub(crate) hash: String,
}

/// What a tombstone is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Actor,
    Device,
    Subject,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::Device => "device",
            Self::Subject => "subject",
        }
    }

    /// Reads a word; one of a later version says nothing that is known here.
    pub(crate) fn read(word: &str) -> Option<Self> {
        [Self::Actor, Self::Device, Self::Subject].into_iter().find(|kind| kind.as_str() == word)
    }
}

impl Tombstones {
    /// Returns none, to which those of an installation with this secret can be added.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let mut tombstones = Self::default();
        tombstones.open(secret);
        tombstones
    }

    pub(super) const fn needs_secret(&self) -> bool {
        self.key.is_none()
    }

    pub(super) fn open(&mut self, secret: &[u8]) {
        self.key = Hmac::new_from_slice(secret).ok();
    }

    /// Returns the last one that was added; zero before that.
    #[must_use]
    pub const fn last(&self) -> i64 {
        self.last
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last == 0
    }

    pub(crate) fn add(&mut self, grave: Grave) {
        let Grave { tombstone_id, kind, hash } = grave;
        self.last = self.last.max(tombstone_id);
        let graves = Arc::make_mut(&mut self.graves);
        let bytes =
            || -> Option<Hash> { BASE64_URL_SAFE_NO_PAD.decode(&hash).ok()?.try_into().ok() };
        match kind {
            Kind::Actor => graves.actors.extend(bytes()),
            Kind::Device => graves.devices.extend(bytes()),
            Kind::Subject => graves.subjects.extend([hash]),
        }
    }

    /// Returns what is stored of a value.
    pub(crate) fn hash(&self, kind: Kind, value: &str) -> Option<String> {
        match kind {
            Kind::Actor => Some(BASE64_URL_SAFE_NO_PAD.encode(self.digest(kind, value)?)),
            Kind::Device => {
                let device = identity::fit_device(value);
                Some(BASE64_URL_SAFE_NO_PAD.encode(self.digest(kind, &device)?))
            }
            Kind::Subject => Some(value.to_owned()),
        }
    }

    /// Returns whether an event is of somebody who was erased.
    #[must_use]
    pub fn has(&self, event: &Value<'_>) -> bool {
        if self.is_empty() {
            return false;
        }
        let Ids { actor, device } = identity::ids(event);
        actor.is_some_and(|actor| self.is_of(&self.graves.actors, Kind::Actor, &actor))
            || device.is_some_and(|device| self.has_device(&device))
    }

    /// Returns whether a device was erased.
    #[must_use]
    pub fn has_device(&self, device: &str) -> bool {
        !self.is_empty() && self.is_of(&self.graves.devices, Kind::Device, device)
    }

    fn is_of(&self, graves: &HashSet<Hash>, kind: Kind, value: &str) -> bool {
        (!self.graves.subjects.is_empty() && self.graves.subjects.contains(value))
            || (!graves.is_empty()
                && self.digest(kind, value).is_some_and(|hash| graves.contains(&hash)))
    }

    fn digest(&self, kind: Kind, value: &str) -> Option<Hash> {
        let mut mac = self.key.clone()?;
        mac.update(kind.as_str().as_bytes());
        mac.update(b":");
        mac.update(value.as_bytes());
        mac.finalize().into_bytes().get(..HASH_BYTES)?.try_into().ok()
    }
}

impl PartialEq for Tombstones {
    fn eq(&self, other: &Self) -> bool {
        // They are only ever added, in one order.
        self.last == other.last && self.key.is_some() == other.key.is_some()
    }
}

impl fmt::Debug for Tombstones {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tombstones").field("last", &self.last).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns tombstones of these.
    pub(crate) fn of(graves: &[(Kind, &str)]) -> Tombstones {
        let mut tombstones = Tombstones::new(&[7; 32]);
        for ((kind, value), tombstone_id) in graves.iter().zip(1..) {
            let hash = tombstones.hash(*kind, value).unwrap();
            tombstones.add(Grave { tombstone_id, kind: *kind, hash });
        }
        tombstones
    }

    #[test]
    fn event_is_known_by_its_actor_its_device_or_what_redaction_has_made_of_them() {
        let erased = of(&[(Kind::Actor, "ada"), (Kind::Device, "d1"), (Kind::Subject, "k1:x")]);
        let long = "d".repeat(300);
        for (event, has) in [
            (r#"{"actor":{"id":"ada"}}"#.to_owned(), true),
            (r#"{"actor":{"id":"bob"},"context":{"did":"d1"}}"#.to_owned(), true),
            // Without a device it is grouped by its actor.
            (r#"{"actor":{"id":"d1"}}"#.to_owned(), true),
            (r#"{"actor":{"id":"d1"},"context":{"did":"d2"}}"#.to_owned(), false),
            (r#"{"actor":{"id":"bob"},"context":{"did":"ada"}}"#.to_owned(), false),
            (r#"{"actor":{"id":"k1:x"},"context":{"did":"d2"}}"#.to_owned(), true),
            (r#"{"actor":{"id":"bob"},"context":{"did":"k1:x"}}"#.to_owned(), true),
            (r#"{"event":"x","distinct_id":"ada","properties":{"eid":"LOG"}}"#.to_owned(), true),
            (format!(r#"{{"context":{{"did":"{long}"}}}}"#), false),
            ("{}".to_owned(), false),
            ("7".to_owned(), false),
        ] {
            assert_eq!(erased.has(&Value::parse(event.as_bytes()).unwrap()), has, "{event}");
        }
        assert!(!Tombstones::default().has(&Value::parse(br#"{"actor":{"id":"ada"}}"#).unwrap()));
        let erased = of(&[(Kind::Device, &long)]);
        let event = format!(r#"{{"context":{{"did":"{long}"}}}}"#);
        assert!(erased.has(&Value::parse(event.as_bytes()).unwrap()));
        let seven = of(&[(Kind::Actor, "7")]);
        assert!(seven.has(&Value::parse(br#"{"actor":{"id":7}}"#).unwrap()));
    }

    #[test]
    fn what_is_stored_says_nothing_of_whom_and_differs_by_kind_and_installation() {
        let (one, two) = (Tombstones::new(&[1; 32]), Tombstones::new(&[2; 32]));
        let hash = |of: &Tombstones, kind| of.hash(kind, "ada").unwrap();
        assert!(!hash(&one, Kind::Actor).contains("ada"));
        assert_ne!(hash(&one, Kind::Actor), hash(&two, Kind::Actor));
        assert_ne!(hash(&one, Kind::Actor), hash(&one, Kind::Device));
        assert_eq!(hash(&one, Kind::Actor), hash(&one, Kind::Actor));
    }
}
