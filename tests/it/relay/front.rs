//! A web site behind the relay: what passes as it is, what gets the script, and what people are told.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::{any, get, post},
};
use futures_util::{StreamExt, stream};
use reqwest::RequestBuilder;
use tidings_relay::Front;
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc},
};

use super::{Door, OK, header};

const PAGE: &str = "<!doctype html><html><head><title>Shop</title></head><body>cart</body></html>";

const SCRIPT: &str = "<script src=\"/tidings.js\" defer data-key=\"k&quot;\"></script></head>";

/// Serves a site, and returns its address.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    format!("http://{address}")
}

/// Opens a relay before a site, which puts the script into its pages.
async fn front(router: Router) -> Door {
    behind(&serve(router).await, Duration::from_mins(1)).await
}

async fn behind(upstream: &str, patience: Duration) -> Door {
    let front = Front::new(upstream).unwrap().inject([("key", "k\"")]).unwrap();
    let front = front.patience(patience);
    Door::with(|builder| builder.anonymous(true).front(front)).await
}

impl Door {
    /// Asks as a browser does that wants to show what comes.
    fn visit(&self, path: &str) -> RequestBuilder {
        let get = self.client.get(self.url(path)).header("accept", "text/html,*/*;q=0.8");
        get.header("accept-encoding", "gzip, br")
    }
}

fn html(body: impl Into<Body>) -> impl IntoResponse {
    ([("content-type", "text/html; charset=utf-8"), ("etag", "\"1\"")], body.into())
}

/// A body of which a test decides when its chunks come.
fn chunks(mut receiver: mpsc::Receiver<&'static str>) -> Body {
    let chunks = stream::poll_fn(move |cx| receiver.poll_recv(cx));
    Body::from_stream(chunks.map(Ok::<_, Infallible>))
}

#[tokio::test]
async fn page_gets_the_script_and_its_headers_are_true_again() {
    let site = Router::new().route("/", get(async || html(PAGE)));
    let door = front(site).await;
    let answer = door.visit("/").send().await.unwrap();
    assert_eq!((header(&answer, "etag"), header(&answer, "content-length")), ("W/\"1\"", ""));
    assert_eq!(header(&answer, "access-control-allow-origin"), "", "it is no route of the relay");
    let expected = PAGE.replace("</head>", SCRIPT);
    assert_eq!(answer.text().await.unwrap(), expected);
    assert_eq!(door.metric("tidings_relay_site_answers_total{outcome=\"injected\"}").await, 1);
    // Whoever does not show it gets it as it is.
    let answer = door.client.get(door.url("/")).send().await.unwrap();
    assert_eq!(header(&answer, "etag"), "\"1\"");
    assert_eq!(answer.text().await.unwrap(), PAGE);
}

#[tokio::test]
async fn head_and_what_has_not_changed_have_no_body_and_fitting_headers() {
    let site = Router::new().route(
        "/",
        get(async |headers: HeaderMap| {
            if headers.get("if-none-match").is_some_and(|tag| tag == "W/\"1\"") {
                return (StatusCode::NOT_MODIFIED, [("etag", "\"1\"")]).into_response();
            }
            html(PAGE).into_response()
        }),
    );
    let door = front(site).await;
    let head = door.client.head(door.url("/")).header("accept", "text/html").send().await.unwrap();
    assert_eq!((header(&head, "etag"), header(&head, "content-length")), ("W/\"1\"", ""));
    let known = door.visit("/").header("if-none-match", "W/\"1\"").send().await.unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(known.text().await.unwrap(), "");
}

