//! What the engine refuses, and what the template lets through.

use reqwest::Method;
use serde_json::{Value, json};

use super::{RECOVERY, SOON, Stage, all, event, events, id, with};

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

/// A field of the type `flat_object` overflows the stack of OpenSearch 2.19.1 where a document is deep: the thread dies,
/// and the request is never answered. Found while the template was chosen, which has no such field.
#[tokio::test]
async fn event_that_the_engine_dies_of_without_a_word_does_not_stop_the_others() {
    let node = std::sync::Arc::new(tidings_tests::opensearch::OpenSearch::start(&[]).await);
    let mut stage = Stage::on(node).await;
    stage.options.template = false;
    stage.options.timeout = std::time::Duration::from_secs(2);
    let prefix = &stage.options.prefix;
    let template = json!({
        "index_patterns": [format!("{prefix}telemetry-*")],
        "template": {"mappings": {"dynamic": false, "properties": {"edata": {"type": "flat_object"}}}},
    });
    stage.node.call(Method::PUT, &format!("_index_template/{prefix}telemetry"), &template).await;
    stage.append(events(1)).await;
    stage.drain(SOON).await;
    // Written as text: the reader of the tests goes as deep as the writer, which is not deep enough.
    let deep = format!("{}1{}", r#"{"n":"#.repeat(1_200), "}".repeat(1_200));
    let text = event(3).to_string().replace(r#""duration":2"#, &format!(r#""duration":{deep}"#));
    stage.append((1..3).map(event)).await;
    stage.append_text(text).await;
    stage.append((4..8).map(event)).await;
    stage.drain(RECOVERY).await;
    // A refresh would wait for the thread that has died; documents by their ids need none.
    let ids: Vec<_> = all(8).into_iter().filter(|found| *found != id(3)).collect();
    let path = format!("{}telemetry-2023.11.14/_mget", stage.options.prefix);
    let found = stage.node.call(Method::POST, &path, &json!({"ids": ids})).await;
    let is_found = |doc: &Value| doc["found"] == true;
    assert!(found["docs"].as_array().unwrap().iter().all(is_found), "{found}");
    assert_eq!(stage.failed()[0].1, "unanswered");
    assert_eq!(stage.failed().len(), 1);
}
