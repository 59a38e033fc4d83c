//! Posts events to Slack, Microsoft Teams and Discord, as messages that people like to read.
//!
//! A chat subscriber is an incoming webhook of the service: a URL that is a secret, called by the same client and under
//! the same rules as every webhook (see [`crate::webhook`]), but unsigned, because the service would not look.
//! What is posted comes from a template of the subscriber's own, the most specific one for the type of the event, or
//! from the [default message](digest).
//! Templates see the event and nothing else, and everything that they print of it is escaped for the service.
//!
//! ```text
//! RegisteredEvent ─template─▶ text ─────┬─body─▶ Caller ─answer─▶ Answer
//!        └────────digest──▶ Digest ─────┘  cut
//! ```

use std::fmt;

use serde_json::Value;
use tidings::{
    deliverer::{Deliverer, Destination, OpenError, Verdict},
    delivery::RegisteredEvent,
    subscriber::Subscriber,
};

use self::{
    body::Message,
    digest::Digest,
    target::Target,
    template::{Source, Templates},
};
use crate::webhook::{Ping, Webhook};

mod answer;
mod body;
mod config;
mod cut;
mod digest;
mod error;
mod escape;
mod link;
mod print;
mod sample;
mod target;
mod template;
mod words;

pub use self::{
    config::Config,
    error::{Error, TemplateError},
};

/// The largest template, in bytes of its source.
pub const TEMPLATE_BYTES_MAX: usize = 16 * 1024;

/// The most that a template may print, in bytes; far beyond what a service takes.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// One worker is enough for many rooms.
const SHARDS: u16 = 16;

/// A chat service.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Slack, and what understands its incoming webhooks (Mattermost, Rocket.Chat).
    Slack,
    /// Microsoft Teams, by a workflow that takes webhook requests or an incoming webhook.
    Teams,
    /// Discord.
    Discord,
}

/// Delivers to the subscribers of one chat service.
///
/// ```
/// use tidings_worker::{Webhook, chat};
///
/// let webhook = Webhook::builder().build()?;
/// let [slack, teams, discord] = chat::all(&webhook);
/// # Ok::<(), tidings_worker::webhook::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Chat {
    kind: Kind,
    webhook: Webhook,
}

/// A message as it would be posted.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// What people read, in the markup of the service and cut to its length.
    pub text: String,
    /// The body of the request.
    pub body: Value,
}

impl Kind {
    /// Every chat service.
    pub const ALL: [Self; 3] = [Self::Slack, Self::Teams, Self::Discord];

    /// Reads the kind of a subscriber; `None` if it is no chat service.
    #[must_use]
    pub fn parse(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == kind)
    }

    /// Returns the kind of its subscribers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::Discord => "discord",
        }
    }

    /// Returns the name that people use.
    const fn name(self) -> &'static str {
        match self {
            Self::Slack => "Slack",
            Self::Teams => "Teams",
            Self::Discord => "Discord",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Chat {
    /// Returns the deliverer of `kind`, which shares the HTTP client and the rules of `webhook`.
    #[must_use]
    pub fn new(kind: Kind, webhook: &Webhook) -> Self {
        Self { kind, webhook: webhook.clone() }
    }

    /// Checks a configuration as far as that is possible before anything is posted: its URL and the addresses behind
    /// it as [`Webhook::check`] does, and every template by compiling it and rendering it once.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with the line where it is a template, and what to do about it.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any await point.
    pub async fn check(&self, config: &Value) -> Result<(), Error> {
        let config = Config::read(config)?;
        let endpoint = config.check(self.webhook.policy())?;
        for (pattern, source) in &config.templates {
            template::check(self.kind, pattern, source)
                .map_err(|source| Error::Template { pattern: pattern.clone(), source })?;
        }
        Ok(self.webhook.check_addresses(&endpoint).await?)
    }

    /// Posts a test message to `subscriber`, once; nothing is recorded.
    ///
    /// # Errors
    ///
    /// The subscriber's configuration cannot be used; an attempt that fails is no error.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any await point; the message may have been posted by then.
    pub async fn ping(&self, subscriber: &Subscriber) -> Result<Ping, OpenError> {
        let target = Target::open(self.kind, &self.webhook, subscriber)?;
        let attempt = target.post(&sample::greeting(self.kind, &subscriber.name)).await;
        Ok(Ping {
            verdict: attempt.answer.verdict,
            status: attempt.answer.status,
            elapsed: attempt.elapsed,
            body: attempt.body,
            error: match attempt.answer.verdict {
                Verdict::Delivered => None,
                _ => attempt.answer.error,
            },
        })
    }
}

impl Deliverer for Chat {
    fn kind(&self) -> &str {
        self.kind.as_str()
    }

    fn shards(&self) -> u16 {
        SHARDS
    }

    fn open(&self, subscriber: &Subscriber) -> Result<Box<dyn Destination>, OpenError> {
        Ok(Box::new(Target::open(self.kind, &self.webhook, subscriber)?))
    }
}

/// Returns the deliverers of every chat service, which share the HTTP client and the rules of `webhook`.
#[must_use]
pub fn all(webhook: &Webhook) -> [Chat; 3] {
    Kind::ALL.map(|kind| Chat::new(kind, webhook))
}

/// Renders the message of `event`, with `template` or, without one, as the default message.
///
/// # Errors
///
/// What is wrong with the template, and in which line.
pub fn preview(
    kind: Kind,
    template: Option<&str>,
    event: &RegisteredEvent,
) -> Result<Preview, TemplateError> {
    let message = match template {
        None => Message::Digest(Digest::of(event)),
        Some(source) => Message::Text(Source::compile(kind, source)?.render(event)?),
    };
    Ok(Preview { text: message.text(kind), body: message.body(kind) })
}

/// Renders the message of `event` as the subscriber with this `config` would get it.
///
/// # Errors
///
/// The configuration cannot be used, or what is wrong with the template that was chosen.
pub fn preview_for(kind: Kind, config: &Value, event: &RegisteredEvent) -> Result<Preview, Error> {
    let config = Config::read(config)?;
    let templates = Templates::compile(kind, &config.templates)?;
    let message = match templates.render(event) {
        None => Message::Digest(Digest::of(event)),
        Some((_, Ok(text))) => Message::Text(text),
        Some((pattern, Err(source))) => {
            return Err(Error::Template { pattern: pattern.to_owned(), source });
        }
    };
    Ok(Preview { text: message.text(kind), body: message.body(kind) })
}

#[cfg(test)]
mod tests;
