//! Examples of every layer, for tests and previews.
//!
//! Whatever a person could have typed has a given word in it: names, titles, paths, parameters, commands, environment
//! variables, schedules, references of images.
//! So a test can tell where such text goes, and where it does not.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta};
use serde_json::{Map, Value, json};
use tidings::{Diff, analytics::Count};
use uuid::Uuid;

use crate::{
    definition::{Kernel, Language, PipelineDefinition, Service, Settings, StepDefinition},
    layer::{
        BuildTimes, CountedPipeline, CountedProject, CronJob, CronJobPipelineRun, CronJobRun,
        DefinedCronJob, DefinedOneOffJob, Environment, EnvironmentImageBuild, ImageBuild,
        InteractivePipelineRun, InteractiveSession, JobPipelineRun, Jupyter, JupyterImageBuild,
        OneOffJob, Parameters, Pipeline, PipelineRun, Project, RestartedSession, Site, Step,
        StepParameters, Update, image_build::EnvironmentProperties, run::PipelineParameters,
    },
    record::JobRecord,
    status::{CronJobRunStatus, JobStatus, PipelineRunStatus},
};

const PROJECT: Uuid = Uuid::from_u128(1);
const PIPELINE: Uuid = Uuid::from_u128(2);
const ENVIRONMENT: Uuid = Uuid::from_u128(3);
const JOB: Uuid = Uuid::from_u128(4);
const PIPELINE_RUN: Uuid = Uuid::from_u128(5);
const IMAGE_BUILD: Uuid = Uuid::from_u128(6);
const LOAD: Uuid = Uuid::from_u128(7);
const TRAIN: Uuid = Uuid::from_u128(8);

/// A second in 2022, in the middle of which the samples happen.
const SECOND: i64 = 1_654_186_345;

/// What there are samples of.
pub trait Sample {
    /// Returns one, with `word` in whatever a person could have typed.
    fn sample(word: &str) -> Self;
}

impl Sample for Project {
    fn sample(word: &str) -> Self {
        Self { uuid: PROJECT, name: format!("project {word}") }
    }
}

impl Sample for CountedProject {
    fn sample(word: &str) -> Self {
        Self { project: Sample::sample(word), projects_count: Count::new(3) }
    }
}

impl Sample for Update {
    fn sample(word: &str) -> Self {
        let old = JobRecord::sample(word);
        let mut new = JobRecord {
            name: format!("{} 2", old.name),
            schedule: Some(format!("0 * * * * {word}")),
            ..old.clone()
        };
        new.env_variables.insert(format!("{word} 2"), word.to_owned());
        #[expect(clippy::expect_used, reason = "the two differ, whatever the word is")]
        let changes = old.diff(&new).expect("the name is another one");
        Self { changes }
    }
}

impl Sample for Environment {
    fn sample(_: &str) -> Self {
        Self { uuid: ENVIRONMENT, link: Site::default().environment(PROJECT, ENVIRONMENT) }
    }
}

impl Sample for ImageBuild {
    fn sample(_: &str) -> Self {
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(SECOND + seconds);
        let times = BuildTimes { requested: at(0), started: Some(at(2)), finished: Some(at(90)) };
        Self { image_tag: 12, times }
    }
}

impl Sample for EnvironmentImageBuild {
    fn sample(word: &str) -> Self {
        let environment = EnvironmentProperties {
            language: Language::Python,
            gpu_support: false,
            base_image: format!("registry.{word}/{word}:{word}"),
        };
        Self { build: Sample::sample(word), environment }
    }
}

impl Sample for Jupyter {
    fn sample(_: &str) -> Self {
        Self {}
    }
}

impl Sample for JupyterImageBuild {
    fn sample(word: &str) -> Self {
        Self { uuid: IMAGE_BUILD, build: Sample::sample(word) }
    }
}

impl Sample for Pipeline {
    fn sample(word: &str) -> Self {
        Self { uuid: PIPELINE, name: format!("pipeline {word}") }
    }
}

impl Sample for CountedPipeline {
    fn sample(word: &str) -> Self {
        Self { pipeline: Sample::sample(word), project_pipelines_count: Count::new(2) }
    }
}

impl Sample for Service {
    fn sample(word: &str) -> Self {
        Self {
            image: format!("registry.{word}/{word}"),
            command: word.to_owned(),
            args: format!("--{word}"),
            env_variables: BTreeMap::from([(word.to_owned(), word.to_owned())]),
            env_variables_inherit: vec![word.to_owned()],
            binds: BTreeMap::from([(format!("/{word}"), format!("/{word}"))]),
            exposed: true,
            requires_authentication: true,
        }
    }
}

