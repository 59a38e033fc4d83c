//! The contract of a deliverer, as a test that every implementation runs against itself.
//!
//! ```
//! use tidings::{
//!     conformance::{self, Fixtures},
//!     deliverer::Memory,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let fixtures = Fixtures::new(serde_json::json!({}));
//! conformance::deliverer(&Memory::new(), &fixtures).await?;
//! # Ok(()) }) }
//! ```

mod fixtures;
mod rules;

pub use self::fixtures::Fixtures;
use crate::Deliverer;

/// A rule of the contract that a deliverer breaks.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{rule}: {found}")]
pub struct Failure {
    /// The rule, as a sentence.
    pub rule: &'static str,
    /// What was found instead.
    pub found: String,
}

/// Checks that a deliverer keeps the contract of [`Deliverer`] and [`Destination`](crate::Destination).
///
/// It delivers some dozens of times, so the destination has to be there and to accept.
/// What is checked:
///
/// * The kind is one that can be stored, and has at least one shard.
/// * [`open`](Deliverer::open) neither panics nor hangs on any configuration, and says why it refuses one.
/// * The limits are at least one, and the timeout is longer than nothing.
/// * There is one answer per delivery, also for a batch of none and for a full one, in their order.
/// * The same delivery may come again, and several batches at once.
/// * A call that was dropped midway does not spoil the next one.
/// * No call panics, or takes longer than its own timeout.
///
/// It needs a tokio runtime with its clock running.
///
/// # Errors
///
/// The first rule that is broken.
pub async fn deliverer(deliverer: &dyn Deliverer, fixtures: &Fixtures) -> Result<(), Failure> {
    rules::check_kind(deliverer)?;
    rules::check_odd_configurations(deliverer, fixtures)?;
    let destination = rules::check_open(deliverer, fixtures)?;
    let destination = &*destination;
    rules::check_limits(destination)?;
    rules::check_answers(destination, fixtures).await?;
    rules::check_order(destination, fixtures).await?;
    rules::check_repetition(destination, fixtures).await?;
    rules::check_concurrency(destination, fixtures).await?;
    rules::check_cancellation(destination, fixtures).await
}

#[cfg(test)]
mod tests;
