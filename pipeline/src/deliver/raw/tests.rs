use std::collections::BTreeMap;

use tidings::{
    conformance::{self, Fixtures},
    delivery::RegisteredEvent,
};

use super::*;
use crate::{
    hop::tests::{clock, log, mids, run_dry},
    log::Memory,
    provenance::Provenance,
};

const INSTALLATION: Uuid = Uuid::from_u128(9);

const TELEMETRY: &str = r#"{"event_properties":{"total":7},"derived_properties":{}}"#;

fn delivery(number: u128, payload: &str) -> Delivery {
    Delivery {
        delivery_id: 1,
        subscriber_id: 1,
        subscription_id: None,
        attempt: 1,
        first_due_at: clock(),
        call: None,
        event: RegisteredEvent {
            event_id: Uuid::from_u128(number),
            event_type: "order:placed".to_owned(),
            version: 1,
            tenant: String::new(),
            scope: String::new(),
            ordering_key: None,
            occurred_at: clock(),
            payload: payload.to_owned(),
            headers: None,
        },
    }
}

fn verdicts(answers: &[Answer]) -> Vec<Verdict> {
    answers.iter().map(|answer| answer.verdict).collect()
}

#[tokio::test]
async fn raw_log_keeps_the_contract_of_a_destination() {
    let log = log().await;
    let fixtures = Fixtures::new(serde_json::json!({}))
        .accepted("order:placed", TELEMETRY)
        .refused(r#"{"order":{}}"#);
    let raw = Raw::new(Arc::new(log), INSTALLATION, clock);
    conformance::deliverer(&raw, &fixtures).await.unwrap();
}

#[tokio::test]
async fn call_becomes_one_batch_of_the_profile_tidings() {
    let log = log().await;
    let raw = Raw::new(Arc::new(log.clone()), INSTALLATION, clock);
    let refused = delivery(2, "{}");
    let answers = raw.deliver(&[delivery(1, TELEMETRY), refused, delivery(3, TELEMETRY)]).await;
    assert_eq!(verdicts(&answers), [Verdict::Delivered, Verdict::Refused, Verdict::Delivered]);
    let records = log.records(topic::RAW);
    let [record] = &records[..] else { panic!("{records:?}") };
    let provenance = Provenance::of_raw(record);
    assert_eq!(
        (provenance.profile, provenance.channel.as_str(), provenance.syncts),
        (Profile::Tidings, "tidings", clock().timestamp_millis())
    );
    assert_eq!(provenance.message_id, Some(Uuid::from_u128(1).to_string()));
}

#[tokio::test]
async fn retry_of_a_delivery_adds_nothing_to_what_goes_on() {
    let log = log().await;
    let raw = Raw::new(Arc::new(log.clone()), INSTALLATION, clock);
    let batch = [delivery(1, TELEMETRY), delivery(2, TELEMETRY)];
    raw.deliver(&batch).await;
    // Together and alone, as it may come after a crash; in another batch, it has another place and another time.
    raw.deliver(&batch).await;
    raw.deliver(&batch[1..]).await;
    run_dry(&log).await;
    let id = |number| Uuid::from_u128(number).to_string();
    assert_eq!(mids(&log, topic::UNIQUE), BTreeMap::from([(id(1), 1), (id(2), 1)]));
    assert_eq!(mids(&log, topic::DUPLICATE), BTreeMap::from([(id(1), 1), (id(2), 2)]));
    assert!(log.records(topic::FAILED).is_empty());
}

#[tokio::test]
async fn what_the_log_did_not_take_comes_again_and_what_cannot_work_does_not() {
    // Without topics.
    let raw = Raw::new(Arc::new(Memory::new()), INSTALLATION, clock);
    let answers = raw.deliver(&[delivery(1, TELEMETRY), delivery(2, "{}")]).await;
    assert_eq!(verdicts(&answers), [Verdict::Retry, Verdict::Refused]);
    let error = answers[0].error.as_deref().unwrap();
    assert!(error.contains("start the pipeline once"), "{error}");
}
