//! A destination with its own lane.
//!
//! People see a subscriber as a [`Summary`] or a [`Detail`], which show no secret; a deliverer sees a [`Subscriber`],
//! its secrets in clear, and its owner works the [`Lane`].
//! Our own lane, which expands large fan-outs, is neither listed nor found nor changed here.

mod add;
mod credentials;
mod ensure;
mod fit;
mod health;
mod key;
mod mask;
mod publish;
mod rotate;
mod update;
mod view;

use std::{fmt, time::Duration};

use sqlx::PgConnection;
use tokio::time::Instant;

pub use self::{
    add::{Added, CONFIG_BYTES_MAX, NewSubscriber, add},
    credentials::set_credentials,
    ensure::{Ensured, ensure},
    health::{Ailing, Note, Trouble, Turn, note_health},
    key::{Key, Purpose, SigningKey},
    publish::{KeyOwner, jwks},
    rotate::{
        NewKey, OLD_KEYS_MAX, OVERLAP_DEFAULT, OVERLAP_MAX, Rotated, Rotation, rotate,
        rotate_installation,
    },
    update::{Update, update},
    view::{Detail, Filter, State, StoredSecret, Summary, View, find, list},
};
use uuid::Uuid;

use crate::{
    Result,
    secret::{Credentials, Keyring},
    store,
};

/// The kind whose destinations are webhooks.
const WEBHOOK: &str = "webhook";

/// The lane of our own work.
const SYSTEM_LANE: i32 = 0;

/// A subscriber as a deliverer sees it, its secrets in clear; `Debug` shows none of them.
#[derive(Clone)]
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
    /// The keys that sign, newest first; empty for kinds that do not sign.
    ///
    /// One that expires stops signing at its time, without the subscriber being read again.
    pub secrets: Vec<SigningKey>,
    /// What it asks for before it listens.
    pub credentials: Option<Credentials>,
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
    /// What the owner before has written down about its destination; `None` while all is well.
    pub trouble: Option<Trouble>,
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("subscriber_id", &self.subscriber_id)
            .field("tenant", &self.tenant)
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("config", &mask::mask(&self.config))
            .field("secrets", &self.secrets)
            .field("credentials", &self.credentials)
            .finish()
    }
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
    // Before the query, so that no key is taken to sign for longer than the database says.
    let began = Instant::now();
    let rows = store::lanes(conn, ids).await?;
    Ok(rows.into_iter().map(|row| row.open(keyring, began)).collect())
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
    let began = Instant::now();
    let rows = store::lanes(conn, &[id]).await?;
    let lane = rows.into_iter().find(|row| !row.deleted).map(|row| row.open(keyring, began));
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
/// Answers whether it was on before, and `owner`, a worker and its term, that of its lane; otherwise nothing is changed.
///
/// # Errors
///
/// The database did not answer.
pub async fn disable(
    conn: &mut PgConnection,
    id: i32,
    owner: (Uuid, i64),
    reason: &str,
) -> Result<bool> {
    store::disable(conn, id, Some(owner), reason).await
}

/// Remembers for how long nothing may be sent to a subscriber.
///
/// # Errors
///
/// The database did not answer.
pub async fn hold_back(conn: &mut PgConnection, id: i32, floor: Duration) -> Result<()> {
    store::hold_back(conn, id, i64::try_from(floor.as_millis()).unwrap_or(i64::MAX)).await
}

/// Notes that the receiver verifies by the key in this row, and answers whether that was written down: it is at most
/// once an hour.
///
/// # Errors
///
/// The database did not answer.
pub async fn note_verified(conn: &mut PgConnection, secret_id: i32) -> Result<bool> {
    store::secret::note_verified(conn, secret_id).await
}

/// Returns what a sealed secret is bound to: it opens for this subscriber alone.
#[must_use]
fn owner(id: i32) -> Vec<u8> {
    format!("subscriber:{id}").into_bytes()
}

impl store::LaneRow {
    fn open(self, keyring: Option<&Keyring>, began: Instant) -> Lane {
        let opened = self.unseal(keyring, began);
        let subscriber = opened.map(|(secrets, credentials)| Subscriber {
            subscriber_id: self.subscriber_id,
            tenant: self.tenant.clone(),
            name: self.name.clone(),
            kind: self.kind.clone(),
            config: self.config.clone(),
            secrets,
            credentials,
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
            trouble: self.breaker.as_ref().and_then(|stored| Trouble::read(stored, self.now)),
            kind: self.kind,
        }
    }
}
