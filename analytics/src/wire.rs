//! What analytics services are sent, and what their answers mean: Segment and PostHog as pure values.
//!
//! Nothing here does I/O or reads a clock.
//! A [`Message`] is one call; a [`Sink`] encodes it to the bytes that will leave, so that its size is known when the
//! event is registered; a [`Batch`] gathers encoded messages up to the limits of the sink; the sink makes a [`Request`]
//! of it for each [`Attempt`], and an [`Outcome`] of the [`Response`].
//!
//! ```text
//! Message ─encode─▶ Encoded ─push─▶ Batch ─request─▶ Request ──▶ (HTTP) ──▶ Response ─classify─▶ Outcome
//!                                     ▲                                                            │
//!                                     └────────────────── Bisect, where it was refused ────────────┘
//! ```

mod batch;
mod bisect;
mod call;
mod check;
mod door;
mod error;
mod host;
mod identity;
mod key;
mod limits;
mod message;
mod outcome;
mod posthog;
mod properties;
mod request;
mod response;
mod segment;
mod sink;
mod size;
mod text;
mod time;
mod wait;

#[cfg(test)]
mod tests;

pub use self::{
    batch::{Batch, Encoded},
    bisect::Bisect,
    call::{Call, ParseCallError},
    check::Check,
    door::Settings,
    error::Error,
    host::{Host, Vendor},
    identity::Identity,
    key::Key,
    limits::Limits,
    message::{App, Message},
    outcome::{Outcome, Verdict},
    posthog::{PostHog, Protocol},
    properties::{Context, Properties},
    request::{Attempt, Request},
    response::Response,
    sink::Sink,
    size::TooLarge,
    text::{Id, Name},
    wait::retry_after,
};

pub(crate) use self::size::bytes;

/// Returns `value` as JSON.
fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Json { reason: error.to_string() })
}
