//! Jobs, one-off and cron, and the runs of cron jobs.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tidings::{Anonymous, Layer, analytics::Count};
use uuid::Uuid;

use super::Link;
use crate::{
    definition::{DefinitionSummary, PipelineDefinition},
    status::{CronJobRunStatus, JobStatus},
};

/// What every job has.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "job", id = uuid)]
pub struct Job {
    /// Which one it is.
    #[telemetry(hashed)]
    pub uuid: Uuid,
    /// What people call it.
    pub name: String,
    /// Where it stands.
    #[telemetry]
    pub status: JobStatus,
    /// What people call the pipeline that it runs.
    pub pipeline_name: String,
    /// Its page.
    #[serde(flatten)]
    pub link: Link,
}

/// A job that runs a pipeline once for each set of parameters.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "job", id = job)]
pub struct OneOffJob {
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// How many sets of parameters there are.
    #[telemetry]
    pub total_runs: usize,
}

/// A job that runs a pipeline again and again.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "job", id = job)]
pub struct CronJob {
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// When it runs, as a cron expression; null once an update has made it a one-off job.
    pub schedule: Option<String>,
    /// When it runs next; null while it is a draft, paused or at its end.
    #[telemetry(derived = "is_scheduled", with = Option::is_some)]
    pub next_scheduled_time: Option<DateTime<Utc>>,
}

/// A one-off job with what it runs.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "job", id = job)]
pub struct DefinedOneOffJob {
    /// The job.
    #[serde(flatten)]
    pub job: OneOffJob,
    /// What it runs.
    #[serde(skip)]
    #[telemetry(derived = "definition", with = JobDefinition::summary)]
    pub definition: JobDefinition,
}

/// A cron job with what it runs.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "job", id = job)]
pub struct DefinedCronJob {
    /// The job.
    #[serde(flatten)]
    pub job: CronJob,
    /// What it runs.
    #[serde(skip)]
    #[telemetry(derived = "definition", with = JobDefinition::summary)]
    pub definition: JobDefinition,
}

/// What a job runs.
#[derive(Clone, Debug)]
pub struct JobDefinition {
    /// The sets of parameters.
    pub parameters: Vec<Map<String, Value>>,
    /// The environment variables.
    pub env_variables: BTreeMap<String, String>,
    /// The pipeline.
    pub pipeline: PipelineDefinition,
}

/// What analytics learn of what a job runs.
#[derive(Anonymous, Clone, Debug, Eq, PartialEq)]
pub struct JobDefinitionSummary {
    parameterized_runs_count: usize,
    env_variables_count: Count,
    pipeline_definition: DefinitionSummary,
}

/// One run of a cron job: the batch of pipeline runs that one moment of its schedule has made.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "run", id = number)]
pub struct CronJobRun {
    /// Where it stands.
    #[telemetry]
    pub status: CronJobRunStatus,
    /// The number of the run, from zero.
    #[telemetry]
    pub number: u32,
    /// How many pipeline runs it has made; it does not change afterwards.
    #[telemetry]
    pub total_pipeline_runs: usize,
}

impl Job {
    /// Returns the job at `status`.
    #[must_use]
    pub fn becoming(self, status: JobStatus) -> Self {
        Self { status, ..self }
    }
}

impl OneOffJob {
    /// Returns the job at `status`.
    #[must_use]
    pub fn becoming(self, status: JobStatus) -> Self {
        Self { job: self.job.becoming(status), ..self }
    }
}

impl CronJob {
    /// Returns the job at `status`.
    #[must_use]
    pub fn becoming(self, status: JobStatus) -> Self {
        Self { job: self.job.becoming(status), ..self }
    }
}

impl DefinedOneOffJob {
    /// Returns the job at `status`.
    #[must_use]
    pub fn becoming(self, status: JobStatus) -> Self {
        Self { job: self.job.becoming(status), ..self }
    }
}

impl DefinedCronJob {
    /// Returns the job at `status`.
    #[must_use]
    pub fn becoming(self, status: JobStatus) -> Self {
        Self { job: self.job.becoming(status), ..self }
    }
}

impl JobDefinition {
    /// Returns what may be told.
    #[must_use]
    pub fn summary(&self) -> JobDefinitionSummary {
        JobDefinitionSummary {
            parameterized_runs_count: self.parameters.iter().filter(|set| !set.is_empty()).count(),
            env_variables_count: Count::of(&self.env_variables),
            pipeline_definition: self.pipeline.summary(),
        }
    }
}

impl CronJobRun {
    /// Returns the run at `status`.
    #[must_use]
    pub fn becoming(self, status: CronJobRunStatus) -> Self {
        Self { status, ..self }
    }
}
