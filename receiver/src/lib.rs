#![cfg_attr(feature = "axum", doc = include_str!("../README.md"))]
// The README is of the whole crate, and names what is not there.
#![cfg_attr(not(feature = "axum"), doc = "Verifies webhooks, for whoever receives them.")]

#[cfg(feature = "axum")]
mod acknowledge;
#[cfg(feature = "axum")]
mod endpoint;
mod error;
#[cfg(feature = "inbox")]
pub mod inbox;
mod jwks;
mod key;
#[cfg(feature = "axum")]
mod rejection;
pub mod replays;
mod signed;
mod verifier;
#[cfg(feature = "axum")]
mod webhook;

#[cfg(feature = "axum")]
pub use self::{
    acknowledge::{VERIFIED_BY, acknowledge},
    endpoint::{BODY_BYTES_MAX, Endpoint},
    rejection::Rejection,
    webhook::{RawWebhook, Webhook},
};
pub use self::{
    error::VerifyError,
    key::{
        Fingerprint, Key, KeyError, PUBLIC_BYTES, PUBLIC_PREFIX, SECRET_BYTES_MAX,
        SECRET_BYTES_MIN, SECRET_PREFIX,
    },
    replays::{Recorded, Replays, ReplaysError, Sighting},
    signed::{ID_BYTES_MAX, SIGNATURES_MAX},
    verifier::{TOLERANCE, Verified, Verifier},
};
