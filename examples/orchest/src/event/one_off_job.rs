//! What happens to jobs that run a pipeline once for each set of parameters, and to their runs.

use crate::{
    declare::events,
    layer::{DefinedOneOffJob, JobPipelineRun, OneOffJob, Project, Update},
    status::{JobStatus, PipelineRunStatus},
};

events! {
    { project: Project, job: DefinedOneOffJob }
    [scope(project, job), ordering_key = job] => {
        /// A one-off job has been created; it is a draft until it is started.
        OneOffJobCreated = "project:one-off-job:created", job becomes JobStatus::Draft;
    }

    { project: Project, job: DefinedOneOffJob, update: Update }
    [scope(project, job), ordering_key = job] => {
        /// A job that was a one-off job before has been changed; a schedule has made it a cron job, perhaps.
        OneOffJobUpdated = "project:one-off-job:updated";
    }

    { project: Project, job: OneOffJob }
    [scope(project, job), ordering_key = job] => {
        /// A one-off job has begun.
        OneOffJobStarted = "project:one-off-job:started", job becomes JobStatus::Started;

        /// A one-off job has been deleted, with its runs.
        OneOffJobDeleted = "project:one-off-job:deleted";

        /// Somebody has cancelled a one-off job.
        OneOffJobCancelled = "project:one-off-job:cancelled", job becomes JobStatus::Aborted;

        /// All runs of a one-off job have ended, and at least one has failed.
        ///
        /// To hear of a failure at once, subscribe to `project:one-off-job:pipeline-run:failed`.
        OneOffJobFailed = "project:one-off-job:failed", job becomes JobStatus::Failure;

        /// All runs of a one-off job have ended, and none has failed.
        OneOffJobSucceeded = "project:one-off-job:succeeded", job becomes JobStatus::Success;
    }

    { project: Project, job: OneOffJob, pipeline_run: JobPipelineRun }
    [scope(project, job), ordering_key = job] => {
        /// A one-off job has planned a run.
        OneOffJobPipelineRunCreated = "project:one-off-job:pipeline-run:created",
            pipeline_run becomes PipelineRunStatus::Pending;

        /// A run of a one-off job has begun.
        OneOffJobPipelineRunStarted = "project:one-off-job:pipeline-run:started",
            pipeline_run becomes PipelineRunStatus::Started;

        /// Somebody has cancelled a run of a one-off job.
        OneOffJobPipelineRunCancelled = "project:one-off-job:pipeline-run:cancelled",
            pipeline_run becomes PipelineRunStatus::Aborted;

        /// A run of a one-off job has failed; without failed steps, it could not be started.
        OneOffJobPipelineRunFailed = "project:one-off-job:pipeline-run:failed",
            pipeline_run becomes PipelineRunStatus::Failure;

        /// A run of a one-off job has been deleted.
        OneOffJobPipelineRunDeleted = "project:one-off-job:pipeline-run:deleted";

        /// Every step of a run of a one-off job has succeeded.
        OneOffJobPipelineRunSucceeded = "project:one-off-job:pipeline-run:succeeded",
            pipeline_run becomes PipelineRunStatus::Success;
    }
}
