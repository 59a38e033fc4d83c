//! What happens to pipelines, to the sessions in which people work on them, and to the runs in a session.

use crate::{
    declare::events,
    layer::{
        CountedPipeline, InteractivePipelineRun, InteractiveSession, Pipeline, Project,
        RestartedSession, Update,
    },
    status::PipelineRunStatus,
};

events! {
    { project: Project, pipeline: CountedPipeline }
    [scope(project, pipeline), ordering_key = pipeline] => {
        /// A pipeline has been added to a project.
        PipelineCreated = "project:pipeline:created";

        /// A pipeline has been removed from a project; its file may still be there.
        PipelineDeleted = "project:pipeline:deleted";
    }

    { project: Project, pipeline: Pipeline, update: Update }
    [scope(project, pipeline), ordering_key = pipeline] => {
        /// A pipeline, its name or its path for example, has been changed.
        PipelineUpdated = "project:pipeline:updated";
    }

    { project: Project, pipeline: Pipeline, session: InteractiveSession }
    [scope(project, pipeline), ordering_key = pipeline] => {
        /// Somebody has asked for a session.
        InteractiveSessionStarted = "project:pipeline:interactive-session:started";

        /// Somebody has ended a session.
        InteractiveSessionStopped = "project:pipeline:interactive-session:stopped";

        /// A session could not be launched.
        InteractiveSessionFailed = "project:pipeline:interactive-session:failed";

        /// A session has been launched, and can be worked in.
        InteractiveSessionSucceeded = "project:pipeline:interactive-session:succeeded";
    }

    { project: Project, pipeline: Pipeline, session: RestartedSession }
    [scope(project, pipeline), ordering_key = pipeline] => {
        /// Somebody has restarted a service of a session.
        InteractiveSessionServiceRestarted = "project:pipeline:interactive-session:service-restarted";
    }

    {
        project: Project,
        pipeline: Pipeline,
        session: InteractiveSession,
        pipeline_run: InteractivePipelineRun
    }
    [scope(project, pipeline), ordering_key = pipeline] => {
        /// Somebody has asked for a run of the pipeline or of some of its steps.
        InteractivePipelineRunCreated = "project:pipeline:interactive-session:pipeline-run:created",
            pipeline_run becomes PipelineRunStatus::Pending;

        /// A run in a session has begun.
        InteractivePipelineRunStarted = "project:pipeline:interactive-session:pipeline-run:started",
            pipeline_run becomes PipelineRunStatus::Started;

        /// Somebody has cancelled a run in a session.
        InteractivePipelineRunCancelled = "project:pipeline:interactive-session:pipeline-run:cancelled",
            pipeline_run becomes PipelineRunStatus::Aborted;

        /// A run in a session has failed; without failed steps, it could not be started.
        InteractivePipelineRunFailed = "project:pipeline:interactive-session:pipeline-run:failed",
            pipeline_run becomes PipelineRunStatus::Failure;

        /// Every step of a run in a session has succeeded.
        InteractivePipelineRunSucceeded = "project:pipeline:interactive-session:pipeline-run:succeeded",
            pipeline_run becomes PipelineRunStatus::Success;
    }
}
