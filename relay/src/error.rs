//! What can go wrong, as situations.

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between the relay and its database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that no channel may have.
    #[error(
        "`{name}` cannot be the name of a channel; use letters, digits, `.`, `_` and `-`, 100 at most, beginning with a letter or digit"
    )]
    BadChannelName {
        /// The name.
        name: String,
    },
    /// A quota that the database cannot hold.
    #[error("a quota is at most 2147483647 events per minute; leave it out for none")]
    QuotaTooLarge,
    /// An address that is none of a web site.
    #[error("`{address}` is not the address of a site; write http://127.0.0.1:3000 for example")]
    BadUpstream {
        /// What was given.
        address: String,
    },
    /// A name that no option of the script has.
    #[error(
        "`{name}` is not an option of the script; its options have lower-case letters and `-`, such as `require-consent`"
    )]
    BadScriptOption {
        /// The name.
        name: String,
    },
    /// The site speaks https, and this machine cannot.
    #[error("the certificates of this machine cannot be used to call a site: {reason}")]
    NoTls {
        /// What TLS says.
        reason: String,
    },
    /// There is no such key.
    #[error("there is no key {key_id}; list the keys to find its id")]
    NoSuchKey {
        /// The id.
        key_id: i32,
    },
    /// There is no such channel.
    #[error("there is no channel `{name}`; list the channels, or add it")]
    NoSuchChannel {
        /// The name.
        name: String,
    },
    /// The reader of archives has a fault that this one shows.
    #[error("read the archive: the reader has a fault that this file shows; report it")]
    UnreadableArchive,
    /// The database cannot store what was sent: a matter of the data, and not of the moment.
    #[error("{doing}: the database cannot store the data")]
    Unstorable {
        /// What was being attempted.
        doing: &'static str,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// A row that the schema allows and this code does not understand.
    #[error("read {table}.{column} of row {row}: the value is not understood")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        row: String,
    },
    /// The schema is missing, or older than this code.
    #[error("the schema `tidings` is missing or too old; run `tidings migrate`")]
    SchemaMissing(#[source] sqlx::Error),
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
            Self::Unanswered { source, .. } => tidings::error::is_transient(source),
            Self::BadChannelName { .. }
            | Self::QuotaTooLarge
            | Self::BadUpstream { .. }
            | Self::BadScriptOption { .. }
            | Self::NoTls { .. }
            | Self::NoSuchKey { .. }
            | Self::NoSuchChannel { .. }
            | Self::UnreadableArchive
            | Self::Unstorable { .. }
            | Self::Corrupt { .. }
            | Self::SchemaMissing(_) => false,
        }
    }

    /// Returns whether the transaction was certainly rolled back and may pass when it is tried again at once.
    pub(crate) fn is_collision(&self) -> bool {
        match self {
            Self::Unanswered { source: sqlx::Error::Database(error), .. } => {
                error.code().is_some_and(|code| code.starts_with("40"))
            }
            _ => false,
        }
    }

    /// Says what was being attempted when the driver failed.
    pub(crate) fn unanswered(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| {
            let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
            match code.as_deref() {
                // undefined_function, invalid_schema_name, undefined_table
                Some("42883" | "3F000" | "42P01") => Self::SchemaMissing(source),
                // data_exception, integrity_constraint_violation, program_limit_exceeded
                Some(code) if ["22", "23", "54"].iter().any(|class| code.starts_with(class)) => {
                    Self::Unstorable { doing, source }
                }
                _ => Self::Unanswered { doing, source },
            }
        }
    }
}
