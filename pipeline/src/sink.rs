//! Sinks: where unique events go. Each is a group of its own on `telemetry.unique`.

mod account;
pub mod files;

pub use self::account::{Account, Counts, Ledger};
