//! The hierarchy that the tests are about: projects with jobs.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tidings::{Anonymous, Event, Layer};
use uuid::Uuid;

/// Stands in every text that a person could have typed.
pub(crate) const CANARY: &str = "canary";

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "project", id = uuid)]
pub(crate) struct Project {
    #[telemetry(hashed)]
    pub(crate) uuid: Uuid,
    pub(crate) name: String,
    #[telemetry(bucket(1, 10, 100))]
    pub(crate) age_days: u32,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "job", id = id)]
pub(crate) struct Job {
    pub(crate) id: u64,
    #[telemetry]
    pub(crate) status: Status,
    #[telemetry(count)]
    #[telemetry(derived = "longest_step_bucket", with = longest)]
    pub(crate) steps: Vec<String>,
    #[telemetry(extension)]
    pub(crate) file: Option<String>,
    #[telemetry(with = is_long)]
    pub(crate) title: String,
}

#[derive(Anonymous, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Status {
    Started,
    Aborted,
}

#[derive(Anonymous, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reason {
    OutOfMemory { limit_mib: u32, used_mib: Option<u32> },
    Exited(i32),
    TimedOut,
}

/// A job has ended before its time.
///
/// It is not tried again.
#[derive(Event, Serialize, JsonSchema)]
#[event(
    name = "project:job:failed",
    version = 2,
    scope(project, job),
    layers(Project, Job),
    ordering_key = job,
    level = "enhanced"
)]
pub(crate) struct JobFailed {
    pub(crate) project: Project,
    pub(crate) job: Job,
    #[telemetry]
    pub(crate) reason: Reason,
    #[telemetry]
    #[telemetry(bucket)]
    pub(crate) elapsed: Duration,
    #[telemetry(hashed)]
    pub(crate) owner: Option<String>,
    pub(crate) message: String,
}

fn longest(steps: &[String]) -> Option<tidings::analytics::Bucket> {
    tidings::analytics::Bucket::of(&steps.iter().map(String::len).max()?)
}

fn is_long(title: &str) -> bool {
    title.len() > 20
}

pub(crate) fn project() -> Project {
    Project { uuid: Uuid::from_u128(1), name: format!("{CANARY} project"), age_days: 12 }
}

pub(crate) fn job() -> Job {
    Job {
        id: 7,
        status: Status::Aborted,
        steps: vec![format!("{CANARY} load"), format!("{CANARY} train")],
        file: Some(format!("/home/{CANARY}/{CANARY}.IPYNB")),
        title: format!("the {CANARY} in the mine"),
    }
}

pub(crate) fn job_failed() -> JobFailed {
    JobFailed {
        project: project(),
        job: job(),
        reason: Reason::OutOfMemory { limit_mib: 512, used_mib: None },
        elapsed: Duration::from_millis(1_500),
        owner: Some(format!("{CANARY}@example.org")),
        message: format!("{CANARY} has ended"),
    }
}
