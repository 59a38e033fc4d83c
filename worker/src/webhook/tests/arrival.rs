//! What arrives at a receiver that behaves.

use super::*;

const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";

fn ok() -> Script {
    Script::Answer(OK.into())
}

#[tokio::test]
async fn event_arrives_signed_with_its_stored_bytes() {
    let receiver = Receiver::start([ok()]).await;
    let subscriber = calling(&format!("http://{}/hook?token=1", receiver.address));
    let destination = webhook(settings()).open(&subscriber).unwrap();
    let payload = "{ \"b\":1.0,\n \"a\" : \"\\u00e9\" }";
    assert_eq!(
        destination.deliver(&[delivery(payload)]).await,
        [Answer::delivered().with_status(204)]
    );

    let [request] = &receiver.requests()[..] else { panic!("one request") };
    assert_eq!(request.line, "POST /hook?token=1 HTTP/1.1");
    let body = String::from_utf8(request.body.clone()).unwrap();
    assert_eq!(
        body,
        format!(
            r#"{{"type":"order:placed","timestamp":"2020-09-13T12:26:40.000000Z","data":{payload}}}"#
        )
    );
    let id = "01920000-0000-7000-8000-000000000001";
    let theirs = standardwebhooks::Webhook::new(&secret().to_text()).unwrap();
    let signature = theirs.sign(id, 1_700_000_000, body.as_bytes()).unwrap();
    for (name, expected) in [
        ("webhook-id", id),
        ("webhook-timestamp", "1700000000"),
        ("webhook-signature", &signature),
        ("content-type", "application/json"),
        ("user-agent", concat!("tidings/", env!("CARGO_PKG_VERSION"))),
        ("host", &receiver.address.to_string()),
        ("content-length", &body.len().to_string()),
    ] {
        assert_eq!(request.header(name), Some(expected), "{name}");
    }
    assert_eq!(request.header("accept-encoding"), None);
    assert_eq!(request.header("traceparent"), None);
}

#[tokio::test]
async fn proxies_of_the_environment_are_not_used() {
    // The same test again, in a process that is told to send everything to a closed port.
    let closed = "http://127.0.0.1:9";
    let output = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "webhook::tests::arrival::event_arrives_signed_with_its_stored_bytes"])
        .envs(
            ["http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"]
                .map(|name| (name, closed)),
        )
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn every_secret_signs_while_they_are_changed() {
    let receiver = Receiver::start([ok()]).await;
    let mut subscriber = calling(&format!("http://{}/", receiver.address));
    subscriber.secrets.insert(0, Secret::from_bytes(&[8; 24]).unwrap().into());
    deliver(&webhook(settings()), &subscriber).await;
    let request = receiver.requests().remove(0);
    let signatures = request.header("webhook-signature").unwrap().split(' ').collect::<Vec<_>>();
    assert_eq!(signatures.len(), 2);
    for (key, signature) in subscriber.secrets.iter().zip(signatures) {
        let text = key.secret().unwrap().to_text();
        let theirs = standardwebhooks::Webhook::new(&text).unwrap();
        let id = request.header("webhook-id").unwrap();
        assert_eq!(signature, theirs.sign(id, 1_700_000_000, &request.body).unwrap());
    }
}

#[tokio::test]
async fn retry_repeats_id_and_body_under_a_new_timestamp() {
    let receiver = Receiver::start([ok()]).await;
    let seconds = Arc::new(Mutex::new(1_700_000_000));
    let clock = Arc::clone(&seconds);
    let webhook = builder(settings())
        .clock(Arc::new(move || DateTime::from_timestamp(*clock.lock().unwrap(), 0).unwrap()))
        .build()
        .unwrap();
    let subscriber = calling(&format!("http://{}/", receiver.address));
    deliver(&webhook, &subscriber).await;
    *seconds.lock().unwrap() += 300;
    deliver(&webhook, &subscriber).await;
    let [first, second] = &receiver.requests()[..] else { panic!("two requests") };
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_eq!(first.body, second.body);
    assert_eq!(second.header("webhook-timestamp"), Some("1700000300"));
    assert_ne!(first.header("webhook-signature"), second.header("webhook-signature"));
}

