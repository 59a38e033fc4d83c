//! What a handler gets, and what a sender hears, through a real router.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode},
    middleware::from_fn,
    response::Response,
    routing::post,
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::{Key, Recorded, Replays, ReplaysError, VERIFIED_BY, Verifier, replays::Memory};

const SECRET: [u8; 32] = [1; 32];
const BODY: &str =
    r#"{"type":"order:placed","timestamp":"2026-11-22T14:00:00Z","data":{"order":7}}"#;

/// What the handler of these tests expects.
#[derive(Deserialize)]
struct Order {
    order: u64,
}

/// The state of an application that has more than the endpoint.
#[derive(Clone)]
struct App {
    endpoint: Endpoint,
    handled: Arc<AtomicUsize>,
}

impl FromRef<App> for Endpoint {
    fn from_ref(app: &App) -> Self {
        app.endpoint.clone()
    }
}

async fn take(State(app): State<App>, webhook: Webhook<Order>) -> (StatusCode, String) {
    app.handled.fetch_add(1, Ordering::Relaxed);
    let Webhook { id, event_type, timestamp, data, .. } = webhook;
    // A handler that fails has still received a request that was verified.
    let status = if data.order == 500 { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
    (status, format!("{id} {event_type} {} {}", timestamp.unwrap_or_default(), data.order))
}

async fn take_raw(raw: RawWebhook) -> Vec<u8> {
    raw.body.to_vec()
}

fn endpoint() -> Endpoint {
    Endpoint::new(Verifier::new([Key::secret(&SECRET).unwrap()]).unwrap())
}

fn app(endpoint: Endpoint) -> (Router, Arc<AtomicUsize>) {
    let handled = Arc::<AtomicUsize>::default();
    let router = Router::new()
        .route("/hook", post(take))
        .route("/raw", post(take_raw))
        .layer(from_fn(crate::acknowledge))
        .with_state(App { endpoint, handled: Arc::clone(&handled) });
    (router, handled)
}

/// A request that is signed now, or that long ago.
fn signed(path: &str, id: &str, age: Duration, body: impl Into<Bytes>) -> Request {
    let body = body.into();
    let timestamp = now() - age;
    let timestamp = timestamp.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let signature = crate::verifier::tests::v1(&SECRET, id, &timestamp.to_string(), &body);
    Request::post(path)
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signature)
        .body(Body::from(body))
        .unwrap()
}

async fn answer(router: &Router, request: Request) -> (StatusCode, String, Option<String>) {
    let response: Response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let by = response.headers().get(VERIFIED_BY).map(|by| by.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap(), by)
}

/// The status, the code and the message of a refusal.
async fn refusal(router: &Router, request: Request) -> (u16, String, String) {
    let (status, body, by) = answer(router, request).await;
    let error = &serde_json::from_str::<Value>(&body).unwrap()["error"];
    let text = |name: &str| error[name].as_str().unwrap().to_owned();
    assert_eq!(by.is_some(), text("code") == "content", "of what was verified, the key is named");
    (status.as_u16(), text("code"), text("message"))
}

