//! A developer's receiver.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tidings_tests::{Database, Launch, Process, Receiver, Reply};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{PATIENCE, on, register, run, sync_types, tidings};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// A listener that has begun, and where.
async fn listen(launch: &Launch, words: &[&str]) -> (Process, String) {
    let process = launch.clone().args(["listen", "--port", "0", "--json"]).args(words).start();
    let line = process.line("\"url\"", PATIENCE).await;
    let begun: Value = serde_json::from_str(&line).unwrap();
    (process, begun["url"].as_str().unwrap().to_owned())
}

/// An answer as it came over the wire.
#[derive(Debug)]
struct Answered {
    status: u16,
    text: String,
}

/// Sends a body, with the signature of another one, and returns the answer, if there was one.
async fn send(url: &str, body: &str, signed: &str) -> Option<Answered> {
    #[expect(clippy::disallowed_methods, reason = "a signature has the time of its sender")]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let signer = Webhook::new(SECRET).unwrap();
    let signature = signer.sign("msg_1", now.cast_signed(), signed.as_bytes()).unwrap();
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n\
         webhook-id: msg_1\r\nwebhook-timestamp: {now}\r\nwebhook-signature: {signature}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut text)).await.unwrap();
    if read.is_err() || text.is_empty() {
        return None;
    }
    let status = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    Some(Answered { status, text })
}

/// Sends a body with its own signature.
async fn send_signed(url: &str, body: &str) -> Answered {
    send(url, body, body).await.unwrap()
}

/// Ends a listener that has had enough, and returns what it has shown of each request.
async fn shown(process: Process, code: i32) -> Vec<Value> {
    let (status, output) = process.exit(PATIENCE).await;
    assert_eq!(status.code(), Some(code), "{output:?}");
    output.stdout.iter().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn request_is_verified_shown_and_accepted() {
    let (process, url) = listen(&tidings(), &["--secret", SECRET, "--count", "1"]).await;
    let body = r#"{"type": "order:placed", "data": {"total": 1.50}}"#;
    assert_eq!(send_signed(&url, body).await.status, 204);
    let shown = shown(process, 0).await;
    assert_eq!((&shown[0]["verified"], &shown[0]["status"]), (&json!(true), &json!(204)));
    assert_eq!(shown[0]["body"]["type"], "order:placed");
    assert_eq!(shown[0]["headers"]["webhook-id"], "msg_1");
}

#[tokio::test]
async fn request_that_does_not_verify_is_refused_with_the_reason() {
    let (process, url) = listen(&tidings(), &["--secret", SECRET, "--count", "2"]).await;
    assert_eq!(send(&url, "{\"a\": 1}\n", "{\"a\": 1}").await.unwrap().status, 401);
    assert_eq!(send(&url, "{}", "{\"a\": 1}").await.unwrap().status, 401);
    let shown = shown(process, 1).await;
    let why = |at: usize| shown[at]["refused"].as_str().unwrap();
    assert!(why(0).contains("white space at the end of the body"), "{}", why(0));
    assert!(why(1).contains("no signature fits"), "{}", why(1));
    let ran = run(&tidings().args(["listen", "--port", "0", "--secret", "whsec_x"])).await;
    ran.refused(4, "hint: give it as `tidings subscriber add` showed it");
}

#[tokio::test]
async fn failures_on_purpose_are_those_that_were_asked_for() {
    let words = ["--answer", "503,retry-after=5", "--fail-every", "2", "--count", "2"];
    let (process, url) = listen(&tidings(), &words).await;
    assert_eq!(send_signed(&url, "{}").await.status, 204);
    let busy = send_signed(&url, "{}").await;
    assert_eq!(busy.status, 503);
    assert!(busy.text.contains("\r\nretry-after: 5\r\n"), "{busy:?}");
    let both = shown(process, 0).await;
    assert_eq!((&both[0]["status"], &both[1]["status"]), (&json!(204), &json!(503)));

    let (process, url) = listen(&tidings(), &["--close", "--count", "1", "--delay", "10ms"]).await;
    assert!(send(&url, "{}", "{}").await.is_none(), "there is no answer");
    let closed = shown(process, 0).await;
    assert_eq!((&closed[0]["status"], &closed[0]["verified"]), (&json!(null), &json!(null)));
}

#[tokio::test]
async fn request_is_sent_on_as_it_came_and_answered_as_the_application_does() {
    let application = Receiver::answering([Reply::status(418).body("short and stout")]).await;
    let words = ["--secret", SECRET, "--forward", &application.url(), "--count", "2"];
    let (process, url) = listen(&tidings(), &words).await;
    let answer = send_signed(&url, "{\"a\": 1}").await;
    assert_eq!(answer.status, 418);
    assert!(answer.text.ends_with("\r\n\r\nshort and stout"), "{answer:?}");
    // What does not verify goes no further.
    assert_eq!(send(&url, "{}", "{\"a\": 1}").await.unwrap().status, 401);
    shown(process, 1).await;
    let received = application.received();
    assert_eq!((received.len(), received[0].target.as_str()), (1, "/hook"));
    received[0].verify(SECRET).unwrap();
    let ran = run(&tidings().args(["listen", "--forward", "https://example.com/"])).await;
    ran.refused(4, "it looks like http://127.0.0.1:3000/hook");
}

#[tokio::test]
async fn temporary_subscriber_gets_events_and_is_gone_afterwards() {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    let worker = on(&database).arg("worker").start();
    worker.line("tidings", PATIENCE).await;
    let (process, _) = listen(&on(&database), &["--subscribe", "order:*"]).await;
    let subscribers =
        async || run(&on(&database).args(["subscriber", "list", "--json"])).await.json();
    assert!(subscribers().await[0]["name"].as_str().unwrap().starts_with("listen-"));
    register(database.pool(), r#"{"order": 7}"#).await;
    let line = process.line("\"verified\":true", PATIENCE).await;
    let received: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(received["body"]["data"]["order"], 7);
    process.terminate();
    shown(process, 0).await;
    assert_eq!(subscribers().await, json!([]));
}

#[tokio::test]
async fn worker_that_does_not_call_this_machine_is_named_as_the_reason() {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    let worker = on(&database).env("TIDINGS_ALLOW_ADDRESS", "").arg("worker").start();
    worker.line("tidings", PATIENCE).await;
    let launch = on(&database).args(["listen", "--port", "0", "--subscribe", "order:*"]);
    let process = launch.start();
    process.line("listening", PATIENCE).await;
    register(database.pool(), r#"{"order": 7}"#).await;
    process.line("start the workers with --allow-address 127.0.0.1", PATIENCE).await;
    process.interrupt();
    let (status, output) = process.exit(Duration::from_secs(30)).await;
    assert_eq!(status.code(), Some(0), "{output:?}");
}
