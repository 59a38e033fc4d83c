//! What only analytics see: nobody can subscribe to it.
//!
//! Browsers may send those of the audience `client` to the relay.
//! They have no text in them, because the text of a dialog names what people have named: a view and a dialog are each one
//! of a list.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings::{Anonymous, Catalogue, Event, catalogue, catalogue::CatalogueError};

use crate::{
    layer::{CronJob, OneOffJob, Pipeline, Project},
    sample::Sample,
};

/// A view of the web application.
#[derive(Anonymous, Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "they are the names of the routes")]
pub enum View {
    ConfigureJupyterLab,
    Environment,
    Environments,
    FilePreview,
    Help,
    Home,
    Job,
    JobRun,
    Jobs,
    JupyterLab,
    ManageUsers,
    Notifications,
    Pipeline,
    PipelineSettings,
    ProjectSettings,
    Settings,
    Update,
}

/// What a dialog is about.
#[derive(Anonymous, Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Dialog {
    /// Something is about to be deleted.
    Delete,
    /// Something did not work.
    Error,
    /// Something is about to be left with changes that are not saved.
    Leave,
    /// Something is about to be started again.
    Restart,
    /// Something is about to be stopped.
    Stop,
    /// Any other.
    Other,
}

/// A view of the web application has been loaded.
#[derive(Debug, Event, Serialize, JsonSchema)]
#[event(name = "view:loaded", version = 1, audience(client, telemetry), level = "enhanced")]
pub struct ViewLoaded {
    /// Which one.
    #[telemetry]
    pub name: View,
}

/// The web application has told its user something.
#[derive(Debug, Event, Serialize, JsonSchema)]
#[event(name = "alert:shown", version = 1, audience(client, telemetry), level = "enhanced")]
pub struct AlertShown {
    /// What about.
    #[telemetry]
    pub dialog: Dialog,
}

/// The web application has asked its user something.
#[derive(Debug, Event, Serialize, JsonSchema)]
#[event(name = "confirm:shown", version = 1, audience(client, telemetry), level = "enhanced")]
pub struct ConfirmShown {
    /// What about.
    #[telemetry]
    pub dialog: Dialog,
}

/// The installation is there; registered every 15 minutes.
#[derive(Debug, Event, Serialize, JsonSchema)]
#[event(name = "heartbeat:triggered", version = 1, audience(telemetry))]
pub struct HeartbeatTriggered {
    /// Whether somebody uses it; null where that cannot be told.
    #[telemetry]
    pub active: Option<bool>,
}

/// Somebody has made a copy of a one-off job.
#[derive(Debug, Event, Serialize, JsonSchema)]
#[event(
    name = "project:one-off-job:duplicated",
    version = 1,
    audience(telemetry),
    layers(Project, OneOffJob),
    scope(project, job)
)]
pub struct OneOffJobDuplicated {
    /// The project.
    pub project: Project,
    /// The job that was copied.
    pub job: OneOffJob,
}

/// Somebody has made a copy of a cron job.
#[derive(Debug, Event, Serialize, JsonSchema)]
#[event(
    name = "project:cron-job:duplicated",
    version = 1,
    audience(telemetry),
    layers(Project, CronJob),
    scope(project, job)
)]
pub struct CronJobDuplicated {
    /// The project.
    pub project: Project,
    /// The job that was copied.
    pub job: CronJob,
}

/// Somebody has saved a pipeline.
#[derive(Debug, Event, Serialize, JsonSchema)]
#[event(
    name = "project:pipeline:saved",
    version = 1,
    audience(telemetry),
    layers(Project, Pipeline),
    scope(project, pipeline)
)]
pub struct PipelineSaved {
    /// The project.
    pub project: Project,
    /// The pipeline.
    pub pipeline: Pipeline,
}

/// A developer tries whether analytics arrive.
#[derive(Debug, Event, Serialize, JsonSchema)]
#[event(name = "debug:pinged", version = 1, audience(telemetry))]
pub struct DebugPinged {}

/// Returns the types of this module.
pub(crate) fn catalogue() -> Result<Catalogue, CatalogueError> {
    catalogue![
        ViewLoaded,
        AlertShown,
        ConfirmShown,
        HeartbeatTriggered,
        OneOffJobDuplicated,
        CronJobDuplicated,
        PipelineSaved,
        DebugPinged
    ]
}

/// Returns one event of each type, with `word` in whatever a person could have typed.
#[must_use]
pub fn samples(word: &str) -> Vec<Box<dyn Event>> {
    let project = || Project::sample(word);
    vec![
        Box::new(ViewLoaded { name: View::JobRun }),
        Box::new(AlertShown { dialog: Dialog::Error }),
        Box::new(ConfirmShown { dialog: Dialog::Delete }),
        Box::new(HeartbeatTriggered { active: Some(true) }),
        Box::new(OneOffJobDuplicated { project: project(), job: Sample::sample(word) }),
        Box::new(CronJobDuplicated { project: project(), job: Sample::sample(word) }),
        Box::new(PipelineSaved { project: project(), pipeline: Sample::sample(word) }),
        Box::new(DebugPinged {}),
    ]
}
