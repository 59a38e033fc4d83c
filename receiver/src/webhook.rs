//! Extractors that give a handler a webhook after its signature was checked, and not before.

use std::{future::poll_fn, pin::pin, time::SystemTime};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{FromRef, FromRequest, Request},
    http::{HeaderMap, header},
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{Endpoint, Fingerprint, Rejection, Verified, acknowledge};

/// A webhook of Standard Webhooks, verified on the bytes that came and only then parsed: `{"type": …, "timestamp": …, "data": …}`.
///
/// The state of the router is an [`Endpoint`], or something that an [`Endpoint`] can be taken from
/// ([`FromRef`]).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Webhook<T> {
    /// The id of the message, the same on every retry: 1 to 255 printable ASCII characters.
    pub id: String,
    /// What has happened, `order:placed` for example.
    pub event_type: String,
    /// When it has happened, as the sender writes it: ISO 8601, usually. `None` if the body does not say it.
    pub timestamp: Option<String>,
    /// When this attempt was signed, in whole seconds; every retry has a time of its own.
    pub attempted_at: SystemTime,
    /// Which key has verified it.
    pub fingerprint: Fingerprint,
    /// What the sender says about it.
    pub data: T,
}

/// A request of any content, verified: for senders that write another body, or none that is JSON.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RawWebhook {
    /// Who has signed it, and when.
    pub verified: Verified,
    /// The bytes that were signed.
    pub body: Bytes,
}

/// The body of Standard Webhooks.
#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(rename = "type")]
    event_type: String,
    timestamp: Option<String>,
    data: T,
}

impl<T, S> FromRequest<S> for Webhook<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
    Endpoint: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Rejection> {
        if !is_json(request.headers()) {
            return Err(Rejection::MediaType);
        }
        let RawWebhook { verified, body } = RawWebhook::from_request(request, state).await?;
        let envelope: Envelope<T> = serde_json::from_slice(&body).map_err(Rejection::Content)?;
        Ok(Self {
            id: verified.id,
            event_type: envelope.event_type,
            timestamp: envelope.timestamp,
            attempted_at: verified.timestamp,
            fingerprint: verified.fingerprint,
            data: envelope.data,
        })
    }
}

impl<S> FromRequest<S> for RawWebhook
where
    S: Send + Sync,
    Endpoint: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Rejection> {
        let endpoint = Endpoint::from_ref(state);
        let (head, body) = request.into_parts();
        let body = read(body, endpoint.limit()).await?;
        let verified = endpoint.check(&head.headers, &body, now()).await?;
        acknowledge::note(&head.extensions, verified.fingerprint);
        Ok(Self { verified, body })
    }
}

#[expect(clippy::disallowed_methods, reason = "the sender's clock is compared with ours")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Says whether a body is said to be JSON: `application/json`, or a type that ends in `+json`.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// Reads a body of up to `bytes_max` bytes; what is said to be longer is not begun.
async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Rejection> {
    let too_large = Rejection::TooLarge { bytes_max };
    let mut body = pin!(body);
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large);
    }
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        // Trailers are not signed, and nothing is read from them.
        if let Ok(data) = frame.map_err(Rejection::Incomplete)?.into_data() {
            if data.len() > bytes_max - bytes.len() {
                return Err(too_large);
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests;
