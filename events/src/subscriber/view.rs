//! Subscribers as people see them: without their secrets.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;

use super::{
    Purpose,
    health::Ailing,
    mask::{endpoint, mask_of},
};
use crate::{
    Result,
    store::{self, LIMIT_DEFAULT, subscriber as rows},
    subscription::Subscription,
};

/// Which subscribers to list.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Those of this tenant only.
    pub tenant: Option<String>,
    /// Those of this kind only.
    pub kind: Option<String>,
    /// Those after this id: the last of the page before.
    pub after: Option<i32>,
    /// How many at most, 1 to 1,000; 100 by default.
    pub limit: u32,
}

/// A subscriber in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Its id, the number of its lane.
    pub subscriber_id: i32,
    /// The tenant; empty where the application has none.
    pub tenant: String,
    /// The name that people use.
    pub name: String,
    /// Which deliverer serves it.
    pub kind: String,
    /// Which view of an event it gets.
    pub view: View,
    /// Where it is called: scheme, host and port, the rest may be secret; `None` where its kind has no URL.
    pub endpoint: Option<String>,
    /// Whether it gets deliveries.
    pub state: State,
    /// Since when a person has paused it.
    pub paused_at: Option<DateTime<Utc>>,
    /// Since when the system has disabled it.
    pub disabled_at: Option<DateTime<Utc>>,
    /// Why the system has disabled it.
    pub disabled_reason: Option<String>,
    /// Until when nothing is sent, because it has asked for that.
    pub held_back_until: Option<DateTime<Utc>>,
    /// Trouble of its destination, as its worker last wrote it down; `None` while all is well.
    pub trouble: Option<Ailing>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// How many subscriptions it has.
    pub subscription_count: i64,
}

/// Which view of an event a subscriber gets.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum View {
    /// The notification.
    #[default]
    Notification,
    /// The telemetry, of types that have one, where the level in force permits it. Such a subscriber is a sink.
    Telemetry,
}

impl View {
    /// Returns the word that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notification => "notification",
            Self::Telemetry => "telemetry",
        }
    }
}

/// Whether a subscriber gets deliveries.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It gets them.
    Active,
    /// It gets them again at a time that it has named.
    HeldBack,
    /// It could not be reached several times in a row; now and then one delivery is tried.
    Failing,
    /// A person has paused it; its deliveries wait.
    Paused,
    /// The system has disabled it, and says why; its deliveries wait.
    Disabled,
}

/// A subscriber with everything that may be shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detail {
    /// What a list shows.
    #[serde(flatten)]
    pub summary: Summary,
    /// Its configuration; of its texts only the host of a URL and templates are shown.
    pub config: Value,
    /// The shard of its kind's group that its lane belongs to.
    pub shard: i16,
    /// How many deliveries may be in flight; the kind's default where there is none.
    pub in_flight_max: Option<i32>,
    /// How many deliveries may start per second; no limit where there is none.
    pub rate_per_s: Option<f64>,
    /// When failed deliveries come again; the default ladder where there is none.
    pub retry: Option<Value>,
    /// Grows with every change.
    pub version: i32,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
    /// What is stored sealed for it and still of use, newest first; never what it is.
    pub secrets: Vec<StoredSecret>,
    /// Its subscriptions, oldest first.
    pub subscriptions: Vec<Subscription>,
}

/// A stored key or credentials, without what is secret of them.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct StoredSecret {
    /// The row's id.
    pub secret_id: i32,
    /// What it is for.
    pub purpose: Purpose,
    /// The public half of a key pair in its text form; `None` of anything else.
    pub public_key: Option<String>,
    /// The fingerprint of a key, by which a receiver may name it; `None` where the key could be guessed from it, and
    /// of credentials.
    pub fingerprint: Option<String>,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
    /// Until when it signs; `None` while it is not replaced.
    pub expires_at: Option<DateTime<Utc>>,
    /// When the receiver was last known to verify by it, to the hour; `None` where it has not said so, nor let it be
    /// seen by accepting what no other key had signed.
    pub last_verified_at: Option<DateTime<Utc>>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { tenant: None, kind: None, after: None, limit: LIMIT_DEFAULT }
    }
}

impl State {
    /// Returns the word that is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::HeldBack => "held_back",
            Self::Failing => "failing",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }
}

/// Lists subscribers by id; our own lane is not among them.
///
/// # Errors
///
/// A limit out of its range, or a database that does not answer.
pub async fn list(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<Summary>> {
    let limit = store::limit(filter.limit)?;
    let rows = rows::list(conn, filter, limit).await?;
    Ok(rows.into_iter().map(Summary::from).collect())
}

/// Finds a subscriber of `tenant` by its name or its id; `None` if there is none.
///
/// # Errors
///
/// A database that does not answer.
pub async fn find(
    conn: &mut PgConnection,
    tenant: &str,
    name_or_id: &str,
) -> Result<Option<Detail>> {
    let Some(row) = rows::find(conn, tenant, name_or_id).await? else { return Ok(None) };
    Ok(Some(Detail {
        config: mask_of(&row.kind, &row.config),
        shard: row.shard,
        in_flight_max: row.in_flight_max,
        rate_per_s: row.rate_per_s,
        retry: row.retry.clone(),
        version: row.version,
        updated_at: row.updated_at,
        secrets: store::secret::list(conn, row.subscriber_id).await?,
        subscriptions: store::subscription::list(conn, row.subscriber_id).await?,
        summary: Summary::from(row),
    }))
}

impl From<&rows::Row> for State {
    /// The system's own reason comes first, because a person has to repair it.
    fn from(row: &rows::Row) -> Self {
        if row.disabled_at.is_some() {
            Self::Disabled
        } else if row.paused_at.is_some() {
            Self::Paused
        } else if row.held_back_until.is_some() {
            Self::HeldBack
        } else if row.open == Some(true) {
            Self::Failing
        } else {
            Self::Active
        }
    }
}

impl From<rows::Row> for Summary {
    fn from(row: rows::Row) -> Self {
        Self {
            subscriber_id: row.subscriber_id,
            endpoint: endpoint(&row.config),
            state: State::from(&row),
            trouble: row.breaker.as_ref().and_then(Ailing::read),
            tenant: row.tenant,
            name: row.name,
            kind: row.kind,
            view: row.view,
            paused_at: row.paused_at,
            disabled_at: row.disabled_at,
            disabled_reason: row.disabled_reason,
            held_back_until: row.held_back_until,
            created_at: row.created_at,
            subscription_count: row.subscription_count,
        }
    }
}
