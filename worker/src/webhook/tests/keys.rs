//! By what receivers know us, and by which key they say that they verify.

use tidings::{
    secret::{Credentials, KeyPair},
    subscriber::SigningKey,
};
use tokio::time::Instant;

use super::*;

const SAID: &str = "webhook-verified-by: ";

fn stored(key: impl Into<SigningKey>, secret_id: i32) -> SigningKey {
    SigningKey { secret_id: Some(secret_id), ..key.into() }
}

/// A subscriber of `receiver` with a stored key of both kinds.
fn both(receiver: &Receiver) -> Subscriber {
    let url = format!("http://{}/", receiver.address);
    let mut subscriber = subscriber(json!({ "url": url, "signatures": ["v1", "v1a"] }));
    let pair = KeyPair::from_bytes(&[9; 32]).unwrap();
    subscriber.secrets = vec![stored(secret(), 11), stored(pair, 12)];
    subscriber
}

#[tokio::test]
async fn key_that_the_receiver_names_is_passed_on_with_any_status() {
    for (status, said, expected) in
        [("200 OK", true, Some(12)), ("500 Oops", true, Some(12)), ("200 OK", false, None)]
    {
        let fingerprint = KeyPair::from_bytes(&[9; 32]).unwrap().public_key().fingerprint();
        let header = if said { format!("{SAID}{fingerprint}\r\n") } else { String::new() };
        let receiver = Receiver::start([Script::status(status, &header, "")]).await;
        let answer = deliver(&webhook(settings()), &both(&receiver)).await;
        assert_eq!(answer.verified_by, expected, "{status} {said}");
    }
}

#[tokio::test]
async fn success_is_a_verification_by_the_only_key_that_signs() {
    let receiver = Receiver::start([Script::status("200 OK", "", "")]).await;
    let mut subscriber = both(&receiver);
    subscriber.secrets[1].expires_at = Some(Instant::now());
    let answer = deliver(&webhook(settings()), &subscriber).await;
    assert_eq!((answer.verdict, answer.verified_by), (Verdict::Delivered, Some(11)));
    let request = receiver.requests().remove(0);
    let signature = request.header("webhook-signature").unwrap();
    assert!(signature.starts_with("v1,") && !signature.contains(' '), "{signature}");
}

#[tokio::test]
async fn nothing_is_sent_when_every_key_has_expired() {
    let receiver = Receiver::start([Script::status("200 OK", "", "")]).await;
    let mut subscriber = both(&receiver);
    for key in &mut subscriber.secrets {
        key.expires_at = Some(Instant::now());
    }
    let answer = deliver(&webhook(settings()), &subscriber).await;
    assert_eq!(answer.verdict, Verdict::Retry);
    assert!(error(&answer).contains("every key of the webhook has expired"), "{answer:?}");
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn credentials_are_sent_over_any_header_and_masked_where_the_receiver_repeats_them() {
    let receiver = Receiver::start([Script::status(
        "401 Unauthorized",
        "",
        "bad token t0k3n-t0k3n of Bearer t0k3n-t0k3n",
    )])
    .await;
    let url = format!("http://{}/", receiver.address);
    // Stored past every check; it is ours that is sent.
    let mut subscriber = subscriber(json!({ "url": url, "headers": { "Authorization": "x" } }));
    subscriber.credentials = Some(Credentials::bearer("t0k3n-t0k3n").unwrap());
    let webhook = webhook(settings());
    let answer = deliver(&webhook, &subscriber).await;
    assert_eq!(receiver.requests()[0].header("authorization"), Some("Bearer t0k3n-t0k3n"));
    assert_eq!(error(&answer), "answered 401 Unauthorized: bad token […] of […]");
    let debug = format!("{subscriber:?} {:?}", webhook.open(&subscriber).unwrap());
    assert!(debug.contains("Bearer …") && !debug.contains("t0k3n"), "{debug}");
}
