//! `tidings subscriber ping`.

use anyhow::{Context as _, Result};
use serde::Serialize;
use tidings::{analytics::wire::Vendor, deliverer::Verdict, privacy};
use tidings_worker::{
    Chat,
    analytics::Analytics,
    chat,
    webhook::{KIND, Ping},
};
use uuid::Uuid;

use super::{find, topic};
use crate::{
    arguments::subscriber,
    connection::now,
    context::Context,
    exit::Exit,
    failure::Coded,
    output::{sheet::Sheet, style::Tone},
};

/// What became of a ping.
#[derive(Debug, Serialize)]
struct Pinged {
    subscriber_id: i32,
    name: String,
    /// `None` for a chat service, which gets a message without one.
    ping_id: Option<Uuid>,
    delivered: bool,
    status: Option<u16>,
    elapsed_ms: u64,
    body: String,
    error: Option<String>,
}

/// Sends a test event to a webhook, a topic or a sink, or a test message to a chat service, and shows what it answered.
///
/// # Errors
///
/// It did not accept the ping.
pub(super) async fn run(context: &Context, arguments: &subscriber::Ping) -> Result<()> {
    let named = &arguments.subscriber;
    let doing = || format!("ping the subscriber `{}`", named.name);
    let keys = context.keys()?;
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let summary = find(&mut tx, &named.tenant.tenant, &named.name).await?.summary;
    let (subscriber_id, name) = (summary.subscriber_id, summary.name);
    let chat = chat::Kind::parse(&summary.kind);
    let vendor = Vendor::ALL.into_iter().find(|vendor| vendor.as_str() == summary.kind);
    let to_kafka = summary.kind == topic::KIND;
    if summary.kind != KIND && chat.is_none() && vendor.is_none() && !to_kafka {
        let message = format!(
            "{}: it is of kind {}, and only webhooks, chat services, topics and sinks are pinged",
            doing(),
            summary.kind
        );
        return Err(Coded::new(Exit::Refused, message).into());
    }
    let keyring = keys.as_ref().map(|keys| &keys.keyring);
    let opened =
        tidings::subscriber::open(&mut tx, keyring, subscriber_id).await.with_context(doing)?;
    let gone = || Coded::new(Exit::NotFound, format!("{}: it was removed meanwhile", doing()));
    let opened = opened.ok_or_else(gone)?;
    let installation = privacy::installation(&mut tx).await.with_context(doing)?;
    let now = now(&mut tx).await?;
    // Nothing is held while a stranger takes its time.
    tx.rollback().await?;
    database.close().await?;

    let webhook = context.webhook(None)?;
    let progress = context.output.progress("waiting for the answer");
    let ping_id = chat.is_none().then(Uuid::new_v4);
    let ping = match (chat, vendor) {
        (Some(kind), _) => Chat::new(kind, &webhook).ping(&opened).await,
        (None, Some(vendor)) => {
            let sink = Analytics::new(vendor, &webhook, installation);
            sink.ping(&opened, ping_id.unwrap_or_default()).await
        }
        (None, None) if to_kafka => {
            let ping = (ping_id.unwrap_or_default(), now);
            Ok(topic::ping(&arguments.kafka, &opened, ping).await.with_context(doing)?)
        }
        (None, None) => webhook.ping(&opened, ping_id.unwrap_or_default()).await,
    };
    drop(progress);
    let pinged = Pinged::new((subscriber_id, name, ping_id), ping.with_context(doing)?);
    context.output.show(&pinged, || pinged.sheet())?;
    if pinged.delivered {
        return Ok(());
    }
    let error = pinged.error.unwrap_or_else(|| "it did not answer with 2xx".to_owned());
    Err(Coded::new(Exit::Failed, format!("{}: {error}", doing())).into())
}

impl Pinged {
    fn new((subscriber_id, name, ping_id): (i32, String, Option<Uuid>), ping: Ping) -> Self {
        Self {
            subscriber_id,
            name,
            ping_id,
            delivered: ping.verdict == Verdict::Delivered,
            status: ping.status,
            elapsed_ms: u64::try_from(ping.elapsed.as_millis()).unwrap_or(u64::MAX),
            body: ping.body,
            error: ping.error,
        }
    }

    fn sheet(&self) -> Sheet {
        let (outcome, tone) =
            if self.delivered { ("accepted", Tone::Good) } else { ("not accepted", Tone::Bad) };
        let body = Some(&self.body).filter(|body| !body.is_empty());
        Sheet::new()
            .toned("ping", format!("{outcome} by {}", self.name), tone)
            .maybe("status", self.status)
            .field("time", format!("{} ms", self.elapsed_ms))
            .maybe("webhook-id", self.ping_id)
            .maybe("answer", body)
    }
}
