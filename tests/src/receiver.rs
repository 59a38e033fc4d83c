//! A webhook endpoint on loopback that answers by a script and remembers everything.

mod reply;

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method},
    response::Response,
};
use standardwebhooks::{Webhook, WebhookError};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

pub use reply::{Gate, Reply};

use crate::signal::watched;

/// Far above every limit of what is sent; a test that reaches it has found something.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its place in the order of arrival, from zero.
    pub index: usize,
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
    /// When it had arrived completely.
    pub at: Instant,
}

impl Received {
    /// Returns a header, or an empty text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns `webhook-id`: the event's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// Returns the body as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body is not JSON ({error}): {:?}", self.body))
    }

    /// Checks the signature with the public library, as a subscriber would.
    ///
    /// # Errors
    ///
    /// It is missing, too old, or not made with this secret (`whsec_…`) over this body.
    pub fn verify(&self, secret: &str) -> Result<(), WebhookError> {
        Webhook::new(secret)?.verify(&self.body, &self.headers)
    }
}

/// Says how to answer a request.
type Script = Arc<dyn Fn(&Received) -> Reply + Send + Sync>;

/// A webhook endpoint on loopback.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    script: Mutex<Script>,
    received: watch::Sender<Vec<Received>>,
    traffic: watch::Sender<Traffic>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("traffic", &*self.traffic.borrow()).finish_non_exhaustive()
    }
}

/// How many requests are being answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// Now.
    pub in_flight: usize,
    /// At most, so far.
    pub in_flight_max: usize,
}

impl Receiver {
    /// Opens an endpoint that says 204 to everything.
    pub async fn accepting() -> Self {
        Self::start(|_| Reply::status(204)).await
    }

    /// Opens an endpoint that gives these answers in the order of arrival, and the last one to all that come after.
    pub async fn answering<const N: usize>(replies: [Reply; N]) -> Self {
        assert!(N > 0, "at least one answer is needed");
        Self::start(move |received| replies[received.index.min(N - 1)].clone()).await
    }

    /// Opens an endpoint that answers by a script.
    pub async fn start(script: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            script: Mutex::new(Arc::new(script)),
            received: watch::Sender::default(),
            traffic: watch::Sender::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(receive).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, serving }
    }

    /// Changes the script; requests that are being answered keep the old one.
    pub fn set(&self, script: impl Fn(&Received) -> Reply + Send + Sync + 'static) {
        *self.shared.script() = Arc::new(script);
    }

    /// Returns the URL of the endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Returns the port of the endpoint.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns what has arrived so far, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.borrow().clone()
    }

    /// Returns how many requests are being answered.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        *self.shared.traffic.borrow()
    }

    /// Waits until `count` requests have arrived, and returns all that have.
    ///
    /// # Panics
    ///
    /// They have not `within` this time.
    pub async fn wait_for(&self, count: usize, within: Duration) -> Vec<Received> {
        self.wait_until(within, |received| received.len() >= count).await
    }

    /// Waits until what has arrived fulfils a condition, and returns it.
    ///
    /// # Panics
    ///
    /// It does not `within` this time.
    pub async fn wait_until(
        &self,
        within: Duration,
        condition: impl Fn(&[Received]) -> bool + Send,
    ) -> Vec<Received> {
        let received = self.shared.received.subscribe();
        watched(received, within, "requests arrive", move |received| condition(received)).await
    }

    /// Waits until exactly `count` requests are being answered at the same time.
    ///
    /// # Panics
    ///
    /// They are not `within` this time.
    pub async fn wait_for_in_flight(&self, count: usize, within: Duration) {
        let traffic = self.shared.traffic.subscribe();
        watched(traffic, within, "requests in flight", |traffic| traffic.in_flight == count).await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request until the answer is on its way or the client has hung up.
    fn enter(&self) -> impl Drop + use<'_> {
        self.traffic.send_modify(|traffic| {
            traffic.in_flight += 1;
            traffic.in_flight_max = traffic.in_flight_max.max(traffic.in_flight);
        });
        InFlight(&self.traffic)
    }
}

struct InFlight<'a>(&'a watch::Sender<Traffic>);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|traffic| traffic.in_flight -= 1);
    }
}

async fn receive(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    // Before it is counted: whoever has seen it may change how the next ones are answered, and not how this one is.
    let script = Arc::clone(&shared.script());
    let _in_flight = shared.enter();
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        // The client has hung up in the middle: nothing has arrived, and nobody waits for the answer.
        return Response::new(Body::empty());
    };
    let mut received = Received {
        index: 0,
        method: head.method,
        target: head.uri.to_string(),
        headers: head.headers,
        body,
        at: Instant::now(),
    };
    shared.received.send_modify(|all| {
        received.index = all.len();
        all.push(received.clone());
    });
    script(&received).send().await
}

#[cfg(test)]
mod tests;
