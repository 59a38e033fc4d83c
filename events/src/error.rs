//! What can go wrong, as situations.

use uuid::Uuid;

use crate::{
    endpoint::EndpointError,
    pattern::PatternError,
    scope::ScopeError,
    secret::{CredentialsError, KeyringError, SecretError},
};

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong.
///
/// Everything up to [`Error::NoPartition`] leaves the application's transaction usable: it is found before any SQL is
/// sent, or answered by the database as a status.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A view of the event cannot be built; nothing was sent.
    #[error("build the notification view of `{event_type}`")]
    Unbuildable {
        /// The type.
        event_type: &'static str,
        /// What a field's `Serialize` said.
        #[source]
        source: serde_json::Error,
    },
    /// The scope of the event cannot be built; nothing was sent.
    #[error("build the scope of `{event_type}`")]
    Unscopable {
        /// The type.
        event_type: &'static str,
        /// What is wrong with it.
        #[source]
        source: ScopeError,
    },
    /// The event is too large; nothing was sent.
    #[error(
        "the {part} of `{event_type}` has {bytes} bytes, and {max} are allowed; send a reference to large data"
    )]
    TooLarge {
        /// The type.
        event_type: String,
        /// Which part.
        part: &'static str,
        /// How many bytes it has.
        bytes: usize,
        /// How many are allowed.
        max: usize,
    },
    /// Analytics would not take the telemetry view; nothing was sent.
    #[error("the telemetry view of `{event_type}` cannot be sent to analytics")]
    Unsendable {
        /// The type.
        event_type: String,
        /// What is wrong, and the largest fields where it is the size.
        #[source]
        source: tidings_analytics::wire::Error,
    },
    /// The event nests too deeply; nothing was sent.
    #[error("the {part} of `{event_type}` nests deeper than {max} levels; flatten it")]
    TooDeep {
        /// The type.
        event_type: String,
        /// Which part.
        part: &'static str,
        /// How many levels are allowed.
        max: usize,
    },
    /// A tenant, an ordering key or an idempotency key is longer than 255 bytes; nothing was sent.
    #[error("the {part} has {bytes} bytes, and 255 are allowed; use its SHA-256 instead")]
    KeyTooLong {
        /// Which of them.
        part: &'static str,
        /// How many bytes it has.
        bytes: usize,
    },
    /// The database does not know the type.
    #[error(
        "event type `{event_type}` version {version} is not in the database's catalogue; sync the application's catalogue at start"
    )]
    UnknownType {
        /// The type.
        event_type: String,
        /// Its version.
        version: i16,
    },
    /// The type has been retired.
    #[error("event type `{event_type}` is retired; register its successor")]
    RetiredType {
        /// The type.
        event_type: String,
    },
    /// The idempotency key was used for an event with other content.
    #[error(
        "the idempotency key was used for event {event_id}, which has other content; use a key that belongs to this one event"
    )]
    IdempotencyConflict {
        /// The event that has the key.
        event_id: Uuid,
    },
    /// The event id was used for an event with other content.
    #[error("event id {event_id} was used for an event with other content")]
    EventConflict {
        /// The id.
        event_id: Uuid,
    },
    /// The event id is no `UUIDv7` of the last or the next hour.
    #[error("event id {event_id} is not a UUIDv7 of the last or the next hour; leave it out")]
    BadEventId {
        /// The id.
        event_id: Uuid,
    },
    /// There is no partition for today: no worker has run for a week.
    #[error(
        "there is no partition for today's events; run a worker, which makes them ahead of time"
    )]
    NoPartition,
    /// The database refused a scope or key that this library let pass.
    #[error("register `{event_type}`: the database answered with status {status}")]
    Refused {
        /// The type.
        event_type: String,
        /// The status.
        status: String,
    },
    /// Two event types of one name and version, or a catalogue that cannot be stored.
    #[error(transparent)]
    Catalogue(#[from] crate::catalogue::CatalogueError),
    /// A subscriber of that name exists.
    #[error("a subscriber named `{name}` exists already; choose another name, or remove it first")]
    SubscriberExists {
        /// The name.
        name: String,
    },
    /// A sink that is to have a tenant.
    #[error(
        "the sink `{name}` has a tenant; a sink gets the telemetry of all tenants, so leave it out"
    )]
    SinkTenant {
        /// The name.
        name: String,
    },
    /// A subscription of a sink that asks for more than types.
    #[error(
        "a sink cannot subscribe to `{pattern}` in a scope, in order or with a filter; it is told of every tenant and scope, and the level decides what may leave"
    )]
    SinkSubscription {
        /// The pattern.
        pattern: String,
    },
    /// A subscription to a type that subscribers do not see.
    #[error(
        "events of the type `{event_type}` are not for subscribers, their audience is {audience}; add `notification` to the type's audience, or a sink for its telemetry"
    )]
    NotForSubscribers {
        /// The type.
        event_type: String,
        /// Who sees them.
        audience: String,
    },
    /// A name that no subscriber may have.
    #[error(
        "`{name}` cannot be the name of a subscriber; use letters, digits, `.`, `_` and `-`, 100 at most, beginning with a letter or digit; digits alone would be taken for an id"
    )]
    BadSubscriberName {
        /// The name.
        name: String,
    },
    /// There is no such subscriber, or it has been removed.
    #[error("there is no subscriber {subscriber_id}; list them to find its id")]
    NoSuchSubscriber {
        /// The id.
        subscriber_id: i32,
    },
    /// A kind that no worker has announced.
    #[error("no worker has announced the kind `{kind}`; known are: {known}")]
    UnknownKind {
        /// The kind.
        kind: String,
        /// Those that are known.
        known: String,
    },
    /// The endpoint of a webhook is refused.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A signing secret that cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Credentials that cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// A subscriber is to sign with a secret that it does not have.
    #[error(
        "subscriber `{name}` is to sign with a secret and has none that could; rotate its secret first"
    )]
    NoSecret {
        /// The subscriber.
        name: String,
    },
    /// A subscriber is to sign by `v1a`, and there is no key pair.
    #[error(
        "subscriber `{name}` is to sign by v1a, and neither it nor the installation has a key pair; give it one, or make one for the installation first"
    )]
    NoKeyPair {
        /// The subscriber.
        name: String,
    },
    /// So many keys sign already that another would make the header of signatures too long.
    #[error(
        "subscriber `{name}` has {max} old keys that still sign, and another rotation would leave one more; wait until one of them expires, or rotate with an overlap of 0, which ends all old ones now",
        max = crate::subscriber::OLD_KEYS_MAX
    )]
    TooManyKeys {
        /// The subscriber, or `system` for the installation.
        name: String,
    },
    /// A secret that cannot be opened.
    #[error("open the secret of subscriber `{name}`")]
    Sealed {
        /// The subscriber.
        name: String,
        /// Why not.
        #[source]
        source: KeyringError,
    },
    /// A secret is sealed, and there is no key to open it.
    #[error(
        "the secret of subscriber `{name}` is sealed and there is no key; set TIDINGS_KEY to the one it was sealed with"
    )]
    NoKey {
        /// The subscriber.
        name: String,
    },
    /// A subscriber is to have a secret, and there is no key to seal it with.
    #[error(
        "subscriber `{name}` signs with a secret, and there is no key to seal it with; set TIDINGS_KEY to the base64 of 32 random bytes, here and for the workers"
    )]
    NoSealingKey {
        /// The subscriber.
        name: String,
    },
    /// A pattern that cannot be subscribed to.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A scope that cannot be subscribed to.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// A type that does not exist, in a subscription for example.
    #[error("event type `{event_type}` is not in the catalogue; known are: {known}")]
    NoSuchType {
        /// The type.
        event_type: String,
        /// Those that are known, the closest first.
        known: String,
    },
    /// A version that a type does not have.
    #[error("event type `{event_type}` has no version {version}; it has {known}")]
    NoSuchVersion {
        /// The type.
        event_type: String,
        /// The version that was asked for.
        version: i16,
        /// Those that there are.
        known: String,
    },
    /// A type of Tidings' own, which is nobody's to change.
    #[error("event type `{event_type}` is Tidings' own; it cannot be retired or restored")]
    ReservedType {
        /// The type.
        event_type: String,
    },
    /// A subscription to a scope that no event of its type has.
    #[error(
        "no event of `{event_type}` has the scope `{scope}`: its keys are {keys}, in this order"
    )]
    ScopeMismatch {
        /// The type.
        event_type: String,
        /// The scope that was asked for.
        scope: String,
        /// The keys of the type's scope, from the general to the particular.
        keys: String,
    },
    /// A value that is no JSON object where one is needed.
    #[error("the {field} of a subscriber is a JSON object, such as {{}}")]
    NotObject {
        /// Which value.
        field: &'static str,
    },
    /// A text that the database cannot store.
    #[error(
        "the {field} contains the character U+0000, which the database cannot store; remove it"
    )]
    Unstorable {
        /// Which text.
        field: &'static str,
    },
    /// A number that is out of its range.
    #[error("{field} is {value}, and {allowed} is allowed")]
    OutOfRange {
        /// Which number.
        field: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// The event of a dead letter is gone, and there is no partition for its day.
    #[error("dead letter {dead_id} cannot be replayed: it carries no copy of its event")]
    Unreplayable {
        /// The dead letter.
        dead_id: i64,
    },
    /// The subscriber of a dead letter has been removed.
    #[error("dead letter {dead_id} cannot be replayed: its subscriber was removed")]
    SubscriberGone {
        /// The dead letter.
        dead_id: i64,
    },
    /// A replay from a time whose events have been dropped.
    #[error(
        "events are kept since {since}, those before have been dropped; begin there, or keep events for longer from \
         now on"
    )]
    NotKept {
        /// Since when events are kept.
        since: chrono::DateTime<chrono::Utc>,
    },
    /// A test drains a fan-out that only a worker expands.
    #[error(
        "the fan-out of event {event_id} is too large for its transaction and expanded by a worker after the commit; use at most 64 subscribers in this test"
    )]
    Unexpanded {
        /// The event.
        event_id: Uuid,
    },
    /// Somebody else has changed the subscriber meanwhile.
    #[error(
        "subscriber `{name}` was changed by somebody else meanwhile and has version {version} now; look at it again, \
         and repeat the change if it is still wanted"
    )]
    Changed {
        /// The subscriber.
        name: String,
        /// The version that it has now.
        version: i32,
    },
    /// A filter that means nothing.
    #[error(
        "{problem}; write it in the shape of the payload, {example}",
        example = r#"{"order": {"total": {"$gte": 100}}} for example"#
    )]
    BadFilter {
        /// What is wrong, and where.
        problem: String,
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

/// Returns whether the same call of the driver may succeed later without anybody doing anything.
///
/// So it is where there was no answer, and where the server said so: SQLSTATE classes 08, 40, 53, 57 and 58, a lock that
/// was not to be had, a server that is read-only because another is the primary now.
#[must_use]
pub fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "40", "53", "57", "58", "55P03", "25006"]
                .iter()
                .any(|class| code.starts_with(class))
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

impl Error {
    /// Returns whether the same call may succeed later without anybody doing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unanswered { source, .. } => is_transient(source),
            _ => false,
        }
    }

    /// Says what was being attempted when the driver failed.
    pub(crate) fn unanswered(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| {
            let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
            // undefined_function, invalid_schema_name, undefined_table
            if matches!(code.as_deref(), Some("42883" | "3F000" | "42P01")) {
                Self::SchemaMissing(source)
            } else {
                Self::Unanswered { doing, source }
            }
        }
    }
}
