//! Registering: from a typed event to a row in the outbox, in the application's own transaction.
//!
//! Everything that can be wrong with an event is found before any SQL is sent, or answered by the database as a
//! status, so that the application's transaction stays usable.
//! One round trip, whatever the number of subscribers.

use std::{sync::LazyLock, time::Duration};

use chrono::Datelike;
use serde::Serialize;
use sqlx::PgTransaction;
use tidings_analytics::wire::{Check, Identity};
use uuid::Uuid;

use crate::{
    Error, Result,
    event::Event,
    options::Options,
    scope::Scope,
    store,
    trace::{self, TraceContext},
    wake,
};

/// The largest notification view, in bytes of JSON.
pub const PAYLOAD_BYTES_MAX: usize = 1_048_576;

/// The largest telemetry view, in bytes of JSON: what every sink takes, with room for what is added when it is sent.
pub const TELEMETRY_BYTES_MAX: usize = 28_672;

/// The deepest nesting of either view.
pub const DEPTH_MAX: usize = 64;

/// The longest delay: ten years.
pub const DELAY_MAX: Duration = Duration::from_hours(24 * 3650);

/// The longest tenant, ordering key and idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// An event that has been written, in a transaction that has yet to commit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Registered {
    /// The public id, a `UUIDv7`; `webhook-id` for the receivers.
    pub event_id: Uuid,
    /// Whether it had been registered before, under the same idempotency key or id; nothing was written now.
    pub repeated: bool,
}

/// Registers an event in the caller's transaction.
///
/// When the transaction commits, every subscriber whose subscription matches gets the event at least once; when it
/// rolls back, nothing remains. One round trip.
///
/// ```no_run
/// # async fn example(pool: sqlx::PgPool, event: impl tidings::Event) -> Result<(), Box<dyn std::error::Error>> {
/// let mut tx = pool.begin().await?;
/// // the application's own writes
/// tidings::register_event(&mut tx, &event).await?;
/// tidings::commit(tx).await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// An event that cannot be built, is too large, or of a type that the database does not know; the transaction stays
/// usable. A database that does not answer; the transaction is lost.
///
/// # Cancel safety
///
/// Not cancel safe in the middle of a transaction, as any query: roll back.
pub async fn register_event<E>(tx: &mut PgTransaction<'_>, event: &E) -> Result<Registered>
where
    E: Event + ?Sized,
{
    register_event_with(tx, event, Options::default()).await
}

/// Registers an event in the caller's transaction, with options.
///
/// # Errors
///
/// Those of [`register_event`], and a conflicting idempotency key or event id.
///
/// # Cancel safety
///
/// As [`register_event`].
pub async fn register_event_with<E>(
    tx: &mut PgTransaction<'_>,
    event: &E,
    options: Options,
) -> Result<Registered>
where
    E: Event + ?Sized,
{
    let draft = Draft::build(event, options)?;
    let written = store::register(tx, &draft).await?;
    draft.outcome(&written)
}

/// Registers many events in the caller's transaction, in their order, in one round trip.
///
/// # Errors
///
/// Those of [`register_event`]; if one event cannot be registered, none of this call is.
///
/// # Cancel safety
///
/// As [`register_event`].
pub async fn register_events(
    tx: &mut PgTransaction<'_>,
    events: &[&dyn Event],
) -> Result<Vec<Registered>> {
    let drafts = events
        .iter()
        .map(|event| Draft::build(*event, Options::default()))
        .collect::<Result<Vec<_>>>()?;
    if drafts.is_empty() {
        return Ok(Vec::new());
    }
    let written = store::register_many(tx, &drafts).await?;
    drafts.iter().zip(&written).map(|(draft, written)| draft.outcome(written)).collect()
}

/// Commits a transaction, then wakes the workers.
///
/// `tx.commit()` does as well; workers then find what was registered by polling: within about a second while a look at
/// the queue is cheap, and within a few where it is not.
///
/// # Errors
///
/// The commit failed, or its answer was lost: whether it took effect is then unknown, as with any commit.
pub async fn commit(tx: PgTransaction<'_>) -> Result<()> {
    tx.commit().await.map_err(Error::unanswered("commit the transaction"))?;
    wake::wake();
    Ok(())
}

/// Whether the sinks will take an event.
static SINKS: LazyLock<Check> = LazyLock::new(Check::default);

/// The identity of an event that is of nobody in particular.
static NOBODY: LazyLock<Identity> = LazyLock::new(Identity::default);

/// An event, built and checked, ready to be sent.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) event_type: &'static str,
    pub(crate) version: i16,
    pub(crate) payload: String,
    pub(crate) telemetry: Option<String>,
    pub(crate) headers: Option<String>,
    pub(crate) scope: Scope,
    pub(crate) ordering_key: Option<String>,
    pub(crate) options: Options,
}

