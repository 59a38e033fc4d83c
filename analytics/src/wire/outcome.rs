//! What an answer means for the events of a batch.

use std::time::Duration;

use uuid::Uuid;

/// What an answer means for the events of a batch.
///
/// | Outcome | What to do | Charged to the events |
/// |---|---|---|
/// | delivered | they are done | |
/// | mixed | a verdict each | those to be sent again |
/// | transient | send the same again, later | yes |
/// | throttled | leave the whole sink alone for a while | no |
/// | too large, rejected | send in halves until the culprits are alone ([`Bisect`](super::Bisect)) | only to culprits, finally |
/// | unauthorized, quota limited | leave the whole sink alone and tell a person | no |
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The service has all of them.
    Delivered,
    /// The service has spoken about each of them, in the order of the batch.
    Mixed(Vec<(Uuid, Verdict)>),
    /// No answer, or one that says nothing about the events: the same may be accepted later.
    Transient {
        /// What happened, for people.
        reason: String,
    },
    /// The service wants fewer requests.
    Throttled {
        /// How long it asks to wait, if it says so; at most what the sink allows.
        wait: Option<Duration>,
        /// What it answered, for people.
        reason: String,
    },
    /// The body is larger than the service takes.
    TooLarge {
        /// What it answered, for people.
        reason: String,
    },
    /// One of the events, at least, is not as the service wants it; it does not say which.
    Rejected {
        /// What it answered, for people.
        reason: String,
    },
    /// The key is not, or no longer, good for this sink.
    Unauthorized {
        /// What it answered, for people.
        reason: String,
    },
    /// The service throws events away until its bill is settled or its month is over.
    QuotaLimited {
        /// What it answered, for people.
        reason: String,
    },
}

/// What a service says about one event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It has it.
    Delivered,
    /// Not now, or not a word about it.
    Retry {
        /// What it said, for people.
        reason: String,
    },
    /// Never; sending it again cannot help.
    Rejected {
        /// What it said, for people.
        reason: String,
    },
}

impl Outcome {
    /// Returns what happened where there was no answer at all: whether the events have arrived is unknown, so they are
    /// sent again, under the same ids.
    pub fn unanswered(reason: impl Into<String>) -> Self {
        Self::Transient { reason: reason.into() }
    }

    /// Returns the word that stands in metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Mixed(_) => "mixed",
            Self::Transient { .. } => "transient",
            Self::Throttled { .. } => "throttled",
            Self::TooLarge { .. } => "too_large",
            Self::Rejected { .. } => "rejected",
            Self::Unauthorized { .. } => "unauthorized",
            Self::QuotaLimited { .. } => "quota_limited",
        }
    }

    /// Returns what happened, for people; a delivery needs no words.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Delivered | Self::Mixed(_) => None,
            Self::Transient { reason }
            | Self::Throttled { reason, .. }
            | Self::TooLarge { reason }
            | Self::Rejected { reason }
            | Self::Unauthorized { reason }
            | Self::QuotaLimited { reason } => Some(reason),
        }
    }

    /// Returns whether it says something about the sink rather than the events: the whole sink is left alone, and no
    /// event has used up an attempt.
    pub const fn pauses_sink(&self) -> bool {
        matches!(
            self,
            Self::Throttled { .. } | Self::Unauthorized { .. } | Self::QuotaLimited { .. }
        )
    }

    /// Returns whether the same events have to be sent again in halves.
    pub const fn splits(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Rejected { .. })
    }
}
