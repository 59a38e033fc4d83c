//! What `subscriber` and `subscription` understand.

pub(crate) mod rotate;
pub(crate) mod update;

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use tidings::{
    endpoint::{TIMEOUT_MAX, TIMEOUT_MIN},
    format::Format,
};

use super::{Page, kafka::Brokers};
use crate::duration;

/// What `subscriber` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a subscriber
    ///
    /// The endpoint is checked first, its addresses included.
    /// A webhook without --secret gets a fresh one, which is shown once.
    Add(Box<Add>),
    /// Change a subscriber; what is not named stays
    ///
    /// Its worker goes by the change within a second or so.
    /// With --if-version, it is refused if somebody else has changed the subscriber meanwhile.
    Update(Box<update::Update>),
    /// Give a subscriber a new secret or key pair; old ones go on signing for a while
    ///
    /// A new secret is shown once: hand it to the subscriber within the overlap.
    Rotate(rotate::Rotate),
    /// Set what a subscriber asks for before it listens: a bearer token, or a name and a password; of a sink, its key
    ///
    /// They take the place of those before, at once.
    Credentials(rotate::SetCredentials),
    /// Print the public keys by which a subscriber verifies, as a JSON Web Key Set
    Jwks(Named),
    /// List subscribers
    List(List),
    /// Show one subscriber, with its subscriptions
    Show(Named),
    /// Stop deliveries to a subscriber; they wait
    Pause(Named),
    /// Go on with deliveries, after a pause or after the system has disabled the subscriber
    Resume(Named),
    /// Send a test event to a webhook, once, signed like any other; or to a topic or a sink, or a message to a chat service
    Ping(Ping),
    /// Remove a subscriber, its subscriptions, and what waits for it
    Remove(Named),
}

/// Which subscriber.
#[derive(Args, Debug)]
pub(crate) struct Named {
    /// Its name or id
    #[arg(value_name = "SUBSCRIBER")]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) tenant: Tenant,
}

/// Whose names are meant.
#[derive(Args, Clone, Debug)]
pub(crate) struct Tenant {
    /// The tenant, where the application has several
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TENANT")]
    pub(crate) tenant: String,
}

/// Which subscribers to list.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Those of this tenant only
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<String>,

    /// Those of this kind only
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,

    /// Those behind this id, the last of the page before
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<i32>,

    #[command(flatten)]
    pub(crate) page: Page,
}

/// A subscriber that is to be added.
#[derive(Args, Debug)]
pub(crate) struct Add {
    /// The name that people use: letters, digits, `.`, `_` and `-`
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) tenant: Tenant,

    /// Which deliverer serves it: webhook, slack, teams, discord, kafka, or one of the application's own
    #[arg(long, default_value = "webhook", value_name = "KIND")]
    pub(crate) kind: String,

    /// Where a webhook is called; for a chat service, the incoming webhook that it made
    #[arg(long, value_name = "URL", required_if_eq_any([
        ("kind", "webhook"), ("kind", "slack"), ("kind", "teams"), ("kind", "discord"),
    ]))]
    pub(crate) url: Option<String>,

    /// A topic of Kafka, with places for {type}, {version}, {tenant} and {scope.KEY}: `orders.{type}` for example
    #[arg(long, value_name = "TOPIC", required_if_eq("kind", "kafka"))]
    pub(crate) topic: Option<String>,

    /// The brokers of the topic, `host:9092`, with commas between; those of the workers where they are not set
    #[arg(long, value_name = "BROKERS", requires = "topic")]
    pub(crate) brokers: Option<String>,

    /// How an event is written for a webhook or a topic: tidings, cloudevents or cloudevents-binary
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,

    /// Which view of events it gets: notification or telemetry, which makes it a sink, of every tenant and scope
    #[arg(long, default_value = "notification", value_name = "VIEW")]
    pub(crate) view: View,

    /// A header that is sent along; repeatable
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,

    /// How long one attempt may take, 1s to 1m
    #[arg(long, value_name = "DURATION", value_parser = duration::within(TIMEOUT_MIN..=TIMEOUT_MAX))]
    pub(crate) timeout: Option<Duration>,

    /// The template of a chat service's messages for an event type or pattern; repeatable, `@FILE` reads a file
    ///
    /// The most specific one is used, and the default message where there is none.
    #[arg(long = "template", value_name = "PATTERN=TEMPLATE", value_parser = template)]
    pub(crate) templates: Vec<(String, String)>,

    /// What another kind of deliverer needs to know, a JSON object
    #[arg(long, value_name = "JSON", value_parser = json, conflicts_with_all = ["url", "topic", "format", "headers", "timeout", "templates"])]
    pub(crate) config: Option<Value>,

    /// The secret that signs, `whsec_…`; `-` reads it from standard input
    #[arg(long, value_name = "SECRET", hide_env_values = true)]
    pub(crate) secret: Option<String>,

    /// How many deliveries may be in flight, 1 to 100000
    #[arg(long, value_name = "N")]
    pub(crate) in_flight: Option<i32>,

    /// How many deliveries may start per second, above 0 and at most 1000000
    #[arg(long, value_name = "PER_SECOND")]
    pub(crate) rate: Option<f64>,

    /// When failed deliveries come again: `{"delays_s": [0, 5, 60], "attempts_max": 10, "age_max_s": 86400}`
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub(crate) retry: Option<Value>,

    /// An event type or pattern to subscribe to, `order:*` for example; repeatable
    #[arg(long = "subscribe", value_name = "PATTERN")]
    pub(crate) patterns: Vec<String>,

    /// The scope of these subscriptions, `project=p1/job=j1` for example
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "SCOPE",
        requires = "patterns"
    )]
    pub(crate) scope: String,

    /// These subscriptions get events of one ordering key in the order of registering
    #[arg(long, requires = "patterns")]
    pub(crate) ordered: bool,
}

