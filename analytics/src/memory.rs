//! A sink that keeps what it gets, for tests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::wire::{Check, Error, Message, Properties};

/// A sink that keeps what it gets, for tests.
///
/// It is as strict as all services together: what one of them would refuse is an error here.
/// A message whose id it has is not kept a second time, as with the services. Clones share what they keep.
///
/// # Examples
///
/// ```
/// use chrono::DateTime;
/// use tidings_analytics::{
///     Memory,
///     wire::{Call, Id, Identity, Message, Name},
/// };
/// use uuid::Uuid;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let memory = Memory::new();
/// let identity = Identity::user(Id::new("2026-01:3q2-7wAB")?);
/// let name = Name::new("order:placed")?;
/// let message =
///     Message::new(Uuid::from_u128(1), Call::Track, name, identity, DateTime::UNIX_EPOCH)?;
/// memory.accept(message)?;
///
/// assert_eq!(memory.assert_sent("order:placed").call(), Call::Track);
/// memory.assert_not_sent("order:cancelled");
/// memory.assert_tells_nothing_of("ada@example.com");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Memory {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    messages: Vec<Message>,
    repeated: usize,
}

impl Memory {
    /// Returns a sink that has nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a message.
    ///
    /// # Errors
    ///
    /// A service would refuse it.
    pub fn accept(&self, message: Message) -> Result<(), Error> {
        Check::default().with_reserve_bytes(0).message(&message)?;
        let mut kept = self.kept();
        if kept.messages.iter().any(|other| other.id() == message.id()) {
            kept.repeated += 1;
        } else {
            kept.messages.push(message);
        }
        Ok(())
    }

    /// Returns what it has, in the order in which it came.
    pub fn messages(&self) -> Vec<Message> {
        self.kept().messages.clone()
    }

    /// Returns what it has of this name, in the order in which it came.
    pub fn named(&self, name: &str) -> Vec<Message> {
        let mut messages = self.messages();
        messages.retain(|message| message.name().as_str() == name);
        messages
    }

    /// Returns how many messages came that it had.
    pub fn repeated(&self) -> usize {
        self.kept().repeated
    }

    /// Forgets what it has.
    pub fn clear(&self) {
        *self.kept() = Kept::default();
    }

    /// Returns the one message of this name.
    ///
    /// # Panics
    ///
    /// There is none, or more than one; it says what there is.
    #[track_caller]
    pub fn assert_sent(&self, name: &str) -> Message {
        let mut found = self.named(name);
        let count = found.len();
        match found.pop() {
            Some(message) if count == 1 => message,
            _ => panic!("`{name}` was sent {count} times, not once; sent were: {}", self.list()),
        }
    }

    /// Checks that no message has this name.
    ///
    /// # Panics
    ///
    /// There is one.
    #[track_caller]
    pub fn assert_not_sent(&self, name: &str) {
        let count = self.named(name).len();
        assert!(count == 0, "`{name}` was sent {count} times; sent were: {}", self.list());
    }

    /// Checks that nothing was sent.
    ///
    /// # Panics
    ///
    /// Something was.
    #[track_caller]
    pub fn assert_nothing_sent(&self) {
        assert!(self.kept().messages.is_empty(), "sent were: {}", self.list());
    }

    /// Checks that `secret` stands nowhere: in no id, no name, no property.
    ///
    /// # Panics
    ///
    /// It stands somewhere; it says in which message.
    #[track_caller]
    pub fn assert_tells_nothing_of(&self, secret: &str) {
        for message in self.messages() {
            let identity = serde_json::to_string(message.identity()).unwrap_or_default();
            let texts = [message.name().as_str().to_owned(), identity, text(message.properties())];
            let tells = texts.iter().any(|text| text.contains(secret));
            assert!(!tells, "`{}` tells of `{secret}`: {texts:?}", message.name());
        }
    }

    fn list(&self) -> String {
        let names: Vec<_> =
            self.kept().messages.iter().map(|message| message.name().to_string()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text(properties: &Properties) -> String {
    serde_json::to_string(properties).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::wire::{Call, Id, Identity, Name};

    fn message(number: u128, name: &str, note: &str) -> Message {
        let identity = Identity::user(Id::new("k:ada").unwrap());
        let name = Name::new(name).unwrap();
        let event = Uuid::from_u128(number);
        Message::new(event, Call::Track, name, identity, DateTime::UNIX_EPOCH)
            .unwrap()
            .with_properties(json!({"note": note}).try_into().unwrap())
    }

    fn panics(check: impl FnOnce()) -> String {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).unwrap_err();
        *caught.downcast::<String>().unwrap()
    }

    #[test]
    fn message_is_kept_once() {
        let memory = Memory::new();
        memory.assert_nothing_sent();
        for number in [1, 2, 1] {
            memory.accept(message(number, "order:placed", "")).unwrap();
        }
        assert_eq!((memory.messages().len(), memory.repeated()), (2, 1));
        memory.clear();
        assert_eq!((memory.messages().len(), memory.repeated()), (0, 0));
    }

    #[test]
    fn message_that_a_service_would_refuse_is_an_error() {
        let memory = Memory::new();
        let large = message(1, "order:placed", &"x".repeat(32_000));
        assert!(matches!(memory.accept(large), Err(Error::TooLarge(_))));
        memory.assert_nothing_sent();
    }

    #[test]
    fn assertion_that_fails_says_what_was_sent() {
        let memory = Memory::new();
        assert_eq!(
            panics(|| drop(memory.assert_sent("order:paid"))),
            "`order:paid` was sent 0 times, not once; sent were: none"
        );
        memory.accept(message(1, "order:placed", "canary")).unwrap();
        memory.accept(message(2, "order:placed", "")).unwrap();
        assert_eq!(
            panics(|| drop(memory.assert_sent("order:placed"))),
            "`order:placed` was sent 2 times, not once; sent were: order:placed, order:placed"
        );
        assert_eq!(
            panics(|| memory.assert_not_sent("order:placed")),
            "`order:placed` was sent 2 times; sent were: order:placed, order:placed"
        );
        assert_eq!(
            panics(|| memory.assert_nothing_sent()),
            "sent were: order:placed, order:placed"
        );
        let told = panics(|| memory.assert_tells_nothing_of("canary"));
        assert!(told.starts_with("`order:placed` tells of `canary`"), "{told}");
        panics(|| memory.assert_tells_nothing_of("k:ada"));
        memory.assert_tells_nothing_of("somebody else");
    }
}