impl Draft {
    fn build<E: Event + ?Sized>(event: &E, mut options: Options) -> Result<Self> {
        let event_type = event.event_type();
        let payload =
            event.notification().map_err(|source| Error::Unbuildable { event_type, source })?;
        check(event_type, "notification view", &payload, PAYLOAD_BYTES_MAX)?;
        let telemetry = event
            .telemetry()
            .map(|data| serde_json::to_string(&data))
            .transpose()
            .map_err(|source| Error::Unbuildable { event_type, source })?;
        if let Some(telemetry) = &telemetry {
            check(event_type, "telemetry view", telemetry, TELEMETRY_BYTES_MAX)?;
            let identity = options.identity.as_ref().unwrap_or(&NOBODY);
            SINKS.telemetry(event.call(), event_type, identity, telemetry).map_err(|source| {
                Error::Unsendable { event_type: event_type.to_owned(), source }
            })?;
        }
        let scope = event.scope().map_err(|source| Error::Unscopable { event_type, source })?;
        let ordering_key = options.ordering_key.take().or_else(|| event.ordering_key());
        check_key("tenant", Some(&options.tenant))?;
        check_key("ordering key", ordering_key.as_deref())?;
        check_key("idempotency key", options.idempotency_key.as_deref())?;
        check_times(&options)?;
        Ok(Self {
            event_type,
            version: event.version(),
            payload,
            telemetry,
            headers: headers(options.trace.take(), options.identity.take()),
            scope,
            ordering_key,
            options,
        })
    }

    /// Turns the database's status into what the caller sees, and notes the lanes for the wake-up.
    fn outcome(&self, written: &store::Written) -> Result<Registered> {
        let event_type = || self.event_type.to_owned();
        let event_id = written.event_id.or(self.options.event_id).unwrap_or_default();
        match written.status.as_str() {
            "registered" => {
                wake::note(&written.lanes);
                Ok(Registered { event_id, repeated: false })
            }
            "repeated" => Ok(Registered { event_id, repeated: true }),
            "unknown_type" | "unknown_version" => {
                Err(Error::UnknownType { event_type: event_type(), version: self.version })
            }
            "retired_type" => Err(Error::RetiredType { event_type: event_type() }),
            "idempotency_conflict" => Err(Error::IdempotencyConflict { event_id }),
            "event_conflict" => Err(Error::EventConflict { event_id }),
            "bad_event_id" => Err(Error::BadEventId { event_id }),
            "no_partition" => Err(Error::NoPartition),
            status => Err(Error::Refused { event_type: event_type(), status: status.to_owned() }),
        }
    }
}

/// Returns what travels beside the event.
fn headers(trace: Option<TraceContext>, identity: Option<Identity>) -> Option<String> {
    #[derive(Serialize)]
    struct Headers {
        #[serde(flatten)]
        trace: Option<TraceContext>,
        #[serde(skip_serializing_if = "Option::is_none")]
        analytics: Option<Identity>,
    }
    let headers = Headers { trace: trace.or_else(trace::current), analytics: identity };
    let is_empty = headers.trace.is_none() && headers.analytics.is_none();
    (!is_empty).then(|| serde_json::to_string(&headers).unwrap_or_default())
}

fn check(event_type: &str, part: &'static str, json: &str, max: usize) -> Result<()> {
    let event_type = || event_type.to_owned();
    if json.len() > max {
        return Err(Error::TooLarge { event_type: event_type(), part, bytes: json.len(), max });
    }
    if depth(json) > DEPTH_MAX {
        return Err(Error::TooDeep { event_type: event_type(), part, max: DEPTH_MAX });
    }
    Ok(())
}

fn check_key(part: &'static str, key: Option<&str>) -> Result<()> {
    match key {
        Some(key) if key.len() > KEY_BYTES_MAX => Err(Error::KeyTooLong { part, bytes: key.len() }),
        Some(key) if key.contains('\0') => Err(Error::Unstorable { field: part }),
        _ => Ok(()),
    }
}

/// Times that Postgres and every receiver can read.
fn check_times(options: &Options) -> Result<()> {
    if let Some(delay) = options.delay.filter(|delay| *delay > DELAY_MAX) {
        return Err(Error::OutOfRange {
            field: "delay",
            value: format!("{delay:?}"),
            allowed: "at most 3650 days",
        });
    }
    if let Some(at) = options.occurred_at.filter(|at| !(1..=9999).contains(&at.year())) {
        let value = at.to_rfc3339();
        return Err(Error::OutOfRange {
            field: "occurred_at",
            value,
            allowed: "a time of the years 1 to 9999",
        });
    }
    Ok(())
}

/// How deep a text of valid JSON nests.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_nobody_can_store_are_refused_before_any_sql() {
        let far = chrono::DateTime::<chrono::Utc>::MAX_UTC;
        for options in
            [Options::default().delay(Duration::MAX), Options::default().occurred_at(far)]
        {
            assert!(matches!(check_times(&options), Err(Error::OutOfRange { .. })), "{options:?}");
        }
        assert!(check_times(&Options::default().delay(DELAY_MAX)).is_ok());
        assert!(matches!(check_key("tenant", Some("a\0b")), Err(Error::Unstorable { .. })));
    }

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        for (json, expected) in [
            ("1", 0),
            ("{}", 1),
            (r#"{"a":[{"b":1}]}"#, 3),
            (r#"{"a":"[[[[\"[[["}"#, 1),
            (r#"{"a":"\\","b":[[]]}"#, 3),
        ] {
            assert_eq!(depth(json), expected, "{json}");
        }
    }
}
