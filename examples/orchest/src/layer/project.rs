//! Projects, their environments, and what an update has changed.

use schemars::JsonSchema;
use serde::Serialize;
use tidings::{Layer, analytics::Count, change::Changes};
use uuid::Uuid;

use super::Link;

/// A project.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "project", id = uuid)]
pub struct Project {
    /// Which one it is.
    #[telemetry(hashed)]
    pub uuid: Uuid,
    /// What people call it.
    pub name: String,
}

/// A project that has come or gone, and how many there are since.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "project", id = project)]
pub struct CountedProject {
    /// The project.
    #[serde(flatten)]
    pub project: Project,
    /// How many projects the installation has now.
    #[serde(skip)]
    #[telemetry(derived = "projects_count", with = Count::clone)]
    pub projects_count: Count,
}

/// What an update has changed: of the project, the pipeline or the job that it stands in.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "update")]
pub struct Update {
    /// What has changed, at least one thing.
    #[telemetry]
    pub changes: Changes,
}

/// An environment: what steps run in.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "environment", id = uuid)]
pub struct Environment {
    /// Which one it is.
    #[telemetry(hashed)]
    pub uuid: Uuid,
    /// Its page.
    #[serde(flatten)]
    pub link: Link,
}
