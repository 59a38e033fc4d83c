//! What can go wrong in a worker.

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in a worker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Shards cannot be held.
    #[error("start the worker")]
    Hold(#[from] tidings_ownership::Error),
    /// The event library could not do its part.
    #[error("work")]
    Events(#[from] tidings::Error),
    /// The parts of a reporter do not fit together.
    #[error("start the reporter")]
    Report(#[from] tidings::analytics::report::Error),
    /// A report that no service would take.
    #[error("put the report into messages")]
    Unsendable(#[from] tidings::analytics::wire::Error),
    /// Two deliverers of one kind were given.
    #[error("start the worker: two deliverers of kind `{kind}` were given")]
    DuplicateKind {
        /// The kind.
        kind: String,
    },
    /// No deliverer was given.
    #[error("start the worker: give it at least one deliverer")]
    NoDeliverer,
    /// An answer of the database that this code does not understand; the schema is newer or damaged.
    #[error("read {what}: it is not understood")]
    Corrupt {
        /// What was read.
        what: &'static str,
    },
    /// The database did not answer.
    #[error("{doing}")]
    Unanswered {
        /// What was being attempted.
        doing: &'static str,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
}

impl Error {
    /// Returns whether the same call may succeed later without anybody doing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Hold(error) => error.is_transient(),
            Self::Events(error) => error.is_transient(),
            Self::Unanswered { source, .. } => tidings::error::is_transient(source),
            Self::Report(_)
            | Self::Unsendable(_)
            | Self::DuplicateKind { .. }
            | Self::NoDeliverer
            | Self::Corrupt { .. } => false,
        }
    }

    pub(crate) fn unanswered(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Unanswered { doing, source }
    }

    /// Returns whether the database refused the statement, rather than not answering.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Unanswered { source: sqlx::Error::Database(_) | sqlx::Error::Encode(_), .. }
        )
    }
}
