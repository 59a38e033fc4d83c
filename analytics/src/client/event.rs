//! The event types that a process without a catalogue declares.

use crate::{Level, wire::Call};

/// An event type, declared once as a constant: its name stands in the program's text.
///
/// # Examples
///
/// ```
/// use tidings_analytics::{Level, client::Event};
///
/// const STARTED: Event = Event::track("shop:process:started", Level::Basic);
/// assert_eq!(STARTED.name(), "shop:process:started");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Event {
    name: &'static str,
    call: Call,
    level: Level,
}

impl Event {
    /// Returns the type `name`, collected from `level` on: something that has happened.
    pub const fn track(name: &'static str, level: Level) -> Self {
        Self { name, call: Call::Track, level }
    }

    /// Returns the type with another call.
    #[must_use]
    pub const fn with_call(mut self, call: Call) -> Self {
        self.call = call;
        self
    }

    /// Returns what it is called.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the call that it is.
    pub const fn call(&self) -> Call {
        self.call
    }

    /// Returns the lowest level at which it is collected.
    pub const fn level(&self) -> Level {
        self.level
    }
}
