//! The notification view.

use std::{collections::HashMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::json;
use tidings::{Event, Layer};
use uuid::Uuid;

use crate::shop::{Job, Project, Status, job, job_failed, project};

#[test]
fn each_layer_stands_inside_the_one_above_and_the_event_itself_at_the_root() {
    assert_eq!(
        job_failed().notification().unwrap(),
        concat!(
            r#"{"project":{"uuid":"00000000-0000-0000-0000-000000000001","name":"canary project","age_days":12,"#,
            r#""job":{"id":7,"status":"ABORTED","steps":["canary load","canary train"],"#,
            r#""file":"/home/canary/canary.IPYNB","title":"the canary in the mine"}},"#,
            r#""reason":{"out-of-memory":{"limit_mib":512,"used_mib":null}},"#,
            r#""elapsed":{"secs":1,"nanos":500000000},"owner":"canary@example.org","message":"canary has ended"}"#,
        )
    );
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct OrderPlaced {
    order: u64,
}

#[test]
fn event_without_layers_is_its_own_fields() {
    assert_eq!(OrderPlaced { order: 3 }.notification().unwrap(), r#"{"order":3}"#);
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "shop:opened", version = 1)]
struct ShopOpened {}

#[test]
fn event_without_fields_is_an_empty_object() {
    assert_eq!(ShopOpened {}.notification().unwrap(), "{}");
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "session")]
struct Session {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "project:session:stopped", version = 1, layers(Project, Session))]
struct SessionStopped {
    // The order of the fields says nothing, the order of `layers(..)` does.
    session: Session,
    project: Project,
}

#[test]
fn layer_without_data_is_shown() {
    let event = SessionStopped { session: Session {}, project: project() };
    let view: serde_json::Value = serde_json::from_str(&event.notification().unwrap()).unwrap();
    assert_eq!(view["project"]["session"], json!({}));
    assert_eq!(view.as_object().unwrap().len(), 1);
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "pipeline_run", id = run_id)]
#[serde(rename_all = "camelCase")]
struct PipelineRun {
    run_id: u32,
    #[serde(rename = "no")]
    number: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_run: Option<u32>,
    #[serde(skip)]
    #[expect(dead_code, reason = "what is skipped is not read")]
    secret: String,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "pipeline-run:ended", version = 1, layers(PipelineRun), scope(the_run))]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
struct PipelineRunEnded {
    the_run: PipelineRun,
    exit_code: i32,
    #[serde(rename(serialize = "why", deserialize = "because"))]
    reason: &'static str,
    #[serde(skip_serializing)]
    #[expect(dead_code, reason = "what is skipped is not read")]
    secret: String,
    #[serde(serialize_with = "doubled")]
    #[schemars(with = "u32")]
    half: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    r#type: char,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn doubled<S: Serializer>(half: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(half * 2)
}

#[test]
fn attributes_of_serde_are_honoured_in_layers_and_in_events() {
    let event = PipelineRunEnded {
        the_run: PipelineRun { run_id: 1, number: 2, parent_run: None, secret: "s".into() },
        exit_code: -1,
        reason: "tired",
        secret: "s".into(),
        half: 21,
        warnings: Vec::new(),
        r#type: 'x',
    };
    assert_eq!(
        event.notification().unwrap(),
        r#"{"pipeline_run":{"runId":1,"no":2},"EXIT-CODE":-1,"why":"tired","HALF":42,"TYPE":"x"}"#
    );
    assert_eq!(PipelineRun::FIELDS, ["runId", "no", "parentRun"]);
    assert_eq!(event.scope().unwrap().as_str(), "pipeline_run=1");
    let names: Vec<_> = PipelineRunEnded::describe().schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(names, ["EXIT-CODE", "HALF", "TYPE", "WARNINGS", "pipeline_run", "why"]);
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "project:job:started", version = 1, scope(project, job), layers(Project, Job))]
struct JobStarted<'a> {
    project: &'a Project,
    job: Box<Job>,
    by: &'a str,
}

#[test]
fn event_may_borrow_its_data() {
    let project = project();
    let event = JobStarted { project: &project, job: Box::new(job()), by: "ada" };
    let view: serde_json::Value = serde_json::from_str(&event.notification().unwrap()).unwrap();
    assert_eq!(view["project"]["job"]["status"], "ABORTED");
    assert_eq!(view["by"], "ada");
    assert_eq!(
        event.scope().unwrap().as_str(),
        "project=00000000-0000-0000-0000-000000000001/job=7"
    );
    assert!(event.telemetry().is_some());
}

#[test]
fn events_of_several_types_fit_in_one_slice() {
    let (failed, project) = (job_failed(), project());
    let started = JobStarted { project: &project, job: Box::new(job()), by: "ada" };
    let events: [&dyn Event; 3] = [&failed, &started, &OrderPlaced { order: 3 }];
    let names = events.map(|event| (event.event_type(), event.version()));
    assert_eq!(names, [("project:job:failed", 2), ("project:job:started", 1), ("order:placed", 1)]);
    assert_eq!(events[2].notification().unwrap(), r#"{"order":3}"#);

    let owned: Vec<Arc<dyn Event>> = vec![Arc::new(job_failed()), Arc::new(ShopOpened {})];
    assert!(owned.iter().all(|event| event.notification().is_ok()));
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:counted", version = 1)]
struct OrderCounted {
    by_status: HashMap<(Uuid, u8), Status>,
}

#[test]
fn field_that_is_no_json_is_an_error_and_not_a_panic() {
    let event = OrderCounted { by_status: HashMap::from([((Uuid::nil(), 1), Status::Started)]) };
    assert_eq!(event.notification().unwrap_err().to_string(), "key must be a string");
}

#[derive(Event, JsonSchema)]
#[event(name = "order:written", version = 1)]
struct OrderWritten {}

impl Serialize for OrderWritten {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([("order", 1)])
    }
}

#[test]
fn serialize_by_hand_that_writes_no_struct_is_an_error() {
    assert_eq!(
        OrderWritten {}.notification().unwrap_err().to_string(),
        "the `Serialize` of an event writes a struct, as the derived one does"
    );
}
