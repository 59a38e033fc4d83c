//! What strangers send through the pure parts of the pipeline: for the targets in `fuzz/`, and for the tests that do the
//! same for a moment.

#![expect(clippy::unwrap_used, reason = "what does not hold has to stop the fuzzer")]

mod archive;
mod event;

#[cfg(test)]
mod tests;

pub use self::{
    archive::{gsa, zip},
    event::events,
};
