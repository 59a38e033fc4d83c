//! A proxy before an HTTP server that does to each request what a script says.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Method, Response,
    body::{Bytes, Incoming},
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use reqwest::{Client, redirect};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::signal::watched;

/// What is done to a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The server answers.
    None,
    /// The server does not see it, and the client gets this status.
    Refuse(u16),
    /// The server carries it out, and the client gets this status.
    Belie(u16),
    /// The server does not see it, and the connection breaks.
    CutBefore,
    /// The server carries it out, and the connection breaks.
    CutAfter,
    /// The server does not see it, and the client waits.
    HoldBefore,
    /// The server carries it out, and the client waits.
    HoldAfter,
    /// The client waits until [`Faults::release`]; then the server carries it out, even if the client has gone.
    Delay,
}

/// A request as the proxy has seen it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its place in the order of arrival, from zero.
    pub index: usize,
    /// The method.
    pub method: Method,
    /// The path, without the query, as the object is called.
    pub path: String,
}

impl Request {
    /// Says whether it puts something under a name that contains `part`.
    #[must_use]
    pub fn puts(&self, part: &str) -> bool {
        self.method == Method::PUT && self.path.contains(part)
    }
}

type Script = Box<dyn FnMut(&Request) -> Fault + Send>;

/// The proxy.
#[derive(Debug)]
pub struct Faults {
    port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    server_port: u16,
    client: Client,
    script: Mutex<Script>,
    requests: watch::Sender<Vec<Request>>,
    /// How many requests have come to the place where they are held.
    held: watch::Sender<usize>,
    released: watch::Sender<bool>,
    /// How many delayed requests the server has answered.
    late: watch::Sender<usize>,
}

impl Faults {
    pub(super) async fn before(server_port: u16) -> Self {
        // Nothing here is encrypted; whoever comes second finds it installed.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().no_proxy().redirect(redirect::Policy::none());
        let shared = Arc::new(Shared {
            server_port,
            client: client.build().unwrap(),
            script: Mutex::new(Box::new(|_| Fault::None)),
            requests: watch::Sender::default(),
            held: watch::Sender::default(),
            released: watch::Sender::default(),
            late: watch::Sender::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { port, shared, accepting }
    }

    /// Returns its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets what is done from now on.
    pub fn script(&self, script: impl FnMut(&Request) -> Fault + Send + 'static) {
        *self.shared.script.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(script);
    }

    /// Returns the requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.borrow().clone()
    }

    /// Waits until so many requests have been held, by whichever fault.
    pub async fn held(&self, count: usize, within: Duration) {
        let held = self.shared.held.subscribe();
        watched(held, within, "requests are held", |held| *held >= count).await;
    }

    /// Lets delayed requests go on, and waits until the server has answered so many.
    pub async fn release(&self, count: usize, within: Duration) {
        self.shared.released.send_replace(true);
        let late = self.shared.late.subscribe();
        watched(late, within, "delayed requests are answered", |late| *late >= count).await;
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("requests", &*self.requests.borrow())
            .finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| serve(Arc::clone(&shared), request));
            // Broken connections are what this is for.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

/// Answers a request; an error breaks the connection.
async fn serve(
    shared: Arc<Shared>,
    request: hyper::Request<Incoming>,
) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let fault = shared.fault(&parts.method, parts.uri.path());
    let forward = || {
        let shared = Arc::clone(&shared);
        let url = format!("http://127.0.0.1:{}{}", shared.server_port, parts.uri);
        let (method, headers, body) = (parts.method.clone(), parts.headers.clone(), body.clone());
        async move { shared.forward(method, url, headers, body).await }
    };
    match fault {
        Fault::None => forward().await,
        Fault::Refuse(status) => Ok(answer(status)),
        Fault::Belie(status) => forward().await.map(|_| answer(status)),
        Fault::CutBefore => Err(io::ErrorKind::ConnectionAborted.into()),
        Fault::CutAfter => {
            forward().await?;
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        Fault::HoldBefore => shared.hold().await,
        Fault::HoldAfter => {
            forward().await?;
            shared.hold().await
        }
        Fault::Delay => {
            let (forward, late) = (forward(), Arc::clone(&shared));
            // In a task of its own, which goes on when the client has gone.
            tokio::spawn(async move {
                let mut released = late.released.subscribe();
                late.held.send_modify(|held| *held += 1);
                // The sender lives as long as the task.
                drop(released.wait_for(|released| *released).await);
                let answered = forward.await;
                late.late.send_modify(|late| *late += 1);
                answered
            })
            .await
            .map_err(io::Error::other)?
        }
    }
}

impl Shared {
    fn fault(&self, method: &Method, path: &str) -> Fault {
        let mut seen = None;
        self.requests.send_modify(|requests| {
            let index = requests.len();
            // As clients of S3 write what is in names of ours.
            let path = path.replace("%3D", "=");
            let request = Request { index, method: method.clone(), path };
            requests.push(request.clone());
            seen = Some(request);
        });
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        seen.map_or(Fault::None, |request| script(&request))
    }

    async fn forward(
        &self,
        method: Method,
        url: String,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> io::Result<Response<Full<Bytes>>> {
        // Of this connection alone; the host stays, because it is signed.
        for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let request = self.client.request(method, url).headers(headers).body(body);
        let answered = request.send().await.map_err(io::Error::other)?;
        let mut response = Response::new(Full::default());
        *response.status_mut() = answered.status();
        for (name, value) in answered.headers() {
            if ![CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name) {
                response.headers_mut().append(name, value.clone());
            }
        }
        *response.body_mut() = Full::new(answered.bytes().await.map_err(io::Error::other)?);
        Ok(response)
    }

    async fn hold<T>(&self) -> T {
        self.held.send_modify(|held| *held += 1);
        std::future::pending().await
    }
}

fn answer(status: u16) -> Response<Full<Bytes>> {
    let code = if status == 503 { "SlowDown" } else { "InternalError" };
    let body = format!("<Error><Code>{code}</Code><Message>Made by the test.</Message></Error>");
    // An etag, for clients that are told that they have put something.
    let response = Response::builder().status(status).header("etag", "\"made-up\"");
    response.body(Full::new(body.into())).unwrap()
}
