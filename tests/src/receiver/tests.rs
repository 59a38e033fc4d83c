//! The receiver answers as it is told and remembers what came.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// Sends a request and returns the whole answer, as far as it comes.
async fn post(port: u16, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let length = body.len();
    let request = format!(
        "POST /hook?a=b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn answers_come_in_order_and_the_last_one_stays() {
    let reply = Reply::status(503).header("retry-after", "7").body("later");
    let receiver = Receiver::answering([reply, Reply::status(204)]).await;
    let first = post(receiver.port(), "", "one").await;
    assert!(first.starts_with("HTTP/1.1 503 ") && first.contains("retry-after: 7"), "{first}");
    assert!(first.ends_with("later"));
    for body in ["two", "three"] {
        assert!(post(receiver.port(), "", body).await.starts_with("HTTP/1.1 204 "));
    }
    let received = receiver.wait_for(3, PATIENCE).await;
    let bodies: Vec<_> = received.iter().map(|received| received.body.clone()).collect();
    assert_eq!(bodies, ["one", "two", "three"]);
    assert_eq!(received[0].target, "/hook?a=b");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the public library compares with this clock")]
async fn signature_is_checked_by_the_public_library() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let webhook = Webhook::new(secret).unwrap();
    let signature = webhook.sign("msg_1", i64::try_from(now).unwrap(), b"{}").unwrap();
    let headers = format!(
        "webhook-id: msg_1\r\nwebhook-timestamp: {now}\r\nwebhook-signature: {signature}\r\n"
    );
    let receiver = Receiver::accepting().await;
    post(receiver.port(), &headers, "{}").await;
    post(receiver.port(), &headers, "{} ").await;
    let received = receiver.wait_for(2, PATIENCE).await;
    received[0].verify(secret).unwrap();
    received[1].verify(secret).unwrap_err();
    assert_eq!(received[0].id(), "msg_1");
}

#[tokio::test]
async fn gate_holds_answers_and_traffic_is_counted() {
    let gate = Gate::new();
    let held = gate.clone();
    let receiver = Receiver::start(move |_| Reply::status(200).held(&held)).await;
    let port = receiver.port();
    let clients: Vec<_> =
        (0..3).map(|_| tokio::spawn(async move { post(port, "", "").await })).collect();
    receiver.wait_for_in_flight(3, PATIENCE).await;
    receiver.set(|_| Reply::status(410));
    gate.open();
    for client in clients {
        assert!(client.await.unwrap().starts_with("HTTP/1.1 200 "));
    }
    receiver.wait_for_in_flight(0, PATIENCE).await;
    assert_eq!(receiver.traffic().in_flight_max, 3);
    assert!(post(port, "", "").await.starts_with("HTTP/1.1 410 "));
}

#[tokio::test]
async fn broken_answer_ends_in_the_middle() {
    let receiver = Receiver::start(|_| Reply::status(200).broken()).await;
    let answer = post(receiver.port(), "", "").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.ends_with("0\r\n\r\n"));
}
