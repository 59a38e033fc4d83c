//! What can go wrong while holding shards.

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong while holding shards.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database did not answer the hold; whether it took effect is unknown.
    #[error("hold shards")]
    Unanswered(#[source] sqlx::Error),
    /// The database did not answer in time.
    #[error("hold shards: no answer within {within_ms} ms")]
    TimedOut {
        /// How long it was waited for.
        within_ms: u128,
    },
    /// The schema is missing, or older than this code.
    #[error("hold shards: the schema is missing or too old; run `tidings migrate`")]
    SchemaMissing(#[source] sqlx::Error),
}

impl Error {
    /// Returns whether the same call may succeed later without anybody doing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unanswered(_) | Self::TimedOut { .. } => true,
            Self::SchemaMissing(_) => false,
        }
    }

    /// Returns whether prepared statements went astray, as they do when a pooler shares sessions between clients.
    pub(crate) fn is_of_shared_session(&self) -> bool {
        matches!(self, Self::Unanswered(source) if is_of_shared_session(source))
    }
}

/// Returns whether prepared statements went astray, as they do when a pooler shares sessions between clients.
#[must_use]
pub fn is_of_shared_session(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // invalid_sql_statement_name, duplicate_prepared_statement; protocol_violation, for the parameters of another one
    matches!(code.as_deref(), Some("26000" | "42P05" | "08P01"))
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        // undefined_function, invalid_schema_name, undefined_table
        match code.as_deref() {
            Some("42883" | "3F000" | "42P01") => Self::SchemaMissing(error),
            _ => Self::Unanswered(error),
        }
    }
}
