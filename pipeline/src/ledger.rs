//! What became of everything, in numbers, written with what it counts.
//!
//! Every commit of a step or a sink writes one record to `telemetry.ledger` in its own transaction; from there the
//! numbers are added up in Postgres, each record once.
//! So the ledger can be neither ahead of the events nor behind them.
//!
//! For each batch and for each day (UTC, of `syncts`):
//!
//! ```text
//! received + derived = unique + duplicate + failed + filtered + pending
//! ```
//!
//! What is pending is counted too: what unbundle has handed on and refine has not taken.
//! Each sink has an identity of its own: `taken = stored + already_there + rejected + filtered`, and what is unique and
//! not taken is pending there.

pub mod account;
pub mod entry;
pub(crate) mod project;

pub use self::entry::{Entry, Refined, Sunk, Unbundled};
