//! What happens to jobs that run a pipeline again and again, to their runs, and to the pipeline runs of each.
//!
//! A cron job never succeeds: it ends when it is cancelled or deleted, or when it fails.
//! A run of it has no `cancelled` of its own; [`CronJobRunStatus::of`] says what becomes of a run whose pipeline runs are
//! cancelled one by one.

use crate::{
    declare::events,
    layer::{CronJob, CronJobPipelineRun, CronJobRun, DefinedCronJob, Project, Update},
    status::{CronJobRunStatus, JobStatus, PipelineRunStatus},
};

events! {
    { project: Project, job: DefinedCronJob }
    [scope(project, job), ordering_key = job] => {
        /// A cron job has been created; it is a draft until it is started.
        CronJobCreated = "project:cron-job:created", job becomes JobStatus::Draft;
    }

    { project: Project, job: DefinedCronJob, update: Update }
    [scope(project, job), ordering_key = job] => {
        /// A job that was a cron job before has been changed; without a schedule it is a one-off job from now on.
        CronJobUpdated = "project:cron-job:updated";
    }

    { project: Project, job: CronJob }
    [scope(project, job), ordering_key = job] => {
        /// A cron job has begun, and runs when its schedule says so.
        CronJobStarted = "project:cron-job:started", job becomes JobStatus::Started;

        /// A cron job has been deleted, with its runs.
        CronJobDeleted = "project:cron-job:deleted";

        /// Somebody has cancelled a cron job.
        CronJobCancelled = "project:cron-job:cancelled", job becomes JobStatus::Aborted;

        /// A cron job has come to its end because it can make no run any more: its pipeline is gone, for example.
        ///
        /// A run that fails does not end the job; for that, subscribe to `project:cron-job:run:failed`.
        CronJobFailed = "project:cron-job:failed", job becomes JobStatus::Failure;

        /// The schedule of a cron job has been suspended.
        CronJobPaused = "project:cron-job:paused", job becomes JobStatus::Paused;

        /// The schedule of a cron job has been resumed.
        CronJobUnpaused = "project:cron-job:unpaused", job becomes JobStatus::Started;
    }

    { project: Project, job: CronJob, run: CronJobRun }
    [scope(project, job), ordering_key = job] => {
        /// The schedule has come to a moment, and the pipeline runs of it are planned.
        CronJobRunStarted = "project:cron-job:run:started",
            run becomes CronJobRunStatus::Started;

        /// All pipeline runs of a run have ended, none has failed, and at least one has succeeded.
        CronJobRunSucceeded = "project:cron-job:run:succeeded",
            run becomes CronJobRunStatus::Success;

        /// All pipeline runs of a run have ended, and at least one has failed.
        CronJobRunFailed = "project:cron-job:run:failed",
            run becomes CronJobRunStatus::Failure;
    }

    { project: Project, job: CronJob, run: CronJobRun, pipeline_run: CronJobPipelineRun }
    [scope(project, job), ordering_key = job] => {
        /// A run of a cron job has planned a pipeline run.
        CronJobPipelineRunCreated = "project:cron-job:run:pipeline-run:created",
            pipeline_run becomes PipelineRunStatus::Pending;

        /// A pipeline run of a cron job has begun.
        CronJobPipelineRunStarted = "project:cron-job:run:pipeline-run:started",
            pipeline_run becomes PipelineRunStatus::Started;

        /// Somebody has cancelled a pipeline run of a cron job.
        CronJobPipelineRunCancelled = "project:cron-job:run:pipeline-run:cancelled",
            pipeline_run becomes PipelineRunStatus::Aborted;

        /// A pipeline run of a cron job has failed; without failed steps, it could not be started.
        CronJobPipelineRunFailed = "project:cron-job:run:pipeline-run:failed",
            pipeline_run becomes PipelineRunStatus::Failure;

        /// A pipeline run of a cron job has been deleted, because the job keeps only so many.
        CronJobPipelineRunDeleted = "project:cron-job:run:pipeline-run:deleted";

        /// Every step of a pipeline run of a cron job has succeeded.
        CronJobPipelineRunSucceeded = "project:cron-job:run:pipeline-run:succeeded",
            pipeline_run becomes PipelineRunStatus::Success;
    }
}
