//! Where jobs and runs stand.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings::Anonymous;

/// Where a job stands.
#[derive(Anonymous, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum JobStatus {
    /// It is being edited and has never run.
    Draft,
    /// It waits for its first run.
    Pending,
    /// It has begun.
    Started,
    /// It is a cron job whose schedule is suspended.
    Paused,
    /// It has ended, and none of its runs has failed. Final.
    Success,
    /// It has ended, and at least one of its runs has failed. Final.
    Failure,
    /// Somebody has cancelled it. Final.
    Aborted,
}

/// Where a run of a pipeline stands.
#[derive(Anonymous, Clone, Copy, Debug, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum PipelineRunStatus {
    /// It waits to be started.
    Pending,
    /// Its steps run.
    Started,
    /// Every step has succeeded. Final.
    Success,
    /// A step has failed, or it could not be started at all. Final.
    Failure,
    /// Somebody has cancelled it. Final.
    Aborted,
}

/// Where one run of a cron job stands: the batch of pipeline runs that one moment of its schedule has made.
#[derive(Anonymous, Clone, Copy, Debug, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum CronJobRunStatus {
    /// At least one of its pipeline runs has not ended.
    Started,
    /// All have ended, none has failed, and at least one has succeeded. Final.
    Success,
    /// All have ended, and at least one has failed. Final.
    Failure,
    /// All have been cancelled. Final.
    Aborted,
}

impl PipelineRunStatus {
    /// Returns whether nothing can follow.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Failure | Self::Aborted)
    }
}

impl CronJobRunStatus {
    /// Returns where a run stands whose pipeline runs stand at `statuses`.
    ///
    /// A pipeline run that was cancelled has neither succeeded nor failed, so a run of which only a part was cancelled
    /// is judged by the others.
    /// A run whose pipeline runs were all cancelled is [`Self::Aborted`], and no event of the run says so: the
    /// `…:run:pipeline-run:cancelled` of each of them has said it.
    #[must_use]
    pub fn of(statuses: &[PipelineRunStatus]) -> Self {
        let is_any = |status| statuses.contains(&status);
        if !statuses.iter().all(|status| status.is_final()) {
            Self::Started
        } else if is_any(PipelineRunStatus::Failure) {
            Self::Failure
        } else if is_any(PipelineRunStatus::Aborted) && !is_any(PipelineRunStatus::Success) {
            Self::Aborted
        } else {
            Self::Success
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PipelineRunStatus as Run, *};

    #[test]
    fn run_is_judged_by_those_of_its_pipeline_runs_that_were_not_cancelled() {
        let cases = [
            (&[Run::Success, Run::Success][..], CronJobRunStatus::Success),
            (&[Run::Success, Run::Aborted], CronJobRunStatus::Success),
            (&[Run::Failure, Run::Aborted], CronJobRunStatus::Failure),
            (&[Run::Success, Run::Failure], CronJobRunStatus::Failure),
            (&[Run::Aborted, Run::Aborted], CronJobRunStatus::Aborted),
            (&[Run::Failure, Run::Pending], CronJobRunStatus::Started),
            (&[Run::Success, Run::Started], CronJobRunStatus::Started),
            (&[], CronJobRunStatus::Success),
        ];
        for (statuses, expected) in cases {
            assert_eq!(CronJobRunStatus::of(statuses), expected, "{statuses:?}");
        }
    }
}
