//! `tidings template`.

use std::fs;

use anyhow::{Context as _, Result};
use chrono::Utc;
use serde_json::Value;
use sqlx::PgConnection;
use tidings::{
    delivery::RegisteredEvent,
    log::{self, EventDetail},
    name::Name,
    scope::Scope,
    subscriber,
};
use tidings_worker::chat::{self, Kind};
use uuid::Uuid;

use super::{event, subscriber::find};
use crate::{
    arguments::template::{Command, Preview},
    connection::now,
    context::Context,
    exit::Exit,
    failure::Coded,
};

/// Whose templates are used.
enum Chosen {
    /// This one, or the default message.
    One(Kind, Option<String>),
    /// Those of a subscriber with this configuration.
    Subscriber(Kind, Value),
}

/// Does what `command` says.
pub(crate) async fn run(context: &Context, command: &Command) -> Result<()> {
    let Command::Preview(preview) = command;
    let doing = "preview the message";
    let (chosen, event) = match (preview.kind, preview.event, &preview.event_type) {
        (Some(kind), None, Some(event_type)) => {
            let template = preview.template.as_deref().map(read).transpose()?;
            (Chosen::One(kind.into(), template), made_up(preview, event_type)?)
        }
        _ => look_up(context, preview).await?,
    };
    let shown = match chosen {
        Chosen::One(kind, template) => {
            chat::preview(kind, template.as_deref(), &event).context(doing)?
        }
        Chosen::Subscriber(kind, config) => {
            chat::preview_for(kind, &config, &event).context(doing)?
        }
    };
    context.output.lines(&shown.body, &shown.text)
}

/// Returns a template that was given, or that stands in a file.
///
/// # Errors
///
/// The file cannot be read.
pub(crate) fn read(text: &str) -> Result<String> {
    match text.strip_prefix('@') {
        Some(path) => {
            fs::read_to_string(path).with_context(|| format!("read the template in {path}"))
        }
        None => Ok(text.to_owned()),
    }
}

/// Reads from the database what was named.
async fn look_up(context: &Context, preview: &Preview) -> Result<(Chosen, RegisteredEvent)> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let chosen = match (preview.kind, &preview.subscriber) {
        (Some(kind), _) => {
            Chosen::One(kind.into(), preview.template.as_deref().map(read).transpose()?)
        }
        (None, Some(name)) => templates_of(&mut tx, &preview.tenant.tenant, name).await?,
        (None, None) => return Err(unclear().into()),
    };
    let event = match (preview.event, &preview.event_type) {
        (Some(id), _) => stored(log::event(&mut tx, id).await?.ok_or_else(|| event::missing(id))?),
        (None, Some(event_type)) => {
            RegisteredEvent { occurred_at: now(&mut tx).await?, ..made_up(preview, event_type)? }
        }
        (None, None) => return Err(unclear().into()),
    };
    tx.rollback().await?;
    database.close().await?;
    Ok((chosen, event))
}

async fn templates_of(conn: &mut PgConnection, tenant: &str, name: &str) -> Result<Chosen> {
    let summary = find(conn, tenant, name).await?.summary;
    let Some(kind) = Kind::parse(&summary.kind) else {
        let message = format!(
            "preview the message: the subscriber `{name}` is of kind {}, and only chat services have templates",
            summary.kind
        );
        return Err(Coded::new(Exit::Refused, message).into());
    };
    // A chat subscriber has no secret to be opened.
    let opened = subscriber::open(conn, None, summary.subscriber_id).await?;
    let gone =
        || Coded::new(Exit::NotFound, format!("the subscriber `{name}` was removed meanwhile"));
    Ok(Chosen::Subscriber(kind, opened.ok_or_else(gone)?.config))
}

fn stored(found: EventDetail) -> RegisteredEvent {
    RegisteredEvent {
        event_id: found.event.event_id,
        event_type: found.event.event_type,
        version: found.event.version,
        tenant: found.event.tenant,
        scope: found.event.scope,
        ordering_key: found.event.ordering_key,
        occurred_at: found.event.occurred_at,
        payload: found.payload.get().to_owned(),
        headers: found.headers.map(|headers| headers.get().to_owned()),
    }
}

#[expect(clippy::disallowed_methods, reason = "the event is made up, and stored nowhere")]
fn made_up(preview: &Preview, event_type: &str) -> Result<RegisteredEvent> {
    let event_type = Name::parse(event_type).context("preview the message")?;
    let scope = Scope::parse(&preview.scope).context("preview the message")?;
    Ok(RegisteredEvent {
        event_id: Uuid::now_v7(),
        event_type: event_type.as_str().to_owned(),
        version: 1,
        tenant: preview.tenant.tenant.clone(),
        scope: scope.as_str().to_owned(),
        ordering_key: None,
        occurred_at: Utc::now(),
        payload: preview.payload.as_ref().map_or_else(|| "{}".to_owned(), Value::to_string),
        headers: None,
    })
}

/// What the command line has refused already.
fn unclear() -> Coded {
    Coded::new(Exit::Usage, "preview the message: of which event, and for whom?").hint("see --help")
}
