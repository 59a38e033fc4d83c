//! Something that has happened, typed.
//!
//! An event has two views.
//! The notification view is what subscribers see: the layers of the hierarchy, each inside the one above, and the
//! event's own fields at the root.
//! The telemetry view is what analytics see, and is anonymous by construction.

pub(crate) mod schema;
pub(crate) mod view;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings_analytics::{Level, TelemetryData, wire::Call};

use crate::{
    catalogue::EventType,
    scope::{Scope, ScopeError},
};

/// Something that has happened, as the application says it.
///
/// It is implemented by `#[derive(Event)]` on a struct with named fields that also derives `Serialize` and
/// `JsonSchema`; the derive's documentation lists the attributes.
/// `&[&dyn Event]` holds events of several types.
///
/// # Examples
///
/// ```
/// use schemars::JsonSchema;
/// use serde::Serialize;
/// use tidings::{Anonymous, Event, Layer};
///
/// #[derive(Layer, Serialize, JsonSchema)]
/// #[layer(name = "project", id = id)]
/// struct Project { id: u32, name: String }
///
/// #[derive(Layer, Serialize, JsonSchema)]
/// #[layer(name = "job", id = id)]
/// struct Job { id: u32, #[telemetry(count)] steps: Vec<String> }
///
/// #[derive(Anonymous, Serialize, JsonSchema)]
/// #[serde(rename_all = "snake_case")]
/// enum Reason { OutOfMemory, Timeout }
///
/// /// A job has ended before its time.
/// #[derive(Event, Serialize, JsonSchema)]
/// #[event(name = "project:job:failed", version = 1, scope(project, job), layers(Project, Job))]
/// struct JobFailed { project: Project, job: Job, #[telemetry] reason: Reason }
///
/// let event = JobFailed {
///     project: Project { id: 1, name: "Secret plan".into() },
///     job: Job { id: 7, steps: vec!["load".into(), "train".into()] },
///     reason: Reason::OutOfMemory,
/// };
/// assert_eq!(event.scope()?.as_str(), "project=1/job=7");
/// assert_eq!(
///     event.notification()?,
///     r#"{"project":{"id":1,"name":"Secret plan","job":{"id":7,"steps":["load","train"]}},"reason":"out_of_memory"}"#,
/// );
/// assert_eq!(
///     serde_json::to_value(event.telemetry())?,
///     serde_json::json!({
///         "event_properties": {"reason": "out_of_memory"},
///         "derived_properties": {"project": {"job": {"steps_count": 2}}},
///     }),
/// );
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "write `#[derive(Event, Serialize, JsonSchema)]` and `#[event(name = \"order:placed\", version = 1)]` on it"
)]
pub trait Event: Send + Sync {
    /// Returns the name of the type, a colon path.
    fn event_type(&self) -> &'static str;

    /// Returns the version of the type's schema, from 1.
    fn version(&self) -> i16;

    /// Returns the lowest level at which the telemetry of this type is collected; never [`Level::Off`].
    fn level(&self) -> Level {
        Level::Basic
    }

    /// Returns what the event is to analytics.
    fn call(&self) -> Call {
        Call::Track
    }

    /// Returns where in the application's world it has happened.
    ///
    /// # Errors
    ///
    /// A value that a scope cannot hold: empty, too long, or too long in sum.
    fn scope(&self) -> Result<Scope, ScopeError>;

    /// Returns the key within which subscriptions that ask for it get events in order.
    fn ordering_key(&self) -> Option<String> {
        None
    }

    /// Returns the notification view as JSON text.
    ///
    /// # Errors
    ///
    /// Whatever the `Serialize` of a field returns, a map whose keys are not text for example.
    fn notification(&self) -> Result<String, serde_json::Error>;

    /// Returns the telemetry view, or `None` where the type has none.
    fn telemetry(&self) -> Option<TelemetryData>;

    /// Describes the type, for the catalogue.
    fn describe() -> EventType
    where
        Self: Sized;
}

/// Who may see events of a type.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Subscribers, who get the notification view.
    Notification,
    /// Analytics, which get the telemetry view.
    Telemetry,
    /// Browsers and devices, which may send events of this type to the relay.
    Client,
}

impl Audience {
    /// Returns the word that is stored and typed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notification => "notification",
            Self::Telemetry => "telemetry",
            Self::Client => "client",
        }
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