#[tokio::test]
async fn page_streams_by_while_the_site_writes_it() {
    let (writer, receiver) = mpsc::channel(1);
    let receiver = Arc::new(Mutex::new(Some(receiver)));
    let site = Router::new()
        .route("/", get(async move || html(chunks(receiver.lock().await.take().unwrap()))));
    let door = front(site).await;
    let mut answer = door.visit("/").send().await.unwrap();
    let mut page = String::new();
    // The end of the head is cut; each part is here before the next is written.
    for (chunk, so_far) in [
        ("<!doctype html><head><title>a</title>", "<!doctype html><head><title>a</title>"),
        ("<link rel=x></he", "<link rel=x>"),
        ("ad><body>b", &format!("{SCRIPT}<body>b")),
        ("c</body>", "c</body>"),
    ] {
        writer.send(chunk).await.unwrap();
        page.push_str(so_far);
        let mut got = page.len() - so_far.len();
        while got < page.len() {
            let bytes = answer.chunk().await.unwrap().unwrap();
            assert_eq!(&bytes[..], &page.as_bytes()[got..got + bytes.len()]);
            got += bytes.len();
        }
    }
    drop(writer);
    assert_eq!(answer.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn large_page_and_page_without_an_end_of_its_head_get_the_script() {
    let large = format!("<!doctype html><head></head><body>{}", "<p>x</p>".repeat(1_250_000));
    let site = Router::new()
        .route(
            "/large",
            get({
                let large = large.clone();
                async move || html(large)
            }),
        )
        .route("/bare", get(async || html("<!doctype html><title>a</title><p>b")))
        .route("/part", get(async || html("<li>one</li>")));
    let door = front(site).await;
    let text = async |path: &str| door.visit(path).send().await.unwrap().text().await.unwrap();
    assert!(text("/large").await == large.replace("</head>", SCRIPT), "10 MB");
    let script = SCRIPT.trim_end_matches("</head>");
    assert_eq!(text("/bare").await, format!("<!doctype html><title>a</title>{script}<p>b"));
    assert_eq!(text("/part").await, "<li>one</li>");
}

#[tokio::test]
async fn what_is_no_plain_page_passes_byte_by_byte() {
    let noise: Vec<u8> =
        (0..300_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let file = noise.clone();
    let site = Router::new()
        .route(
            "/file",
            get(async move || ([("content-type", "application/zip"), ("etag", "\"2\"")], file)),
        )
        .route(
            "/gzip",
            get(async || {
                ([("content-type", "text/html"), ("content-encoding", "gzip")], "\x1f</head>")
            }),
        )
        .route(
            "/hidden",
            get(async || {
                (
                    [
                        ("content-type", "text/html"),
                        ("content-security-policy", "default-src 'none'"),
                        ("etag", "\"3\""),
                    ],
                    PAGE,
                )
            }),
        );
    let door = front(site).await;
    let file = door.visit("/file").send().await.unwrap();
    assert_eq!((header(&file, "etag"), header(&file, "content-length")), ("\"2\"", "300000"));
    assert!(file.bytes().await.unwrap() == noise);
    let packed = door.visit("/gzip").send().await.unwrap();
    assert_eq!(header(&packed, "content-encoding"), "gzip");
    assert_eq!(packed.bytes().await.unwrap(), "\x1f</head>");
    let hidden = door.visit("/hidden").send().await.unwrap();
    assert_eq!(header(&hidden, "etag"), "\"3\"");
    assert_eq!(hidden.text().await.unwrap(), PAGE);
    assert_eq!(door.metric("tidings_relay_site_answers_total{outcome=\"forbidden\"}").await, 1);
}

#[tokio::test]
async fn events_of_the_site_come_as_they_are_written_and_end_with_the_relay() {
    let (writer, receiver) = mpsc::channel(1);
    let receiver = Arc::new(Mutex::new(Some(receiver)));
    let site = Router::new().route(
        "/events",
        get(async move || {
            ([("content-type", "text/event-stream")], chunks(receiver.lock().await.take().unwrap()))
        }),
    );
    let door = front(site).await;
    let mut answer = door.visit("/events").send().await.unwrap();
    for event in ["data: 1\n\n", "data: </head>\n\n"] {
        writer.send(event).await.unwrap();
        assert_eq!(answer.chunk().await.unwrap().unwrap(), event);
    }
    door.shutdown.cancel();
    assert_eq!(answer.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn upload_streams_to_the_site_while_the_browser_writes_it() {
    let (arrived, mut arrives) = mpsc::channel(1);
    let upload = move |request: Request| {
        let arrived = arrived.clone();
        async move {
            let said = ["content-length", "cookie"]
                .map(|name| format!("{:?}", request.headers().get(name)))
                .join(" ");
            let mut chunks = request.into_body().into_data_stream();
            while let Some(chunk) = chunks.next().await {
                arrived.send(chunk.unwrap()).await.unwrap();
            }
            said
        }
    };
    let door = front(Router::new().route("/upload", post(upload))).await;
    let (writer, receiver) = mpsc::channel::<&'static str>(1);
    let receiver = stream::unfold(receiver, async |mut receiver| {
        Some((Ok::<_, Infallible>(receiver.recv().await?), receiver))
    });
    let body = reqwest::Body::wrap_stream(receiver);
    let answer = door.client.post(door.url("/upload")).header("cookie", "a=b").body(body).send();
    let write = async {
        for part in ["one", "two", "three"] {
            writer.send(part).await.unwrap();
            assert_eq!(arrives.recv().await.unwrap(), part, "before the next is written");
        }
        drop(writer);
    };
    let (answer, ()) = tokio::join!(answer, write);
    assert_eq!(answer.unwrap().text().await.unwrap(), "None Some(\"a=b\")");
    let whole = door.client.post(door.url("/upload")).body("all").send().await.unwrap();
    assert_eq!(whole.text().await.unwrap(), "Some(\"3\") None", "its length is told");
    assert_eq!(arrives.recv().await.unwrap(), "all");
}

#[tokio::test]
async fn site_is_told_who_asks_and_its_own_routes_are_its_own() {
    let site = Router::new().fallback(any(async |request: Request| {
        let shown = |name| request.headers().get(name).map_or("-", |value| value.to_str().unwrap());
        let [host, of, protocol, hop] =
            ["host", "x-forwarded-host", "x-forwarded-proto", "connection"].map(shown);
        format!("{} {} {host} {of} {protocol} {hop}", request.method(), request.uri())
    }));
    let door = front(site).await;
    let host = door.address.to_string();
    let get =
        door.client.get(door.url("/analytics?a=%20b")).header("connection", "keep-alive, x-a");
    let said = get.header("x-a", "1").send().await.unwrap();
    assert_eq!(header(&said, "access-control-allow-origin"), "");
    assert_eq!(said.text().await.unwrap(), format!("GET /analytics?a=%20b {host} {host} http -"));
    let event = serde_json::json!({"event": "view:loaded", "properties": {"name": "/"}});
    assert_eq!(door.send("/analytics", &event).await.0, OK);
    let put = door.client.put(door.url("/orders/7")).send().await.unwrap().text().await.unwrap();
    assert!(put.starts_with("PUT /orders/7 "), "{put}");
}

#[tokio::test]
async fn site_that_is_away_or_silent_is_said_to_be_and_sockets_are_refused() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let away = behind(&format!("http://{nobody}"), Duration::from_mins(1)).await;
    let answer = away.visit("/").send().await.unwrap();
    assert_eq!((answer.status(), header(&answer, "retry-after")), (StatusCode::BAD_GATEWAY, "5"));
    let said = answer.text().await.unwrap();
    assert!(said.contains("cannot be reached") && !said.contains("127.0.0.1"), "{said}");
    assert_eq!(away.client.get(away.url("/health")).send().await.unwrap().status(), OK);

    let site = Router::new().route("/", get(async || std::future::pending::<()>().await));
    let silent = behind(&serve(site).await, Duration::from_millis(100)).await;
    assert_eq!(silent.visit("/").send().await.unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
    let socket = silent.visit("/").header("upgrade", "websocket").header("connection", "upgrade");
    assert_eq!(socket.send().await.unwrap().status(), StatusCode::NOT_IMPLEMENTED);
}
