//! A relay of the binary: its door, its keys, and the way of an event from a front end to a service.

use std::fs;

use reqwest::Client;
use serde_json::{Value, json};
use tidings_tests::{Database, Launch, Process, Receiver, Reply, Temporary, eventually};

use super::{PATIENCE, on, run};

/// A database that knows what a front end may send.
async fn stage() -> Database {
    let database = Database::new().await;
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    let types = json!([
        {"type": "view:loaded", "version": 1, "audience": ["telemetry", "client"], "scopes": [],
         "level": "basic", "schema": schema, "documentation": ""},
        {"type": "order:placed", "version": 1, "audience": ["notification"], "scopes": [],
         "level": "basic", "schema": {}, "documentation": ""},
    ]);
    let statement =
        "select tidings.sync_catalogue_v3($1::text::json, '[]'), tidings.make_group('segment', 4)";
    sqlx::query(statement).bind(types.to_string()).execute(database.pool()).await.unwrap();
    database
}

/// Starts a relay, and returns where it listens.
async fn relay(launch: Launch, arguments: &[&str]) -> (Process, String) {
    let listen = ["relay", "--listen", "127.0.0.1:0"];
    let process = launch.args(listen).args(arguments).start();
    let line = process.line("listening", PATIENCE).await;
    let url = line.split_whitespace().last().unwrap().trim_end_matches('/').to_owned();
    (process, url)
}

fn client() -> Client {
    // Whoever comes second finds it installed; nothing here is encrypted.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder().no_proxy().build().unwrap()
}

