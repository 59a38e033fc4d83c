use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};

use super::{
    failed::{Filter, Unreplayable},
    reprocess::Range,
    *,
};
use crate::{
    Failed, Headers, Log, Output, Stage,
    hop::tests::{event, mids, run_dry},
    log::Memory,
    reason::Reason,
    topic,
};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

async fn log_with(batches: &[&str]) -> Memory {
    let log = crate::hop::tests::log().await;
    for (batch, seconds) in batches.iter().zip(0..) {
        log.set_clock(at(seconds));
        let headers = Headers::new().with("channel", "portal").with("syncts", "1700000000000");
        let value = Bytes::copy_from_slice(batch.as_bytes());
        let topic = topic::RAW.into();
        log.append(vec![Output { topic, partition: 1, key: None, headers, value }]).await.unwrap();
    }
    run_dry(&log).await;
    log
}

fn batch(events: &[&str]) -> String {
    format!(r#"{{"id":"x","ver":"3.0","ets":1,"events":[{}]}}"#, events.join(","))
}

#[test]
fn place_is_read_as_it_is_written() {
    let place = Place { partition: 3, offset: 1045 };
    assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
    for text in ["", "3", "3-", "-1-2", "3--1", "a-b", "3-99999999999999999999"] {
        assert!(text.parse::<Place>().is_err(), "{text}");
    }
    assert_eq!(
        "3".parse::<Place>().unwrap_err().to_string(),
        "`3` is no place in a topic; write its partition and offset, such as 3-1045"
    );
}

#[tokio::test]
async fn what_failed_is_listed_corrected_and_goes_on_once() {
    let broken = r#"{"mid":"m1","ets":1700000000000}"#;
    let log = log_with(&[&batch(&[broken, &event("m2", "d1", 1)]), "nonsense"]).await;
    let items = failed::list(&log, &Filter::default(), 10).await.unwrap();
    assert_eq!(items.len(), 2, "{items:?}");
    let filter = Filter { stage: Some(Stage::CheckEvent), ..Filter::default() };
    let [item] = &failed::list(&log, &filter, 10).await.unwrap()[..] else { panic!("{items:?}") };
    assert_eq!(&*item.failed.bytes, broken.as_bytes());
    assert_eq!(failed::get(&log, item.place).await.unwrap().as_ref(), Some(item));
    let none = Filter { channel: Some("other".to_owned()), ..Filter::default() };
    assert!(failed::list(&log, &none, 10).await.unwrap().is_empty());

    let corrected = event("m1", "d1", 1);
    for _ in 0..2 {
        let bytes = Some(Bytes::from(corrected.clone()));
        log.append(vec![item.replay(bytes, 2).unwrap()]).await.unwrap();
        run_dry(&log).await;
    }
    assert_eq!(mids(&log, topic::UNIQUE).values().copied().collect::<Vec<_>>(), [1, 1]);
    assert_eq!(mids(&log, topic::DUPLICATE).values().copied().collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn what_a_sink_has_rejected_is_not_sent_through_the_steps() {
    let log = log_with(&[]).await;
    let raw = crate::Record {
        partition: 1,
        offset: 7,
        appended_at: at(0),
        key: None,
        headers: Headers::new(),
        value: Bytes::new(),
    };
    let provenance = crate::provenance::Provenance::of_raw(&raw);
    let reasons = vec![Reason::new("$", "mapping", "the index refuses it")];
    let failed = Failed::event(provenance, Stage::Sink, 0, reasons, Bytes::new()).by_sink("search");
    log.append(vec![failed.output(3)]).await.unwrap();
    let filter = Filter { sink: Some("search".to_owned()), ..Filter::default() };
    let [item] = &failed::list(&log, &filter, 1).await.unwrap()[..] else { panic!("none") };
    assert_eq!(item.replay(None, 0), Err(Unreplayable::OfSink));
}

#[tokio::test]
async fn event_is_found_in_every_topic_that_has_it() {
    let a = event("a-1", "d1", 1);
    let log = log_with(&[&batch(&[&a, &event("b", "d2", 1)]), &batch(&[&a])]).await;
    let sinks = ["files".to_owned()];
    let found = find::find(&log, "a-1", at(-10), &sinks, |_| {}).await.unwrap();
    let topics: Vec<_> = found.iter().map(|found| found.topic).collect();
    assert_eq!(
        topics,
        [topic::RAW, topic::RAW, topic::EVENTS, topic::EVENTS, topic::UNIQUE, topic::DUPLICATE]
    );
    assert!(found[..4].iter().all(|found| found.taken_by[0].taken), "{found:?}");
    assert!(found[4].document_id.is_some() && !found[4].taken_by[0].taken, "{found:?}");
    assert!(find::find(&log, "a", at(-10), &sinks, |_| {}).await.unwrap().is_empty());
}

#[tokio::test]
async fn reprocessing_adds_nothing_and_is_not_done_beyond_the_window() {
    let log = log_with(&[&batch(&[&event("a", "d1", 1)]), &batch(&[&event("b", "d1", 1)])]).await;
    let range = Range { from: at(0), until: at(1) };
    log.set_clock(at(5));
    assert_eq!(reprocess::reprocess(&log, range, |_| {}).await.unwrap(), 1);
    run_dry(&log).await;
    assert_eq!(mids(&log, topic::UNIQUE).len(), 2);
    assert_eq!(mids(&log, topic::DUPLICATE).len(), 1);
    let again = Range { from: at(0), until: at(100) };
    assert_eq!(reprocess::reprocess(&log, again, |_| {}).await.unwrap(), 2, "not what it wrote");
    let window = Duration::from_hours(72);
    assert!(range.check(window, at(0) + TimeDelta::hours(72)).is_ok());
    let error = range.check(window, at(1) + TimeDelta::hours(72)).unwrap_err();
    assert!(error.to_string().contains("3 days is how far they reach"), "{error}");
}
