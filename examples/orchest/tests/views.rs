//! What subscribers and analytics see of every event.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use tidings::{
    Event,
    analytics::{HashKey, HashKeys},
};
use tidings_example_orchest::{event, samples};
use uuid::Uuid;

/// Stands in whatever a person could have typed.
const CANARY: &str = "canary";

/// Strings that no person has typed.
const WORDS: [&str; 9] = [
    "CREATED", "UPDATED", "DRAFT", "PENDING", "STARTED", "PAUSED", "SUCCESS", "FAILURE", "ABORTED",
];

/// All 66. The key is the same in all tests, which share the process.
fn everything() -> Vec<Box<dyn Event>> {
    HashKeys::new(HashKey::new("test", vec![7; 32]).unwrap()).install();
    samples(CANARY).into_iter().chain(event::analytics::samples(CANARY)).collect()
}

fn sample(name: &str) -> Box<dyn Event> {
    everything().into_iter().find(|event| event.event_type() == name).unwrap()
}

fn notification(event: &dyn Event) -> Value {
    serde_json::from_str(&event.notification().unwrap()).unwrap()
}

fn telemetry(event: &dyn Event) -> Value {
    serde_json::to_value(event.telemetry().unwrap()).unwrap()
}

/// Writes which members there are: `project{name uuid job{name}}`, a list as its first item.
fn shape(value: &Value) -> String {
    let members = |object: &Map<String, Value>| {
        let member = |(key, value): (&String, &Value)| {
            let key = if key.parse::<Uuid>().is_ok() { "<step>" } else { key };
            format!("{key}{}", shape(value))
        };
        object.iter().map(member).collect::<Vec<_>>().join(" ")
    };
    match value {
        Value::Object(object) => format!("{{{}}}", members(object)),
        Value::Array(items) => format!("[{}]", items.first().map(shape).unwrap_or_default()),
        _ => String::new(),
    }
}

#[test]
fn both_views_of_every_event_have_the_shape_of_their_layers() {
    let mut shapes = String::new();
    for event in everything() {
        let event = event.as_ref();
        let telemetry = telemetry(event);
        writeln!(shapes, "{}", event.event_type()).unwrap();
        writeln!(shapes, "    sees {}", shape(&notification(event))).unwrap();
        writeln!(shapes, "    told {}", shape(&telemetry["event_properties"])).unwrap();
        writeln!(shapes, "    from {}", shape(&telemetry["derived_properties"])).unwrap();
    }
    insta::assert_snapshot!(shapes);
}

#[test]
fn telemetry_has_both_trees_and_nothing_else() {
    for event in everything() {
        let telemetry = telemetry(event.as_ref());
        let keys: Vec<_> = telemetry.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["derived_properties", "event_properties"], "{}", event.event_type());
    }
}

#[test]
fn nothing_that_a_person_typed_is_in_the_telemetry_of_any_event() {
    for event in everything() {
        let text = telemetry(event.as_ref()).to_string().to_lowercase();
        assert!(!text.contains(CANARY), "{}: {text}", event.event_type());
    }
}

/// Collects the strings in `value`.
fn strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(object) => object.values().for_each(|value| strings(value, found)),
        _ => {}
    }
}

#[test]
fn every_text_in_the_notifications_of_the_samples_has_the_canary() {
    // Otherwise a field could be told to analytics, and no test would see it.
    let mut seen = 0;
    for event in samples(CANARY) {
        let mut texts = Vec::new();
        strings(&notification(event.as_ref()), &mut texts);
        for text in texts.into_iter().filter(|text| !is_ours(text)) {
            assert!(text.contains(CANARY), "{}: {text}", event.event_type());
            seen += 1;
        }
    }
    assert!(seen > 200, "{seen}");
}

/// Whether `text` is an id, a time, a link or a word of the program.
fn is_ours(text: &str) -> bool {
    let is_object = ["name", "schedule", "environment_variable"].contains(&text);
    is_object
        || WORDS.contains(&text)
        || text.parse::<Uuid>().is_ok()
        || text.parse::<chrono::DateTime<chrono::Utc>>().is_ok()
        || (text.starts_with('/') && text.contains("_uuid="))
}

