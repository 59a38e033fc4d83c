use tidings::deliverer::Verdict;

use super::*;

fn subscriber(config: Value, credentials: Option<Credentials>) -> Subscriber {
    Subscriber {
        subscriber_id: 1,
        tenant: String::new(),
        name: "orders".to_owned(),
        kind: KIND.to_owned(),
        config,
        secrets: Vec::new(),
        credentials,
    }
}

fn refusal(kafka: &Kafka, config: Value, credentials: Option<Credentials>) -> String {
    kafka.open(&subscriber(config, credentials)).unwrap_err().reason
}

async fn ping(config: Value) -> Ping {
    let subscriber = subscriber(config, None);
    Kafka::new().ping(&subscriber, Uuid::nil(), DateTime::UNIX_EPOCH).await.unwrap()
}

#[test]
fn subscriber_without_brokers_goes_by_those_of_the_worker() {
    let config = json!({"topic": "orders"});
    assert!(refusal(&Kafka::new(), config.clone(), None).contains("--kafka-brokers"));
    Kafka::new().brokers("k:9092").open(&subscriber(config, None)).unwrap();
}

#[test]
fn account_of_the_worker_stays_with_the_brokers_of_the_worker() {
    let kafka = Kafka::new().brokers("k:9092").property("sasl.password", "s3cr3t");
    let config = Config { brokers: Some("other:9092".to_owned()), ..Config::new("orders") };
    let own = format!("{:?}", kafka.cluster(&config, None).unwrap());
    assert!(!own.contains("sasl"), "{own}");
    let shared = format!("{:?}", kafka.cluster(&Config::new("orders"), None).unwrap());
    assert!(shared.contains("sasl.password"), "{shared}");
    assert!(!format!("{shared}{kafka:?}").contains("s3cr3t"));
}

#[test]
fn credentials_are_of_brokers_of_its_own_and_have_a_name() {
    let kafka = Kafka::new().brokers("k:9092");
    let basic = Credentials::basic("shop", "s3cr3t").unwrap();
    let reason = refusal(&kafka, json!({"topic": "orders"}), Some(basic.clone()));
    assert!(reason.contains("an account is for brokers of its own"), "{reason}");
    let own = json!({"topic": "orders", "brokers": "own:9092"});
    kafka.open(&subscriber(own.clone(), Some(basic))).unwrap();
    let bearer = Credentials::bearer("s3cr3t").unwrap();
    assert!(refusal(&kafka, own, Some(bearer)).contains("user name and a password"));
}

#[test]
fn destinations_of_one_account_share_a_producer() {
    let kafka = Kafka::new().brokers("127.0.0.1:1");
    let producer = |config: &Config| {
        let cluster = kafka.cluster(config, None).unwrap().with_timeout(config.timeout());
        kafka.producers.to(&cluster).unwrap()
    };
    let first = producer(&Config::new("orders"));
    assert!(Arc::ptr_eq(&first, &producer(&Config::new("invoices.{type}"))));
    let own = Config { brokers: Some("127.0.0.1:2".to_owned()), ..Config::new("orders") };
    assert!(!Arc::ptr_eq(&first, &producer(&own)));
}

#[tokio::test]
async fn broker_that_is_not_there_costs_one_timeout_and_is_told() {
    let config = json!({"topic": "orders", "brokers": "127.0.0.1:1", "timeout_ms": 1000});
    let Ping { answer, elapsed } = ping(config).await;
    assert_eq!((answer.verdict, answer.status), (Verdict::Retry, None));
    let error = answer.error.unwrap();
    assert!(error.contains("in time; last: ") && error.contains("127.0.0.1:1"), "{error}");
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
}

#[tokio::test]
async fn event_that_has_no_topic_is_refused_before_anything_is_sent() {
    let config = json!({"topic": "{tenant}", "brokers": "127.0.0.1:1"});
    let answer = ping(config).await.answer;
    assert_eq!(answer.verdict, Verdict::Refused);
    assert!(answer.error.unwrap().contains("no tenant"));
}
