//! What is not to be collected is in no report, and the organization may be left out as anybody else.

use serde_json::json;
use tidings::{Level, analytics::wire::Vendor, privacy};

use super::{HOUR, ORGANIZATION, Shop, Stage, total};

impl Stage {
    async fn level(&self, level: Level) {
        let mut tx = self.world.pool.begin().await.unwrap();
        privacy::set_level(&mut tx, level).await.unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_while_the_level_forbade_it_is_in_no_report() {
    for level in [Level::Off, Level::Security] {
        let stage = Stage::new(Vendor::Segment).await;
        let _worker = stage.worker().await;
        let shop = Shop::default();
        let _process = stage.process(&shop).await;
        stage.described(1).await;
        stage.level(level).await;
        shop.order(1_000);
        stage.pass(HOUR).await;
        stage.looked().await;
        let kept = "select baseline is not null or last_report is not null from tidings.reporter";
        assert!(!stage.world.value::<bool>(kept).await, "what was counted is forgotten");
        assert_eq!(stage.described(1).await.len(), 1);

        stage.level(Level::Basic).await;
        let described = stage.described(2).await;
        assert_eq!(described[1]["sequence"], 0, "it begins anew");
        shop.order(5);
        stage.pass(HOUR).await;
        assert_eq!(total(&stage.rolled_up(1).await, "orders"), 5);
        stage.world.drained().await;
        let tracks = stage.sent().into_iter().filter(|message| message["type"] == "track");
        assert_eq!(tracks.count(), 1, "{level}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn level_that_was_off_for_a_moment_ends_the_window() {
    let stage = Stage::new(Vendor::Segment).await;
    let shop = Shop::default();
    let process = stage.process(&shop).await;
    stage.described(1).await;
    shop.order(1_000);
    // Nobody looks meanwhile.
    assert!(process.stop().await);
    stage.level(Level::Off).await;
    stage.level(Level::Full).await;
    let _process = stage.process(&shop).await;
    stage.described(2).await;
    shop.order(5);
    stage.pass(HOUR).await;
    assert_eq!(total(&stage.rolled_up(1).await, "orders"), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_a_suppressed_organization_are_not_sent() {
    let stage = Stage::new(Vendor::Segment).await;
    let mut conn = stage.world.pool.acquire().await.unwrap();
    privacy::suppress(&mut conn, &[ORGANIZATION.to_owned()]).await.unwrap();
    let worker = stage.worker().await;
    let _process = stage.process(&Shop::default()).await;
    stage.described(1).await;
    stage.world.drained().await;
    assert_eq!(stage.sent(), Vec::<serde_json::Value>::new());
    assert_eq!(worker.running.counts().filtered, 1);
    let stored = "select count(*) from tidings.event where telemetry is not null";
    assert_eq!(stage.world.value::<i64>(stored).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn preview_is_the_next_report_and_changes_nothing() {
    let stage = Stage::new(Vendor::Segment).await;
    let shop = Shop::default();
    let first = stage.builder().collector(shop.clone()).preview().await.unwrap();
    assert_eq!((first.statistics, first.window.sequence), (None, 0));
    assert_eq!(stage.world.value::<i64>("select count(*) from tidings.reporter").await, 0);
    let process = stage.process(&shop).await;
    stage.described(1).await;
    shop.order(3);
    // Its own counters are written down, and another process previews.
    assert!(process.stop().await);
    let state = "select baseline::text from tidings.reporter";
    let before: String = stage.world.value(state).await;
    let report = stage.builder().collector(Shop::default()).preview().await.unwrap();
    assert_eq!(report.statistics.as_ref().unwrap().values["orders"], 3);
    assert!(report.window.partial, "the window has not ended");
    assert_eq!(report.messages().unwrap().len(), 2);
    assert!(report.dry_run().unwrap().contains("\"orders\": 3"));
    assert_eq!(stage.world.value::<String>(state).await, before);
    assert_eq!(json!(stage.registered("tidings:environment:rolled-up").await), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn report_that_is_asked_for_is_made_before_its_time() {
    let stage = Stage::new(Vendor::Segment).await;
    let shop = Shop::default();
    let _process = stage.process(&shop).await;
    stage.described(1).await;
    shop.order(3);
    assert!(stage.world.value::<bool>("select tidings.request_report_v1('shop')").await);
    assert!(!stage.world.value::<bool>("select tidings.request_report_v1('other')").await);
    let reports = stage.rolled_up(1).await;
    assert_eq!((total(&reports, "orders"), &reports[0]["partial"]), (3, &json!(true)));
    stage.looked().await;
    assert_eq!(stage.rolled_up(1).await.len(), 1, "once");
}