async fn post(url: &str, key: Option<&str>, body: &Value) -> u16 {
    let request = client().post(url).header("content-type", "application/json");
    let request = key.map_or(request.try_clone().unwrap(), |key| request.bearer_auth(key));
    request.body(body.to_string()).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn event_of_a_front_end_passes_the_relay_and_arrives_at_segment() {
    let database = stage().await;
    let receiver = Receiver::start(|_| Reply::status(200).body(r#"{"success":true}"#)).await;
    let host = receiver.url();
    let add = ["sink", "add", "analytics", "--kind", "segment", "--key", "k3y", "--host", &host];
    run(&on(&database).args(add)).await;
    let folder = Temporary::new("hash-keys");
    let file = folder.path().join("hash-keys");
    fs::write(&file, "k1:AAAAAAAAAAAAAAAAAAAAAA==\n").unwrap();
    let file = file.to_str().unwrap();
    let (relay, url) = relay(on(&database), &["--anonymous", "--hash-key-file", file]).await;
    let worker = on(&database).arg("worker").start();
    worker.line("tidings", PATIENCE).await;

    let event =
        json!({"event": "view:loaded", "properties": {"name": "cart", "email": "a@example.com"}});
    assert_eq!(post(&format!("{url}/analytics"), None, &event).await, 200);
    let track = json!({"event": "view:loaded", "userId": "ann", "properties": {"name": "till"}});
    assert_eq!(post(&format!("{url}/v1/track"), None, &track).await, 200);
    let server_only = json!({"event": "order:placed", "properties": {}});
    assert_eq!(post(&format!("{url}/analytics"), None, &server_only).await, 403);

    let sent = eventually(PATIENCE, "both have arrived", || async {
        let requests = receiver.received();
        let batches = requests.iter().map(|request| request.json()["batch"].clone());
        let sent: Vec<Value> =
            batches.flat_map(|batch| batch.as_array().unwrap().clone()).collect();
        (sent.len() == 2).then_some(sent)
    })
    .await;
    let named = |name: &str| {
        let of = |event: &&Value| event["properties"]["event_properties"]["name"] == name;
        sent.iter().find(of).unwrap()
    };
    assert_eq!(named("cart")["event"], "view:loaded");
    let user = named("till")["userId"].as_str().unwrap();
    assert!(user.starts_with("k1:") && !user.contains("ann"), "{user}");
    assert_ne!(named("cart")["userId"], named("till")["userId"]);
    assert!(!sent.iter().any(|event| event.to_string().contains("a@example.com")));

    for process in [relay, worker] {
        process.terminate();
        let (status, output) = process.exit(PATIENCE).await;
        assert_eq!(status.code(), Some(0), "{output:?}");
    }
}

#[tokio::test]
async fn level_that_is_set_reaches_a_running_relay() {
    let database = stage().await;
    let (relay, url) = relay(on(&database), &["--anonymous"]).await;
    let url = format!("{url}/analytics");
    let event = json!({"event": "view:loaded"});
    assert_eq!(post(&url, None, &event).await, 200);
    run(&on(&database).args(["level", "off"])).await;
    eventually(PATIENCE, "nothing is taken any more", || async {
        (post(&url, None, &event).await == 204).then_some(())
    })
    .await;
    run(&on(&database).args(["level", "full"])).await;
    eventually(PATIENCE, "everything is taken again", || async {
        (post(&url, None, &event).await == 200).then_some(())
    })
    .await;
    relay.kill().await;
}

#[tokio::test]
async fn key_is_made_asked_for_listed_and_revoked() {
    let database = stage().await;
    let (relay, url) = relay(on(&database), &[]).await;
    let url = format!("{url}/analytics");
    let event = json!({"event": "view:loaded"});
    assert_eq!(post(&url, None, &event).await, 401);
    let added = run(&on(&database).args(["key", "add", "shop", "--json"])).await.json();
    let key = added["key"].as_str().unwrap();
    eventually(PATIENCE, "the key is taken", || async {
        (post(&url, Some(key), &event).await == 200).then_some(())
    })
    .await;
    let listed = run(&on(&database).args(["key", "list"])).await.stdout;
    assert!(listed.contains("shop") && !listed.contains(key), "{listed}");
    let id = added["key_id"].to_string();
    run(&on(&database).args(["key", "revoke", &id, "--json"])).await.json();
    eventually(PATIENCE, "the key is refused", || async {
        (post(&url, Some(key), &event).await == 401).then_some(())
    })
    .await;
    run(&on(&database).args(["key", "revoke", "4711"])).await.refused(3, "there is no key 4711");
    run(&on(&database).args(["key", "add", "-shop-"])).await.refused(2, "unexpected");
    run(&on(&database).args(["key", "add", "a b"]))
        .await
        .refused(4, "cannot be the name of a channel");
    relay.kill().await;
}

#[tokio::test]
async fn channel_is_set_and_listed() {
    let database = stage().await;
    let set = ["channel", "set", "shop", "--profile", "digit", "--quota", "600", "--json"];
    run(&on(&database).args(set)).await.json();
    let channels = run(&on(&database).args(["channel", "list", "--json"])).await.json();
    let shop = channels.as_array().unwrap().iter().find(|it| it["name"] == "shop").unwrap();
    assert_eq!((&shop["profile"], &shop["events_per_minute"]), (&json!("digit"), &json!(600)));
    let wrong = ["channel", "set", "shop", "--profile", "strict"];
    run(&on(&database).args(wrong)).await.refused(2, "write strict-3.0");
    let listed = run(&on(&database).args(["channel", "list"])).await.stdout;
    assert!(listed.contains("anonymous"), "{listed}");
}

#[tokio::test]
async fn relay_that_cannot_start_says_what_to_do() {
    let database = stage().await;
    let file = ["relay", "--listen", "127.0.0.1:0", "--hash-key-file", "/nonexistent/keys"];
    run(&on(&database).args(file)).await.refused(4, "openssl rand");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    run(&on(&database).args(["relay", "--listen", &address])).await.refused(1, &address);
    run(&on(&database).args(["relay", "--listen", "here"]))
        .await
        .refused(2, "invalid socket address");
}

#[tokio::test]
async fn site_that_cannot_be_stood_before_is_refused_with_what_to_write() {
    let database = Database::new().await;
    let site = ["--upstream", "http://127.0.0.1:1"];
    for (arguments, exit, reason) in [
        (&["--inject"][..], 2, "add --upstream URL"),
        (&[&site[..], &["--inject"]].concat(), 2, "add --inject-option key=tk_…, or --anonymous"),
        (&[&site[..], &["--inject-option", "key=a"]].concat(), 2, "add --inject"),
        (&[&site[..], &["--inject-option", "key"]].concat(), 2, "write NAME=VALUE"),
        (
            &[&site[..], &["--inject", "--anonymous", "--inject-option", "A=b"]].concat(),
            4,
            "`A` is not an option of the script",
        ),
        (&["--upstream", "shop.example"], 4, "`shop.example` is not the address of a site"),
    ] {
        run(&on(&database).arg("relay").args(arguments)).await.refused(exit, reason);
    }
}
