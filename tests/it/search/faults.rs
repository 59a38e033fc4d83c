//! An engine that is away, or does not know us.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{Router, extract::State, http::HeaderMap, routing::any};
use reqwest::Url;
use tidings_pipeline::sink::search::Access;
use tidings_tests::opensearch::OpenSearch;

use super::{RECOVERY, SOON, Stage, all, event, events, id, with};

/// What the proxy never answers.
const POISON: &str = "poison";

#[tokio::test]
async fn node_that_is_killed_and_started_again_has_everything_once() {
    let node = Arc::new(OpenSearch::start(&[]).await);
    let mut stage = Stage::on(node).await;
    stage.options.bulk_documents_max = 50;
    let running = stage.start();
    stage.append(events(100)).await;
    stage.committed(SOON).await;
    stage.append((100..2_000).map(event)).await;
    running.counted("bulks are sent", |metrics| metrics.requests.load(Ordering::Relaxed), 4).await;
    stage.node.kill().await;
    running
        .counted("nobody answers", |metrics| metrics.unanswered.load(Ordering::Relaxed), 1)
        .await;
    stage.node.start_again().await;
    stage.committed(RECOVERY).await;
    let metrics = running.stop().await;
    assert_eq!((stage.ids().await, stage.failed()), (all(2_000), Vec::new()));
    assert_eq!(metrics.waiting(), 0);
}

/// An engine before which somebody asks for credentials; those that are wrong are waited for, and nothing is lost.
#[tokio::test]
async fn wrong_credentials_are_waited_for() {
    let mut stage = Stage::new().await;
    let (door, url) = Door::open(&stage.node.url()).await;
    stage.options.url = Url::parse(&url).unwrap();
    stage.options.access = Access::Basic { user: "ada".to_owned(), password: "old".to_owned() };
    stage.append(events(5)).await;
    let running = stage.start();
    running.counted("it is refused", |_| door.refused(), 2).await;
    assert_eq!(running.metrics.waiting(), 1);
    // Somebody gives the old credentials back their rights.
    door.accept("Basic YWRhOm9sZA==");
    stage.committed(SOON).await;
    // And takes them again, while the sink runs.
    let before = door.refused();
    door.accept("nobody");
    stage.append((5..9).map(event)).await;
    running.counted("it is refused again", |_| door.refused(), before + 2).await;
    door.accept("Basic YWRhOm9sZA==");
    stage.committed(RECOVERY).await;
    running.stop().await;
    assert_eq!((stage.ids().await, stage.failed()), (all(9), Vec::new()));
}

/// OpenSearch 2.19.1 loses a thread, and never answers, where a field of the type `flat_object` is deep enough.
#[tokio::test]
async fn event_that_the_engine_dies_of_without_a_word_does_not_stop_the_others() {
    let mut stage = Stage::new().await;
    let (door, url) = Door::open(&stage.node.url()).await;
    door.accept("Basic YWRhOm9sZA==");
    stage.options.url = Url::parse(&url).unwrap();
    stage.options.access = Access::Basic { user: "ada".to_owned(), password: "old".to_owned() };
    stage.options.timeout = Duration::from_secs(5);
    let poison = with(3, "tags", serde_json::json!([POISON]));
    stage.append((0..3).map(event).chain([poison]).chain((4..8).map(event))).await;
    stage.drain(RECOVERY).await;
    let wanted: Vec<_> = all(8).into_iter().filter(|found| *found != id(3)).collect();
    assert_eq!(stage.ids().await, wanted);
    let failed = stage.failed();
    assert_eq!((failed.len(), failed[0].1.as_str()), (1, "unanswered"));
}

/// A proxy that asks for credentials, and never answers what has this word in it.
struct Door(Arc<Inner>);

struct Inner {
    engine: String,
    accepted: std::sync::Mutex<String>,
    refused: std::sync::atomic::AtomicU64,
    client: reqwest::Client,
}

impl Door {
    async fn open(engine: &str) -> (Self, String) {
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let inner = Arc::new(Inner {
            engine: engine.to_owned(),
            accepted: std::sync::Mutex::new("nobody".to_owned()),
            refused: std::sync::atomic::AtomicU64::new(0),
            client,
        });
        let router = Router::new().fallback(any(pass)).with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (Self(inner), url)
    }

    fn accept(&self, authorization: &str) {
        authorization.clone_into(&mut self.0.accepted.lock().unwrap());
    }

    fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }
}

async fn pass(
    State(inner): State<Arc<Inner>>,
    method: axum::http::Method,
    uri: axum::http::Uri,
    headers: HeaderMap,
    body: bytes::Bytes,
) -> (axum::http::StatusCode, bytes::Bytes) {
    let given = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    if given.as_ref() != Some(&*inner.accepted.lock().unwrap()) {
        inner.refused.fetch_add(1, Ordering::Relaxed);
        return (axum::http::StatusCode::UNAUTHORIZED, bytes::Bytes::from_static(b"Unauthorized"));
    }
    if body.windows(POISON.len()).any(|part| part == POISON.as_bytes()) {
        std::future::pending::<()>().await;
    }
    let mut request = inner.client.request(method, format!("{}{uri}", inner.engine)).body(body);
    if let Some(kind) = headers.get("content-type") {
        request = request.header("content-type", kind);
    }
    let response = request.send().await.unwrap();
    (response.status(), response.bytes().await.unwrap())
}
