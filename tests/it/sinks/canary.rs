//! Anonymity, end to end: what a person could have typed into an application never reaches a service.

use serde_json::json;
use tidings::{Event, analytics::wire::Vendor, commit, register_events};
use tidings_example_orchest::{catalogue, event, samples};
use tidings_tests::Reply;

use super::services::Service;

/// In every name, title, path, parameter, command and variable of every event.
const CANARY: &str = "c4n4ry";

#[tokio::test(flavor = "multi_thread")]
async fn what_people_have_typed_reaches_no_service() {
    for (vendor, success) in
        [(Vendor::Segment, r#"{"success":true}"#), (Vendor::PostHog, r#"{"status":1}"#)]
    {
        let service = Service::new(vendor, json!({})).await;
        service.receiver.set(move |_| Reply::status(200).body(success));
        let world = &service.stage.world;
        catalogue().unwrap().sync(&mut world.pool.acquire().await.unwrap()).await.unwrap();
        let all: Vec<_> =
            samples(CANARY).into_iter().chain(event::analytics::samples(CANARY)).collect();
        let events: Vec<&dyn Event> = all.iter().map(AsRef::as_ref).collect();
        let mut tx = world.pool.begin().await.unwrap();
        register_events(&mut tx, &events).await.unwrap();
        commit(tx).await.unwrap();
        let notifications =
            "select count(*) from tidings.event where payload::text like '%c4n4ry%'";
        assert!(world.value::<i64>(notifications).await > 50, "it is in what subscribers see");

        let _worker = service.worker().await;
        world.drained().await;
        let requests = service.receiver.received();
        let mut names = std::collections::BTreeSet::new();
        for request in &requests {
            let body = String::from_utf8_lossy(&request.body);
            assert!(!body.contains(CANARY), "{vendor:?}: {body}");
            let batch = request.json();
            let events = batch["batch"].as_array().unwrap().clone();
            names.extend(
                events.into_iter().map(|event| event["event"].as_str().unwrap().to_owned()),
            );
        }
        assert_eq!(names.len(), 66, "every type has arrived");
    }
}
