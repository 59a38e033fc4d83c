//! Sunbird's SDKs and eGov DIGIT's client: batches for the raw log.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tidings_tests::{SOON, eventually};
use tokio::sync::Mutex;

use super::{
    client::Client,
    stage::{Arrived, Stage},
};

/// What a page with SDK 1 has.
const SDK_1: [&str; 2] = ["jquery/dist/jquery.min.js", "sunbird-telemetry-1/index.js"];

/// Checks that every touch is in the raw log once, under an id of its own, as that of its device and channel.
async fn is_there_once(stage: &Stage, end: u64, device: &str) {
    let counts = stage.counts(Arrived::Touches).await;
    assert_eq!(counts, (0..end).map(|n| (n, 1)).collect());
    let logged = stage.logged().await;
    let touches = logged.iter().filter(|(_, event)| event["eid"] == "INTERACT");
    let ids: BTreeSet<_> = touches
        .map(|(headers, event)| {
            assert_eq!(headers["channel"], "shop");
            (event["mid"].as_str().unwrap(), event["context"]["did"].as_str().unwrap())
        })
        .collect();
    assert_eq!(ids.len() as u64, end);
    assert!(ids.iter().all(|(_, did)| *did == device), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sdk_2_in_node_loses_and_doubles_nothing() {
    let mut stage = Stage::new().await;
    let mut client = Client::node(&stage.settings("sunbird-2")).await;
    let end = stage.troubles(&mut client, Arrived::Touches).await;
    is_there_once(&stage, end, "device-sunbird-2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sdk_2_in_a_browser_loses_and_doubles_nothing() {
    let mut stage = Stage::new().await;
    let bundle = ["@project-sunbird/telemetry-sdk/dist/index.global.js"];
    let mut client = Client::browser(&stage.settings("sunbird-2"), &bundle).await;
    let end = stage.troubles(&mut client, Arrived::Touches).await;
    is_there_once(&stage, end, "device-sunbird-2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sdk_1_in_a_browser_loses_and_doubles_nothing() {
    let mut stage = Stage::new().await;
    let mut client = Client::browser(&stage.settings("sunbird-1"), &SDK_1).await;
    let end = stage.troubles(&mut client, Arrived::Touches).await;
    is_there_once(&stage, end, "device-sunbird-1").await;
}

/// DIGIT's client tries again only when the next page ends, and then in other batches: whatever of them was logged
/// although it was not answered is logged again, under the same id.
#[tokio::test(flavor = "multi_thread")]
async fn client_of_digit_loses_nothing_and_what_it_doubles_has_one_id() {
    let mut stage = Stage::with(&["--anonymous"]).await;
    let scripts = ["@egovernments/telemetry/dist/egov-telemetry-1557467338.js"];
    let mut client = Client::browser(&stage.settings("digit"), &scripts).await;
    client.send(0..10).await;
    stage.all(0..10, Arrived::Pages).await;
    stage.without_database(client.send(10..20)).await;
    browse(&stage, &mut client, 20).await;
    stage.unanswered(1, client.send(20..30)).await;
    browse(&stage, &mut client, 30).await;
    stage.killed(client.send(30..40)).await;
    browse(&stage, &mut client, 40).await;

    let mut ids = BTreeMap::<_, u64>::new();
    let mut pages = BTreeMap::<_, BTreeSet<String>>::new();
    for (headers, event) in stage.logged().await {
        assert_eq!(headers["channel"], "anonymous");
        let text = |pointer| event.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        *ids.entry(text("/mid")).or_default() += 1;
        if event["eid"] == "START" && text("/edata/url").contains("/page/") {
            pages.entry(text("/edata/url")).or_default().insert(text("/mid"));
        }
    }
    assert_eq!(pages.len(), 40);
    assert!(pages.values().all(|ids| ids.len() == 1), "{pages:?}");
    assert!(ids.values().any(|count| *count > 1), "what was not answered is sent again: {ids:?}");
}

/// Lets a client go to another page until everything has arrived.
async fn browse(stage: &Stage, client: &mut Client, end: u64) {
    let client = Mutex::new(client);
    eventually(SOON, "everything has arrived", async || {
        client.lock().await.send(0..0).await;
        stage.has(0..end, Arrived::Pages).await.then_some(())
    })
    .await;
}

/// Until it has found out which device this is, SDK 1 makes every event a copy of the last one, under one id.
///
/// The others are lost in it; what is logged is what it has sent.
#[tokio::test(flavor = "multi_thread")]
async fn sdk_1_without_a_device_sends_copies_of_its_last_event() {
    let stage = Stage::new().await;
    let mut settings = stage.settings("sunbird-1");
    settings.more = json!({"device": null});
    let mut client = Client::browser(&settings, &SDK_1).await;
    client.send(0..10).await;
    let copies = eventually(SOON, "the copies have arrived", async || {
        let logged = stage.logged().await;
        (logged.len() == 10).then_some(logged)
    })
    .await;
    assert_eq!(stage.counts(Arrived::Touches).await, BTreeMap::from([(9, 10)]));
    let ids: BTreeSet<_> = copies.iter().map(|(_, event)| event["mid"].as_str()).collect();
    assert_eq!(ids.len(), 1);
    client.send(10..20).await;
    stage.all(10..20, Arrived::Touches).await;
    assert_eq!(stage.counts(Arrived::Touches).await.len(), 11, "now it knows the device");
}
