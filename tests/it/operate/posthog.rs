//! The sink to PostHog, by flags, against a recorder that answers as PostHog does.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidings_tests::{Receiver, receiver::Reply};

use super::{MEASURED, Stage, event, page};
use crate::binary::{PATIENCE, run};

const TOKEN: &str = "phc_secret_of_the_project";

fn events(body: &Value) -> Vec<Value> {
    body["batch"].as_array().unwrap_or_else(|| panic!("{body}")).clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_flattened_under_the_same_ids_however_often_they_are_sent() {
    let stage = Stage::new().await;
    let busy = Reply::status(429).header("retry-after", "1");
    let yes = Reply::status(200).body(r#"{"status":1}"#);
    let posthog = Receiver::answering([Reply::status(503), busy, yes]).await;
    let host = format!("http://127.0.0.1:{}", posthog.port());
    let token = stage.write("token", &format!("{TOKEN}\n"));
    let keys = stage.write("hash-keys", "k1:AAAAAAAAAAAAAAAAAAAAAA==\n");
    let name = "{context.pdata.id}-{context.env}-{edata.type}";
    // Before it runs, so that it takes both at once.
    stage.send(&[event("m1", "click"), event("m2", "search")]).await;
    let (process, url) = stage
        .pipeline(&[
            "--telemetry-posthog",
            &host,
            "--telemetry-posthog-key-file",
            &token,
            "--telemetry-posthog-event",
            name,
            "--hash-key-file",
            &keys,
        ])
        .await;
    let received = posthog.wait_for(3, PATIENCE).await;
    let sent: Vec<_> = received.iter().map(|request| events(&request.json())).collect();
    let ids = |events: &[Value]| -> BTreeSet<String> {
        events.iter().map(|event| event["uuid"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((ids(&sent[0]).len(), ids(&sent[0])), (2, ids(&sent[2])), "{sent:?}");
    assert_eq!(ids(&sent[1]), ids(&sent[2]));
    for request in &received {
        assert_eq!(
            (request.target.as_str(), &request.json()["api_key"]),
            ("/batch/", &TOKEN.into())
        );
        let text = String::from_utf8_lossy(&request.body);
        assert!(!text.contains("teacher-7") && !text.contains("device-1"), "{text}");
    }
    let click = sent[2].iter().find(|one| one["event"] == "esamwad-nipunhp-click").unwrap();
    let properties = &click["properties"];
    let expected = json!({
        "eid": "INTERACT", "edata.type": "click", "edata.id": "button", "context.env": "nipunhp",
        "context.cdata.0.id": "s42", "context.cdata.0.type": "School", "context.pdata.id": "esamwad",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&properties[name], value, "{name} in {properties}");
    }
    assert!(click["distinct_id"].as_str().unwrap().starts_with("k1:"), "{click}");
    assert_eq!(click["timestamp"], "2023-11-14T22:13:20.123Z");
    let session = properties["$session_id"].as_str().unwrap();
    assert_eq!(session.parse::<uuid::Uuid>().unwrap().get_version_num(), 7, "{session}");
    let lines = [
        r#"tidings_pipeline_sink_events_total{sink="posthog",outcome="stored"} 2"#,
        r#"tidings_pipeline_sink_throttled_total{sink="posthog"} 1"#,
        r#"tidings_pipeline_sink_unanswered_total{sink="posthog"} 1"#,
        r#"tidings_pipeline_sink_waiting{sink="posthog"} 0"#,
    ];
    tidings_tests::eventually(MEASURED, "the metrics know of it", async || {
        let page = page(&url).await;
        lines.iter().all(|line| page.lines().any(|found| found == *line)).then_some(())
    })
    .await;
    process.terminate();
    let (status, output) = process.exit(PATIENCE).await;
    assert!(status.success(), "{output:?}");
    let said = [output.stdout.join("\n"), output.stderr.join("\n")].concat();
    assert!(!said.contains(TOKEN), "{said}");
}

#[tokio::test]
async fn sink_without_a_token_or_keys_says_what_to_set() {
    let stage = Stage::new().await;
    let words = ["pipeline", "--telemetry-posthog", "eu"];
    run(&stage.command(&words)).await.refused(4, "people leave as keyed hashes");
    stage.write("hash-keys", "k1:AAAAAAAAAAAAAAAAAAAAAA==\n");
    run(&stage.command(&words)).await.refused(2, "the token of the PostHog project");
    let odd = stage.command(&words).env("TIDINGS_TELEMETRY_POSTHOG_KEY", "no key: it has a space");
    let ran = run(&odd).await;
    ran.refused(1, "set up the sink to PostHog");
    assert!(!format!("{ran:?}").contains("it has a space"), "{ran:?}");
    let wrong = stage.command(&["pipeline", "--telemetry-posthog", "somewhere"]);
    let wrong = wrong.env("TIDINGS_TELEMETRY_POSTHOG_KEY", TOKEN);
    run(&wrong).await.refused(1, "write us, eu or a URL");
}
