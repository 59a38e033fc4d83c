//! A worker of the binary delivers, and leaves in order.

use tidings_tests::{Database, Gate, Launch, Pooler, Process, Receiver, Reply};

use super::{KEY, PATIENCE, add, at, on, register, run, sync_types};

/// A database with the webhook `hook` at `receiver`, and its secret.
async fn with_hook(receiver: &Receiver) -> (Database, String) {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    let secret = add(&on(&database), "hook", &receiver.url()).await;
    (database, secret)
}

async fn worker(launch: Launch, arguments: &[&str]) -> Process {
    let process = launch.arg("worker").args(arguments).start();
    process.line("tidings", PATIENCE).await;
    process
}

/// A worker that has one delivery in flight, held by the gate.
async fn with_one_in_flight(arguments: &[&str]) -> (Process, Gate, Database, Receiver) {
    let gate = Gate::new();
    let held = gate.clone();
    let receiver = Receiver::start(move |_| Reply::status(204).held(&held)).await;
    let (database, _) = with_hook(&receiver).await;
    let worker = worker(on(&database).env("TIDINGS_LOG", "info"), arguments).await;
    register(database.pool(), "1").await;
    receiver.wait_for_in_flight(1, PATIENCE).await;
    (worker, gate, database, receiver)
}

#[tokio::test]
async fn event_registered_in_sql_reaches_its_webhook_signed() {
    let receiver = Receiver::accepting().await;
    let (database, secret) = with_hook(&receiver).await;
    let worker = worker(on(&database), &["--worker-name", "here"]).await;
    let event = register(database.pool(), r#"{"order": 7}"#).await;
    let received = receiver.wait_for(1, PATIENCE).await;
    received[0].verify(&secret).unwrap();
    assert_eq!(received[0].id(), event);
    let body = received[0].json();
    assert_eq!((&body["type"], &body["data"]["order"]), (&"order:placed".into(), &7.into()));

    worker.terminate();
    let (status, output) = worker.exit(PATIENCE).await;
    assert_eq!(status.code(), Some(0), "{output:?}");
    let shown = run(&on(&database).args(["event", "show", &event, "--json"])).await.json();
    assert_eq!(shown["attempts"][0]["outcome"], "delivered");
    assert_eq!(shown["pending"], serde_json::json!([]));
}

#[tokio::test]
async fn worker_says_what_it_does_as_one_document_and_logs_as_json() {
    let database = Database::new().await;
    let launch = on(&database).env("TIDINGS_LOG", "info").env("TIDINGS_LOG_FORMAT", "json");
    let worker = launch.args(["worker", "--json", "--worker-name", "here"]).start();
    worker.line("\"pid\"", PATIENCE).await;
    worker.line("}", PATIENCE).await;
    worker.interrupt();
    let (status, output) = worker.exit(PATIENCE).await;
    assert_eq!(status.code(), Some(0), "{output:?}");
    let started: serde_json::Value = serde_json::from_str(&output.stdout.join("\n")).unwrap();
    assert_eq!(started["worker"], "here");
    assert_eq!(started["kinds"][0], "webhook");
    for line in &output.stderr {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["message"].is_string() && line["level"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn what_is_in_flight_finishes_before_the_worker_leaves() {
    let (worker, gate, database, receiver) = with_one_in_flight(&[]).await;
    worker.interrupt();
    worker.line("SIGINT received", PATIENCE).await;
    worker.line("draining", PATIENCE).await;
    assert!(worker.is_running());
    gate.open();
    let (status, output) = worker.exit(PATIENCE).await;
    assert_eq!(status.code(), Some(0), "{output:?}");
    assert_eq!(receiver.received().len(), 1);
    let pending = run(&on(&database).args(["delivery", "list", "--json"])).await.json();
    assert_eq!(pending, serde_json::json!([]));
}

#[tokio::test]
async fn second_signal_stops_at_once_and_says_that_something_was_in_flight() {
    let (worker, _gate, database, _receiver) = with_one_in_flight(&[]).await;
    worker.interrupt();
    worker.line("draining", PATIENCE).await;
    worker.interrupt();
    let (status, output) = worker.exit(PATIENCE).await;
    assert_eq!(status.code(), Some(7), "{output:?}");
    assert!(output.stderr.join("\n").contains("stopped at once by a second signal"), "{output:?}");
    let pending = run(&on(&database).args(["delivery", "list", "--json"])).await.json();
    assert_eq!(pending.as_array().unwrap().len(), 1, "nothing is lost");
}

#[tokio::test]
async fn drain_that_takes_too_long_is_told_by_the_exit_code() {
    let (worker, _gate, _database, _receiver) =
        with_one_in_flight(&["--drain-timeout", "300ms"]).await;
    worker.terminate();
    let (status, output) = worker.exit(PATIENCE).await;
    assert_eq!(status.code(), Some(7), "{output:?}");
    assert!(
        output.stderr.join("\n").contains("not everything in flight finished within 300ms"),
        "{output:?}"
    );
}

#[tokio::test]
async fn worker_with_the_wrong_key_says_so_before_anything_waits() {
    let receiver = Receiver::accepting().await;
    let (database, _) = with_hook(&receiver).await;
    let launch = on(&database).env("TIDINGS_KEY", KEY.replace("AAEC", "BBEC"));
    let worker = worker(launch, &[]).await;
    let line = worker.line("the secrets of 1 subscribers cannot be opened", PATIENCE).await;
    assert!(line.contains("it is sealed under key"), "{line}");
}

#[tokio::test]
async fn worker_delivers_through_a_transaction_pooler() {
    let receiver = Receiver::accepting().await;
    let (database, secret) = with_hook(&receiver).await;
    let pooler = Pooler::start(&database, 5).await;
    let worker = worker(at(&pooler.url()), &["--session", "pooled", "--lease", "2s"]).await;
    register(database.pool(), "1").await;
    receiver.wait_for(1, PATIENCE).await[0].verify(&secret).unwrap();
    worker.interrupt();
    assert_eq!(worker.exit(PATIENCE).await.0.code(), Some(0));
}
