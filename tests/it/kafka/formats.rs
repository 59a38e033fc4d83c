//! `CloudEvents` in topics, read back by the rules of its binding.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidings::format::Format;
use tidings_pipeline::deliver::{Kafka, kafka::Config};
use tidings_tests::{World, kafka::Kafka as Broker, world::Draft};

use super::{Found, make_topic, read, subscriber};

/// The attributes and the data of a record, in whichever mode it is (Kafka binding, 1.3 and 3).
fn understand(found: &Found) -> (BTreeMap<String, String>, Value) {
    let media_type = &found.headers["content-type"];
    if media_type.starts_with("application/cloudevents") {
        assert!(media_type.starts_with("application/cloudevents+json"), "{media_type}");
        let Value::Object(mut members) = found.json() else { panic!("{found:?}") };
        let data = members.remove("data").unwrap();
        let text = |(name, value): (String, Value)| (name, value.as_str().unwrap().to_owned());
        return (members.into_iter().map(text).collect(), data);
    }
    let attributes = found
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("ce_")?.to_owned(), value.clone())));
    let mut attributes: BTreeMap<_, _> = attributes.collect();
    attributes.insert("datacontenttype".to_owned(), media_type.clone());
    (attributes, found.json())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cloud_event_is_the_same_in_both_modes() {
    let broker = Broker::shared().await;
    let prefix = broker.prefix();
    let world = World::new(&["order:placed"]).await;
    let worker = world.worker(Kafka::new().brokers(broker.brokers())).await;
    let modes = [Format::CloudEvents, Format::CloudEventsBinary];
    for format in modes {
        let topic = format!("{prefix}{format}");
        make_topic(&broker, &topic).await;
        let config = Config { format, ..Config::new(topic) };
        let id = subscriber(&world, format.as_str(), &config).await;
        world.subscribe(id, "order:placed", "", false).await;
    }
    let draft = Draft::new("order:placed").scope("project=p1").key("o7 \u{e9}").number(7);
    let event = world.register(draft).await;
    tidings::wake::wake();
    world.drained().await;
    let mut understood = Vec::new();
    for format in modes {
        let found = read(&broker, &format!("{prefix}{format}")).await;
        let [found] = &found[..] else { panic!("{found:?}") };
        assert_eq!((found.id(), found.key.as_str()), (event, "o7 \u{e9}"));
        understood.push(understand(found));
    }
    assert_eq!(understood[0], understood[1]);
    let (attributes, data) = &understood[0];
    assert_eq!(data, &json!({"n": 7}));
    for (name, value) in [
        ("specversion", "1.0"),
        ("id", event.to_string().as_str()),
        ("source", "/tidings"),
        ("type", "order:placed"),
        ("subject", "project=p1"),
        ("partitionkey", "o7 \u{e9}"),
        ("datacontenttype", "application/json"),
    ] {
        assert_eq!(attributes[name], value, "{name}");
    }
    chrono::DateTime::parse_from_rfc3339(&attributes["time"]).unwrap();
    assert!(worker.stop().await);
}
