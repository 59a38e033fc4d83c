//! A layer that is a special case of another one.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tidings::{Event, Layer};

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "link")]
struct Link {
    url_path: String,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "job", id = uuid)]
struct Job {
    uuid: u32,
    #[serde(flatten)]
    link: Link,
    #[telemetry(count)]
    steps: Vec<String>,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "job", id = the_job)]
struct CronJob {
    /// When it runs.
    schedule: Option<String>,
    #[serde(flatten)]
    the_job: Job,
    #[telemetry]
    paused: bool,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "run")]
struct Run {
    #[telemetry]
    number: u32,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(
    name = "job:run:started",
    version = 1,
    layers(CronJob, Run),
    scope(job),
    ordering_key = job
)]
struct RunStarted {
    job: CronJob,
    run: Run,
}

fn run_started() -> RunStarted {
    let link = Link { url_path: "/job?uuid=7".into() };
    let the_job = Job { uuid: 7, link, steps: vec!["load".into(), "train".into()] };
    let job = CronJob { schedule: Some("0 * * * *".into()), the_job, paused: false };
    RunStarted { job, run: Run { number: 3 } }
}

#[test]
fn layers_that_join_stand_at_one_level_and_the_next_one_below() {
    let notification: Value = serde_json::from_str(&run_started().notification().unwrap()).unwrap();
    assert_eq!(
        notification,
        json!({"job": {
            "schedule": "0 * * * *",
            "uuid": 7,
            "url_path": "/job?uuid=7",
            "steps": ["load", "train"],
            "paused": false,
            "run": {"number": 3},
        }})
    );
    assert_eq!(
        serde_json::to_value(run_started().telemetry()).unwrap(),
        json!({
            "event_properties": {"job": {"paused": false, "run": {"number": 3}}},
            "derived_properties": {"job": {"steps_count": 2}},
        })
    );
}

#[test]
fn names_of_layers_that_join_are_known_at_compile_time() {
    assert_eq!(CronJob::FIELDS, ["schedule", "paused", "uuid", "steps", "url_path"]);
    assert_eq!(CronJob::TELEMETRY, ["paused", "steps_count"]);
}

#[test]
fn layer_has_the_id_of_the_one_that_joins_it() {
    assert_eq!(run_started().scope().unwrap().as_str(), "job=7");
    assert_eq!(run_started().ordering_key().as_deref(), Some("7"));
}

#[test]
fn schema_shows_the_fields_of_both() {
    let schema = RunStarted::describe().schema;
    let job = &schema["properties"]["job"];
    let names: Vec<_> = job["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["paused", "run", "schedule", "steps", "url_path", "uuid"]);
    let mut required: Vec<_> =
        job["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    required.sort_unstable();
    assert_eq!(required, ["paused", "run", "schedule", "steps", "url_path", "uuid"]);
    assert_eq!(schema.get("$defs"), None, "{schema:#}");
}
