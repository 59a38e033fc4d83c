//! What has become of the events of a client, as numbers.

use std::{collections::BTreeMap, fmt};

use uuid::Uuid;

/// How many events have taken which way, since the client was made.
///
/// `accepted = delivered + lost (all reasons) + queued + in_flight` holds at any time.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Taken into the queue.
    pub accepted: u64,
    /// Not collected, because of the level.
    pub ignored: u64,
    /// Turned away because there was no room: refused, or dropped before they were accepted.
    pub turned_away: u64,
    /// Acknowledged by the sink.
    pub delivered: u64,
    /// Accepted and lost, by reason.
    pub lost: BTreeMap<LossReason, u64>,
    /// Answers of the sink to whole requests, by the word of their [`Outcome`](crate::wire::Outcome).
    pub requests: BTreeMap<&'static str, u64>,
    /// Waiting now.
    pub queued: usize,
    /// In a request now, or waiting to be sent again.
    pub in_flight: usize,
    /// What the sink said when it was last left alone, until it delivers again.
    pub paused: Option<String>,
}

/// Why an accepted event did not arrive.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum LossReason {
    /// Newer events took its place in a full queue.
    QueueFull,
    /// The sink refused it.
    Rejected,
    /// Too many attempts failed for too long.
    GivenUp,
    /// The level was lowered.
    Expired,
    /// The client was shut down before it was delivered.
    Shutdown,
}

/// An event that was accepted and did not arrive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Loss {
    /// Its id.
    pub id: Uuid,
    /// Its type.
    pub event: &'static str,
    /// Why it did not arrive.
    pub reason: LossReason,
    /// What the sink said, if it is for that.
    pub details: Option<String>,
}

impl Counts {
    /// Returns how many accepted events were lost, for whatever reason.
    pub fn lost_total(&self) -> u64 {
        self.lost.values().sum()
    }
}

impl LossReason {
    /// Returns the word that stands in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Rejected => "rejected",
            Self::GivenUp => "given_up",
            Self::Expired => "expired",
            Self::Shutdown => "shutdown",
        }
    }
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
