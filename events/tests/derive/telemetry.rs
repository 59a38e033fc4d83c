//! The telemetry view.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tidings::analytics::{
    Bucket, Count, Extension, HashKey, HashKeys, Hashed, Level, TelemetryData,
};
use tidings::{Event, Layer, event::Audience};

use crate::shop::{CANARY, Job, JobFailed, Project, Reason, job, job_failed, project};

/// The key is the same in all tests, which share the process.
fn install_key() -> HashKeys {
    let keys = HashKeys::new(HashKey::new("test", vec![7; 32]).unwrap());
    keys.clone().install();
    keys
}

fn json_of(telemetry: Option<TelemetryData>) -> Value {
    serde_json::to_value(telemetry).unwrap()
}

#[test]
fn both_trees_follow_the_path_of_the_layers() {
    let keys = install_key();
    let uuid = keys.hash(&"00000000-0000-0000-0000-000000000001");
    let owner = keys.hash(&"canary@example.org");
    assert_eq!(
        json_of(job_failed().telemetry()),
        json!({
            "event_properties": {
                "project": {"job": {"status": "ABORTED", "title": true}},
                "reason": {"out-of-memory": {"limit_mib": 512, "used_mib": null}},
                "elapsed": 1500,
            },
            "derived_properties": {
                "project": {
                    "uuid_hashed": uuid,
                    "age_days_bucket": "10-99",
                    "job": {
                        "steps_count": 2,
                        "longest_step_bucket": "10-99",
                        "file_extension": "ipynb",
                    },
                },
                "elapsed_bucket": "1000-9999",
                "owner_hashed": owner,
            },
        })
    );
}

#[test]
fn what_is_absent_is_null() {
    install_key();
    let mut event = job_failed();
    (event.owner, event.job.file) = (None, None);
    let telemetry = json_of(event.telemetry());
    assert_eq!(telemetry["derived_properties"]["owner_hashed"], Value::Null);
    assert_eq!(telemetry["derived_properties"]["project"]["job"]["file_extension"], Value::Null);
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "canary:planted", version = 1, layers(Project, Job))]
struct CanaryPlanted<'a> {
    project: &'a Project,
    job: Job,
    unmarked: String,
    borrowed: &'a str,
    #[telemetry(hashed)]
    hashed: String,
    #[telemetry]
    already_hashed: Hashed<String>,
    #[telemetry(extension)]
    path: std::path::PathBuf,
    #[telemetry]
    extension: Extension,
    #[telemetry(count)]
    list: Vec<String>,
    #[telemetry(count)]
    map: std::collections::BTreeMap<String, String>,
    #[telemetry]
    count: Count,
    #[telemetry(with = str::is_empty)]
    computed: String,
    #[telemetry]
    bucket: Option<Bucket>,
    #[serde(skip)]
    #[telemetry]
    not_notified: u16,
}

#[test]
fn no_text_that_a_person_typed_ever_leaves() {
    install_key();
    let (text, project) = (CANARY.to_owned(), project());
    let event = CanaryPlanted {
        project: &project,
        job: job(),
        unmarked: text.clone(),
        borrowed: CANARY,
        hashed: text.clone(),
        already_hashed: Hashed::new(text.clone()),
        path: format!("{CANARY}/{CANARY}.{CANARY}.txt").into(),
        extension: Extension::of("canary.csv"),
        list: vec![text.clone()],
        map: [(text.clone(), text.clone())].into(),
        count: Count::of(&[CANARY]),
        computed: text,
        bucket: Bucket::of(&3),
        not_notified: 5,
    };
    let notification = event.notification().unwrap();
    assert_eq!(notification.matches(CANARY).count(), 16, "{notification}");
    assert!(!notification.contains("not_notified"));

    for telemetry in [event.telemetry(), job_failed().telemetry()] {
        let telemetry = json_of(telemetry).to_string();
        assert!(!telemetry.to_ascii_lowercase().contains(CANARY), "{telemetry}");
    }
    let telemetry = json_of(event.telemetry());
    assert_eq!(telemetry["event_properties"]["not_notified"], 5);
    assert_eq!(
        telemetry["event_properties"]["already_hashed"],
        telemetry["derived_properties"]["hashed_hashed"]
    );
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "region")]
struct Region {
    name: String,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "region:opened", version = 1, layers(Region))]
