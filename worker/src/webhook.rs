//! Sends events to webhooks, the way Standard Webhooks asks.
//!
//! One request per delivery: `POST` with the body `{"type":…,"timestamp":…,"data":…}`, signed over `id.timestamp.body`
//! with every key of the subscriber that signs at the time; or in the profile of Orchest, where a receiver was written
//! for it.
//! A receiver is a stranger, so nothing it says is believed and nothing it does is waited for without a bound:
//! forbidden addresses are refused when the name is resolved and again when the connection is there, redirects are not
//! followed, and answers are bounded in bytes and in time.
//! Nothing here retries, waits or records; that is the worker's business.
//!
//! ```text
//! Subscriber ─open─▶ Target ─attempt─▶ Format: Message, with body and headers ◀── Signer
//!                       │                 │
//!                       │              Client: Guard (names), TLS
//!                       ▼                 │
//!                    Answer ◀── answer, retry_after, snippet, mask │ failure
//! ```

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use reqwest::Client;
use serde_json::Value;
use tidings::{
    deliverer::{Deliverer, Destination, OpenError, Verdict},
    endpoint::{EndpointError, Policy, TIMEOUT_DEFAULT},
    subscriber::Subscriber,
};
use uuid::Uuid;

use self::{client::Own, resolve::Guard, target::Target};

mod answer;
pub(crate) mod caller;
mod client;
mod failure;
mod format;
mod mask;
mod message;
mod orchest;
mod resolve;
mod retry_after;
mod share;
mod sign;
mod snippet;
pub(crate) mod target;
mod trace;

pub use tidings::endpoint::Config;

pub use self::{
    client::BuildError,
    resolve::{LookupError, Resolve, System},
};

/// The kind of the subscribers that this module serves.
pub const KIND: &str = "webhook";

/// The type of the event that a test ping sends.
pub const PING: &str = "tidings:subscriber:pinged";

/// Enough for sixty-four workers, and for an even spread over far fewer.
const SHARDS: u16 = 64;

/// What an operator may choose about webhooks.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which URLs and addresses may be called.
    pub policy: Policy,
    /// What we call ourselves; `tidings/<version>` unless said otherwise.
    pub user_agent: String,
    /// The time to connect: name, TCP and TLS together; 5 s unless said otherwise. A name gets four fifths of it.
    pub connect_timeout: Duration,
    /// The time of one attempt, answer included, where the subscriber does not say; 15 s unless said otherwise.
    pub timeout: Duration,
    /// The time to read the body of an answer once its headers are there, within the time of the attempt; 2 s unless
    /// said otherwise.
    pub body_timeout: Duration,
    /// The most bytes that are read of an answer's body; 64 KiB unless said otherwise.
    ///
    /// A longer body costs its connection, which is then not used again.
    pub body_bytes_max: usize,
    /// Certificates (DER) that are trusted beside those of the operating system; not by an endpoint with a `ca` of its
    /// own.
    pub trusted_certificates: Vec<Vec<u8>>,
}

/// The time of an attempt; the wall clock, unless a test owns it.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Delivers to subscribers of the kind `webhook`.
///
/// ```
/// use tidings_worker::webhook::{Settings, Webhook};
///
/// let webhook = Webhook::builder().settings(Settings::default()).build()?;
/// # Ok::<(), tidings_worker::webhook::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Webhook {
    inner: Arc<Inner>,
}

/// Makes a [`Webhook`].
#[derive(Clone)]
pub struct Builder {
    settings: Settings,
    resolver: Arc<dyn Resolve>,
    clock: Clock,
}

/// What became of a test ping.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ping {
    /// What a delivery with this answer would have meant.
    pub verdict: Verdict,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// How long it took, the body of the answer included.
    pub elapsed: Duration,
    /// The beginning of the answer's body; at most 1,000 characters.
    pub body: String,
    /// What went wrong, for people; `None` if the verdict is [`Verdict::Delivered`].
    pub error: Option<String>,
}

/// What all targets share.
pub(crate) struct Inner {
    client: Client,
    /// The clients of endpoints with certificates of their own.
    own: Own,
    /// Whether there is any certificate to trust.
    trusts: bool,
    settings: Settings,
    guard: Guard,
    clock: Clock,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            user_agent: concat!("tidings/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(5),
            timeout: TIMEOUT_DEFAULT,
            body_timeout: Duration::from_secs(2),
            body_bytes_max: 64 * 1024,
            trusted_certificates: Vec::new(),
        }
    }
}

