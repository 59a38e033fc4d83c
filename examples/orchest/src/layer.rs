//! The levels of the hierarchy, each with the data that it adds.
//!
//! ```text
//! project ─┬─ update
//!          ├─ environment ── image_build
//!          ├─ pipeline ─┬─ update
//!          │            └─ session ── pipeline_run
//!          └─ job ─┬─ update
//!                  ├─ pipeline_run               of a one-off job
//!                  └─ run ── pipeline_run        of a cron job
//! jupyter ── image_build
//! ```
//!
//! A field that serde skips is for analytics alone: subscribers do not see it, and analytics see what its mark says.

pub mod image_build;
pub mod job;
pub mod link;
pub mod pipeline;
pub mod project;
pub mod run;

pub use self::{
    image_build::{
        BuildTimes, EnvironmentImageBuild, EnvironmentTraits, ImageBuild, Jupyter,
        JupyterImageBuild,
    },
    job::{CronJob, CronJobRun, DefinedCronJob, DefinedOneOffJob, Job, JobDefinition, OneOffJob},
    link::{Link, Site},
    pipeline::{CountedPipeline, InteractiveSession, Pipeline, RestartedSession},
    project::{CountedProject, Environment, Project, Update},
    run::{
        CronJobPipelineRun, InteractivePipelineRun, JobPipelineRun, Parameters, PipelineRun, Step,
        StepParameters,
    },
};
