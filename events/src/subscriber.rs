//! A destination with its own lane.
//!
//! People see a subscriber as a [`Summary`] or a [`Detail`], which show no secret; a deliverer sees a [`Subscriber`],
//! its secrets in clear, and its owner works the [`Lane`].
//! Our own lane, which expands large fan-outs, is neither listed nor found nor changed here.

mod add;
mod mask;
mod update;
mod view;

use std::time::Duration;

use sqlx::PgConnection;

pub use self::{
    add::{Added, CONFIG_BYTES_MAX, NewSubscriber, add},
    update::{Update, update},
    view::{Detail, Filter, State, StoredSecret, Summary, find, list},
};
use crate::{
    Error, Result,
    secret::{Keyring, Secret},
    store,
};

/// The kind whose destinations are webhooks.
const WEBHOOK: &str = "webhook";

/// The lane of our own work.
const SYSTEM_LANE: i32 = 0;

/// A subscriber as a deliverer sees it, its secrets in clear.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// The lane.
    pub subscriber_id: i32,
    /// The tenant; empty where the application has none.
    pub tenant: String,
    /// The name that people use, unique within the tenant.
    pub name: String,
    /// Which deliverer serves it.
    pub kind: String,
    /// What the deliverer needs to know, a JSON object; its shape is the deliverer's.
    pub config: serde_json::Value,
    /// The secrets that sign, newest first; empty for kinds that do not sign.
    pub secrets: Vec<Secret>,
}

/// A lane as its owner works it.
#[derive(Debug)]
pub struct Lane {
    /// What the deliverer sees; an error where its secrets cannot be opened.
    pub subscriber: Result<Subscriber>,
    /// The lane.
    pub subscriber_id: i32,
    /// The group that its shard belongs to.
    pub kind: String,
    /// Its shard.
    pub shard: i16,
    /// How many deliveries may be in flight; the kind's default where there is none.
    pub in_flight_max: Option<i32>,
    /// How many deliveries may start per second; no limit where there is none.
    pub rate_per_s: Option<f64>,
    /// When failed deliveries come again; the default ladder where there is none.
    pub retry: Option<serde_json::Value>,
    /// Whether nothing is to be sent: paused, disabled or deleted.
    pub stopped: bool,
    /// How long nothing is to be sent.
    pub retry_after: Option<Duration>,
}

/// Reads the lanes of `ids`; those that do not exist are left out.
///
/// # Errors
///
/// The database did not answer.
pub async fn lanes(
    conn: &mut PgConnection,
    keyring: Option<&Keyring>,
    ids: &[i32],
) -> Result<Vec<Lane>> {
    let rows = store::lanes(conn, ids).await?;
    Ok(rows.into_iter().map(|row| row.open(keyring)).collect())
}

/// Reads a subscriber with its secrets in clear, to deliver something to it out of turn, a ping for example; `None` if
/// there is none.
///
/// # Errors
///
/// A secret that cannot be opened, or a database that does not answer.
pub async fn open(
    conn: &mut PgConnection,
    keyring: Option<&Keyring>,
    id: i32,
) -> Result<Option<Subscriber>> {
    if id == SYSTEM_LANE {
        return Ok(None);
    }
    let rows = store::lanes(conn, &[id]).await?;
    let lane = rows.into_iter().find(|row| !row.deleted).map(|row| row.open(keyring));
    lane.map(|lane| lane.subscriber).transpose()
}

/// Stops deliveries to a subscriber until it is resumed; they wait. Answers whether there is such a subscriber.
///
/// Requests in flight end; new ones stop when the owner of the lane has seen the pause, within a second or so.
/// Called again it changes nothing.
///
/// # Errors
///
/// The database did not answer.
pub async fn pause(conn: &mut PgConnection, id: i32) -> Result<bool> {
    store::subscriber::pause(conn, id).await
}

/// Ends a pause, and whatever the system itself has decided against the subscriber.
///
/// What has come due meanwhile goes out now.
/// Answers whether there is such a subscriber.
///
/// # Errors
///
/// The database did not answer.
pub async fn resume(conn: &mut PgConnection, id: i32) -> Result<bool> {
    store::subscriber::resume(conn, id).await
}

/// Removes a subscriber with its subscriptions, its secrets and what was still to be delivered to it.
///
/// Answers whether there was one.
/// Its name is free again; its dead letters and attempts stay until their retention ends.
///
/// # Errors
///
/// The database did not answer.
pub async fn remove(conn: &mut PgConnection, id: i32) -> Result<bool> {
    store::subscriber::remove(conn, id).await
}

/// Stops delivering to a subscriber, for a reason that is shown to people; its deliveries wait.
///
/// Answers whether it was on before.
///
/// # Errors
///
/// The database did not answer.
pub async fn disable(conn: &mut PgConnection, id: i32, reason: &str) -> Result<bool> {
    store::disable(conn, id, reason).await
}

/// Remembers for how long nothing may be sent to a subscriber.
///
/// # Errors
///
/// The database did not answer.
pub async fn hold_back(conn: &mut PgConnection, id: i32, floor: Duration) -> Result<()> {
    store::hold_back(conn, id, i64::try_from(floor.as_millis()).unwrap_or(i64::MAX)).await
}

/// Returns what a sealed secret is bound to: it opens for this subscriber alone.
#[must_use]
pub(crate) fn owner(id: i32) -> Vec<u8> {
    format!("subscriber:{id}").into_bytes()
}

impl store::LaneRow {
    fn open(self, keyring: Option<&Keyring>) -> Lane {
        let subscriber = self.secrets(keyring).map(|secrets| Subscriber {
            subscriber_id: self.subscriber_id,
            tenant: self.tenant.clone(),
            name: self.name.clone(),
            kind: self.kind.clone(),
            config: self.config.clone(),
            secrets,
        });
        Lane {
            subscriber,
            subscriber_id: self.subscriber_id,
            shard: self.shard,
            in_flight_max: self.in_flight_max,
            rate_per_s: self.rate_per_s,
            retry: self.retry,
            stopped: self.paused || self.disabled || self.deleted,
            retry_after: self
                .retry_after_ms
                .and_then(|ms| u64::try_from(ms).ok())
                .map(Duration::from_millis),
            kind: self.kind,
        }
    }

    fn secrets(&self, keyring: Option<&Keyring>) -> Result<Vec<Secret>> {
        let owner = owner(self.subscriber_id);
        self.sealed
            .iter()
            .map(|sealed| {
                let Some(keyring) = keyring else {
                    return Err(Error::NoKey { name: self.name.clone() });
                };
                let opened = keyring
                    .open(sealed, &owner)
                    .map_err(|source| Error::Sealed { name: self.name.clone(), source })?;
                Ok(Secret::from_bytes(&opened)?)
            })
            .collect()
    }
}
