//! Why a request is refused, in words for the log of whoever receives it.

use std::time::Duration;

/// A request that is not, or not any more, what a holder of one of the keys has sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A header that every signed request has is not there.
    #[error(
        "the header {name} is missing: is this a webhook, and does every proxy on its way pass the header on?"
    )]
    Missing {
        /// The header.
        name: &'static str,
    },
    /// A header is there more than once, and nobody could say which of them counts.
    #[error("the header {name} is there more than once")]
    Duplicate {
        /// The header.
        name: &'static str,
    },
    /// A header has a value that no sender writes.
    #[error("the header {name} is malformed: {expected} is expected")]
    Malformed {
        /// The header.
        name: &'static str,
        /// What its value looks like.
        expected: &'static str,
    },
    /// The timestamp lies further back than the tolerance allows: a late request, a replay, or a clock that is wrong.
    #[error("the request was signed {} s ago, and {} s are allowed: check the clocks of both machines", .age.as_secs(), .tolerance.as_secs())]
    TooOld {
        /// How long ago the request says it was signed.
        age: Duration,
        /// How long ago it may have been.
        tolerance: Duration,
    },
    /// The timestamp lies further ahead than the tolerance allows: one of the two clocks is wrong.
    #[error("the request was signed {} s in the future, and {} s are allowed: check the clocks of both machines", .ahead.as_secs(), .tolerance.as_secs())]
    TooNew {
        /// How far ahead of now the request says it was signed.
        ahead: Duration,
        /// How far ahead it may be.
        tolerance: Duration,
    },
    /// None of the signatures is of a version that one of the keys verifies.
    #[error(
        "there is no signature that the keys here could verify: v1 needs the shared secret (whsec_), v1a the public key (whpk_)"
    )]
    NoSignature,
    /// No signature was made with one of the keys over these bytes.
    #[error(
        "no signature fits: the body, the id or the time was changed on the way, or the sender signs with another key"
    )]
    WrongSignature,
}

impl VerifyError {
    /// Says whether the request was not even in the form of a signed one, as opposed to being signed wrongly or too long
    /// ago.
    pub const fn is_malformed(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::Duplicate { .. } | Self::Malformed { .. } => true,
            Self::TooOld { .. }
            | Self::TooNew { .. }
            | Self::NoSignature
            | Self::WrongSignature => false,
        }
    }
}
