//! What Tidings reports of itself.

use serde_json::{Value, json};
use tidings::analytics::wire::Vendor;
use tidings_tests::{SOON, eventually, world::Draft};
use tidings_worker::report::Installation;

use super::{HOUR, Stage, start, total};

#[tokio::test(flavor = "multi_thread")]
async fn installation_tells_what_it_has_without_a_word_of_anybody() {
    let stage = Stage::new(Vendor::Segment).await;
    let world = &stage.world;
    world.types(&["secret-project:opened"]).await;
    world.execute("select tidings.make_group('carrier-of-ada', 1)").await;
    world.bare_subscriber("ada", "carrier-of-ada", json!({})).await;
    let worker = stage.worker().await;
    let builder = stage
        .builder()
        .collector(Installation::new(world.pool.clone()))
        .collector(worker.running.collector());
    let _process = start(builder).await;
    let described = stage.described(1).await;
    assert_eq!(described[0].get("collector_errors"), None, "{}", described[0]);
    let traits = &described[0]["traits"];
    assert_eq!(traits["subscribers"]["segment"], 1);
    assert_eq!(traits["subscribers"]["other"], 1);
    assert_eq!(traits["event_types"], json!({"notification": 1, "telemetry": 0, "client": 0}));
    assert_eq!((&traits["level"], &traits["workers"]), (&json!("full"), &json!(1)));
    assert!(traits["postgres_version"].as_u64().unwrap() >= 13);
    assert!(traits["database_bytes"].as_str().unwrap().contains('-'), "a range");
    assert!(!described[0].to_string().contains("ada"), "{}", described[0]);
    assert!(!described[0].to_string().contains("secret"), "{}", described[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn installation_counts_what_is_registered_and_delivered() {
    let stage = Stage::new(Vendor::Segment).await;
    let world = &stage.world;
    world.types(&["order:placed"]).await;
    let worker = stage.worker().await;
    let builder = stage
        .builder()
        .collector(Installation::new(world.pool.clone()))
        .collector(worker.running.collector());
    let _process = start(builder).await;
    stage.described(1).await;
    world.drained().await;
    for _ in 0..5 {
        world.register(Draft::new("order:placed")).await;
    }
    // The server writes down its statistics a little later.
    let mut reports: Vec<Value> = Vec::new();
    eventually(SOON, "five events and the reports are counted", || {
        let count = reports.len() + 1;
        let stage = &stage;
        async move {
            stage.pass(HOUR).await;
            let reports = stage.rolled_up(count).await;
            (total(&reports, "events_registered") >= 5).then_some(())
        }
    })
    .await;
    reports = stage.rolled_up(1).await;
    assert!(total(&reports, "deliveries_delivered") >= 1, "{reports:?}");
    assert!(reports.iter().all(|report| report["counter_reset"] == false), "{reports:?}");
}