impl Webhook {
    /// Returns a builder with default settings, the resolver of the operating system and the wall clock.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            settings: Settings::default(),
            resolver: Arc::new(System::default()),
            clock: Arc::new(wall_clock),
        }
    }

    /// Checks a configuration as far as that is possible before anything is sent: its text, and the addresses that its
    /// name has now.
    ///
    /// A name that cannot be resolved passes, for its owner may not have made it yet; [`ping`](Self::ping) tells.
    /// Both checks are made again at every connection.
    ///
    /// # Errors
    ///
    /// What cannot be used or is not allowed, and what to do about it.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any await point.
    pub async fn check(&self, config: &Value) -> Result<(), EndpointError> {
        let config = Config::read(config)?;
        let endpoint = config.check(self.policy())?;
        config.ca.as_deref().map(client::roots).transpose()?;
        self.check_addresses(&endpoint).await
    }

    /// Sends a test event to `subscriber`, once, signed like any other; nothing is recorded.
    ///
    /// The subscriber need not be stored yet. `ping_id` becomes the `webhook-id`, or the `X-Orchest-Delivery`.
    ///
    /// # Errors
    ///
    /// The subscriber's configuration cannot be used; an attempt that fails is no error.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any await point; the ping may have been sent by then.
    pub async fn ping(&self, subscriber: &Subscriber, ping_id: Uuid) -> Result<Ping, OpenError> {
        let target = Target::open(Arc::clone(&self.inner), subscriber)?;
        let message = target.format.ping(ping_id, (self.inner.clock)(), subscriber);
        let attempt = target.attempt(message).await;
        Ok(Ping {
            verdict: attempt.answer.verdict,
            status: attempt.answer.status,
            elapsed: attempt.elapsed,
            body: attempt.body,
            error: attempt.answer.error,
        })
    }
}

impl Deliverer for Webhook {
    fn kind(&self) -> &str {
        KIND
    }

    fn shards(&self) -> u16 {
        SHARDS
    }

    fn open(&self, subscriber: &Subscriber) -> Result<Box<dyn Destination>, OpenError> {
        Ok(Box::new(Target::open(Arc::clone(&self.inner), subscriber)?))
    }
}

impl Builder {
    /// Uses `settings`.
    #[must_use]
    pub fn settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// Finds addresses with `resolver`; they are checked whatever it returns.
    #[must_use]
    pub fn resolver(self, resolver: Arc<dyn Resolve>) -> Self {
        Self { resolver, ..self }
    }

    /// Reads the time of attempts from `clock`.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Makes the deliverer, with the one HTTP client that all its destinations share.
    ///
    /// # Errors
    ///
    /// The settings contradict themselves, or TLS cannot be set up.
    pub fn build(self) -> Result<Webhook, BuildError> {
        let Self { settings, resolver, clock } = self;
        let guard = Guard {
            resolver,
            allow: Arc::new(settings.policy.allow.clone()),
            // Less than the time to connect, which it is a part of, or a slow name would never be reported as such.
            timeout: settings.connect_timeout * 4 / 5,
        };
        let (client, trusts) = client::build(&settings, guard.clone())?;
        let own = Own::default();
        Ok(Webhook { inner: Arc::new(Inner { client, own, trusts, settings, guard, clock }) })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("settings", &self.settings)
            .field("resolver", &self.resolver)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Returns the client that trusts the certificates of `ca` (PEM) and no others.
    fn client_trusting(&self, ca: &str) -> Result<Client, EndpointError> {
        self.own.trusting(ca, &self.settings, &self.guard)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Returns how long the value of a `Retry-After` header asks to wait from `now` on; for the targets in `fuzz/` alone.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn retry_after(value: &[u8], now: std::time::SystemTime) -> Option<Duration> {
    retry_after::parse(value, now)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a receiver compares the timestamp of a signature with its own wall clock; nothing is stored by it"
)]
fn wall_clock() -> DateTime<Utc> {
    Utc::now()
}

#[cfg(test)]
mod tests;