#[tokio::test]
async fn headers_of_the_subscriber_and_the_trace_of_the_event_come_along() {
    let receiver = Receiver::start([ok()]).await;
    let url = format!("http://{}/", receiver.address);
    let subscriber = subscriber(
        json!({ "url": url, "headers": { "X-Api-Key": "s3cr3t", "Authorization": "a b" } }),
    );
    let destination = webhook(settings()).open(&subscriber).unwrap();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut delivery = delivery("{}");
    delivery.event.headers = Some(format!(r#"{{"traceparent":"{parent}"}}"#));
    destination.deliver(&[delivery]).await;
    let request = receiver.requests().remove(0);
    assert_eq!(request.header("x-api-key"), Some("s3cr3t"));
    assert_eq!(request.header("authorization"), Some("a b"));
    assert_eq!(request.header("traceparent"), Some(parent));
}

#[tokio::test]
async fn deliveries_share_a_connection_and_are_answered_in_order() {
    let receiver = Receiver::start([
        Script::status("200 OK", "", "thanks"),
        Script::status("500 Oops", "", ""),
        ok(),
    ])
    .await;
    let webhook = webhook(settings());
    let subscriber = calling(&format!("http://{}/", receiver.address));
    for expected in [Some(200), Some(500), Some(204)] {
        assert_eq!(deliver(&webhook, &subscriber).await.status, expected);
    }
    assert_eq!(receiver.connections(), 1);

    let destination = webhook.open(&subscriber).unwrap();
    let answers = destination.deliver(&[delivery("{}"), delivery("{}"), delivery("{}")]).await;
    assert_eq!(answers.len(), 3);
    assert_eq!(destination.deliver(&[]).await, []);
}

#[tokio::test]
async fn ping_is_one_signed_request_whose_answer_is_shown() {
    let receiver = Receiver::start([Script::status("200 OK", "", "hello\0 there")]).await;
    let webhook = webhook(settings());
    let mut subscriber = calling(&format!("http://{}/hook", receiver.address));
    let ping = webhook.ping(&subscriber, Uuid::from_u128(5)).await.unwrap();
    assert_eq!((ping.verdict, ping.status, ping.error), (Verdict::Delivered, Some(200), None));
    assert_eq!(ping.body, "hello\u{fffd} there");
    assert!(ping.elapsed < TIMEOUT);

    let request = receiver.requests().remove(0);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["type"], "tidings:subscriber:pinged");
    assert_eq!(body["data"], json!({ "subscriber": "shop", "tenant": "" }));
    assert_eq!(request.header("webhook-id"), Some("00000000-0000-0000-0000-000000000005"));
    let theirs = standardwebhooks::Webhook::new(&secret().to_text()).unwrap();
    let signature =
        theirs.sign(request.header("webhook-id").unwrap(), 1_700_000_000, &request.body).unwrap();
    assert_eq!(request.header("webhook-signature"), Some(&*signature));

    subscriber.config = json!({ "url": "gopher://example.com" });
    assert!(webhook.ping(&subscriber, Uuid::nil()).await.is_err());
    assert_eq!(receiver.requests().len(), 1);
}

#[test]
fn destination_gives_the_explanation_a_second_beyond_its_timeout() {
    let webhook = webhook(Settings { timeout: Duration::from_secs(15), ..settings() });
    let destination = webhook.open(&calling("https://example.com")).unwrap();
    assert_eq!(destination.timeout(), Duration::from_secs(16));
    assert_eq!(destination.batch_max(), 1);
    let own = subscriber(json!({ "url": "https://example.com", "timeout_ms": 1000 }));
    assert_eq!(webhook.open(&own).unwrap().timeout(), Duration::from_secs(2));
    assert_eq!((webhook.kind(), webhook.shards()), ("webhook", 64));
}

#[test]
fn debug_shows_neither_url_nor_header_nor_secret() {
    let subscriber = subscriber(
        json!({ "url": "https://example.com/s3cr3t?s3cr3t", "headers": { "x-a": "s3cr3t" } }),
    );
    let webhook = webhook(settings());
    let debug = format!("{webhook:?} {:?}", webhook.open(&subscriber).unwrap());
    assert!(debug.contains("https://example.com/…") && debug.contains("x-a"), "{debug}");
    assert!(!debug.contains("s3cr3t"), "{debug}");
}
