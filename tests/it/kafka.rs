//! Registered events in topics of Kafka: each once and in its order, through brokers and workers that are killed.

mod crash;
mod formats;

use std::{collections::BTreeMap, sync::Arc};

use rdkafka::{
    ClientConfig, Message as _,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    message::{BorrowedMessage, Headers as _},
    topic_partition_list::{Offset, TopicPartitionList},
};
use serde_json::{Value, json};
use sqlx::types::Json;
use tidings::conformance::{self, Fixtures};
use tidings_pipeline::deliver::{Kafka, kafka::Config};
use tidings_tests::{
    World, eventually,
    kafka::Kafka as Broker,
    world::{Draft, SOON},
};
use uuid::Uuid;

/// How many partitions each topic has: enough that order within one is no accident.
const PARTITIONS: i32 = 4;

/// A record as a consumer finds it.
#[derive(Clone, Debug)]
struct Found {
    partition: i32,
    offset: i64,
    key: String,
    headers: BTreeMap<String, String>,
    value: String,
}

impl Found {
    fn read(message: &BorrowedMessage<'_>) -> Self {
        let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
        let headers = message.headers().unwrap().iter();
        Self {
            partition: message.partition(),
            offset: message.offset(),
            key: text(message.key()),
            headers: headers.map(|it| (it.key.to_owned(), text(it.value))).collect(),
            value: text(message.payload()),
        }
    }

    fn id(&self) -> Uuid {
        self.headers["id"].parse().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.value).unwrap()
    }
}

/// Makes a topic.
async fn make_topic(broker: &Broker, topic: &str) {
    make_topic_of(broker, topic, None).await;
}

/// Makes a topic that takes records of so many bytes.
async fn make_topic_of(broker: &Broker, topic: &str, bytes_max: Option<&str>) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.brokers());
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let mut new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    if let Some(bytes_max) = bytes_max {
        new = new.set("max.message.bytes", bytes_max);
    }
    let made = admin.create_topics(&[new], &AdminOptions::new()).await.unwrap();
    for made in made {
        made.unwrap();
    }
}

