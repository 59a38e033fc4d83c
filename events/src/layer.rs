//! A level of the application's hierarchy, with the data that it adds to events below it.
//!
//! Layers are composed: the notification view of an event shows each layer inside the one above it, the telemetry view
//! follows the same path, and a layer that would cover something of another one does not compile.

use schemars::JsonSchema;
use serde::Serialize;
use tidings_analytics::TelemetryData;

use crate::{private, scope};

/// A level of the hierarchy: a struct that owns what events at this level and below tell about it.
///
/// It is implemented by `#[derive(Layer)]` on a struct with named fields that also derives `Serialize` and
/// `JsonSchema`.
///
/// # Examples
///
/// ```
/// use schemars::JsonSchema;
/// use serde::Serialize;
/// use tidings::Layer;
///
/// #[derive(Layer, Serialize, JsonSchema)]
/// #[layer(name = "project", id = uuid)]
/// struct Project {
///     uuid: uuid::Uuid,
///     name: String,
///     #[telemetry(count)]
///     members: Vec<String>,
/// }
///
/// assert_eq!(Project::NAME, "project");
/// assert_eq!(Project::FIELDS, ["uuid", "name", "members"]);
/// assert_eq!(Project::TELEMETRY, ["members_count"]);
/// ```
///
/// A layer that is a special case of another one has it as a field and is the same level of the hierarchy:
/// `#[serde(flatten)]` lets its fields, and what it tells to analytics, stand beside those of the other one.
///
/// ```
/// # use schemars::JsonSchema;
/// # use serde::Serialize;
/// # use tidings::Layer;
/// #[derive(Layer, Serialize, JsonSchema)]
/// #[layer(name = "job", id = id)]
/// struct Job { id: u32, #[telemetry(count)] steps: Vec<String> }
///
/// #[derive(Layer, Serialize, JsonSchema)]
/// #[layer(name = "job", id = job)]
/// struct CronJob {
///     #[serde(flatten)]
///     job: Job,
///     schedule: String,
/// }
///
/// assert_eq!(CronJob::FIELDS, ["schedule", "id", "steps"]);
/// assert_eq!(CronJob::TELEMETRY, ["steps_count"]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer",
    label = "not a layer",
    note = "write `#[derive(Layer, Serialize, JsonSchema)]` and `#[layer(name = \"project\", id = uuid)]` on it"
)]
pub trait Layer: Serialize + JsonSchema + Send + Sync {
    /// The name under which the layer stands in both views, and its key in a scope.
    const NAME: &'static str;

    /// The names of the layer's own fields in the notification view.
    const FIELDS: &'static [&'static str];

    /// The names of what the layer adds to the telemetry view, in either tree.
    const TELEMETRY: &'static [&'static str];

    /// Adds what is anonymous to `data`, at the nesting `path` that ends with this layer.
    fn telemetry(&self, data: &mut TelemetryData, path: &[&'static str]);
}

/// A layer with an id, which can stand in the scope of an event.
#[diagnostic::on_unimplemented(
    message = "the layer `{Self}` has no id, so it cannot be part of a scope or an ordering key",
    label = "a layer without an id",
    note = "say which field it is, as in `#[layer(name = \"project\", id = uuid)]`"
)]
pub trait Identified: Layer {
    /// Returns the layer's value in a scope: its id, as it is displayed.
    fn scope_value(&self) -> String;
}

/// Says which name of `owner`, "the layer" or "the event" `name`, would be covered by the layer `next`.
///
/// `None` where they are apart.
#[doc(hidden)]
pub const fn covered(
    owner: &str,
    name: &str,
    fields: &[&str],
    telemetry: &[&str],
    next: &str,
) -> Option<private::Message> {
    let what = if private::contains(fields, next) {
        "` has a field `"
    } else if private::contains(telemetry, next) {
        "` has a telemetry property `"
    } else {
        return None;
    };
    Some(
        private::Message::new()
            .with(owner)
            .with(" `")
            .with(name)
            .with(what)
            .with(next)
            .with("` where the layer `")
            .with(next)
            .with("` is to stand; views are composed and never overridden: rename one of them"),
    )
}

/// Says what is wrong with the name of a layer, which is a key in scopes; `None` where nothing is.
#[doc(hidden)]
pub const fn name_fault(name: &str) -> Option<private::Message> {
    match scope::key_fault(name) {
        Some(fault) => Some(
            private::Message::new()
                .with("`")
                .with(name)
                .with("` is not the name of a layer: it ")
                .with(fault)
                .with("; write it like `pipeline_run`"),
        ),
        None => None,
    }
}

/// Says which of `names`, which are a `what` each, the layer `layer` has twice; `None` where they are apart.
#[doc(hidden)]
pub const fn name_twice(layer: &str, what: &str, names: &[&str]) -> Option<private::Message> {
    let mut at = 0;
    while at < names.len() {
        if private::contains(names.split_at(at).0, names[at]) {
            let message = private::Message::new().with("the layer `").with(layer);
            let message = message.with("` and a layer that joins it both have a ").with(what);
            return Some(message.with(" `").with(names[at]).with("`: rename one of them"));
        }
        at += 1;
    }
    None
}

/// Says what is wrong with the keys of an event's scope; `None` where nothing is.
#[doc(hidden)]
pub const fn scope_fault(keys: &[&str]) -> Option<private::Message> {
    let mut at = 0;
    while at < keys.len() {
        let key = private::Message::new().with("`").with(keys[at]).with("` ");
        if let Some(fault) = scope::key_fault(keys[at]) {
            let message = key.with("is not a scope key: it ").with(fault);
            return Some(message.with("; write it like `pipeline_run`"));
        }
        if private::contains(keys.split_at(at).0, keys[at]) {
            return Some(
                key.with("stands twice in the scope, and a scope has one value for each key"),
            );
        }
        at += 1;
    }
    None
}
