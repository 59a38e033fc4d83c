//! `tidings delivery`.

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde::Serialize;
use tidings::log::{self, DeliveryDetail, DeliveryFilter, Pending, State};

use super::{
    event::{attempts, fields, name_or_id},
    subscriber::find,
};
use crate::{
    arguments::log::{DeliveryCommand as Command, DeliveryList},
    connection::now,
    context::Context,
    exit::Exit,
    failure::Coded,
    output::{
        sheet::Sheet,
        style::Tone,
        table::{Cell, Column, Table},
    },
};

#[derive(Debug, Serialize)]
struct Retried<'a> {
    delivery_ids: &'a [i64],
}

/// Does what `command` says.
pub(crate) async fn run(context: &Context, command: &Command) -> Result<()> {
    match command {
        Command::List(list) => self::list(context, list).await,
        Command::Show { id } => show(context, *id).await,
        Command::Retry { ids } => retry(context, ids).await,
    }
}

async fn list(context: &Context, list: &DeliveryList) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let subscriber_id = match &list.to.subscriber {
        None => None,
        Some(name) => {
            Some(find(&mut tx, &list.to.tenant.tenant, name).await?.summary.subscriber_id)
        }
    };
    let filter = DeliveryFilter {
        subscriber_id,
        event_id: list.event,
        state: list.state.map(State::from),
        after: list.after,
        limit: list.page.limit,
    };
    let found = log::deliveries(&mut tx, &filter).await?;
    let now = now(&mut tx).await?;
    tx.rollback().await?;
    database.close().await?;
    context.output.list(&found, || table(&found, now))?;
    context.output.more(list.page, &found, |last| last.delivery_id.to_string())
}

async fn show(context: &Context, id: i64) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let found = log::delivery(&mut tx, id).await?.ok_or_else(|| not_pending(id))?;
    let now = now(&mut tx).await?;
    tx.rollback().await?;
    database.close().await?;
    context.output.show(&found, || sheet(&found, now))
}

/// Makes deliveries due now: all of them or none.
async fn retry(context: &Context, ids: &[i64]) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    for id in ids {
        if !log::retry(&mut tx, *id).await? {
            return Err(not_pending(*id).into());
        }
    }
    tidings::commit(tx).await?;
    database.close().await?;
    let said = match ids {
        [id] => format!("delivery {id} is due now"),
        ids => format!("{} deliveries are due now", ids.len()),
    };
    context.output.done(&Retried { delivery_ids: ids }, &said)
}

fn not_pending(id: i64) -> Coded {
    Coded::new(Exit::NotFound, format!("delivery {id} is not pending")).hint(
        "it was delivered or given up, or never was; `tidings event show` tells what became of an event, \
         `tidings dead list` what was given up",
    )
}

/// Returns pending deliveries for people.
pub(super) fn table(found: &[Pending], now: DateTime<Utc>) -> Table {
    let columns = [
        Column::number("ID"),
        Column::new("EVENT"),
        Column::flexible("TYPE"),
        Column::new("SUBSCRIBER"),
        Column::new("STATE"),
        Column::number("ATTEMPTS"),
        Column::new("DUE"),
    ];
    let mut table = Table::new(&columns, "nothing is pending");
    for pending in found {
        table.row([
            Cell::new(pending.delivery_id.to_string()),
            Cell::new(pending.event_id.to_string()),
            Cell::maybe(pending.event_type.as_ref()),
            name_or_id(pending.subscriber.as_ref(), pending.subscriber_id),
            Cell::new(pending.state.as_str()).tone(tone(pending)),
            Cell::new(pending.attempts.to_string()),
            pending.due_at.map_or_else(Cell::default, |at| Cell::when(at, now)),
        ]);
    }
    table
}

fn sheet(found: &DeliveryDetail, now: DateTime<Utc>) -> Sheet {
    let pending = &found.pending;
    let to = pending.subscriber.as_ref();
    let to = to.map_or_else(String::new, |name| format!("{name} "));
    let sheet = match &found.event {
        Some(event) => fields(event, now),
        None => Sheet::new().field("event", format!("{} (gone)", pending.event_id)),
    };
    let sheet = sheet
        .field("delivery", pending.delivery_id.to_string())
        .field("to", format!("{to}(id {})", pending.subscriber_id))
        .maybe("subscription", pending.subscription_id)
        .toned("state", pending.state.as_str(), tone(pending));
    let sheet = match pending.due_at {
        Some(at) => sheet.when("due", at, now),
        None => sheet,
    };
    let crashes = Some(pending.crashes).filter(|crashes| *crashes > 0);
    sheet
        .when("first due", pending.first_due_at, now)
        .field("attempts", format!("{} failed so far", pending.attempts))
        .maybe("crashes", crashes.map(|crashes| format!("{crashes} workers died of it")))
        .field("ordered", if pending.ordered { "yes" } else { "no" })
        .table("Attempts", attempts(&found.attempt_log, now))
}

const fn tone(pending: &Pending) -> Tone {
    match pending.state {
        State::Due => Tone::Plain,
        State::Waiting if pending.attempts > 0 => Tone::Warning,
        State::Waiting => Tone::Plain,
        State::Parked => Tone::Dim,
    }
}
