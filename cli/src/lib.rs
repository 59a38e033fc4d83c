//! Stub.

pub mod postgres;
