//! Tells the sender which key has verified its request, so that it can see when an old one is no longer needed.

use std::sync::{Arc, OnceLock};

use axum::{
    extract::Request,
    http::{Extensions, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};

use crate::Fingerprint;

/// The header of the answer: the fingerprint of the key that has verified the request.
pub const VERIFIED_BY: HeaderName = HeaderName::from_static("webhook-verified-by");

/// Where the extractor leaves the fingerprint for the layer around it.
#[derive(Clone, Default)]
struct Slot(Arc<OnceLock<Fingerprint>>);

/// Adds [`VERIFIED_BY`] to the answer to every request that was verified, whatever the handler answers.
///
/// A layer: `Router::layer(axum::middleware::from_fn(tidings_receiver::acknowledge))`. Nothing is said about requests that were
/// refused.
pub async fn acknowledge(mut request: Request, next: Next) -> Response {
    let slot = Slot::default();
    request.extensions_mut().insert(slot.clone());
    let mut response = next.run(request).await;
    let value = slot.0.get().and_then(|name| HeaderValue::from_str(&name.to_string()).ok());
    if let Some(value) = value {
        response.headers_mut().insert(VERIFIED_BY, value);
    }
    response
}

/// Notes which key has verified the request that these extensions belong to.
pub(crate) fn note(extensions: &Extensions, fingerprint: Fingerprint) {
    if let Some(Slot(slot)) = extensions.get() {
        slot.get_or_init(|| fingerprint);
    }
}
