//! The life of a project: each change of the application's own rows, and the event that tells of it, in one transaction.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use serde_json::{Map, json};
use sqlx::{PgPool, PgTransaction};
use tidings::{Event, analytics::Count, commit, register_event};
use uuid::Uuid;

use crate::{
    catalogue,
    definition::{Kernel, PipelineDefinition, StepDefinition},
    event::{
        cron_job::{
            CronJobCreated, CronJobDeleted, CronJobPipelineRunCreated, CronJobPipelineRunFailed,
            CronJobPipelineRunStarted, CronJobRunFailed, CronJobRunStarted, CronJobStarted,
        },
        pipeline::PipelineCreated,
        project::{ProjectCreated, ProjectDeleted},
    },
    layer::{
        CountedPipeline, CountedProject, CronJob, CronJobPipelineRun, CronJobRun, DefinedCronJob,
        JobPipelineRun, Parameters, Pipeline, PipelineRun, Project, Site, Step,
    },
    record::JobRecord,
    status::{CronJobRunStatus, JobStatus, PipelineRunStatus},
};

/// The application's own tables.
const TABLES: &str = "
    create schema if not exists orchest;
    create table if not exists orchest.project (
      project_uuid uuid primary key,
      name text not null
    );
    create table if not exists orchest.job (
      job_uuid uuid primary key,
      project_uuid uuid not null references orchest.project on delete cascade,
      name text not null,
      schedule text
    );
";

/// An event that was registered and committed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Told {
    /// The public id.
    pub event_id: Uuid,
    /// The name of its type.
    pub event_type: &'static str,
    /// Where it has happened.
    pub scope: String,
}

/// A project while it lives.
#[derive(Debug)]
struct Life<'a> {
    pool: &'a PgPool,
    site: &'a Site,
    project: Project,
    /// What the open transaction has registered; told once it is committed.
    open: Vec<Told>,
    told: Vec<Told>,
}

/// Makes the database ready: the outbox, the application's own tables, and the types of its events.
///
/// Called again it changes nothing.
///
/// # Errors
///
/// A database that does not answer.
pub async fn prepare(pool: &PgPool) -> Result<()> {
    tidings_migrations::migrate(pool).await.context("make the outbox")?;
    sqlx::raw_sql(TABLES).execute(pool).await.context("make the tables")?;
    catalogue()?.sync(&mut *pool.acquire().await?).await.context("sync the catalogue")?;
    Ok(())
}

/// Lets a project live, from its creation until it is deleted, and returns what was told, in the order of telling.
///
/// A cron job of it runs a pipeline, whose second step fails.
///
/// # Errors
///
/// A database that does not answer, or that [`prepare`] has not seen.
pub async fn run(pool: &PgPool, site: &Site) -> Result<Vec<Told>> {
    let project = Project { uuid: Uuid::new_v4(), name: "Weather".into() };
    let mut life = Life { pool, site, project, open: Vec::new(), told: Vec::new() };
    life.create_project().await.context("create the project")?;
    let pipeline = life.create_pipeline().await.context("create the pipeline")?;
    let job = life.create_job(pipeline).await.context("create the job")?;
    let job = life.change_job(job).await.context("change the job")?;
    let job = life.start_job(job).await.context("start the job")?;
    life.run_and_fail(&job).await.context("run the job")?;
    life.change_their_mind(&job).await.context("roll back")?;
    life.delete_project(&job).await.context("delete the project")?;
    Ok(life.told)
}

