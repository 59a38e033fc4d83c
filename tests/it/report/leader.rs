//! One process leads, and any of them may die at any time.

use std::time::Duration;

use tidings::analytics::wire::Vendor;
use tidings_tests::{SOON, eventually};
use tokio_util::sync::CancellationToken;

use super::{HOUR, Shop, Stage, builder, total, windows};

/// A process of its own runtime, which is killed without a farewell.
struct Mortal {
    runtime: tokio::runtime::Runtime,
}

impl Mortal {
    async fn start(stage: &Stage, shop: &Shop) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let connect = (*stage.world.pool.connect_options()).clone();
        let collector = shop.clone();
        let started = runtime.spawn(async move {
            let pool = sqlx::PgPool::connect_lazy_with(connect);
            let builder = builder(pool).collector(collector);
            let running = builder.spawn(CancellationToken::new()).await.unwrap();
            // It lives as long as the runtime.
            std::mem::forget(running);
        });
        started.await.unwrap();
        Self { runtime }
    }

    fn kill(self) {
        self.runtime.shutdown_background();
    }
}

impl Stage {
    /// Waits until the process that has counted so much has written it down.
    async fn noted(&self, orders: u64) {
        eventually(SOON, "what was counted is written down", || async {
            let counted = "select coalesce(sum((counters ->> 'orders')::bigint), 0)::bigint from tidings.reporter_process";
            (self.world.value::<i64>(counted).await >= i64::try_from(orders).unwrap()).then_some(())
        })
        .await;
    }

    async fn leader(&self) -> Option<uuid::Uuid> {
        self.world
            .value("select worker_id from tidings.shard where group_name = 'report:shop'")
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_make_one_report_of_what_both_have_counted() {
    let stage = Stage::new(Vendor::Segment).await;
    let (one, other) = (Shop::default(), Shop::default());
    let _first = stage.process(&one).await;
    let _second = stage.process(&other).await;
    stage.described(1).await;
    one.order(3);
    other.order(4);
    stage.noted(7).await;
    stage.pass(HOUR).await;
    let reports = stage.rolled_up(1).await;
    assert_eq!(total(&reports, "orders"), 7);
    stage.looked().await;
    assert_eq!(stage.described(2).await.len(), 2, "one for each interval, not for each process");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_leader_has_counted_is_reported_by_the_next_one() {
    let stage = Stage::new(Vendor::Segment).await;
    let (one, other) = (Shop::default(), Shop::default());
    let first = Mortal::start(&stage, &one).await;
    stage.described(1).await;
    let before = stage.leader().await;
    let _second = stage.process(&other).await;
    one.order(3);
    other.order(40);
    stage.noted(43).await;
    first.kill();
    stage.pass(HOUR).await;
    let reports = stage.rolled_up(1).await;
    assert_ne!(stage.leader().await, before);
    assert_eq!(total(&reports, "orders"), 43);
    // One that comes back begins at zero, under a boot id of its own.
    let again = Shop::default();
    let third = stage.process(&again).await;
    again.order(5);
    stage.noted(48).await;
    stage.pass(HOUR).await;
    assert_eq!(total(&stage.rolled_up(2).await, "orders"), 48);
    again.order(100);
    assert!(third.stop().await, "it gives the lead back, if it has it");
    stage.pass(HOUR).await;
    let reports = stage.rolled_up(3).await;
    assert_eq!(
        total(&reports, "orders"),
        148,
        "what it counted at last was written down when it stopped"
    );
    assert!(reports.iter().all(|report| report["counter_reset"] == false));
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_that_leaves_gives_the_lead_to_another_at_once() {
    let stage = Stage::new(Vendor::Segment).await;
    let long = || stage.builder().lease(Duration::from_mins(10));
    let first = super::start(long().collector(Shop::default())).await;
    stage.described(1).await;
    assert!(first.stop().await);
    assert_eq!(stage.leader().await, None);
    let shop = Shop::default();
    let _second = super::start(long().collector(shop.clone())).await;
    stage.pass(HOUR).await;
    assert_eq!(stage.rolled_up(1).await.len(), 1, "nobody waited for a lease");
}

#[tokio::test(flavor = "multi_thread")]
async fn intervals_that_were_missed_make_one_report_with_a_longer_window() {
    let stage = Stage::new(Vendor::Segment).await;
    let shop = Shop::default();
    let process = stage.process(&shop).await;
    stage.described(1).await;
    shop.order(2);
    assert!(process.stop().await);
    stage.pass(5 * HOUR).await;
    let _process = stage.process(&shop).await;
    let reports = stage.rolled_up(1).await;
    stage.looked().await;
    assert_eq!(stage.rolled_up(1).await.len(), 1, "one for all of them");
    let (start, end) = &windows(&reports)[0];
    let [start, end] = [start, end].map(|time| chrono::DateTime::parse_from_rfc3339(time).unwrap());
    assert!((end - start).num_minutes() >= 299, "{start} {end}");
    assert_eq!(reports[0]["sequence"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_follow_each_other_without_a_gap() {
    let stage = Stage::new(Vendor::Segment).await;
    let shop = Shop::default();
    let _process = stage.process(&shop).await;
    stage.described(1).await;
    let mut ends = Vec::new();
    for count in 1..=3_usize {
        let ended: chrono::DateTime<chrono::Utc> = stage
            .world
            .value("select (baseline ->> 'window_start')::timestamptz from tidings.reporter")
            .await;
        // By the hour that is about to pass.
        ends.push(ended - chrono::TimeDelta::hours(1));
        shop.order(1);
        stage.pass(HOUR).await;
        stage.rolled_up(count).await;
    }
    let reports = stage.rolled_up(3).await;
    let starts: Vec<_> = windows(&reports).into_iter().map(|(start, _)| start).collect();
    let ends: Vec<_> = ends
        .into_iter()
        .map(|end| end.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
        .collect();
    assert_eq!(starts, ends, "each begins where the one before has ended");
    assert_eq!(total(&reports, "orders"), 3);
    let sequences: Vec<_> = reports.iter().map(|report| report["sequence"].as_u64()).collect();
    assert_eq!(sequences, [Some(1), Some(2), Some(3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_of_before_changes_nothing() {
    let stage = Stage::new(Vendor::Segment).await;
    let process = stage.process(&Shop::default()).await;
    stage.described(1).await;
    let write = "select tidings.write_report_v1('shop', s.worker_id, s.term + $1, $2, '{\"sequence\": 9}', '{}',
          clock_timestamp(), '{tidings:environment:described}', '{\"{}\"}', '{\"{}\"}', '{\"{}\"}')
        from tidings.shard s where s.group_name = 'report:shop'";
    for (term, sequence) in [(-1_i64, 1_i64), (0, 0), (0, 2)] {
        let written: Option<String> = sqlx::query_scalar(write)
            .bind(term)
            .bind(sequence)
            .fetch_one(&stage.world.pool)
            .await
            .unwrap();
        assert_eq!(written, None, "term {term}, report {sequence}");
    }
    assert_eq!(stage.described(1).await.len(), 1);
    assert!(process.stop().await);
}
