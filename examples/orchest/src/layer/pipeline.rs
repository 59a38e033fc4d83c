//! Pipelines, and the sessions in which people work on them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use tidings::{Layer, analytics::Count};
use uuid::Uuid;

use crate::definition::Service;

/// A pipeline.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "pipeline", id = uuid)]
pub struct Pipeline {
    /// Which one it is.
    #[telemetry(hashed)]
    pub uuid: Uuid,
    /// What people call it.
    pub name: String,
}

/// A pipeline that has come or gone, and how many its project has since.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "pipeline", id = pipeline)]
pub struct CountedPipeline {
    /// The pipeline.
    #[serde(flatten)]
    pub pipeline: Pipeline,
    /// How many pipelines the project has now.
    #[serde(skip)]
    #[telemetry(derived = "project_pipelines_count", with = Count::clone)]
    pub project_pipelines_count: Count,
}

/// A session: a pipeline that somebody works on, with the services beside it.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "session")]
pub struct InteractiveSession {
    /// The services that run beside it, by the names that people gave them.
    #[serde(skip)]
    #[telemetry(with = Service::traits)]
    #[telemetry(count)]
    pub user_services: BTreeMap<String, Service>,
}

/// A session one of whose services was restarted.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "session")]
pub struct RestartedSession {
    /// The session.
    #[serde(flatten)]
    pub session: InteractiveSession,
    /// Whether the pipeline ran meanwhile.
    #[serde(skip)]
    #[telemetry]
    pub active_runs: bool,
}
