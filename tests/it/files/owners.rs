//! Two owners of one partition, and two topics of one name.

use std::{fs, os::unix::fs::MetadataExt as _, sync::atomic::Ordering};

use tidings_pipeline::{Error, sink::files::Roll, topic};
use tidings_tests::{
    SOON, eventually,
    s3::{Bucket, Fault},
};

use super::lake::{Lake, log, store};

#[tokio::test(flavor = "multi_thread")]
async fn late_upload_of_an_owner_that_was_replaced_changes_nothing() {
    let bucket = Bucket::new().await;
    let lake = Lake::alone(&bucket).await;
    lake.append(0, "e", &[0, 1, 0]).await;
    let faults = bucket.faults().await;
    faults.script(
        |request| {
            if request.puts("/dt=2026-11-21/") { Fault::Delay } else { Fault::None }
        },
    );
    let stale = lake.start(store(&bucket, "lake", Some(faults.port())));
    faults.held(1, SOON).await;
    lake.log.fence("sink.lake", topic::UNIQUE);
    let owner = lake.start(store(&bucket, "lake", None));
    lake.committed(&[2]).await;
    let file = lake.names().into_iter().find(|name| name.starts_with("dt=2026-11-21/")).unwrap();
    let inode = || fs::metadata(lake.folder.join(&file)).unwrap().ino();
    let before = inode();
    faults.release(1, SOON).await;
    eventually(SOON, "the stale owner has learned that it is one", async || {
        (stale.metrics.interruptions.load(Ordering::Relaxed) > 0).then_some(())
    })
    .await;
    assert_eq!(inode(), before);
    stale.stop().await;
    owner.stop().await;
    lake.committed(&[3]).await;
    lake.check();
}

/// Of another day than the first.
const SECOND: &str = r#"{"mid":"second","syncts":1795348800000}"#;

#[tokio::test(flavor = "multi_thread")]
async fn second_owner_adopts_the_plan_of_the_first() {
    let bucket = Bucket::new().await;
    let first = Lake::alone(&bucket).await;
    let mut second = first.over(log().await);
    second.options.roll = Roll { days: 3, ..Roll::default() };
    // The second has read one event, and would cut after the third.
    second.append(0, "e", &[0]).await;
    let running = second.start(store(&bucket, "lake", None));
    running.taken(1).await;
    // The first has cut after the second.
    first.append(0, "e", &[0]).await;
    first.append_value(0, SECOND).await;
    let other = first.start(store(&bucket, "lake", None));
    first.committed(&[2]).await;
    other.stop().await;
    second.append_value(0, SECOND).await;
    second.append(0, "f", &[2]).await;
    second.committed(&[2]).await;
    assert!(running.metrics.interruptions.load(Ordering::Relaxed) > 0);
    running.stop().await;
    second.committed(&[3]).await;
    second.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn partition_that_is_lost_takes_its_open_files_along() {
    let bucket = Bucket::new().await;
    let lake = Lake::alone(&bucket).await;
    for partition in [0, 1] {
        lake.append(partition, "e", &[0, 0]).await;
    }
    let one = lake.start(store(&bucket, "lake", None));
    one.taken(4).await;
    let two = lake.start(store(&bucket, "lake", None));
    two.taken(2).await;
    two.stop().await;
    one.stop().await;
    lake.committed(&[2, 2]).await;
    lake.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_that_was_made_anew_stops_the_sink_until_it_has_another_id() {
    let bucket = Bucket::new().await;
    let lake = Lake::alone(&bucket).await;
    lake.append(0, "e", &[0, 1, 0]).await;
    let running = lake.start(store(&bucket, "lake", None));
    lake.committed(&[2]).await;
    running.stop().await;
    lake.check();
    let before = lake.names();

    // The same offsets, other events.
    let anew = lake.over(log().await);
    anew.log.set_clock("2099-01-02T00:00:00Z".parse().unwrap());
    anew.append(0, "f", &[0, 1, 1, 1]).await;
    let error = anew.start(store(&bucket, "lake", None)).error().await;
    assert!(matches!(error, Error::PlanBroken { first: 0, last: 1, .. }), "{error}");
    assert!(error.to_string().contains("select tidings.renew_topic_v1('telemetry.unique')"));
    assert_eq!(lake.names(), before);

    let renewed = sqlx::query("select tidings.renew_topic_v1('telemetry.unique')");
    renewed.execute(lake.database.pool()).await.unwrap();
    let running = anew.start(store(&bucket, "lake", None));
    anew.committed(&[2]).await;
    running.stop().await;
    anew.committed(&[4]).await;
    // Beside those of the topic before.
    let names = anew.names();
    assert!(before.iter().all(|name| names.contains(name)), "{names:?}");
    assert_eq!(names.len(), before.len() + 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn position_that_leaves_events_out_stops_the_sink() {
    let bucket = Bucket::new().await;
    let lake = Lake::alone(&bucket).await;
    lake.append(0, "e", &[0, 1]).await;
    let running = lake.start(store(&bucket, "lake", None));
    lake.committed(&[2]).await;
    running.stop().await;
    let shorter = sqlx::query("update tidings.telemetry_plan set last_offset = 0");
    shorter.execute(lake.database.pool()).await.unwrap();
    lake.append(0, "f", &[0]).await;
    let error = lake.start(store(&bucket, "lake", None)).error().await;
    assert!(matches!(error, Error::OutOfPlan { first: 2, next: 1, .. }), "{error}");
}
