#![doc = include_str!("../README.md")]

mod error;
mod jwks;
mod key;
mod signed;
mod verifier;

pub use error::VerifyError;
pub use key::{
    Fingerprint, Key, KeyError, PUBLIC_BYTES, PUBLIC_PREFIX, SECRET_BYTES_MAX, SECRET_BYTES_MIN,
    SECRET_PREFIX,
};
pub use signed::{ID_BYTES_MAX, SIGNATURES_MAX};
pub use verifier::{TOLERANCE, Verified, Verifier};
