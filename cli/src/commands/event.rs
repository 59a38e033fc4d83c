//! `tidings event`.

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use tidings::log::{self, Attempt, EventDetail, EventFilter, EventSummary};
use uuid::Uuid;

use super::{dead, delivery};
use crate::{
    arguments::log::{EventCommand as Command, EventList, pattern, scope},
    connection::now,
    context::Context,
    exit::Exit,
    failure::Coded,
    output::{
        json,
        sheet::Sheet,
        style::Tone,
        table::{Cell, Column, Table},
    },
};

/// Does what `command` says.
pub(crate) async fn run(context: &Context, command: &Command) -> Result<()> {
    match command {
        Command::List(list) => self::list(context, list).await,
        Command::Show { id } => show(context, *id).await,
    }
}

async fn list(context: &Context, list: &EventList) -> Result<()> {
    let (pattern, scope) = (pattern(list.pattern.as_deref())?, scope(list.scope.as_deref())?);
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let now = now(&mut tx).await?;
    let filter = EventFilter {
        pattern,
        scope,
        tenant: list.tenant.clone(),
        since: list.since.map(|since| since.at(now)),
        until: list.until.map(|until| until.at(now)),
        after: list.after,
        limit: list.page.limit,
    };
    let found = log::events(&mut tx, &filter).await?;
    tx.rollback().await?;
    database.close().await?;
    context.output.list(&found, || table(&found, now))?;
    context.output.more(list.page, &found, |last| last.event_id.to_string())
}

async fn show(context: &Context, id: Uuid) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let found = log::event(&mut tx, id).await?.ok_or_else(|| missing(id))?;
    let now = now(&mut tx).await?;
    tx.rollback().await?;
    database.close().await?;
    context.output.show(&found, || sheet(&found, now))
}

/// Returns the error for an event that is not there.
pub(super) fn missing(id: Uuid) -> Coded {
    Coded::new(Exit::NotFound, format!("there is no event {id}, or no more"))
        .hint(format!("dead letters outlive their event: `tidings dead list --event {id}`"))
}

fn table(found: &[EventSummary], now: DateTime<Utc>) -> Table {
    let columns = [
        Column::new("ID"),
        Column::new("TYPE"),
        Column::flexible("SCOPE"),
        Column::number("BYTES"),
        Column::new("REGISTERED"),
    ];
    let mut table = Table::new(&columns, "there are no such events");
    for event in found {
        table.row([
            Cell::new(event.event_id.to_string()),
            Cell::new(&event.event_type),
            Cell::new(&event.scope),
            Cell::new(event.payload_bytes.to_string()),
            Cell::when(event.created_at, now),
        ]);
    }
    table
}

fn sheet(found: &EventDetail, now: DateTime<Utc>) -> Sheet {
    let expanding = "a worker is still writing the deliveries of its large fan-out";
    fields(&found.event, now)
        .maybe("fan-out", found.expanding.then_some(expanding))
        .maybe("headers", found.headers.as_deref().map(RawValue::get))
        .table("Still to be delivered", delivery::table(&found.pending, now))
        .table("Attempts", attempts(&found.attempts, now))
        .table("Dead letters", dead::table(&found.dead, now))
        .block("Payload", &json::indent(found.payload.get()))
}

/// Returns what a list shows of an event, as fields.
pub(super) fn fields(event: &EventSummary, now: DateTime<Utc>) -> Sheet {
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    Sheet::new()
        .field("event", event.event_id.to_string())
        .field("type", format!("{} version {}", event.event_type, event.version))
        .maybe("tenant", given(&event.tenant))
        .maybe("scope", given(&event.scope))
        .maybe("ordering key", event.ordering_key.as_ref())
        .when("registered", event.created_at, now)
        .when("occurred", event.occurred_at, now)
        .field("payload", format!("{} bytes", event.payload_bytes))
}

/// Returns attempts for people.
pub(super) fn attempts(attempts: &[Attempt], now: DateTime<Utc>) -> Table {
    let columns = [
        Column::number("DELIVERY"),
        Column::number("ATTEMPT"),
        Column::new("SUBSCRIBER"),
        Column::new("OUTCOME"),
        Column::number("STATUS"),
        Column::number("MS"),
        Column::new("AT"),
        // Never cut: it is the last column, and what went wrong is why people look.
        Column::new("ERROR"),
    ];
    let mut table = Table::new(&columns, "there are no attempts");
    for attempt in attempts {
        let tone = match attempt.outcome.as_str() {
            "delivered" => Tone::Good,
            "retry" => Tone::Warning,
            _ => Tone::Bad,
        };
        table.row([
            Cell::new(attempt.delivery_id.to_string()),
            Cell::new(attempt.attempt.to_string()),
            name_or_id(attempt.subscriber.as_ref(), attempt.subscriber_id),
            Cell::new(&attempt.outcome).tone(tone),
            Cell::maybe(attempt.status),
            Cell::maybe(attempt.elapsed_ms),
            Cell::when(attempt.at, now),
            Cell::maybe(attempt.error.as_ref()),
        ]);
    }
    table
}

/// Returns the name of a subscriber, or its id where nothing else is known of it any more.
pub(super) fn name_or_id(name: Option<&String>, id: i32) -> Cell {
    name.map_or_else(|| Cell::new(id.to_string()), Cell::new)
}
