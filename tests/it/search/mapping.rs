//! What the engine refuses, and what the template lets through.

use reqwest::Method;
use serde_json::{Value, json};

use super::{SOON, Stage, all, event, events, id, with};

/// Kafka Connect's task dies of a document that contradicts the mapping, and everything behind it waits.
#[tokio::test]
async fn mapping_conflict_isolates_one_document() {
    let stage = Stage::new().await;
    let bad = with(7, "context", json!("no object"));
    stage.append((0..7).map(event).chain([bad.clone()]).chain((8..20).map(event))).await;
    stage.drain(SOON).await;
    let wanted: Vec<_> = all(20).into_iter().filter(|found| *found != id(7)).collect();
    assert_eq!(stage.ids().await, wanted);
    let failed = stage.failed();
    assert_eq!(failed.len(), 1);
    let (record, code) = &failed[0];
    assert_eq!(code, "mapper_parsing_exception");
    assert_eq!(serde_json::from_slice::<Value>(&record.value).unwrap(), bad);
    let header = |name| record.headers.get(name).unwrap();
    assert_eq!((header("stage"), header("sink"), header("source")), ("sink", "os", "0/7"));
    assert_eq!((header("index"), stage.ledger()), ("0", [19, 0, 1]));
}

/// Kafka Connect stops at `strict_dynamic_mapping_exception` unless it is told to ignore it.
#[tokio::test]
async fn strict_dynamic_mapping_of_an_operator_isolates_one_document() {
    let mut stage = Stage::new().await;
    stage.options.template = false;
    let prefix = &stage.options.prefix;
    let mut properties = json!({});
    for name in event(0).as_object().unwrap().keys() {
        properties[name] = json!({"type": "object", "enabled": false});
    }
    let template = json!({
        "index_patterns": [format!("{prefix}telemetry-*")],
        "template": {"mappings": {"dynamic": "strict", "properties": properties}},
    });
    stage.node.call(Method::PUT, &format!("_index_template/{prefix}telemetry"), &template).await;
    stage.append([event(0), with(1, "surprise", json!(1)), event(2)]).await;
    stage.drain(SOON).await;
    assert_eq!(stage.ids().await, [id(0), id(2)]);
    assert_eq!(stage.failed()[0].1, "strict_dynamic_mapping_exception");
}

#[tokio::test]
async fn free_edata_neither_contradicts_itself_nor_blows_up_the_mapping() {
    let stage = Stage::new().await;
    let mut many = json!({});
    for number in 0..3_000 {
        many[format!("field{number}")] = json!(number);
    }
    let mut deep = json!({"end": 1});
    for _ in 0..120 {
        deep = json!({"deeper": deep});
    }
    let edata = [
        json!({"free": 1}),
        json!({"free": "text"}),
        json!({"free": {"a": [1, {"b": null}]}}),
        json!({"free": "2023-11-14"}),
        json!({"duration": "12 seconds", "type": 5}),
        json!({"stacktrace": "x".repeat(100_000), "type": "y".repeat(100_000)}),
        json!({"a.b.c": 2, "a": {"b": "c"}}),
        many,
        deep,
    ];
    let count = edata.len();
    stage.append(edata.into_iter().enumerate().map(|(n, edata)| with(n, "edata", edata))).await;
    stage.drain(SOON).await;
    assert_eq!((stage.ids().await, stage.failed()), (all(count), Vec::new()));
    let index = format!("{}telemetry-2023.11.14", stage.options.prefix);
    let mapping = stage.node.call(Method::GET, &format!("{index}/_mapping"), &Value::Null).await;
    let edata = &mapping[&index]["mappings"]["properties"]["edata"]["properties"];
    assert_eq!((&edata["free"], &edata["field1"]), (&Value::Null, &Value::Null));
    let query = json!({"query": {"term": {"edata.type": "5"}}});
    let found = stage.node.call(Method::POST, &format!("{index}/_search"), &query).await;
    assert_eq!(found["hits"]["total"]["value"], 1);
}

#[tokio::test]
async fn template_of_ours_is_renewed_and_that_of_an_operator_is_left() {
    let mut stage = Stage::new().await;
    let path = format!("_index_template/{}telemetry", stage.options.prefix);
    let found = async |stage: &Stage| {
        let found = stage.node.call(Method::GET, &path, &Value::Null).await;
        found["index_templates"][0]["index_template"].clone()
    };
    stage.append(events(1)).await;
    stage.drain(SOON).await;
    let before = found(&stage).await;
    assert_eq!(before["_meta"]["managed_by"], "tidings");
    stage.options.shards = 2;
    stage.drain(SOON).await;

    let running = stage.start();
    tidings_tests::eventually(SOON, "the template is renewed", async || {
        (found(&stage).await["_meta"]["hash"] != before["_meta"]["hash"]).then_some(())
    })
    .await;
    running.stop().await;
    let theirs = json!({"index_patterns": [format!("{}telemetry-*", stage.options.prefix)]});
    stage.node.call(Method::PUT, &path, &theirs).await;
    stage.append((1..3).map(event)).await;
    stage.drain(SOON).await;
    assert_eq!(found(&stage).await["_meta"], Value::Null);
    assert_eq!(stage.ids().await, all(3));
}
