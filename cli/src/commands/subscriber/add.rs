//! `tidings subscriber add`.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;
use tidings::{
    endpoint::{Config, EndpointError},
    pattern::Pattern,
    scope::Scope,
    secret::Secret,
    subscriber::{self, NewSubscriber},
    subscription::{self, Wanted},
};
use tidings_worker::{Chat, Ladder, chat, webhook::KIND};

use super::topic;
use crate::{
    arguments::subscriber::Add,
    commands::template,
    context::{Context, Keys, random},
    exit::Exit,
    failure::Coded,
    output::sheet::Sheet,
};

/// Far more than any secret has.
const SECRET_BYTES_MAX: u64 = 4096;

/// What adding came to.
#[derive(Serialize)]
struct Added {
    subscriber_id: i32,
    name: String,
    kind: String,
    /// Shown here and never again; absent where it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// The key that the secret is sealed under.
    key_id: Option<String>,
    subscription_ids: Vec<i32>,
    #[serde(skip)]
    subscribed: String,
}

/// Adds a subscriber, after everything about it has been checked.
pub(super) async fn run(context: &Context, add: &Add) -> Result<()> {
    let name = &add.name;
    let doing = || format!("add the subscriber `{name}`");
    let new = new(add).with_context(doing)?;
    let patterns: Vec<Pattern> = add
        .patterns
        .iter()
        .map(|text| Pattern::parse(text))
        .collect::<Result<_, _>>()
        .with_context(doing)?;
    let scope = Scope::parse(&add.scope).with_context(doing)?;
    new.check(&context.global.policy()).with_context(doing)?;
    check_ladder(new.retry.as_ref()).with_context(doing)?;
    check_endpoint(context, &new).await.with_context(doing)?;
    let keys = context.keys()?;
    let added = store(context, new, keys.as_ref(), (&patterns, &scope, add.ordered)).await;
    let added = added.with_context(doing)?;
    context.output.show(&added, || added.sheet(keys.as_ref()))
}

/// Checks where it is called, and what is posted there.
async fn check_endpoint(context: &Context, new: &NewSubscriber) -> Result<()> {
    if new.kind == KIND {
        context.webhook(None)?.check(&new.config).await?;
    }
    if let Some(kind) = chat::Kind::parse(&new.kind) {
        Chat::new(kind, &context.webhook(None)?).check(&new.config).await?;
    }
    if new.kind == topic::KIND {
        topic::check(&new.config)?;
    }
    Ok(())
}

async fn store(
    context: &Context,
    new: NewSubscriber,
    keys: Option<&Keys>,
    (patterns, scope, ordered): (&[Pattern], &Scope, bool),
) -> Result<Added> {
    let (name, kind) = (new.name.clone(), new.kind.clone());
    let sealed = new.secret.is_some() || kind == KIND;
    let keyring = keys.map(|keys| &keys.keyring);
    let policy = context.global.policy();
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let added = subscriber::add(&mut tx, keyring, &mut random(), &policy, new).await?;
    let mut subscription_ids = Vec::with_capacity(patterns.len());
    for pattern in patterns {
        let id = added.subscriber_id;
        let subscribed = {
            let wanted = Wanted::new(pattern.clone()).within(scope.clone()).ordered(ordered);
            subscription::add(&mut tx, id, &wanted).await?
        };
        subscription_ids.push(subscribed.subscription_id);
    }
    tidings::commit(tx).await?;
    database.close().await?;
    Ok(Added {
        subscriber_id: added.subscriber_id,
        name,
        kind,
        secret: added.secret.map(|secret| secret.to_string()),
        key_id: keys.filter(|_| sealed).map(|keys| keys.id().to_string()),
        subscription_ids,
        subscribed: patterns.iter().map(Pattern::as_str).collect::<Vec<_>>().join(", "),
    })
}

fn new(add: &Add) -> Result<NewSubscriber> {
    let chat = chat::Kind::parse(&add.kind);
    check_options(add, chat)?;
    let config = match (&add.config, &add.url, &add.topic) {
        (Some(config), ..) => config.clone(),
        (None, None, Some(topic)) => topic::config(add, topic)?,
        (None, Some(url), _) if chat.is_some() => chat_config(add, url)?,
        (None, Some(url), _) => config(add, url)?,
        (None, None, None) => Value::Object(serde_json::Map::new()),
    };
    let secret = add.secret.as_deref().map(secret).transpose()?;
    Ok(NewSubscriber {
        tenant: add.tenant.tenant.clone(),
        view: add.view.into(),
        secret,
        in_flight_max: add.in_flight,
        rate_per_s: add.rate,
        retry: add.retry.clone(),
        ..NewSubscriber::new(&add.name, &add.kind, config)
    })
}