impl Sample for InteractiveSession {
    fn sample(word: &str) -> Self {
        Self { user_services: BTreeMap::from([(word.to_owned(), Sample::sample(word))]) }
    }
}

impl Sample for RestartedSession {
    fn sample(word: &str) -> Self {
        Self { session: Sample::sample(word), active_runs: true }
    }
}

impl Sample for PipelineDefinition {
    fn sample(word: &str) -> Self {
        let step = |file_path: String, incoming_connections| StepDefinition {
            title: Some(format!("step {word}")),
            file_path: Some(file_path),
            parameters: map(word, &[1]),
            environment: Some(ENVIRONMENT),
            kernel: Kernel { name: word.to_owned() },
            incoming_connections,
        };
        Self {
            name: format!("pipeline {word}"),
            parameters: map(word, &[1, 2]),
            settings: Settings { auto_eviction: true, data_passing_memory_size: word.to_owned() },
            steps: BTreeMap::from([
                (LOAD, step(format!("/{word}/{word}.ipynb"), Vec::new())),
                (TRAIN, step(format!("{word}.{word}"), vec![LOAD])),
            ]),
            services: BTreeMap::from([(word.to_owned(), Sample::sample(word))]),
        }
    }
}

impl Sample for Parameters {
    fn sample(word: &str) -> Self {
        let parameters = StepParameters { step: load(word), parameters: map(word, &[1, 2, 3]) };
        Self {
            pipeline_parameters: Some(PipelineParameters { parameters: map(word, &[1, 2]) }),
            steps: BTreeMap::from([(LOAD, parameters)]),
        }
    }
}

impl Sample for PipelineRun {
    fn sample(word: &str) -> Self {
        Self {
            uuid: PIPELINE_RUN,
            link: Site::default().job_run(PROJECT, JOB, PIPELINE_RUN),
            parameters: Sample::sample(word),
            failed_steps: vec![train(word)],
        }
    }
}

impl Sample for InteractivePipelineRun {
    fn sample(word: &str) -> Self {
        let link = Site::default().pipeline(PROJECT, PIPELINE);
        Self {
            run: PipelineRun { link, ..Sample::sample(word) },
            steps: vec![load(word), train(word)],
            pipeline_definition: Sample::sample(word),
        }
    }
}

impl Sample for JobPipelineRun {
    fn sample(word: &str) -> Self {
        Self { run: Sample::sample(word), status: PipelineRunStatus::Failure, number: 5 }
    }
}

impl Sample for CronJobPipelineRun {
    fn sample(word: &str) -> Self {
        Self { run: Sample::sample(word), number_in_run: 1 }
    }
}

impl Sample for JobRecord {
    fn sample(word: &str) -> Self {
        Self {
            uuid: JOB,
            name: format!("job {word}"),
            status: JobStatus::Draft,
            schedule: None,
            next_scheduled_time: DateTime::from_timestamp(SECOND + 3600, 0),
            parameters: vec![map(word, &[1]), Map::new()],
            strategy: map(word, &[1]),
            max_retained_pipeline_runs: Some(10),
            env_variables: BTreeMap::from([(word.to_owned(), word.to_owned())]),
            pipeline: Sample::sample(word),
        }
    }
}

impl Sample for OneOffJob {
    fn sample(word: &str) -> Self {
        JobRecord::sample(word).one_off_job(&Sample::sample(word), &Site::default())
    }
}

impl Sample for CronJob {
    fn sample(word: &str) -> Self {
        let schedule = Some(format!("0 * * * * {word}"));
        let record = JobRecord { schedule, ..Sample::sample(word) };
        record.cron_job(&Sample::sample(word), &Site::default())
    }
}

impl Sample for DefinedOneOffJob {
    fn sample(word: &str) -> Self {
        Self { job: Sample::sample(word), definition: JobRecord::sample(word).definition() }
    }
}

impl Sample for DefinedCronJob {
    fn sample(word: &str) -> Self {
        Self { job: Sample::sample(word), definition: JobRecord::sample(word).definition() }
    }
}

impl Sample for CronJobRun {
    fn sample(_: &str) -> Self {
        Self { status: CronJobRunStatus::Started, number: 7, total_pipeline_runs: 2 }
    }
}

fn load(word: &str) -> Step {
    Step { uuid: LOAD, title: Some(format!("load {word}")) }
}

fn train(word: &str) -> Step {
    Step { uuid: TRAIN, title: Some(format!("train {word}")) }
}

/// Returns parameters, one for each of `numbers`.
fn map(word: &str, numbers: &[u32]) -> Map<String, Value> {
    numbers.iter().map(|number| (format!("{word} {number}"), json!(word))).collect()
}
