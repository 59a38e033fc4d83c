//! Runs of pipelines: in a session, by a one-off job, and by a run of a cron job.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tidings::{Anonymous, Layer, analytics::Count};
use uuid::Uuid;

use super::Link;
use crate::{definition::PipelineDefinition, status::PipelineRunStatus};

/// What every run of a pipeline has.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "pipeline_run", id = uuid)]
pub struct PipelineRun {
    /// Which one it is.
    #[telemetry(hashed)]
    pub uuid: Uuid,
    /// Its page.
    #[serde(flatten)]
    pub link: Link,
    /// The parameters of the pipeline and of its steps.
    #[telemetry(derived = "parameters", with = Parameters::summary)]
    pub parameters: Parameters,
    /// The steps that have failed; absent where none has, as in a run that could not be started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[telemetry(count)]
    pub failed_steps: Vec<Step>,
}

/// A run in a session.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "pipeline_run", id = run)]
pub struct InteractivePipelineRun {
    /// The run.
    #[serde(flatten)]
    pub run: PipelineRun,
    /// The steps that it runs, which may be a part of the pipeline's.
    #[telemetry(count)]
    pub steps: Vec<Step>,
    /// The pipeline as it was when the run was asked for.
    #[serde(skip)]
    #[telemetry(with = PipelineDefinition::traits)]
    #[telemetry(derived = "pipeline_definition", with = PipelineDefinition::summary)]
    pub pipeline_definition: PipelineDefinition,
}

/// A run by a job.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "pipeline_run", id = run)]
pub struct JobPipelineRun {
    /// The run.
    #[serde(flatten)]
    pub run: PipelineRun,
    /// Where it stands.
    #[telemetry]
    pub status: PipelineRunStatus,
    /// Its number among all of the job, from zero.
    #[telemetry]
    pub number: u32,
}

/// A run by a cron job.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "pipeline_run", id = run)]
pub struct CronJobPipelineRun {
    /// The run.
    #[serde(flatten)]
    pub run: JobPipelineRun,
    /// Its number among those of one run of the job, from zero.
    #[telemetry]
    pub number_in_run: u32,
}

/// A step, as people know it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, JsonSchema)]
pub struct Step {
    /// Which one it is.
    pub uuid: Uuid,
    /// What people call it; null where they have not called it anything.
    pub title: Option<String>,
}

/// The parameters of a run.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Parameters {
    /// Those of the pipeline; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline_parameters: Option<PipelineParameters>,
    /// Those of the steps, by the uuid of the step.
    #[serde(flatten)]
    pub steps: BTreeMap<Uuid, StepParameters>,
}

/// The parameters of a pipeline.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PipelineParameters {
    /// By name.
    pub parameters: Map<String, Value>,
}

/// The parameters of a step.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StepParameters {
    /// The step.
    pub step: Step,
    /// By name.
    pub parameters: Map<String, Value>,
}

/// What analytics learn of the parameters of a run.
#[derive(Anonymous, Clone, Debug, Eq, PartialEq)]
#[expect(clippy::struct_field_names, reason = "analytics know the names")]
pub struct ParametersSummary {
    pipeline_parameters_count: Count,
    step_parameters_count: usize,
    parameterized_steps_count: usize,
}

impl PipelineRun {
    /// Returns the run at `status`: only one that has failed has failed steps.
    #[must_use]
    pub fn becoming(mut self, status: PipelineRunStatus) -> Self {
        if status != PipelineRunStatus::Failure {
            self.failed_steps.clear();
        }
        self
    }
}

impl InteractivePipelineRun {
    /// Returns the run at `status`.
    #[must_use]
    pub fn becoming(self, status: PipelineRunStatus) -> Self {
        Self { run: self.run.becoming(status), ..self }
    }
}

impl JobPipelineRun {
    /// Returns the run at `status`.
    #[must_use]
    pub fn becoming(self, status: PipelineRunStatus) -> Self {
        Self { run: self.run.becoming(status), status, ..self }
    }
}

impl CronJobPipelineRun {
    /// Returns the run at `status`.
    #[must_use]
    pub fn becoming(self, status: PipelineRunStatus) -> Self {
        Self { run: self.run.becoming(status), ..self }
    }
}

impl Parameters {
    /// Returns what may be told.
    #[must_use]
    pub fn summary(&self) -> ParametersSummary {
        let of_pipeline = self.pipeline_parameters.as_ref();
        let counts = || self.steps.values().map(|step| step.parameters.len());
        ParametersSummary {
            pipeline_parameters_count: of_pipeline
                .map_or_else(Count::default, |pipeline| Count::of(&pipeline.parameters)),
            step_parameters_count: counts().sum(),
            parameterized_steps_count: counts().filter(|count| *count > 0).count(),
        }
    }
}
