//! `tidings sink`.

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::json;
use tidings::{
    analytics::wire::{Host, Vendor},
    pattern::Pattern,
    privacy,
    secret::Credentials,
    subscriber::{self, Ensured, NewSubscriber},
    subscription::{self, Wanted},
};
use tidings_pipeline::deliver::raw;
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
    exit::Exit,
    failure::Coded,
    output::sheet::Sheet,
    telemetry,
};

/// What adding came to.
#[derive(Serialize)]
struct Added {
    subscriber_id: i32,
    name: String,
    kind: String,
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
    let new = match add.kind.vendor() {
        Some(vendor) => {
            let key = secret_text(add.key.as_deref().unwrap_or_default()).with_context(doing)?;
            new(&context.webhook(None)?, vendor, name, &add.config(), &key).await
        }
        None => pipeline(add),
    };
    let new = new.with_context(doing)?;
    let kind = new.kind.clone();
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
    let host = Host::parse(add.host()).unwrap_or_default();
    let added = Added {
        subscriber_id,
        name: name.clone(),
        kind,
        subscription_ids,
        level,
        warning: add.kind.vendor().and_then(|vendor| host.warning(vendor)),
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
    for (vendor, key, host) in wanted {
        let name = vendor.as_str();
        let doing = || format!("see to it that the sink `{name}` is there");
        // Nothing but its host: what people have set beside that is theirs.
        let config = Config { host: Some(host.to_owned()), ..Config::default() };
        let new = new(webhook, vendor, name, &config, key).await.with_context(doing)?;
        ensure_one(context, place, keys, new).await.with_context(doing)?;
    }
    Ok(())
}

/// Sees to it that registered events get into the pipeline that runs beside the worker.
///
/// What people have made of the sink stays: one that they have paused or narrowed is paused or narrow.
pub(super) async fn ensure_pipeline(context: &Context, place: &Place) -> Result<()> {
    let new = NewSubscriber::sink(raw::KIND, raw::KIND, json!({}));
    let ensured = ensure_one(context, place, None, new).await;
    if let Err(error) = &ensured
        && let Some(tidings::Error::SubscriberExists { .. }) = error.downcast_ref()
    {
        telemetry::sink_name_taken(raw::KIND);
        return Ok(());
    }
    ensured.context("see to it that the sink `pipeline` is there")
}

/// Sees to it that a sink is there, and told of everything if it is new.
async fn ensure_one(
    context: &Context,
    place: &Place,
    keys: Option<&Keys>,
    new: NewSubscriber,
) -> Result<()> {
    let (keyring, policy) = (keys.map(|keys| &keys.keyring), context.global.policy());
    let name = new.name.clone();
    let mut database = place.open().await?;
    let mut tx = database.begin().await?;
    let ensured = subscriber::ensure(&mut tx, keyring, &mut random(), &policy, new).await?;
    if let Ensured::Added(id) = ensured {
        let everything = Pattern::parse("**").context("read the pattern of sinks")?;
        subscription::add(&mut tx, id, &Wanted::new(everything)).await?;
    }
    tidings::commit(tx).await?;
    telemetry::sink_ensured(&name, ensured);
    database.close().await
}

/// Returns the sink that is asked for as one of the kind `pipeline`.
fn pipeline(add: &AddSink) -> Result<NewSubscriber> {
    if let Some(flag) = add.of_a_service() {
        let message = format!("{flag} says nothing to the pipeline of this installation");
        return Err(Coded::new(Exit::Usage, message).hint("leave it out").into());
    }
    let config = raw::Config { consent: add.consent.iter().cloned().collect() };
    let config = serde_json::to_value(config).context("write the configuration as JSON")?;
    Ok(NewSubscriber::sink(&*add.name, raw::KIND, config))
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
    fn host(&self) -> &str {
        self.host.as_deref().unwrap_or("us")
    }

    fn config(&self) -> Config {
        Config {
            host: Some(self.host().to_owned()),
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
        let tries =
            (kind != raw::KIND).then(|| format!("`tidings subscriber ping {name}` tries it"));
        Sheet::new()
            .heading(format!("sink {name} added (id {subscriber_id})"))
            .field("kind", kind)
            .field("told of", &self.subscribed)
            .field("level", format!("{level}; `tidings level` changes what is collected"))
            .maybe("warning", self.warning.as_ref())
            .maybe("", tries)
    }
}