#[test]
fn status_is_the_one_that_the_verb_means() {
    let job = "/project/job/status";
    let run = "/project/job/run/status";
    let run_of = |kind| format!("/project/job{kind}/pipeline_run/status");
    let cases = [
        ("project:one-off-job:created", job, "DRAFT"),
        ("project:one-off-job:started", job, "STARTED"),
        ("project:one-off-job:cancelled", job, "ABORTED"),
        ("project:one-off-job:failed", job, "FAILURE"),
        ("project:one-off-job:succeeded", job, "SUCCESS"),
        ("project:cron-job:paused", job, "PAUSED"),
        ("project:cron-job:unpaused", job, "STARTED"),
        ("project:cron-job:failed", job, "FAILURE"),
        ("project:cron-job:run:started", run, "STARTED"),
        ("project:cron-job:run:succeeded", run, "SUCCESS"),
        ("project:cron-job:run:failed", run, "FAILURE"),
        ("project:one-off-job:pipeline-run:created", &run_of(""), "PENDING"),
        ("project:one-off-job:pipeline-run:cancelled", &run_of(""), "ABORTED"),
        ("project:cron-job:run:pipeline-run:started", &run_of("/run"), "STARTED"),
        ("project:cron-job:run:pipeline-run:failed", &run_of("/run"), "FAILURE"),
        ("project:cron-job:run:pipeline-run:succeeded", &run_of("/run"), "SUCCESS"),
    ];
    for (name, path, expected) in cases {
        let notification = notification(sample(name).as_ref());
        assert_eq!(notification.pointer(path), Some(&json!(expected)), "{name}");
    }
}

#[test]
fn run_that_has_failed_says_which_steps_have_and_no_other_run_does() {
    for event in everything().iter().filter(|event| event.event_type().contains("pipeline-run:")) {
        let name = event.event_type();
        let text = event.notification().unwrap();
        let is_told = text.contains("\"failed_steps\":[{\"uuid\":");
        // A run that is deleted may have been one that had failed, as the sample has.
        let expected = name.ends_with(":failed") || name.ends_with(":deleted");
        assert_eq!(is_told, expected, "{name}: {text}");
    }
}

#[test]
fn one_off_job_is_seen_with_its_runs_and_a_cron_job_with_its_schedule() {
    let job = |name| notification(sample(name).as_ref())["project"]["job"].clone();
    let path = "/job?project_uuid=00000000-0000-0000-0000-000000000001\
                &job_uuid=00000000-0000-0000-0000-000000000004";
    assert_eq!(
        job("project:one-off-job:started"),
        json!({
            "uuid": "00000000-0000-0000-0000-000000000004", "name": "job canary",
            "status": "STARTED", "pipeline_name": "pipeline canary", "url_path": path,
            "total_runs": 2,
        })
    );
    assert_eq!(
        job("project:cron-job:started"),
        json!({
            "uuid": "00000000-0000-0000-0000-000000000004", "name": "job canary",
            "status": "STARTED", "pipeline_name": "pipeline canary", "url_path": path,
            "schedule": "0 * * * * canary", "next_scheduled_time": "2022-06-02T17:12:25Z",
        })
    );
}

#[test]
fn pipeline_run_of_a_cron_job_is_seen_inside_its_run() {
    let run = &notification(sample("project:cron-job:run:pipeline-run:failed").as_ref());
    let run = &run["project"]["job"]["run"];
    let step = "00000000-0000-0000-0000-000000000007";
    assert_eq!(
        run,
        &json!({
            "status": "STARTED", "number": 7, "total_pipeline_runs": 2,
            "pipeline_run": {
                "uuid": "00000000-0000-0000-0000-000000000005",
                "status": "FAILURE", "number": 5, "number_in_run": 1,
                "url_path": "/job-run?project_uuid=00000000-0000-0000-0000-000000000001\
                             &job_uuid=00000000-0000-0000-0000-000000000004\
                             &run_uuid=00000000-0000-0000-0000-000000000005",
                "parameters": {
                    "pipeline_parameters": {
                        "parameters": {"canary 1": "canary", "canary 2": "canary"},
                    },
                    step: {
                        "step": {"uuid": step, "title": "load canary"},
                        "parameters": {
                            "canary 1": "canary", "canary 2": "canary", "canary 3": "canary",
                        },
                    },
                },
                "failed_steps": [
                    {"uuid": "00000000-0000-0000-0000-000000000008", "title": "train canary"},
                ],
            },
        })
    );
}

