//! Failures cost what they must, and nothing that was counted.

use std::sync::atomic::Ordering;

use serde_json::json;
use tidings::analytics::{
    report::{Collecting, Collector},
    wire::Vendor,
};
use tidings_tests::{SOON, eventually};

use super::{HOUR, Shop, Stage, Stock, by_id, start, total};

/// Refuses the roll-up, after it has counted the try.
const REFUSE: &str = "
    create sequence public.tries;
    create function public.refuse() returns trigger language plpgsql as $$
    begin
      if new.type = 'tidings:environment:rolled-up' then
        perform nextval('public.tries');
        raise exception 'the disk is full';
      end if;
      return new;
    end
    $$;
    create trigger refuse before insert on tidings.event for each row execute function refuse();";

/// The baseline of the first report again, as old as if it had been made long ago.
const OLD: &str = r#"
    update tidings.reporter set baseline = jsonb_set(
      (select b.baseline from public.backup b), '{window_start}', '"2026-01-01T00:00:00Z"')"#;

#[tokio::test(flavor = "multi_thread")]
async fn report_that_cannot_be_written_is_made_again_whole_and_once() {
    let stage = Stage::new(Vendor::Segment).await;
    let _worker = stage.worker().await;
    let shop = Shop::default();
    let _process = stage.process(&shop).await;
    stage.described(1).await;
    stage.world.execute(REFUSE).await;
    shop.order(7);
    stage.pass(HOUR).await;
    eventually(SOON, "the report was tried twice", || async {
        (stage.world.value::<i64>("select last_value from tries").await >= 2).then_some(())
    })
    .await;
    let sequence = "select (baseline ->> 'sequence')::bigint from tidings.reporter";
    assert_eq!(stage.world.value::<i64>(sequence).await, 1, "the baseline has stayed");
    assert_eq!(stage.described(1).await.len(), 1, "and so has the other half of the report");
    stage.world.execute("drop trigger refuse on tidings.event").await;
    let reports = stage.rolled_up(1).await;
    assert_eq!(total(&reports, "orders"), 7);
    stage.world.drained().await;
    assert_eq!(by_id(&stage.sent(), "messageId").len(), 3);
    assert_eq!(stage.sent().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn report_from_a_baseline_that_was_restored_has_the_ids_that_it_had() {
    let stage = Stage::new(Vendor::Segment).await;
    let _worker = stage.worker().await;
    let shop = Shop::default();
    let _process = stage.process(&shop).await;
    stage.described(1).await;
    stage
        .world
        .execute("create table public.backup as select baseline from tidings.reporter")
        .await;
    shop.order(3);
    // Before the worker could send the first one twice.
    stage.world.drained().await;
    stage.world.execute(OLD).await;
    stage.rolled_up(1).await;
    stage.world.execute(OLD).await;
    let reports = stage.rolled_up(2).await;
    assert_eq!(reports[0]["sequence"], reports[1]["sequence"]);
    stage.world.drained().await;
    let sent = stage.sent();
    let ids = by_id(&sent, "messageId");
    assert_eq!((sent.len(), ids.len()), (5, 3), "the service recognises what it has");
}

#[tokio::test(flavor = "multi_thread")]
async fn collector_that_fails_is_left_out_and_told_in_the_next_report() {
    let stage = Stage::new(Vendor::Segment).await;
    let (shop, stock) = (Shop::default(), Stock::default());
    let builder = stage.builder().collector(shop.clone()).collector(stock.clone());
    let _process = start(builder).await;
    stage.described(1).await;
    shop.fails.store(true, Ordering::Relaxed);
    shop.order(3);
    stock.items.store(10, Ordering::Relaxed);
    stage.pass(HOUR).await;
    let reports = stage.rolled_up(1).await;
    assert_eq!(reports[0]["statistics"]["items"], 10);
    assert_eq!(reports[0]["traits"], json!({}));
    assert_eq!(reports[0]["collector_errors"], json!([{"collector": "shop", "error": "failed"}]));
    assert!(!reports[0].to_string().contains("ada_secret_project"));
    shop.fails.store(false, Ordering::Relaxed);
    shop.order(4);
    stage.pass(HOUR).await;
    let reports = stage.rolled_up(2).await;
    assert_eq!((total(&reports, "orders"), total(&reports, "items")), (7, 10));
    assert_eq!(reports[1].get("collector_errors"), None);
}

/// Never answers.
struct Hangs;

impl Collector for Hangs {
    fn name(&self) -> &'static str {
        "hangs"
    }

    fn traits(&self) -> &[&'static str] {
        &["never"]
    }

    fn timeout(&self) -> std::time::Duration {
        std::time::Duration::from_millis(10)
    }

    fn collect(&self) -> Collecting<'_> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn collector_that_never_answers_holds_nobody_up() {
    let stage = Stage::new(Vendor::Segment).await;
    let _process = start(stage.builder().collector(Hangs).collector(Shop::default())).await;
    let described = stage.described(1).await;
    assert_eq!(described[0]["traits"], json!({"active_sources": 5}));
    assert_eq!(
        described[0]["collector_errors"],
        json!([{"collector": "hangs", "error": "timeout"}])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn counter_that_goes_backwards_has_begun_anew() {
    let stage = Stage::new(Vendor::Segment).await;
    let stock = Stock::default();
    stock.items.store(1_000, Ordering::Relaxed);
    let _process = start(stage.builder().collector(stock.clone())).await;
    stage.described(1).await;
    stock.items.store(4, Ordering::Relaxed);
    stage.pass(HOUR).await;
    let reports = stage.rolled_up(1).await;
    assert_eq!(reports[0]["statistics"]["items"], 4);
    assert_eq!(reports[0]["counter_reset"], true);
    stock.items.store(6, Ordering::Relaxed);
    stage.pass(HOUR).await;
    let reports = stage.rolled_up(2).await;
    assert_eq!(
        (&reports[1]["statistics"]["items"], &reports[1]["counter_reset"]),
        (&json!(2), &json!(false))
    );
}

#[tokio::test]
async fn parts_that_do_not_fit_together_are_refused_at_the_start() {
    let stage = Stage::new(Vendor::Segment).await;
    let twice = stage.builder().collector(Shop::default()).collector(Shop::default());
    let error = twice.preview().await.unwrap_err();
    let error = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(error, "`orders` is declared by shop and by shop: rename one of them");
    let often = stage.builder().interval(std::time::Duration::from_secs(1));
    assert!(often.preview().await.is_err());
}