impl Life<'_> {
    async fn create_project(&mut self) -> Result<()> {
        let mut tx = self.pool.begin().await?;
        sqlx::query("insert into orchest.project (project_uuid, name) values ($1, $2)")
            .bind(self.project.uuid)
            .bind(&self.project.name)
            .execute(&mut *tx)
            .await?;
        let project = self.counted(&mut tx).await?;
        self.register(&mut tx, &ProjectCreated { project }).await?;
        self.commit(tx).await
    }

    async fn create_pipeline(&mut self) -> Result<PipelineDefinition> {
        let definition = definition();
        let pipeline = Pipeline { uuid: Uuid::new_v4(), name: definition.name.clone() };
        let pipeline = CountedPipeline { pipeline, project_pipelines_count: Count::new(1) };
        let mut tx = self.pool.begin().await?;
        let event = PipelineCreated::new(self.project.clone(), pipeline);
        self.register(&mut tx, &event).await?;
        self.commit(tx).await?;
        Ok(definition)
    }

    async fn create_job(&mut self, pipeline: PipelineDefinition) -> Result<JobRecord> {
        let record = JobRecord {
            uuid: Uuid::new_v4(),
            name: "Forecast".into(),
            status: JobStatus::Draft,
            schedule: Some("0 * * * *".into()),
            next_scheduled_time: None,
            parameters: vec![Map::from_iter([("city".to_owned(), json!("Utrecht"))])],
            strategy: Map::new(),
            max_retained_pipeline_runs: None,
            env_variables: BTreeMap::new(),
            pipeline,
        };
        let mut tx = self.pool.begin().await?;
        sqlx::query(
            "insert into orchest.job (job_uuid, project_uuid, name, schedule) values ($1, $2, $3, $4)",
        )
        .bind(record.uuid)
        .bind(self.project.uuid)
        .bind(&record.name)
        .bind(&record.schedule)
        .execute(&mut *tx)
        .await?;
        let job = DefinedCronJob { job: self.layer(&record), definition: record.definition() };
        self.register(&mut tx, &CronJobCreated::new(self.project.clone(), job)).await?;
        self.commit(tx).await?;
        Ok(record)
    }

    /// Gives the job a password and another schedule. Subscribers see the schedule.
    async fn change_job(&mut self, old: JobRecord) -> Result<JobRecord> {
        let mut new = JobRecord { schedule: Some("30 * * * *".into()), ..old.clone() };
        new.env_variables.insert("WEATHER_PASSWORD".into(), "Sunshine!".into());
        let mut tx = self.pool.begin().await?;
        sqlx::query("update orchest.job set schedule = $2 where job_uuid = $1")
            .bind(new.uuid)
            .bind(&new.schedule)
            .execute(&mut *tx)
            .await?;
        // Saving it once more changes nothing, and so tells nothing.
        let events = [(&old, &new), (&new, &new)]
            .map(|(old, new)| old.updated(new, self.project.clone(), self.site));
        for event in events.iter().flatten() {
            self.register(&mut tx, event.as_ref()).await?;
        }
        self.commit(tx).await?;
        Ok(new)
    }

    async fn start_job(&mut self, record: JobRecord) -> Result<JobRecord> {
        let mut tx = self.pool.begin().await?;
        let next: DateTime<Utc> =
            sqlx::query_scalar("select date_trunc('hour', now()) + interval '90 minutes'")
                .fetch_one(&mut *tx)
                .await?;
        let status = JobStatus::Started;
        let record = JobRecord { status, next_scheduled_time: Some(next), ..record };
        let event = CronJobStarted::new(self.project.clone(), self.layer(&record));
        self.register(&mut tx, &event).await?;
        self.commit(tx).await?;
        Ok(record)
    }

    /// Runs the pipeline of the job once; its second step fails.
    async fn run_and_fail(&mut self, record: &JobRecord) -> Result<()> {
        let (project, job) = (self.project.clone(), self.layer(record));
        let run = CronJobRun {
            status: CronJobRunStatus::Started,
            number: 0,
            total_pipeline_runs: record.parameters.len(),
        };
        let layers = || (project.clone(), job.clone(), run.clone());
        let pipeline_run = self.pipeline_run(record);

        let mut tx = self.pool.begin().await?;
        let (project, job, run) = layers();
        self.register(&mut tx, &CronJobRunStarted::new(project, job, run)).await?;
        let (project, job, run) = layers();
        let event = CronJobPipelineRunCreated::new(project, job, run, pipeline_run.clone());
        self.register(&mut tx, &event).await?;
        self.commit(tx).await?;

        let mut tx = self.pool.begin().await?;
        let (project, job, run) = layers();
        let event = CronJobPipelineRunStarted::new(project, job, run, pipeline_run.clone());
        self.register(&mut tx, &event).await?;
        self.commit(tx).await?;

        // The end of the only pipeline run is the end of the run, so both are told in one transaction, in this order.
        let mut tx = self.pool.begin().await?;
        let (project, job, run) = layers();
        let event = CronJobPipelineRunFailed::new(project, job, run, pipeline_run);
        self.register(&mut tx, &event).await?;
        let (project, job, run) = layers();
        self.register(&mut tx, &CronJobRunFailed::new(project, job, run)).await?;
        self.commit(tx).await
    }

    /// Deletes the job, and then does not: whatever was registered is not told.
    async fn change_their_mind(&mut self, record: &JobRecord) -> Result<()> {
        let mut tx = self.pool.begin().await?;
        let event = CronJobDeleted::new(self.project.clone(), self.layer(record));
        self.register(&mut tx, &event).await?;
        tx.rollback().await?;
        self.open.clear();
        Ok(())
    }

    async fn delete_project(&mut self, record: &JobRecord) -> Result<()> {
        let mut tx = self.pool.begin().await?;
        let event = CronJobDeleted::new(self.project.clone(), self.layer(record));
        self.register(&mut tx, &event).await?;
        // The rows of its jobs go with it. What was told of them stays.
        sqlx::query("delete from orchest.project where project_uuid = $1")
            .bind(self.project.uuid)
            .execute(&mut *tx)
            .await?;
        let project = self.counted(&mut tx).await?;
        self.register(&mut tx, &ProjectDeleted { project }).await?;
        self.commit(tx).await
    }

    /// Returns the project, with the number of projects as the transaction sees it.
    async fn counted(&self, tx: &mut PgTransaction<'_>) -> Result<CountedProject> {
        let count: i64 =
            sqlx::query_scalar("select count(*) from orchest.project").fetch_one(&mut **tx).await?;
        let projects_count = Count::new(u64::try_from(count)?);
        Ok(CountedProject { project: self.project.clone(), projects_count })
    }

    fn layer(&self, record: &JobRecord) -> CronJob {
        record.cron_job(&self.project, self.site)
    }

    /// Returns the pipeline run as it will be at its end; events clear what has not happened yet.
    fn pipeline_run(&self, record: &JobRecord) -> CronJobPipelineRun {
        let uuid = Uuid::new_v4();
        let failed = record.pipeline.steps.iter().find(|(_, step)| step.kernel.name == "r");
        let step = |(uuid, step): (&Uuid, &StepDefinition)| Step {
            uuid: *uuid,
            title: step.title.clone(),
        };
        let run = PipelineRun {
            uuid,
            link: self.site.job_run(self.project.uuid, record.uuid, uuid),
            parameters: Parameters::default(),
            failed_steps: failed.map(step).into_iter().collect(),
        };
        let run = JobPipelineRun { run, status: PipelineRunStatus::Pending, number: 0 };
        CronJobPipelineRun { run, number_in_run: 0 }
    }

    async fn register(&mut self, tx: &mut PgTransaction<'_>, event: &dyn Event) -> Result<()> {
        let registered = register_event(tx, event).await?;
        self.open.push(Told {
            event_id: registered.event_id,
            event_type: event.event_type(),
            scope: event.scope()?.as_str().to_owned(),
        });
        Ok(())
    }

    async fn commit(&mut self, tx: PgTransaction<'_>) -> Result<()> {
        commit(tx).await?;
        self.told.append(&mut self.open);
        Ok(())
    }
}

/// Returns a pipeline of two steps, a notebook and a script.
fn definition() -> PipelineDefinition {
    let step = |title: &str, file_path: &str, kernel: &str| StepDefinition {
        title: Some(title.into()),
        file_path: Some(file_path.into()),
        kernel: Kernel { name: kernel.into() },
        ..StepDefinition::default()
    };
    let (load, train) = (Uuid::new_v4(), Uuid::new_v4());
    let mut train_step = step("Train", "train.R", "r");
    train_step.incoming_connections.push(load);
    PipelineDefinition {
        name: "Forecast".into(),
        steps: BTreeMap::from([(load, step("Load", "load.ipynb", "python")), (train, train_step)]),
        ..PipelineDefinition::default()
    }
}
