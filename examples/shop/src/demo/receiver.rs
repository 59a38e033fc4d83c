//! A webhook receiver, as a subscriber would write it: verify, remember the id, answer.
//!
//! The verifier is the public crate `standardwebhooks`; nothing of Tidings is used here.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;
use standardwebhooks::{HEADER_WEBHOOK_ID, Webhook};
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    outage::{Conduct, Outage},
    receipts::{Receipt, Receipts},
};

/// What an overwhelmed receiver asks for, in seconds.
const PATIENCE_S: HeaderValue = HeaderValue::from_static("1");

/// A webhook endpoint on loopback.
#[derive(Clone)]
pub(crate) struct Receiver {
    name: &'static str,
    verifier: Arc<Webhook>,
    receipts: Arc<Mutex<Receipts>>,
    outage: Arc<Outage>,
    /// When the load began; before that everybody is well.
    began: Arc<OnceLock<Instant>>,
}

/// The part of a webhook's body that a receiver reads.
#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    event_type: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    shop: ShopPart,
}

#[derive(Deserialize)]
struct ShopPart {
    order: OrderPart,
}

#[derive(Deserialize)]
struct OrderPart {
    id: Uuid,
    revision: i32,
}

impl Receiver {
    /// Makes a receiver that knows its secret, `whsec_…`.
    pub(crate) fn new(name: &'static str, secret: &str, outage: Outage) -> Result<Self> {
        Ok(Self {
            name,
            verifier: Arc::new(Webhook::new(secret).context("read the secret of the webhook")?),
            receipts: Arc::default(),
            outage: Arc::new(outage),
            began: Arc::default(),
        })
    }

    /// Answers on `listener` until `shutdown` is cancelled.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<()> {
        let name = self.name;
        let router = Router::new().route("/", post(receive)).with_state(self);
        axum::serve(listener, router)
            .with_graceful_shutdown(shutdown.cancelled_owned())
            .await
            .with_context(|| format!("serve the webhooks of {name}"))
    }

    /// Begins the time by which the receiver behaves; called again it changes nothing.
    pub(crate) fn begin(&self) {
        self.began.get_or_init(Instant::now);
    }

    /// Returns how the receiver behaves now.
    pub(crate) fn conduct(&self) -> Conduct {
        let elapsed = self.began.get().map_or(Duration::ZERO, Instant::elapsed);
        self.outage.conduct(elapsed)
    }

    /// Returns the name of the subscriber.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns what it remembers.
    pub(crate) fn receipts(&self) -> MutexGuard<'_, Receipts> {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a webhook, or says that it is not from us.
    fn read(&self, headers: &HeaderMap, body: &[u8]) -> Option<Receipt> {
        self.verifier.verify(body, headers).ok()?;
        let message: Message = serde_json::from_slice(body).ok()?;
        let OrderPart { id: order_id, revision } = message.data.shop.order;
        Some(Receipt {
            event_id: headers.get(HEADER_WEBHOOK_ID)?.to_str().ok()?.parse().ok()?,
            event_type: message.event_type,
            order_id,
            revision,
            at_us: now_us(),
        })
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let conduct = receiver.conduct();
    let Some(receipt) = receiver.read(&headers, &body) else {
        receiver.receipts().refuse();
        return StatusCode::UNAUTHORIZED.into_response();
    };
    if matches!(conduct, Conduct::Well | Conduct::Forgetful) {
        receiver.receipts().take(receipt);
    }
    match conduct {
        Conduct::Well => StatusCode::NO_CONTENT.into_response(),
        Conduct::Busy => {
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, PATIENCE_S)]).into_response()
        }
        Conduct::Forgetful | Conduct::Dead => broken(),
    }
}

/// Returns the answer that is none: the server closes the connection before a byte of it has left.
fn broken() -> Response {
    let error = async { Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionAborted)) };
    Response::new(Body::from_stream(futures_util::stream::once(error)))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the clock of a receiver, or of a phone, which is that of the database's machine"
)]
pub(super) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use standardwebhooks::{HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP};

    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    fn headers(id: &str, secret: &str, body: &str) -> HeaderMap {
        let timestamp = now_us() / 1_000_000;
        let signature = Webhook::new(secret).unwrap().sign(id, timestamp, body.as_bytes()).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(HEADER_WEBHOOK_ID, id.parse().unwrap());
        headers.insert(HEADER_WEBHOOK_TIMESTAMP, timestamp.into());
        headers.insert(HEADER_WEBHOOK_SIGNATURE, signature.parse().unwrap());
        headers
    }

    #[test]
    fn webhook_is_read_only_under_the_right_signature() {
        let receiver = Receiver::new("one", SECRET, Outage::never()).unwrap();
        let (event, order) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let body = format!(
            r#"{{"type":"shop:order:paid","data":{{"shop":{{"order":{{"id":"{order}","revision":2}}}}}}}}"#
        );
        let right = headers(&event.to_string(), SECRET, &body);
        let receipt = receiver.read(&right, body.as_bytes()).unwrap();
        assert_eq!((receipt.event_id, receipt.order_id, receipt.revision), (event, order, 2));

        let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let wrong = headers(&event.to_string(), other, &body);
        assert_eq!(receiver.read(&wrong, body.as_bytes()), None);
        assert_eq!(receiver.read(&right, body.replace('2', "3").as_bytes()), None);
        assert_eq!(receiver.read(&HeaderMap::new(), body.as_bytes()), None);
    }
}
