//! Adding a subscriber: what is asked for, checked before it is written.

use std::fmt;

use rand::CryptoRng;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgTransaction;
use zeroize::Zeroizing;

use super::{
    Purpose, SYSTEM_LANE, View, WEBHOOK,
    credentials::check_credentials,
    key::NewSecret,
    mask::mask,
    rotate::{check_secret, write_secret},
};
use crate::{
    Error, Result,
    endpoint::{self, Policy},
    secret::{Credentials, KeyPair, Keyring, Secret},
    store::{secret, subscriber as store},
};

/// The largest configuration, in bytes of JSON; every worker keeps those of its lanes in memory.
pub const CONFIG_BYTES_MAX: usize = 65_536;

/// The longest tenant, as for events.
const TENANT_BYTES_MAX: usize = 255;

/// The longest name of a subscriber.
const NAME_BYTES_MAX: usize = 100;

const IN_FLIGHT_MAX: i32 = 100_000;

const RATE_PER_S_MAX: f64 = 1_000_000.0;

/// A subscriber that is to be added.
#[derive(Clone)]
pub struct NewSubscriber {
    /// The tenant; empty where the application has none. At most 255 bytes.
    pub tenant: String,
    /// The name that people use, unique within the tenant: letters, digits, `.`, `_` and `-`, 100 at most, beginning
    /// with a letter or digit, and not digits alone.
    pub name: String,
    /// Which deliverer serves it, `webhook` for example. It never changes.
    pub kind: String,
    /// Which view of an event it gets. It never changes.
    pub view: View,
    /// What the deliverer needs to know, a JSON object of at most [`CONFIG_BYTES_MAX`]; of a webhook, an
    /// [`endpoint::Config`].
    pub config: Value,
    /// The secret that signs. A webhook that signs with one and has none gets a fresh one.
    pub secret: Option<Secret>,
    /// The key pair that signs. A webhook that signs with one and has none uses that of the installation.
    pub key_pair: Option<KeyPair>,
    /// What the receiver asks for, stored sealed.
    pub credentials: Option<Credentials>,
    /// How many deliveries may be in flight, 1 to 100,000; the kind's default where there is none.
    pub in_flight_max: Option<i32>,
    /// How many deliveries may start per second, above 0 and at most 1,000,000; no limit where there is none.
    pub rate_per_s: Option<f64>,
    /// When failed deliveries come again, a JSON object; the default ladder where there is none.
    pub retry: Option<Value>,
}

/// A subscriber that has been added, in a transaction that has yet to commit.
#[derive(Serialize)]
pub struct Added {
    /// Its id, the number of its lane.
    pub subscriber_id: i32,
    /// The secret that was generated, in its text form `whsec_…`; `None` where it was given or none is needed.
    ///
    /// It is shown here and never again, so it has to be handed to the subscriber now.
    #[serde(serialize_with = "write_secret")]
    pub secret: Option<Zeroizing<String>>,
}

impl NewSubscriber {
    /// Returns the subscriber without tenant, secret or limits of its own.
    pub fn new(name: impl Into<String>, kind: impl Into<String>, config: Value) -> Self {
        Self {
            tenant: String::new(),
            name: name.into(),
            kind: kind.into(),
            view: View::Notification,
            config,
            secret: None,
            key_pair: None,
            credentials: None,
            in_flight_max: None,
            rate_per_s: None,
            retry: None,
        }
    }

    /// Returns a sink: a subscriber that gets the telemetry view, of events of every tenant.
    pub fn sink(name: impl Into<String>, kind: impl Into<String>, config: Value) -> Self {
        Self { view: View::Telemetry, ..Self::new(name, kind, config) }
    }

    /// Returns the webhook that calls `url`, with a secret that is generated when it is added.
    pub fn webhook(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self::new(name, WEBHOOK, json!({"url": url.into()}))
    }

    /// Checks everything that can be checked without a database.
    ///
    /// Of a webhook's URL it judges the text; what its name resolves to is for who has a resolver.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn check(&self, policy: &Policy) -> Result<()> {
        self.check_terms()?;
        self.check_endpoint(policy)
    }

    /// Refuses configurations that cannot be used, keys that do not fit them, and endpoints that the policy forbids.
    fn check_endpoint(&self, policy: &Policy) -> Result<()> {
        if self.kind == WEBHOOK {
            let config = endpoint::Config::read(&self.config)?;
            config.check(policy)?;
            if let Some(secret) = &self.secret {
                check_secret(secret, &config)?;
            }
            if self.credentials.is_some() {
                check_credentials(&config)?;
            }
        }
        Ok(())
    }

    /// Refuses what has nothing to do with where it goes: names, sizes and limits.
    pub(super) fn check_terms(&self) -> Result<()> {
        check_name(&self.name)?;
        if self.tenant.len() > TENANT_BYTES_MAX {
            return Err(Error::KeyTooLong { part: "tenant", bytes: self.tenant.len() });
        }
        if self.tenant.contains('\0') {
            return Err(Error::Unstorable { field: "tenant" });
        }
        if self.view == View::Telemetry && !self.tenant.is_empty() {
            return Err(Error::SinkTenant { name: self.name.clone() });
        }
        check_object("configuration", &self.config)?;
        if let Some(retry) = &self.retry {
            check_object("retry ladder", retry)?;
        }
        check_range("in_flight_max", self.in_flight_max, "1 to 100000", |number| {
            (1..=IN_FLIGHT_MAX).contains(number)
        })?;
        check_range("rate_per_s", self.rate_per_s, "a number above 0, at most 1000000,", |rate| {
            *rate > 0.0 && *rate <= RATE_PER_S_MAX
        })
    }
}

