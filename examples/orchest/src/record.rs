//! A job, as the application keeps it, and what becomes of it in events.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tidings::{Diff, Event};
use uuid::Uuid;

use crate::{
    definition::PipelineDefinition,
    event::{cron_job::CronJobUpdated, one_off_job::OneOffJobUpdated},
    layer::{
        CronJob, DefinedCronJob, DefinedOneOffJob, Job, JobDefinition, OneOffJob, Project, Site,
        Update,
    },
    status::JobStatus,
};

/// A job, as the application keeps it.
///
/// Each field says what subscribers are told when it changes.
#[derive(Clone, Debug, Diff)]
pub struct JobRecord {
    /// Which one it is.
    #[diff(skip)]
    pub uuid: Uuid,
    /// What people call it.
    #[diff(sensitive)]
    pub name: String,
    /// Where it stands.
    #[diff(value)]
    pub status: JobStatus,
    /// When it runs, as a cron expression; a job without is a one-off job.
    #[diff(value)]
    pub schedule: Option<String>,
    /// When it runs next.
    #[diff(value)]
    pub next_scheduled_time: Option<DateTime<Utc>>,
    /// The sets of parameters.
    #[diff(sensitive)]
    pub parameters: Vec<Map<String, Value>>,
    /// How a person has put the sets together.
    #[diff(sensitive, object = "strategy_json")]
    pub strategy: Map<String, Value>,
    /// How many runs are kept; null is all.
    #[diff(value)]
    pub max_retained_pipeline_runs: Option<u32>,
    /// The environment variables.
    #[diff(entries, object = "environment_variable")]
    pub env_variables: BTreeMap<String, String>,
    /// The pipeline that it runs, as it was when the job was made.
    #[diff(skip)]
    pub pipeline: PipelineDefinition,
}

impl JobRecord {
    /// Returns whether it runs again and again.
    #[must_use]
    pub const fn is_cron_job(&self) -> bool {
        self.schedule.is_some()
    }

    /// Returns it as a layer of one-off jobs.
    #[must_use]
    pub fn one_off_job(&self, project: &Project, site: &Site) -> OneOffJob {
        OneOffJob { job: self.job(project, site), total_runs: self.parameters.len() }
    }

    /// Returns it as a layer of cron jobs.
    #[must_use]
    pub fn cron_job(&self, project: &Project, site: &Site) -> CronJob {
        CronJob {
            job: self.job(project, site),
            schedule: self.schedule.clone(),
            next_scheduled_time: self.next_scheduled_time,
        }
    }

    /// Returns what it runs.
    #[must_use]
    pub fn definition(&self) -> JobDefinition {
        JobDefinition {
            parameters: self.parameters.clone(),
            env_variables: self.env_variables.clone(),
            pipeline: self.pipeline.clone(),
        }
    }

    /// Returns the event that tells of the change to `new`, or `None` where nothing has changed.
    ///
    /// Which kind of job it is about follows the state before the change, so that those who follow the jobs of one
    /// kind hear of a job that leaves it; what stands in the event is the state after it.
    #[must_use]
    pub fn updated(&self, new: &Self, project: Project, site: &Site) -> Option<Box<dyn Event>> {
        let update = Update { changes: self.diff(new)? };
        let definition = new.definition();
        Some(if self.is_cron_job() {
            let job = DefinedCronJob { job: new.cron_job(&project, site), definition };
            Box::new(CronJobUpdated::new(project, job, update))
        } else {
            let job = DefinedOneOffJob { job: new.one_off_job(&project, site), definition };
            Box::new(OneOffJobUpdated::new(project, job, update))
        })
    }

    fn job(&self, project: &Project, site: &Site) -> Job {
        Job {
            uuid: self.uuid,
            name: self.name.clone(),
            status: self.status,
            pipeline_name: self.pipeline.name.clone(),
            link: site.job(project.uuid, self.uuid),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sample::Sample;

    fn record(schedule: Option<&str>) -> JobRecord {
        JobRecord { schedule: schedule.map(str::to_owned), ..Sample::sample("canary") }
    }

    fn changes(old: &JobRecord, new: &JobRecord) -> (&'static str, Value) {
        let event = old.updated(new, Sample::sample("canary"), &Site::default()).unwrap();
        let notification: Value = serde_json::from_str(&event.notification().unwrap()).unwrap();
        (event.event_type(), notification["project"]["job"]["update"]["changes"].clone())
    }

    #[test]
    fn update_that_changes_nothing_is_no_event() {
        let record = record(None);
        let other = JobRecord { uuid: Uuid::from_u128(99), ..record.clone() };
        for same in [record.clone(), other] {
            let event = record.updated(&same, Sample::sample("canary"), &Site::default());
            assert!(event.is_none());
        }
    }

    #[test]
    fn kind_of_an_updated_job_is_the_one_before_the_update() {
        let (one_off, cron) = (record(None), record(Some("0 * * * *")));
        assert_eq!(
            changes(&one_off, &cron),
            (
                "project:one-off-job:updated",
                json!([{"type": "CREATED", "changed_object": "schedule", "new_value": "0 * * * *"}])
            )
        );
        assert_eq!(
            changes(&cron, &one_off),
            (
                "project:cron-job:updated",
                json!([{"type": "DELETED", "changed_object": "schedule", "old_value": "0 * * * *"}])
            )
        );
    }

    #[test]
    fn change_of_what_is_sensitive_is_told_without_values_and_names() {
        let old = record(Some("0 * * * *"));
        let mut new = JobRecord {
            name: "canary 2".into(),
            status: JobStatus::Paused,
            max_retained_pipeline_runs: Some(20),
            ..old.clone()
        };
        new.parameters.push(Map::new());
        new.strategy.insert("canary".into(), json!("canary"));
        new.env_variables.insert("CANARY_2".into(), "canary".into());
        let (_, changes) = changes(&old, &new);
        assert!(!changes.to_string().to_lowercase().contains("canary"), "{changes}");
        assert_eq!(
            changes,
            json!([
                {"type": "UPDATED", "changed_object": "name"},
                {"type": "UPDATED", "changed_object": "status", "old_value": "DRAFT", "new_value": "PAUSED"},
                {"type": "UPDATED", "changed_object": "parameters"},
                {"type": "UPDATED", "changed_object": "strategy_json"},
                {
                    "type": "UPDATED", "changed_object": "max_retained_pipeline_runs",
                    "old_value": 10, "new_value": 20,
                },
                {"type": "CREATED", "changed_object": "environment_variable"},
            ])
        );
    }
}
