//! `tidings sink`.

use anyhow::{Context as _, Result};
use serde::Serialize;
use tidings::{
    analytics::wire::{Host, Vendor},
    pattern::Pattern,
    privacy,
    secret::Credentials,
    subscriber::{self, Ensured, NewSubscriber},
    subscription::{self, Wanted},
};
use tidings_worker::{
    Webhook,
    analytics::{Analytics, Config},
};
use uuid::Uuid;

use super::subscriber::secret_text;
use crate::{
    arguments::{
        serve::Sinks,
        sink::{AddSink, SinkCommand},
    },
    connection::Place,
    context::{Context, Keys, random},
    output::sheet::Sheet,
    telemetry,
};

/// What adding came to.
#[derive(Serialize)]
struct Added {
    subscriber_id: i32,
    name: String,
    kind: &'static str,
    subscription_ids: Vec<i32>,
    level: tidings::Level,
    /// Something that a person should know of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
    #[serde(skip)]
    subscribed: String,
}

/// Does what `command` says.
pub(crate) async fn run(context: &Context, command: &SinkCommand) -> Result<()> {
    match command {
        SinkCommand::Add(add) => self::add(context, add).await,
    }
}

async fn add(context: &Context, add: &AddSink) -> Result<()> {
    let name = &add.name;
    let doing = || format!("add the sink `{name}`");
    let vendor = Vendor::from(add.kind);
    let key = secret_text(&add.key).with_context(doing)?;
    let new = new(&context.webhook(None)?, vendor, name, &add.config(), &key).await;
    let new = new.with_context(doing)?;
    let patterns: Vec<Pattern> = add
        .patterns
        .iter()
        .map(|text| Pattern::parse(text))
        .collect::<Result<_, _>>()
        .with_context(doing)?;
    let policy = context.global.policy();
    new.check(&policy).with_context(doing)?;

    let keys = context.keys()?;
    let keyring = keys.as_ref().map(|keys| &keys.keyring);
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let added = subscriber::add(&mut tx, keyring, &mut random(), &policy, new).await;
    let subscriber_id = added.with_context(doing)?.subscriber_id;
    let mut subscription_ids = Vec::with_capacity(patterns.len());
    for pattern in &patterns {
        let wanted = Wanted::new(pattern.clone());
        let added = subscription::add(&mut tx, subscriber_id, &wanted).await.with_context(doing)?;
        subscription_ids.push(added.subscription_id);
    }
    let level = privacy::level(&mut tx).await?;
    tidings::commit(tx).await?;
    database.close().await?;
    let host = Host::parse(&add.host).unwrap_or_default();
    let added = Added {
        subscriber_id,
        name: name.clone(),
        kind: vendor.as_str(),
        subscription_ids,
        level,
        warning: host.warning(vendor),
        subscribed: patterns.iter().map(Pattern::as_str).collect::<Vec<_>>().join(", "),
    };
    context.output.show(&added, || added.sheet())
}

/// Sees to it that the sinks of the settings are there, and told of everything when they are new.
pub(super) async fn ensure(
    context: &Context,
    sinks: &Sinks,
    place: &Place,
    (keys, webhook): (Option<&Keys>, &Webhook),
) -> Result<()> {
    let wanted: Vec<_> = sinks.wanted().collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let (keyring, policy) = (keys.map(|keys| &keys.keyring), context.global.policy());
    let everything = Wanted::new(Pattern::parse("**").context("read the pattern of sinks")?);
    let mut database = place.open().await?;
    for (vendor, key, host) in wanted {
        let name = vendor.as_str();
        let doing = || format!("see to it that the sink `{name}` is there");
        // Nothing but its host: what people have set beside that is theirs.
        let config = Config { host: Some(host.to_owned()), ..Config::default() };
        let new = new(webhook, vendor, name, &config, key).await.with_context(doing)?;
        let mut tx = database.begin().await?;
        let ensured = subscriber::ensure(&mut tx, keyring, &mut random(), &policy, new).await;
        let ensured = ensured.with_context(doing)?;
        if let Ensured::Added(id) = ensured {
            subscription::add(&mut tx, id, &everything).await.with_context(doing)?;
        }
        tidings::commit(tx).await?;
        telemetry::sink_ensured(name, ensured);
    }
    database.close().await
}

/// Returns a sink that can be used, or what is wrong with it.
pub(super) async fn new(
    webhook: &Webhook,
    vendor: Vendor,
    name: &str,
    config: &Config,
    key: &str,
) -> Result<NewSubscriber> {
    let config = serde_json::to_value(config).context("write the configuration as JSON")?;
    // The name of the installation is nothing that a configuration depends on.
    Analytics::new(vendor, webhook, Uuid::max()).check(&config).await?;
    let credentials = Credentials::bearer(key.trim()).context("read the key")?;
    let new = NewSubscriber::sink(name, vendor.as_str(), config);
    Ok(NewSubscriber { credentials: Some(credentials), ..new })
}

impl AddSink {
    fn config(&self) -> Config {
        Config {
            host: Some(self.host.clone()),
            consent: self.consent.iter().cloned().collect(),
            gzip: self.gzip,
            timeout_ms: self.timeout.and_then(|timeout| u64::try_from(timeout.as_millis()).ok()),
            protocol: self.protocol.clone(),
            group_type: self.group_type.clone(),
        }
    }
}

impl Added {
    fn sheet(&self) -> Sheet {
        let Self { subscriber_id, name, kind, level, .. } = self;
        Sheet::new()
            .heading(format!("sink {name} added (id {subscriber_id})"))
            .field("kind", kind)
            .field("told of", &self.subscribed)
            .field("level", format!("{level}; `tidings level` changes what is collected"))
            .maybe("warning", self.warning.as_ref())
            .field("", format!("`tidings subscriber ping {name}` tries it"))
    }
}