/// Reads a topic from its beginning to where it ends now, by partition and offset.
async fn read(broker: &Broker, topic: &str) -> Vec<Found> {
    let (brokers, topic) = (broker.brokers(), topic.to_owned());
    let read = move || {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("group.id", "reader");
        let consumer: BaseConsumer = config.create().unwrap();
        let (mut list, mut left) = (TopicPartitionList::new(), 0);
        for partition in 0..PARTITIONS {
            let (low, high) = consumer.fetch_watermarks(&topic, partition, SOON).unwrap();
            left += high - low;
            list.add_partition_offset(&topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let mut found = Vec::new();
        while left > 0 {
            let message = consumer.poll(SOON).unwrap().unwrap();
            found.push(Found::read(&message));
            left -= 1;
        }
        found.sort_by_key(|found| (found.partition, found.offset));
        found
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

/// Adds a subscriber to topics, once a worker has announced the kind.
async fn subscriber(world: &World, name: &str, config: &Config) -> i32 {
    eventually(SOON, "the kind is announced", || async {
        let shards: i64 =
            world.value("select count(*) from tidings.shard where group_name = 'kafka'").await;
        (shards > 0).then_some(())
    })
    .await;
    world.bare_subscriber(name, "kafka", serde_json::to_value(config).unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topic_keeps_the_contract_of_a_destination() {
    let broker = Broker::shared().await;
    let topic = format!("{}contract", broker.prefix());
    make_topic(&broker, &topic).await;
    let kafka = Kafka::new().brokers(broker.brokers());
    let config = serde_json::to_value(Config::new(&topic)).unwrap();
    let fixtures = Fixtures::new(config).refused(noise(1_900_000));
    conformance::deliverer(&kafka, &fixtures).await.unwrap();
}

/// Returns JSON of about so many bytes that cannot be compressed, and is more than a broker takes unless it is told otherwise.
fn noise(bytes: usize) -> String {
    let words = (0..bytes / 32).map(|_| Uuid::from_u128(rand::random()).simple().to_string());
    json!({"text": words.collect::<String>()}).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_in_the_topic_that_the_template_names_once_and_in_order_per_key() {
    let broker = Broker::shared().await;
    let prefix = broker.prefix();
    for event_type in ["order.placed", "order.paid"] {
        make_topic(&broker, &format!("{prefix}{event_type}")).await;
    }
    let world = World::new(&["order:placed", "order:paid"]).await;
    let worker = world.worker(Kafka::new().brokers(broker.brokers())).await;
    let id = subscriber(&world, "orders", &Config::new(format!("{prefix}{{type}}"))).await;
    world.subscribe(id, "order:*", "", true).await;
    let mut registered: BTreeMap<&str, Vec<Uuid>> = BTreeMap::new();
    for n in 0..60 {
        let event_type = if n % 3 == 0 { "order:paid" } else { "order:placed" };
        let key = format!("o{}", n % 5);
        let event = world.register(Draft::new(event_type).key(&key).number(n)).await;
        registered.entry(event_type).or_default().push(event);
    }
    let unkeyed = world.register(Draft::new("order:paid").number(60)).await;
    registered.entry("order:paid").or_default().push(unkeyed);
    world.wake(&[id]);
    world.drained().await;
    for (event_type, ids) in registered {
        let found = read(&broker, &format!("{prefix}{}", event_type.replace(':', "."))).await;
        let mut sorted: Vec<_> = found.iter().map(Found::id).collect();
        sorted.sort();
        let mut expected = ids.clone();
        expected.sort();
        assert_eq!(sorted, expected, "{event_type}: each once");
        check_order(&found, &ids);
        for found in &found {
            assert_eq!(found.headers["type"], event_type);
            assert_eq!(
                (&found.json()["type"], found.json()["timestamp"].as_str()),
                (&json!(event_type), found.headers.get("timestamp").map(String::as_str))
            );
        }
    }
    let paid = read(&broker, &format!("{prefix}order.paid")).await;
    let unkeyed = paid.iter().find(|found| found.id() == unkeyed).unwrap();
    assert_eq!(unkeyed.key, unkeyed.headers["id"], "an event without a key is spread by its id");
    assert!(worker.stop().await);
}

/// Checks that what has one key is in one partition, in the order of registering; a repetition may come where its first
/// one has been.
fn check_order(found: &[Found], registered: &[Uuid]) {
    let place = |id: &Uuid| registered.iter().position(|other| other == id).unwrap();
    let mut by_key: BTreeMap<&str, Vec<&Found>> = BTreeMap::new();
    for found in found {
        by_key.entry(&found.key).or_default().push(found);
    }
    for (key, found) in by_key {
        assert!(found.iter().all(|it| it.partition == found[0].partition), "{key}");
        let mut firsts: Vec<_> = found.iter().map(|it| place(&it.id())).collect();
        let mut seen = Vec::new();
        firsts.retain(|place| {
            !seen.contains(place) && {
                seen.push(*place);
                true
            }
        });
        assert!(firsts.is_sorted(), "{key}: {firsts:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topic_that_is_made_later_gets_what_was_registered_before() {
    let broker = Broker::shared().await;
    let topic = format!("{}later", broker.prefix());
    let world = World::new(&["order:placed"]).await;
    let worker = world.worker(Kafka::new().brokers(broker.brokers())).await;
    let id = subscriber(&world, "orders", &Config::new(&topic)).await;
    world.subscribe(id, "order:placed", "", false).await;
    world.set_retry(id, r#"{"delays_s": [0, 1]}"#).await;
    let event = world.register(Draft::new("order:placed")).await;
    world.wake(&[id]);
    let error = eventually(SOON, "an attempt fails", || async {
        let query = "select error from tidings.attempt where outcome = 'retry' limit 1";
        sqlx::query_scalar::<_, String>(query).fetch_optional(&world.pool).await.unwrap()
    })
    .await;
    assert_eq!(error, format!("Kafka has no topic {topic}; make it, or let the brokers do so"));
    make_topic(&broker, &topic).await;
    world.drained().await;
    let found = read(&broker, &topic).await;
    assert_eq!(found.iter().map(Found::id).collect::<Vec<_>>(), [event]);
    assert!(worker.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_that_the_topic_never_takes_is_a_dead_letter_and_those_beside_it_pass() {
    let broker = Broker::shared().await;
    let topic = format!("{}large", broker.prefix());
    make_topic_of(&broker, &topic, Some("100000")).await;
    let world = World::new(&["order:placed"]).await;
    let worker = world.worker(Kafka::new().brokers(broker.brokers())).await;
    let id = subscriber(&world, "orders", &Config::new(&topic)).await;
    world.subscribe(id, "order:placed", "", false).await;
    // Within our limit of a payload, and far above what the topic takes.
    let payload = serde_json::from_str(&noise(500_000)).unwrap();
    let large = world.register(Draft { payload, ..Draft::new("order:placed") }).await;
    // Small ones, which travel with it in one batch of the producer's, and more than the topic takes in one.
    let mut small = Vec::new();
    for n in 0..200 {
        let payload = serde_json::from_str(&noise(2_000)).unwrap();
        let draft = Draft { payload, ..Draft::new("order:placed") };
        small.push(world.register(if n == 0 { Draft::new("order:placed") } else { draft }).await);
    }
    world.wake(&[id]);
    world.drained().await;
    let dead: Vec<(Uuid, String)> = sqlx::query_as("select event_id, last_error from tidings.dead")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    let found = read(&broker, &topic).await;
    let mut ids: Vec<_> = found.iter().map(Found::id).collect();
    ids.sort();
    ids.dedup();
    small.sort();
    let [(event, error)] = &dead[..] else { panic!("{dead:?}") };
    assert_eq!((*event, ids), (large, small));
    assert!(error.contains("max.message.bytes"), "{error}");
    assert!(worker.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_view_has_a_topic_of_its_own() {
    let broker = Broker::shared().await;
    let (prefix, view) = (broker.prefix(), |view: &str| format!("{{\"view\": \"{view}\"}}"));
    let world = World::new(&[]).await;
    let types = json!([{
        "type": "order:placed", "version": 1, "audience": ["notification", "telemetry"],
        "scopes": [], "level": "basic", "schema": {}, "documentation": "", "call": "track",
    }]);
    sqlx::query("select tidings.sync_catalogue_v3($1::json, '[]')")
        .bind(Json(types))
        .execute(&world.pool)
        .await
        .unwrap();
    let worker = world.worker(Kafka::new().brokers(broker.brokers())).await;
    for name in ["notification", "telemetry"] {
        let topic = format!("{prefix}{name}");
        make_topic(&broker, &topic).await;
        let id = subscriber(&world, name, &Config::new(topic)).await;
        sqlx::query("update tidings.subscriber set view = $2 where subscriber_id = $1")
            .bind(id)
            .bind(name)
            .execute(&world.pool)
            .await
            .unwrap();
        world.subscribe(id, "order:placed", "", false).await;
    }
    let query = "select tidings.register_event('order:placed', $1::json, telemetry => $2::json)";
    let register = sqlx::query(query).bind(view("notification")).bind(view("telemetry"));
    register.execute(&world.pool).await.unwrap();
    tidings::wake::wake();
    world.drained().await;
    for name in ["notification", "telemetry"] {
        let found = read(&broker, &format!("{prefix}{name}")).await;
        let data: Vec<_> = found.iter().map(|found| found.json()["data"].clone()).collect();
        assert_eq!(data, [json!({"view": name})]);
    }
    assert!(worker.stop().await);
}

/// Returns a broker of its own, with a topic.
async fn own_broker(topic: &str) -> Arc<Broker> {
    let broker = Broker::mortal(tidings_tests::kafka::Ports::find()).await;
    make_topic(&broker, topic).await;
    Arc::new(broker)
}
