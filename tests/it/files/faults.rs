//! The store answers 500 and 503, slowly, not at all, or has something else there.

use std::{collections::HashMap, fs, sync::atomic::Ordering};

use tidings_pipeline::{Error, Log as _, sink::files::Codec, topic};
use tidings_tests::{
    SOON, eventually,
    s3::{Bucket, Fault},
};

use super::lake::{Lake, store};

#[tokio::test(flavor = "multi_thread")]
async fn store_that_fails_in_every_way_gets_every_event_once() {
    const WAYS: [Fault; 8] = [
        Fault::Refuse(500),
        Fault::Refuse(503),
        Fault::CutBefore,
        Fault::HoldBefore,
        // From here on it is there, and the client has not been told.
        Fault::Belie(500),
        Fault::CutAfter,
        Fault::HoldAfter,
        Fault::Belie(503),
    ];
    let bucket = Bucket::new().await;
    let lake = Lake::alone(&bucket).await;
    let faults = bucket.faults().await;
    let mut tries: HashMap<_, usize> = HashMap::new();
    faults.script(move |request| {
        // A probe that cannot be deleted is left where it is.
        if !request.path.contains("dt=") {
            return Fault::None;
        }
        let tried = tries.entry((request.method.clone(), request.path.clone())).or_default();
        *tried += 1;
        WAYS.get(*tried - 1).copied().unwrap_or(Fault::None)
    });
    lake.append(0, "e", &[0, 1]).await;
    let running = lake.start(store(&bucket, "lake", Some(faults.port())));
    // Each request takes two that time out.
    lake.committed(&[2]).await;
    assert_eq!(running.metrics.files_found.load(Ordering::Relaxed), 2);
    assert_eq!(running.metrics.interruptions.load(Ordering::Relaxed), 0);
    running.stop().await;
    lake.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn store_that_is_away_for_longer_interrupts_the_sink_and_loses_nothing() {
    let bucket = Bucket::new().await;
    let lake = Lake::alone(&bucket).await;
    let faults = bucket.faults().await;
    faults.script(|request| if request.puts("dt=") { Fault::Refuse(503) } else { Fault::None });
    lake.append(0, "e", &[0, 1, 1]).await;
    let running = lake.start(store(&bucket, "lake", Some(faults.port())));
    eventually(SOON, "the sink is interrupted", async || {
        (running.metrics.interruptions.load(Ordering::Relaxed) > 0).then_some(())
    })
    .await;
    assert_eq!(lake.names(), Vec::<String>::new());
    faults.script(|_| Fault::None);
    lake.committed(&[2]).await;
    running.stop().await;
    lake.committed(&[3]).await;
    lake.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn other_content_under_a_planned_name_stops_the_sink_and_stays() {
    let bucket = Bucket::new().await;
    let lake = Lake::alone(&bucket).await;
    let faults = bucket.faults().await;
    faults.script(|request| if request.puts("dt=") { Fault::HoldAfter } else { Fault::None });
    lake.append(0, "e", &[0, 1]).await;
    let running = lake.start(store(&bucket, "lake", Some(faults.port())));
    faults.held(1, SOON).await;
    running.crash().await;
    let held = faults.requests().into_iter().find(|request| request.puts("dt=")).unwrap();
    let (_, name) = held.path.split_once("/lake/").unwrap();
    let path = lake.folder.join(name);
    fs::write(&path, "somebody else's").unwrap();

    let error = lake.start(store(&bucket, "lake", None)).error().await;
    assert!(
        matches!(&error, Error::OtherContent { path } if path.contains("dt=2026-11-21/")),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"somebody else's");
    let committed = lake.log.committed("sink.lake", topic::UNIQUE).await.unwrap();
    assert_eq!(committed, [None, None]);
}

/// The bytes of a codec change from version to version.
#[tokio::test(flavor = "multi_thread")]
async fn plan_of_another_version_of_a_codec_is_finished_by_this_one() {
    let bucket = Bucket::new().await;
    let mut lake = Lake::alone(&bucket).await;
    lake.options.codec = Codec::JsonlGzip;
    let faults = bucket.faults().await;
    faults.script(
        |request| {
            if request.puts("/dt=2026-11-22/") { Fault::HoldBefore } else { Fault::None }
        },
    );
    lake.append(0, "e", &[0, 1]).await;
    let running = lake.start(store(&bucket, "lake", Some(faults.port())));
    faults.held(1, SOON).await;
    running.crash().await;
    // As if the version before had planned other bytes for the file that is not up.
    let other = sqlx::query(
        "update tidings.telemetry_file set sha256 = sha256('other'), bytes = 1 where dt = '2026-11-22'",
    );
    other.execute(lake.database.pool()).await.unwrap();
    let running = lake.start(store(&bucket, "lake", None));
    lake.committed(&[2]).await;
    running.stop().await;
    lake.check();
}