impl fmt::Debug for NewSubscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSubscriber")
            .field("tenant", &self.tenant)
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("view", &self.view)
            .field("config", &mask(&self.config))
            .field("secret", &self.secret)
            .field("key_pair", &self.key_pair)
            .field("credentials", &self.credentials)
            .field("in_flight_max", &self.in_flight_max)
            .field("rate_per_s", &self.rate_per_s)
            .field("retry", &self.retry)
            .finish()
    }
}

impl fmt::Debug for Added {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Added")
            .field("subscriber_id", &self.subscriber_id)
            .field("secret", &self.secret.as_ref().map(|_| "…"))
            .finish()
    }
}

/// Adds a subscriber in the caller's transaction.
///
/// It gets no events until it has a subscription.
/// A webhook without a secret gets a fresh one, which is returned once and stored sealed under `keyring`.
///
/// # Errors
///
/// Those of [`NewSubscriber::check`], a kind that no worker has announced, a name that is taken in its tenant, or a
/// secret without a key to seal it; the transaction stays usable.
/// A database that does not answer; the transaction is lost.
pub async fn add<R: CryptoRng + ?Sized>(
    tx: &mut PgTransaction<'_>,
    keyring: Option<&Keyring>,
    rng: &mut R,
    policy: &Policy,
    new: NewSubscriber,
) -> Result<Added> {
    new.check(policy)?;
    let kinds = store::kinds(tx).await?;
    if !kinds.contains(&new.kind) {
        return Err(Error::UnknownKind { kind: new.kind, known: kinds.join(", ") });
    }
    let (needs_secret, needs_key_pair) = needs(&new)?;
    if needs_key_pair
        && new.key_pair.is_none()
        && secret::count(tx, SYSTEM_LANE, Purpose::KeyPair).await? == 0
    {
        return Err(Error::NoKeyPair { name: new.name });
    }
    let generated = (new.secret.is_none() && needs_secret).then(|| Secret::generate(rng));
    let sealing: Vec<NewSecret> = [
        new.secret.as_ref().or(generated.as_ref()).map(NewSecret::from),
        new.key_pair.as_ref().map(NewSecret::from),
        new.credentials.as_ref().map(NewSecret::from),
    ]
    .into_iter()
    .flatten()
    .collect();
    // Before anything is written: without a key there is nothing to be done about the secrets afterwards.
    if !sealing.is_empty() && keyring.is_none() {
        return Err(Error::NoSealingKey { name: new.name });
    }
    let Some(subscriber_id) = store::add(tx, &new).await? else {
        return Err(Error::SubscriberExists { name: new.name });
    };
    if let Some(keyring) = keyring {
        for secret in sealing {
            secret.store(tx, keyring, rng, subscriber_id).await?;
        }
    }
    Ok(Added { subscriber_id, secret: generated.as_ref().map(Secret::to_text) })
}

/// Returns whether a subscriber signs with a secret, and whether with a key pair.
fn needs(new: &NewSubscriber) -> Result<(bool, bool)> {
    if new.kind != WEBHOOK {
        return Ok((false, false));
    }
    let config = endpoint::Config::read(&new.config)?;
    Ok((config.needs_secret(), config.needs_key_pair()))
}

fn check_name(name: &str) -> Result<()> {
    let may_begin = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    if may_begin && !is_number && name.len() <= NAME_BYTES_MAX && name.bytes().all(may_stand) {
        return Ok(());
    }
    Err(Error::BadSubscriberName { name: name.chars().take(NAME_BYTES_MAX).collect() })
}

fn check_object(field: &'static str, value: &Value) -> Result<()> {
    if !value.is_object() {
        return Err(Error::NotObject { field });
    }
    let bytes = value.to_string().len();
    if bytes > CONFIG_BYTES_MAX {
        let value = format!("{bytes} bytes");
        return Err(Error::OutOfRange { field, value, allowed: "at most 65536 bytes" });
    }
    if contains_nul(value) { Err(Error::Unstorable { field }) } else { Ok(()) }
}

/// Returns whether a text or a name in `value` has a character that `jsonb` refuses.
fn contains_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(contains_nul),
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| name.contains('\0') || contains_nul(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn check_range<T: fmt::Display>(
    field: &'static str,
    value: Option<T>,
    allowed: &'static str,
    is_allowed: impl Fn(&T) -> bool,
) -> Result<()> {
    match value {
        Some(value) if !is_allowed(&value) => {
            Err(Error::OutOfRange { field, value: value.to_string(), allowed })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
