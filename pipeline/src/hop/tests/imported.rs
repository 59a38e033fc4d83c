//! Archives that reach the log by several ways: each event goes on once, as the device has reported it.

use super::*;
use crate::archive::{
    Archive, Importer, Limits as Bounds,
    tests::made::{Gsa, Made, batch as written},
};

/// Returns the records of the archive as `name` imports it.
fn imported(archive: &[u8], name: &str, partition: i32) -> Vec<Output> {
    let importer = Importer {
        channel: format!("channel-of-{name}"),
        profile: "lenient".to_owned(),
        name: name.to_owned(),
    };
    let archive = Archive::open(Bytes::copy_from_slice(archive), Bounds::default()).unwrap();
    let records = archive.map(|item| {
        let found = item.batch.unwrap();
        let headers = found.headers(item.mid.as_deref(), &importer, 1_700_000_000_000);
        Output { topic: topic::RAW.into(), partition, key: None, headers, value: found.bytes }
    });
    records.collect()
}

#[tokio::test]
async fn archive_imported_twice_and_by_two_and_sent_online_as_well_gives_each_event_once() {
    let log = log().await;
    // One of an app, whose batch has an id, and one of a desktop, whose batch has none.
    let batches = [written(Some("m1"), Some("device-of-events"), 3), written(None, None, 5)];
    let archive = Made::of(&batches).zip("");
    let online = batches.map(|batch| raw(batch.into()));
    log.append(imported(&archive, "alice", 0)).await.unwrap();
    log.append(imported(&archive, "bob", 2)).await.unwrap();
    run_dry(&log).await;
    log.append(online.into()).await.unwrap();
    log.append(imported(&archive, "alice", 3)).await.unwrap();
    let rows = [("m9", written(Some("m9"), None, 5))];
    log.append(imported(&Gsa::default().made(&rows), "carol", 1)).await.unwrap();
    run_dry(&log).await;
    // The events of the batches have the same ids, LOG:0 to LOG:4.
    let expected: BTreeMap<_, _> = (0..5).map(|n| (format!("LOG:{n}"), 1)).collect();
    assert_eq!(mids(&log, topic::UNIQUE), expected);
    let duplicate: usize = mids(&log, topic::DUPLICATE).values().sum();
    let taken = 4 * (3 + 5) + 5;
    assert_eq!(duplicate, taken - expected.len());
    assert!(log.records(topic::FAILED).is_empty());
}

#[tokio::test]
async fn imported_event_keeps_its_device_and_says_who_imported_it() {
    let log = log().await;
    let archive = Made::of(&[written(Some("m1"), Some("tablet"), 1)]).zip("");
    log.append(imported(&archive, "alice", 0)).await.unwrap();
    run_dry(&log).await;
    let events = log.records(topic::EVENTS);
    let provenance = crate::provenance::Provenance::of_events(&events[0]).unwrap();
    assert_eq!(events[0].key.as_deref(), Some(&b"device-of-events"[..]));
    assert_eq!(
        [provenance.sender, provenance.importer, provenance.message_id].map(Option::unwrap),
        ["tablet", "alice", "m1"]
    );
    assert_eq!(provenance.channel, "channel-of-alice");
}