#[test]
fn update_is_seen_once_inside_what_was_updated() {
    let changes = json!([
        {"type": "UPDATED", "changed_object": "name"},
        {"type": "CREATED", "changed_object": "schedule", "new_value": "0 * * * * canary"},
        {"type": "CREATED", "changed_object": "environment_variable"},
    ]);
    let told = json!([
        {"type": "UPDATED", "changed_object": "name"},
        {"type": "CREATED", "changed_object": "schedule"},
        {"type": "CREATED", "changed_object": "environment_variable"},
    ]);
    for (name, path) in [
        ("project:updated", "/project/update"),
        ("project:pipeline:updated", "/project/pipeline/update"),
        ("project:one-off-job:updated", "/project/job/update"),
        ("project:cron-job:updated", "/project/job/update"),
    ] {
        let event = sample(name);
        let seen = notification(event.as_ref());
        assert_eq!(seen.pointer(path), Some(&json!({"changes": changes})), "{name}");
        let properties = &telemetry(event.as_ref())["event_properties"];
        assert_eq!(properties.pointer(path), Some(&json!({"changes": told})), "{name}");
    }
}

#[test]
fn telemetry_of_a_new_job_counts_what_it_does_not_tell() {
    let telemetry = telemetry(sample("project:cron-job:created").as_ref());
    let hash = |number| HashKeys::installed().unwrap().hash(&Uuid::from_u128(number));
    assert_eq!(
        telemetry,
        json!({
            "event_properties": {"project": {"job": {"status": "DRAFT"}}},
            "derived_properties": {"project": {
                "uuid_hashed": hash(1),
                "job": {
                    "uuid_hashed": hash(4),
                    "is_scheduled": true,
                    "definition": {
                        "parameterized_runs_count": 1,
                        "env_variables_count": 1,
                        "pipeline_definition": {
                            "step_count": 2,
                            "connection_count": 1,
                            "unique_environments_count": 1,
                            "pipeline_parameters_count": 2,
                            "step_parameters_count": 2,
                            "step_file_extension_count": {"ipynb": 1, "other": 1},
                            "kernel_count": {"other": 2},
                            "services_count": 1,
                            "service_binds_count": 1,
                        },
                    },
                },
            }},
        })
    );
}

#[test]
fn telemetry_of_an_interactive_run_counts_steps_and_parameters() {
    let name = "project:pipeline:interactive-session:pipeline-run:failed";
    let telemetry = telemetry(sample(name).as_ref());
    let session = "project/pipeline/session";
    let properties = telemetry.pointer(&format!("/event_properties/{session}")).unwrap();
    assert_eq!(
        properties,
        &json!({
            "user_services": [{"exposed": true, "requires_authentication": true, "binds_count": 1}],
            "pipeline_run": {"pipeline_definition": {"auto_eviction": true}},
        })
    );
    let run = telemetry.pointer(&format!("/derived_properties/{session}/pipeline_run")).unwrap();
    assert_eq!(run["steps_count"], 2);
    assert_eq!(run["failed_steps_count"], 1);
    assert_eq!(
        run["parameters"],
        json!({
            "pipeline_parameters_count": 2,
            "step_parameters_count": 3,
            "parameterized_steps_count": 1,
        })
    );
}

#[test]
fn build_says_which_one_it_is() {
    let seen = |name| notification(sample(name).as_ref());
    let environment = seen("project:environment:image-build:created");
    assert_eq!(environment["project"]["environment"]["image_build"], json!({"image_tag": 12}));
    let jupyter = seen("jupyter:image-build:failed");
    assert_eq!(
        jupyter,
        json!({"jupyter": {"image_build": {
            "uuid": "00000000-0000-0000-0000-000000000006", "image_tag": 12,
        }}})
    );
    let told = telemetry(sample("project:environment:image-build:created").as_ref());
    let path = "/project/environment/image_build";
    assert_eq!(
        told["event_properties"].pointer(path),
        Some(&json!({
            "image_tag": 12,
            "environment": {
                "language": "python", "gpu_support": false, "uses_orchest_base_image": false,
            },
        }))
    );
    assert_eq!(
        told["derived_properties"].pointer(path),
        Some(&json!({"waiting_ms": 2000, "building_ms": 88000}))
    );
}
