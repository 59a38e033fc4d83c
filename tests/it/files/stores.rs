//! Folders and codecs, days, ages, what is no event, and what the ledger hears.

use std::sync::{Arc, atomic::Ordering};

use tidings_pipeline::{
    ledger::{Entry, Sunk},
    sink::files::{Codec, Conditional, Store},
    topic,
};
use tidings_tests::{
    Database, Temporary,
    s3::{Bucket, Fault},
};

use super::lake::{Lake, RETRY, store};

#[tokio::test(flavor = "multi_thread")]
async fn every_codec_files_into_a_folder() {
    let (database, folder) = (Arc::new(Database::new().await), Temporary::new("lake"));
    for codec in Codec::ALL {
        let mut lake =
            Lake::new(&database, codec.as_str(), folder.path().join(codec.as_str())).await;
        lake.options.codec = codec;
        lake.append(0, "e", &[0, 1, 2, 0, 0]).await;
        lake.append(1, "e", &[1, 1]).await;
        let url = format!("file://{}", lake.folder.display());
        let running = lake.start(Store::open(&url, &[], RETRY).unwrap());
        lake.committed(&[4]).await;
        running.stop().await;
        lake.committed(&[5, 2]).await;
        lake.check();
        assert!(lake.names().iter().any(|name| name.ends_with(&format!(".g1.{codec}"))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn store_without_conditional_puts_is_found_out_and_still_filled() {
    let bucket = Bucket::new().await;
    let faults = bucket.faults().await;
    let asked = store(&bucket, "lake", Some(faults.port()));
    assert_eq!(asked.probe().await.unwrap(), Conditional::Yes);
    // As servers answer which do not know the condition.
    faults.script(|request| if request.puts("probe-") { Fault::Belie(200) } else { Fault::None });
    assert_eq!(asked.probe().await.unwrap(), Conditional::No);
    let lake = Lake::alone(&bucket).await;
    lake.append(0, "e", &[0, 1, 0]).await;
    let running = lake.start(asked);
    lake.committed(&[2]).await;
    running.stop().await;
    lake.committed(&[3]).await;
    lake.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_is_failed_and_everything_is_in_the_ledger() {
    let bucket = Bucket::new().await;
    let lake = Lake::alone(&bucket).await;
    lake.append(0, "e", &[0, 1]).await;
    lake.append(1, "e", &[1]).await;
    lake.append_value(1, "{\"mid\":").await;
    let running = lake.start(store(&bucket, "lake", None));
    running.taken(4).await;
    running.stop().await;
    lake.committed(&[2, 2]).await;
    lake.check();
    let failed = lake.log.records(topic::FAILED);
    assert_eq!(failed.len(), 1);
    let said = |name| failed[0].headers.get(name).unwrap();
    assert_eq!(
        (said("stage"), said("sink"), &failed[0].value[..]),
        ("sink", "lake", &b"{\"mid\":"[..])
    );
    assert!(said("reasons").contains(r#""path":"$","code":"not_an_object""#));
    let day = |day, stored, rejected| {
        let taken = stored + rejected;
        Sunk { day, taken, stored, rejected, ..Sunk::default() }
    };
    // 20778 is 2026-11-21; what is no event counts on the day of its record, the first of 2099.
    let expected = [
        (0, 0, 2, vec![day(20_778, 1, 0), day(20_779, 1, 0)]),
        (1, 0, 2, vec![day(20_779, 1, 0), day(47_117, 0, 1)]),
    ];
    let expected = expected.map(|(partition, first, next, days)| Entry::Sink {
        sink: "lake".to_owned(),
        partition,
        first,
        next,
        days,
    });
    let ledger = lake.log.records(topic::LEDGER);
    let entries: Vec<_> = ledger.iter().map(|entry| Entry::read(&entry.value).unwrap()).collect();
    assert_eq!(entries, expected);
}

/// The youngest record decided in Secor, so that a trickle was never filed (issue 86).
#[tokio::test(flavor = "multi_thread")]
async fn lonely_event_is_filed_when_it_is_old() {
    let bucket = Bucket::new().await;
    let lake = Lake::alone(&bucket).await;
    // The log took it long before the database's clock.
    lake.log.set_clock("2020-01-01T00:00:00Z".parse().unwrap());
    lake.append(0, "e", &[0]).await;
    let running = lake.start(store(&bucket, "lake", None));
    lake.committed(&[1]).await;
    lake.check();
    assert_eq!(running.metrics.files.load(Ordering::Relaxed), 1);
    running.stop().await;
}
