//! The contract of a log, as a test that every implementation runs against itself.
//!
//! ```
//! use tidings_pipeline::log::{Memory, conformance};
//!
//! # fn main() -> Result<(), conformance::Failure> {
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
//! # runtime.expect("a runtime").block_on(async {
//! conformance::log(&Memory::new()).await
//! # }) }
//! ```

mod faults;
mod members;
mod readers;
mod rebalance;
mod stage;
mod writes;

use std::{future::Future, time::Duration};

use futures_util::future::BoxFuture;

use super::{Log, Memory};
use crate::record::Output;

/// How long one rule may take; a broker takes its time to notice that a member is gone.
const RULE_MAX: Duration = Duration::from_mins(2);

/// A rule of the contract that a log breaks.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{rule}: {found}")]
pub struct Failure {
    /// The rule, as a sentence.
    pub rule: &'static str,
    /// What was found instead.
    pub found: String,
}

/// A log under test, with what can be done to it only from outside of [`Log`].
///
/// Each method says whether it has done it: a log that cannot be made to is not checked for that rule.
pub trait Subject: Send + Sync {
    /// The log.
    type Log: Log;

    /// Returns the log, which has none of the topics whose names begin with `conformance.`.
    fn log(&self) -> &Self::Log;

    /// Makes the next commit of any member abort.
    fn abort_next(&self) -> impl Future<Output = bool> + Send {
        async { false }
    }

    /// Sees to it that the one member of the group is held for dead, which has just been handed out records and is not
    /// called any more.
    fn fence(&self, group: &str, topic: &str) -> impl Future<Output = bool> + Send {
        let _ = (group, topic);
        async { false }
    }

    /// Writes a record in a transaction that stays open, and returns what commits it.
    fn undecided(&self, output: Output) -> impl Future<Output = Option<Decide>> + Send {
        let _ = output;
        async { None }
    }
}

/// Commits a transaction.
pub type Decide = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

impl Subject for Memory {
    type Log = Self;

    fn log(&self) -> &Self {
        self
    }

    async fn abort_next(&self) -> bool {
        Self::abort_next(self, 1);
        true
    }

    async fn fence(&self, group: &str, topic: &str) -> bool {
        Self::fence(self, group, topic);
        true
    }
}

/// Checks that a log keeps the contract of [`Log`], [`Member`](super::Member) and [`Reader`](super::Reader).
///
/// What is checked:
///
/// * Topics are made once, and have the number of partitions that they are to have; what is not there is named.
/// * Offsets come in the order of the records, and grow; keys, headers and values come back as they went in, also
///   when they are large.
/// * A group begins at the beginning, goes on where it has committed, and does not see other groups.
/// * A commit writes all its outputs and moves all its positions, or none of either; after an abort the records come
///   again.
/// * Members share the partitions as they come and go, and no record is lost or doubled in what they commit.
/// * What a member does that has lost its partitions has no effect.
/// * Nothing is read that is not decided, or past it; a reader waits for it, and ends where the partition did.
/// * Limits are kept, and at least one record is handed out.
///
/// It needs a tokio runtime with its clock running.
///
/// # Errors
///
/// The first rule that is broken.
pub async fn log<S: Subject>(subject: &S) -> Result<(), Failure> {
    let log = subject.log();
    timely("topics", writes::check_topics(log)).await?;
    timely("appends", writes::check_appends(log)).await?;
    timely("contents", writes::check_contents(log)).await?;
    timely("large records", writes::check_large(log)).await?;
    timely("readers", readers::check_starts(log)).await?;
    timely("ends of readers", readers::check_end(log)).await?;
    timely("times of positions", readers::check_times(log)).await?;
    timely("limits", members::check_limits(log)).await?;
    timely("idle members", members::check_idle(log)).await?;
    timely("commits", members::check_commit(log)).await?;
    timely("groups", members::check_groups(log)).await?;
    timely("outputs that cannot be written", members::check_unwritable(log)).await?;
    timely("partitions that are not held", members::check_unheld(log)).await?;
    timely("rebalances", rebalance::check(log)).await?;
    timely("aborts", faults::check_abort(subject)).await?;
    timely("fencing", faults::check_fence(subject)).await?;
    timely("open transactions", faults::check_undecided(subject)).await
}

async fn timely(
    what: &str,
    rule: impl Future<Output = Result<(), Failure>> + Send,
) -> Result<(), Failure> {
    let late = |_| Failure {
        rule: "every call ends",
        found: format!("{what} took longer than {RULE_MAX:?}"),
    };
    tokio::time::timeout(RULE_MAX, rule).await.map_err(late)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn log_in_memory_keeps_the_contract() {
        log(&Memory::new()).await.unwrap();
    }
}