#[tokio::test]
async fn handler_gets_what_was_signed_and_the_sender_hears_by_which_key() {
    let (router, handled) = app(endpoint());
    let answer = answer(&router, signed("/hook", "m1", Duration::ZERO, BODY)).await;
    let expected = "m1 order:placed 2026-11-22T14:00:00Z 7".to_owned();
    let fingerprint = Key::secret(&SECRET).unwrap().fingerprint().to_string();
    assert_eq!(answer, (StatusCode::OK, expected, Some(fingerprint)));
    assert_eq!(handled.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn answer_of_a_handler_that_fails_names_the_key_too() {
    let (router, _) = app(endpoint());
    let body = BODY.replace('7', "500");
    let (status, _, by) = answer(&router, signed("/hook", "m1", Duration::ZERO, body)).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(by.is_some());
}

#[tokio::test]
async fn body_that_is_not_text_is_verified_and_handed_on_as_it_came() {
    let (router, _) = app(endpoint());
    let mut request = signed("/raw", "m1", Duration::ZERO, &b"a=\xff&b=\0"[..]);
    request.headers_mut().remove("content-type");
    let response = router.oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    assert_eq!(&body[..], b"a=\xff&b=\0");
}

#[tokio::test]
async fn refusals_have_a_status_and_say_what_to_do() {
    let (router, handled) = app(endpoint().body_bytes_max(BODY.len()));
    let good = || signed("/hook", "m1", Duration::ZERO, BODY);
    let with = |name: &'static str, value: &'static str| {
        let mut request = good();
        request.headers_mut().insert(name, HeaderValue::from_static(value));
        request
    };
    let without = |name: &'static str| {
        let mut request = good();
        request.headers_mut().remove(name);
        request
    };
    let long = " ".repeat(BODY.len() + 1);
    let streamed = good().map(|_| {
        let half = Bytes::from(vec![b' '; BODY.len()]);
        Body::from_stream(futures_util::stream::iter(
            [half.clone(), half].map(Ok::<_, std::io::Error>),
        ))
    });
    let broken = good().map(|_| {
        Body::from_stream(futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other(
            "gone",
        ))]))
    });
    for (request, status, code, says) in [
        (without("webhook-id"), 400, "header", "webhook-id is missing"),
        (without("webhook-signature"), 400, "header", "webhook-signature is missing"),
        (with("webhook-id", "a.b"), 400, "header", "webhook-id is malformed"),
        (with("webhook-timestamp", "-9223372036854775808"), 400, "header", "seconds since 1970"),
        (with("webhook-timestamp", "0"), 401, "timestamp", "more than 300 s"),
        (with("webhook-timestamp", "9999999999"), 401, "timestamp", "set your clock"),
        (with("webhook-signature", "v1,AAAA"), 401, "signature", "with the current key"),
        (with("webhook-id", "m2"), 401, "signature", "with the current key"),
        (signed("/hook", "m1", Duration::from_secs(302), BODY), 401, "timestamp", "anew"),
        (signed("/hook", "m1", Duration::ZERO, long), 413, "too_large", "may have 77 bytes"),
        (streamed, 413, "too_large", "may have 77 bytes"),
        (broken, 400, "incomplete", "again"),
        (without("content-type"), 415, "media_type", "application/json"),
        (with("content-type", "text/json"), 415, "media_type", "application/json"),
        (signed("/hook", "m3", Duration::ZERO, "{"), 400, "content", "signature is right"),
        (
            signed("/hook", "m4", Duration::ZERO, r#"{"type":"a","data":{}}"#),
            400,
            "content",
            "missing field `order`",
        ),
    ] {
        let (found_status, found_code, message) = refusal(&router, request).await;
        assert_eq!((found_status, &*found_code), (status, code), "{message}");
        assert!(message.contains(says), "{message}");
    }
    assert_eq!(handled.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn sender_is_not_told_which_part_of_a_signature_is_wrong() {
    let (router, _) = app(endpoint());
    let mut wrong_version = signed("/hook", "m1", Duration::ZERO, BODY);
    wrong_version.headers_mut().insert("webhook-signature", HeaderValue::from_static("v2,x"));
    let wrong_body = signed("/hook", "m1", Duration::ZERO, BODY).map(|_| Body::from("{}"));
    assert_eq!(refusal(&router, wrong_version).await, refusal(&router, wrong_body).await);
}

#[tokio::test]
async fn json_of_any_spelling_is_json() {
    for (value, expected) in [
        ("application/json", true),
        ("Application/JSON; charset=utf-8", true),
        ("application/cloudevents+json", true),
        ("text/json", false),
        ("application/jsonp", false),
        ("text/plain+json", false),
        ("", false),
    ] {
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(value))];
        assert_eq!(is_json(&headers.into_iter().collect()), expected, "{value}");
    }
}

#[tokio::test]
async fn replay_is_refused_and_a_retry_is_taken() {
    let (router, handled) = app(endpoint());
    let request = |age| signed("/hook", "m1", Duration::from_secs(age), BODY);
    // Taken from the wire: the same bytes a second time.
    let original = request(5);
    let (head, _) = original.into_parts();
    let copy = || {
        let mut request = Request::new(Body::from(BODY));
        *request.headers_mut() = head.headers.clone();
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = head.uri.clone();
        request
    };
    assert_eq!(answer(&router, copy()).await.0, StatusCode::OK);
    let (status, code, message) = refusal(&router, copy()).await;
    assert_eq!((status, &*code), (409, "replay"), "{message}");
    // The sender tries again: the same id, a time of its own.
    assert_eq!(answer(&router, request(2)).await.0, StatusCode::OK);
    assert_eq!(handled.load(Ordering::Relaxed), 2);

    let (router, _) = app(endpoint().accept_replays());
    for _ in 0..2 {
        assert_eq!(answer(&router, copy()).await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn forged_request_does_not_take_the_place_of_a_genuine_one() {
    let (router, _) = app(endpoint().replays(Memory::new(1)));
    let genuine = || signed("/hook", "m1", Duration::from_secs(5), BODY);
    let mut forged = genuine();
    forged.headers_mut().insert("webhook-signature", HeaderValue::from_static("v1,x"));
    assert_eq!(refusal(&router, forged).await.0, 401);
    assert_eq!(answer(&router, genuine()).await.0, StatusCode::OK);
}

#[tokio::test]
async fn request_that_cannot_be_remembered_is_refused_for_the_moment() {
    #[derive(Debug)]
    struct Broken;
    impl Replays for Broken {
        fn record<'a>(&'a self, _: &'a Verified, _: SystemTime, _: SystemTime) -> Recorded<'a> {
            Box::pin(async { Err(ReplaysError::Unavailable("connection refused".into())) })
        }
    }
    for guarded in [endpoint().replays(Broken), endpoint().replays(Memory::new(0))] {
        let (router, handled) = app(guarded);
        let (status, code, message) =
            refusal(&router, signed("/hook", "m1", Duration::ZERO, BODY)).await;
        assert_eq!((status, &*code), (503, "busy"));
        assert!(!message.contains("connection refused"), "{message}");
        assert_eq!(handled.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test]
async fn reason_is_there_for_the_log() {
    async fn look(webhook: Result<Webhook<Value>, Rejection>) -> String {
        let error = webhook.unwrap_err();
        format!("{error}: {}", std::error::Error::source(&error).unwrap())
    }
    let router = Router::new().route("/hook", post(look)).with_state(endpoint());
    let request =
        signed("/hook", "m1", Duration::ZERO, BODY).map(|_| Body::from(json!({}).to_string()));
    let (_, reason, _) = answer(&router, request).await;
    assert!(reason.starts_with("take a webhook: no signature fits: the body"), "{reason}");
}