/// Which view of an event a subscriber gets.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum View {
    /// The notification
    Notification,
    /// The telemetry
    Telemetry,
}

impl From<View> for tidings::subscriber::View {
    fn from(view: View) -> Self {
        match view {
            View::Notification => Self::Notification,
            View::Telemetry => Self::Telemetry,
        }
    }
}

/// A subscriber that is to be pinged.
#[derive(Args, Debug)]
pub(crate) struct Ping {
    #[command(flatten)]
    pub(crate) subscriber: Named,

    #[command(flatten)]
    pub(crate) kafka: Brokers,
}

/// What `subscription` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum SubscriptionCommand {
    /// Subscribe a subscriber to an event type or pattern
    Add(AddSubscription),
    /// List the subscriptions of a subscriber
    List(Named),
    /// Remove a subscription; what was registered before is still delivered
    Remove {
        /// Its id
        #[arg(value_name = "SUBSCRIPTION")]
        id: i32,
    },
}

/// A subscription that is to be added.
#[derive(Args, Debug)]
pub(crate) struct AddSubscription {
    #[command(flatten)]
    pub(crate) subscriber: Named,

    /// An event type, or a pattern: `*` stands for one part, `**` for one or more
    #[arg(value_name = "PATTERN")]
    pub(crate) pattern: String,

    /// The scope within which events match, `project=p1/job=j1` for example
    #[arg(long, default_value = "", hide_default_value = true, value_name = "SCOPE")]
    pub(crate) scope: String,

    /// Events of one ordering key come in the order of registering
    #[arg(long)]
    pub(crate) ordered: bool,

    /// What has to hold for the payload: `{"order": {"total": {"$gte": 100}}}`
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub(crate) filter: Option<Value>,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it like `x-api-key: value`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn template(text: &str) -> Result<(String, String), String> {
    let (pattern, template) =
        text.split_once('=').ok_or("write it like `order:placed=Order {{ data.number }}`")?;
    Ok((pattern.trim().to_owned(), template.to_owned()))
}

pub(super) fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_split_at_its_first_colon() {
        let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(header("X-Api-Key: a:b "), pair("X-Api-Key", "a:b"));
        assert_eq!(header("x-empty:"), pair("x-empty", ""));
        assert!(header("no colon").unwrap_err().contains("x-api-key"));
    }

    #[test]
    fn template_is_split_at_its_first_equals_sign() {
        let split = template("order:*={% if data.a == 1 %}x{% endif %}").unwrap();
        assert_eq!(split, ("order:*".to_owned(), "{% if data.a == 1 %}x{% endif %}".to_owned()));
        assert!(template("no sign").unwrap_err().contains("order:placed="));
    }
}