struct RegionOpened {
    region: Region,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "project:region:opened", version = 1, layers(Project, Region))]
struct ProjectRegionOpened {
    project: Project,
    region: Region,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "project:renamed", version = 1, layers(Project), audience(notification))]
struct ProjectRenamed {
    project: Project,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "view:loaded", version = 1, audience(client, telemetry), level = "full")]
struct ViewLoaded {
    path: String,
}

#[test]
fn telemetry_is_in_the_audience_if_anything_is_marked_and_nothing_else_is_said() {
    let region = || Region { name: "eu".into() };
    assert_eq!(RegionOpened { region: region() }.telemetry(), None);
    assert!(ProjectRegionOpened { project: project(), region: region() }.telemetry().is_some());
    assert_eq!(ProjectRenamed { project: project() }.telemetry(), None);
    assert_eq!(ViewLoaded { path: "/".into() }.telemetry(), Some(TelemetryData::new()));

    let audiences = [
        (RegionOpened::describe(), vec![Audience::Notification], Level::Basic),
        (
            ProjectRegionOpened::describe(),
            vec![Audience::Notification, Audience::Telemetry],
            Level::Basic,
        ),
        (ProjectRenamed::describe(), vec![Audience::Notification], Level::Basic),
        (ViewLoaded::describe(), vec![Audience::Telemetry, Audience::Client], Level::Full),
        (JobFailed::describe(), vec![Audience::Notification, Audience::Telemetry], Level::Enhanced),
    ];
    for (event_type, audience, level) in audiences {
        assert_eq!(event_type.telemetry, audience.contains(&Audience::Telemetry));
        assert!(event_type.audience.iter().eq(&audience), "{}", event_type.name);
        assert_eq!(event_type.level, level);
    }
    assert_eq!(job_failed().level(), Level::Enhanced);
}

#[test]
fn names_of_both_views_are_known_at_compile_time() {
    assert_eq!(Project::FIELDS, ["uuid", "name", "age_days"]);
    assert_eq!(Project::TELEMETRY, ["age_days_bucket", "uuid_hashed"]);
    assert_eq!(
        Job::TELEMETRY,
        ["file_extension", "longest_step_bucket", "status", "steps_count", "title"]
    );
    assert_eq!(Region::TELEMETRY, [""; 0]);
}

#[test]
fn variants_of_a_reason_are_told_as_they_are_written() {
    for reason in [Reason::Exited(3), Reason::TimedOut] {
        let event = JobFailed { reason, ..job_failed() };
        let notification: Value = serde_json::from_str(&event.notification().unwrap()).unwrap();
        assert_eq!(
            json_of(event.telemetry())["event_properties"]["reason"],
            notification["reason"]
        );
    }
}

macro_rules! counted {
    ($event:ident, $name:literal, $layer:ident: $layer_type:ty, $field:ident: $type:ty) => {
        #[derive(Event, Serialize, JsonSchema)]
        #[event(name = $name, version = 1, layers(Region), scope($field), ordering_key = $field)]
        struct $event {
            $layer: $layer_type,
            #[telemetry]
            #[telemetry(bucket)]
            $field: $type,
            #[telemetry(hashed)]
            text: Option<String>,
        }
    };
}

counted!(RegionCounted, "region:counted", region: Region, number: u32);

#[test]
fn event_may_be_written_by_a_macro() {
    install_key();
    let event = RegionCounted { region: Region { name: "eu".into() }, number: 3, text: None };
    assert_eq!(event.scope().unwrap().as_str(), "number=3");
    let telemetry = json_of(event.telemetry());
    assert_eq!(telemetry["event_properties"], json!({"number": 3}));
    assert_eq!(
        telemetry["derived_properties"],
        json!({"number_bucket": "1-9", "text_hashed": null})
    );
}