/// Refuses what the kind has no use for, rather than dropping it.
fn check_options(add: &Add, chat: Option<chat::Kind>) -> Result<()> {
    let refused = |message: String| Err(Coded::new(Exit::Refused, message).into());
    match chat {
        Some(kind) if !add.headers.is_empty() => {
            refused(format!("{kind} takes no headers; leave out --header"))
        }
        Some(kind) if add.secret.is_some() => {
            refused(format!("{kind} verifies no signatures; leave out --secret"))
        }
        None if !add.templates.is_empty() => refused(format!(
            "only chat services have templates, and {} is none; leave out --template, or add --kind slack",
            add.kind
        )),
        _ => check_kafka(add),
    }
}

/// Refuses what only a topic of Kafka has, or has no use for.
fn check_kafka(add: &Add) -> Result<()> {
    let (kind, is_topic) = (&add.kind, add.kind == topic::KIND);
    let message = if add.topic.is_some() && !is_topic {
        format!(
            "only Kafka has topics, and {kind} is another kind; leave out --topic, or add --kind kafka"
        )
    } else if add.format.is_some() && !is_topic && kind != KIND {
        format!("only webhooks and topics have formats, and {kind} is neither; leave out --format")
    } else if is_topic && (add.url.is_some() || !add.headers.is_empty() || add.secret.is_some()) {
        "a topic has no address, headers or secret; leave out --url, --header and --secret"
            .to_owned()
    } else {
        return Ok(());
    };
    Err(Coded::new(Exit::Refused, message).into())
}

fn chat_config(add: &Add, url: &str) -> Result<Value> {
    let mut config = chat::Config::new(url);
    config.timeout_ms = timeout_ms(add);
    for (pattern, text) in &add.templates {
        if config.templates.insert(pattern.clone(), template::read(text)?).is_some() {
            let message = format!("two templates are given for `{pattern}`");
            return Err(Coded::new(Exit::Refused, message).into());
        }
    }
    serde_json::to_value(config).context("write the configuration as JSON")
}

pub(super) fn timeout_ms(add: &Add) -> Option<u64> {
    add.timeout.and_then(|timeout| u64::try_from(timeout.as_millis()).ok())
}

fn config(add: &Add, url: &str) -> Result<Value> {
    let mut headers = BTreeMap::new();
    for (name, value) in &add.headers {
        if headers.insert(name.clone(), value.clone()).is_some() {
            return Err(EndpointError::HeaderTwice { name: name.clone() }.into());
        }
    }
    let format = add.format.unwrap_or_default();
    let config = Config { headers, format, timeout_ms: timeout_ms(add), ..Config::new(url) };
    serde_json::to_value(config).context("write the configuration as JSON")
}

/// Reads a secret that was given, or that stands on standard input.
pub(in crate::commands) fn secret(text: &str) -> Result<Secret> {
    Ok(Secret::parse(&secret_text(text)?)?)
}

/// Returns the text of a secret that was given, or for `-` what stands on standard input, where no list of processes
/// shows it.
pub(in crate::commands) fn secret_text(text: &str) -> Result<String> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut text = String::new();
    let read = io::stdin().lock().take(SECRET_BYTES_MAX).read_to_string(&mut text);
    read.context("read the secret from standard input")?;
    Ok(text)
}

/// Checks a retry ladder that was given.
pub(super) fn check_ladder(retry: Option<&Value>) -> Result<()> {
    let Some(retry) = retry else { return Ok(()) };
    let refused = |error: anyhow::Error| {
        Coded::new(Exit::Refused, "read the retry ladder")
            .hint(
                r#"it looks like {"delays_s": [0, 5, 60], "attempts_max": 10, "age_max_s": 86400}"#,
            )
            .because(error)
    };
    let ladder: Ladder =
        serde_json::from_value(retry.clone()).map_err(|error| refused(error.into()))?;
    ladder.check().map_err(|error| refused(error.into()))?;
    Ok(())
}

impl Added {
    fn sheet(&self, keys: Option<&Keys>) -> Sheet {
        let Self { subscriber_id, name, secret, key_id, .. } = self;
        let sheet = Sheet::new().heading(format!("subscriber {name} added (id {subscriber_id})"));
        let sheet = match secret {
            None => sheet,
            Some(secret) => sheet.field("secret", secret).field(
                "",
                "it is not shown again: hand it to the subscriber now, it verifies signatures with it",
            ),
        };
        let sealed = key_id
            .as_ref()
            .zip(keys)
            .map(|(id, keys)| format!("under key {id} from {}", keys.source));
        let subscribed = match self.subscribed.as_str() {
            "" => format!("to nothing yet; `tidings subscription add {name} PATTERN`"),
            patterns => format!("to {patterns}"),
        };
        sheet.maybe("sealed", sealed).field("subscribed", subscribed)
    }
}
