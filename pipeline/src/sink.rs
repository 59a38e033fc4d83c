//! Sinks: where unique events leave the log.
//!
//! A sink is a group on [`topic::UNIQUE`](crate::topic::UNIQUE).
//! It decides every record (stored, there already, rejected, filtered), and only then moves on: what it rejected, and
//! what it accounts for, is written in the transaction that moves its offsets.

mod drive;
mod event;
pub mod files;
mod hooks;
mod http;
mod metrics;
mod patience;
pub mod posthog;
pub mod resend;
pub mod search;
pub mod table;

pub use self::{
    hooks::{Counts, Days, Edition, Guard, Hooks, Ledger, Tally},
    metrics::Metrics,
};
