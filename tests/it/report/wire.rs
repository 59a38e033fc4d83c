//! What the services are sent: the two calls of the report, and nothing around them.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tidings::{analytics::wire::Vendor, replay};

use super::{HOUR, Shop, Stage, by_id};

#[tokio::test(flavor = "multi_thread")]
async fn segment_is_told_the_traits_nested_and_the_roll_up_flat() {
    let stage = Stage::new(Vendor::Segment).await;
    let _worker = stage.worker().await;
    let shop = Shop::default();
    shop.order(10);
    let _process = stage.process(&shop).await;
    stage.described(1).await;
    stage.world.drained().await;
    let sent = stage.sent();
    assert_eq!(sent.len(), 1, "the first report has nothing to compare with: {sent:?}");
    let group = &sent[0];
    assert_eq!((&group["type"], &group["userId"]), (&json!("group"), &json!("0192-acme")));
    assert_eq!(group["groupId"], "0192-acme");
    assert_eq!(group["traits"], json!({"aws": {"us-east-1": {"active_sources": 5}}}));
    assert_eq!(group["context"]["app"], json!({"name": "shop", "version": "1.2.0"}));

    shop.order(23);
    stage.pass(HOUR).await;
    stage.rolled_up(1).await;
    stage.world.drained().await;
    let sent = stage.sent();
    assert_eq!(sent.len(), 3, "{sent:?}");
    let mut track = sent.iter().find(|it| it["type"] == "track").unwrap().clone();
    assert_eq!(track["timestamp"], track["properties"]["window_end"]);
    let properties = track["properties"].as_object_mut().unwrap();
    for name in ["boot_id", "window_start", "window_end"] {
        assert!(properties.remove(name).unwrap().is_string(), "{name}");
    }
    let expected = json!({
        "active_sources": 5, "application_name": "shop", "application_version": "1.2.0",
        "cloud_provider": "aws", "cloud_provider_region": "us-east-1", "counter_reset": false,
        "environment_id": "00000000-0000-0000-0000-000000000001", "event_source": "environment",
        "interval_seconds": 3600, "orders": 23, "partial": false, "sequence": 1,
    });
    assert_eq!(track["properties"], expected, "flat, and nothing around it");
    assert_eq!(
        (&track["event"], &track["userId"], &track["context"]["groupId"]),
        (&json!("Environment Rolled Up"), &json!("0192-acme"), &json!("0192-acme"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn posthog_is_told_of_the_group_and_of_its_event() {
    let stage = Stage::new(Vendor::PostHog).await;
    let _worker = stage.worker().await;
    let shop = Shop::default();
    let _process = stage.process(&shop).await;
    stage.described(1).await;
    stage.pass(HOUR).await;
    stage.rolled_up(1).await;
    stage.world.drained().await;
    let sent = stage.sent();
    let of = |name: &str| sent.iter().find(|it| it["event"] == name).unwrap();
    let traits = json!({"aws": {"us-east-1": {"active_sources": 5}}});
    assert_eq!(of("$groupidentify")["properties"]["$group_set"], traits);
    assert_eq!(of("Environment Rolled Up")["properties"]["orders"], 0);
    assert_eq!(of("Environment Rolled Up")["distinct_id"], "0192-acme");
}

#[tokio::test(flavor = "multi_thread")]
async fn report_that_is_replayed_has_the_ids_that_it_had() {
    let stage = Stage::new(Vendor::Segment).await;
    let _worker = stage.worker().await;
    let _process = stage.process(&Shop::default()).await;
    stage.described(1).await;
    stage.pass(HOUR).await;
    stage.rolled_up(1).await;
    stage.world.drained().await;
    assert_eq!(by_id(&stage.sent(), "messageId").len(), 3);
    let now: DateTime<Utc> = stage.world.value("select clock_timestamp()").await;
    let all = replay::Selection::new(now - TimeDelta::hours(1), now);
    let named = replay::Selection { subscriber_id: Some(stage.sink), ..all };
    let mut tx = stage.world.pool.begin().await.unwrap();
    assert_eq!(named.step(&mut tx, None, 10).await.unwrap().deliveries, 3);
    tx.commit().await.unwrap();
    stage.world.drained().await;
    let sent = stage.sent();
    let ids = by_id(&sent, "messageId");
    assert_eq!((sent.len(), ids.len()), (6, 3), "each id twice");
    assert!(ids.values().all(|messages| messages[0] == messages[1]), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriber_is_told_of_reports_only_if_it_asks_for_them() {
    let stage = Stage::new(Vendor::Segment).await;
    let world = &stage.world;
    world.subscriber("all", "**").await;
    let asks = world.subscriber("asks", "tidings:environment:rolled-up").await;
    let _process = stage.process(&Shop::default()).await;
    stage.described(1).await;
    stage.pass(HOUR).await;
    let rolled_up = stage.rolled_up(1).await;
    assert_eq!(rolled_up[0]["organization_id"], "0192-acme");
    assert_eq!(rolled_up[0]["traits"], json!({"active_sources": 5}));
    let told: Vec<(i32, String)> = sqlx::query_as(
        "select d.subscriber_id, e.type from tidings.delivery d join tidings.event e using (event_id)
         order by d.event_id, d.subscriber_id",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let (described, rolled_up) = ("tidings:environment:described", "tidings:environment:rolled-up");
    let mut expected = vec![
        (stage.sink, described.to_owned()),
        (stage.sink, described.to_owned()),
        (stage.sink, rolled_up.to_owned()),
        (asks, rolled_up.to_owned()),
    ];
    expected.sort();
    let mut told = told;
    told.sort();
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn traits_that_have_not_changed_are_told_once_in_a_while() {
    let stage = Stage::new(Vendor::Segment).await;
    let shop = Shop::default();
    let every = stage.builder().unchanged_every(3 * HOUR);
    let _process = super::start(every.collector(shop)).await;
    stage.described(1).await;
    for count in 1..=3 {
        stage.pass(HOUR).await;
        stage.rolled_up(count).await;
    }
    // The times of the note are real ones, and so is the one that it is compared with.
    assert_eq!(stage.described(1).await.len(), 1);
    let note = "update tidings.reporter
        set baseline = jsonb_set(baseline, '{group,sent_at}', '\"2020-01-01T00:00:00Z\"')";
    stage.world.execute(note).await;
    stage.pass(HOUR).await;
    stage.rolled_up(4).await;
    assert_eq!(stage.described(2).await.len(), 2);
}
