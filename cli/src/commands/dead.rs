//! `tidings dead`.

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tidings::dead::{self, Detail, Filter, Letter};

use super::{event::name_or_id, subscriber::find};
use crate::{
    arguments::log::{DeadCommand as Command, DeadList, Replay, Which, pattern},
    connection::now,
    context::Context,
    exit::Exit,
    failure::Coded,
    output::{
        json,
        sheet::Sheet,
        table::{Cell, Column, Table},
    },
};

/// How many one transaction replays: registers of the same ordering keys wait for its end.
const REPLAYED_AT_ONCE: u32 = 100;

#[derive(Debug, Serialize)]
struct Replayed {
    replayed: usize,
    delivery_ids: Vec<i64>,
}

/// Does what `command` says.
pub(crate) async fn run(context: &Context, command: &Command) -> Result<()> {
    match command {
        Command::List(list) => self::list(context, list).await,
        Command::Show { id } => show(context, *id).await,
        Command::Replay(replay) if replay.all => replay_all(context, &replay.which).await,
        Command::Replay(Replay { ids, .. }) => replay_some(context, ids).await,
    }
}

async fn list(context: &Context, list: &DeadList) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let filter = Filter {
        replayed: (!list.replayed).then_some(false),
        after: list.after,
        limit: list.page.limit,
        ..filter(&mut tx, &list.which).await?
    };
    let found = dead::list(&mut tx, &filter).await?;
    let now = now(&mut tx).await?;
    tx.rollback().await?;
    database.close().await?;
    context.output.list(&found, || table(&found, now))?;
    context.output.more(list.page, &found, |last| last.dead_id.to_string())
}

async fn show(context: &Context, id: i64) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let found = dead::show(&mut tx, id).await?.ok_or_else(|| not_found(id))?;
    let now = now(&mut tx).await?;
    tx.rollback().await?;
    database.close().await?;
    context.output.show(&found, || sheet(&found, now))
}

/// Replays these dead letters: all of them or none.
async fn replay_some(context: &Context, ids: &[i64]) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let mut delivery_ids = Vec::with_capacity(ids.len());
    for id in ids {
        let replayed = dead::replay(&mut tx, *id).await.context("replay")?;
        delivery_ids.push(replayed.ok_or_else(|| not_found(*id))?);
    }
    tidings::commit(tx).await?;
    database.close().await?;
    told(context, delivery_ids)
}

/// Replays everything that `which` means, in transactions of a hundred.
async fn replay_all(context: &Context, which: &Which) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let filter = Filter { limit: REPLAYED_AT_ONCE, ..filter(&mut tx, which).await? };
    tx.rollback().await?;
    let progress = context.output.progress("replaying");
    let mut delivery_ids = Vec::new();
    loop {
        let mut tx = database.begin().await?;
        let replayed = dead::replay_all(&mut tx, &filter).await;
        let replayed =
            replayed.with_context(|| format!("replay, after {} were", delivery_ids.len()))?;
        tidings::commit(tx).await?;
        if replayed.is_empty() {
            break;
        }
        delivery_ids.extend(replayed);
        progress.say(&format!("{} dead letters", delivery_ids.len()));
    }
    drop(progress);
    database.close().await?;
    told(context, delivery_ids)
}

fn told(context: &Context, delivery_ids: Vec<i64>) -> Result<()> {
    let said = match delivery_ids.as_slice() {
        [] => "there was nothing to replay".to_owned(),
        [id] => format!("1 dead letter is delivered again, as delivery {id}"),
        ids => format!("{} dead letters are delivered again", ids.len()),
    };
    context.output.done(&Replayed { replayed: delivery_ids.len(), delivery_ids }, &said)
}

async fn filter(conn: &mut PgConnection, which: &Which) -> Result<Filter> {
    let Which { to, event, pattern: text, reason } = which;
    let tenant = &to.tenant.tenant;
    let subscriber_id = match &to.subscriber {
        None => None,
        Some(name) => Some(find(conn, tenant, name).await?.summary.subscriber_id),
    };
    Ok(Filter {
        tenant: Some(tenant.clone()).filter(|tenant| !tenant.is_empty()),
        subscriber_id,
        event_id: *event,
        pattern: pattern(text.as_deref())?,
        reason: reason.map(|reason| reason.as_str().to_owned()),
        ..Filter::default()
    })
}

fn not_found(id: i64) -> Coded {
    Coded::new(Exit::NotFound, format!("there is no dead letter {id}"))
        .hint("list them with `tidings dead list`")
}

/// Returns dead letters for people.
pub(super) fn table(found: &[Letter], now: DateTime<Utc>) -> Table {
    let columns = [
        Column::number("ID"),
        Column::new("EVENT"),
        Column::flexible("TYPE"),
        Column::new("SUBSCRIBER"),
        Column::new("REASON"),
        Column::number("ATTEMPTS"),
        Column::new("DIED"),
        Column::flexible("LAST ERROR"),
    ];
    let mut table = Table::new(&columns, "there are no such dead letters");
    for letter in found {
        let reason = match letter.replayed_at {
            None => letter.reason.clone(),
            Some(_) => format!("{} (replayed)", letter.reason),
        };
        table.row([
            Cell::new(letter.dead_id.to_string()),
            Cell::new(letter.event_id.to_string()),
            Cell::maybe(letter.event_type.as_ref()),
            name_or_id(letter.subscriber.as_ref(), letter.subscriber_id),
            Cell::new(reason),
            Cell::new(letter.attempts.to_string()),
            Cell::when(letter.died_at, now),
            Cell::maybe(letter.last_error.as_ref()),
        ]);
    }
    table
}

fn sheet(found: &Detail, now: DateTime<Utc>) -> Sheet {
    let letter = &found.letter;
    let to = letter.subscriber.as_ref().map_or_else(String::new, |name| format!("{name} "));
    let given = |text: Option<&String>| text.filter(|text| !text.is_empty()).cloned();
    let sheet = Sheet::new()
        .field("dead letter", letter.dead_id.to_string())
        .field("event", letter.event_id.to_string())
        .maybe("type", letter.event_type.as_ref())
        .maybe("tenant", given(Some(&letter.tenant)))
        .maybe("scope", given(letter.scope.as_ref()))
        .maybe("ordering key", letter.ordering_key.as_ref())
        .field("to", format!("{to}(id {})", letter.subscriber_id))
        .field("reason", &letter.reason)
        .field("attempts", letter.attempts.to_string())
        .maybe("last status", letter.last_status)
        .maybe("last error", letter.last_error.as_ref())
        .when("first due", letter.first_due_at, now)
        .when("died", letter.died_at, now);
    let sheet = match letter.replayed_at {
        Some(at) => sheet.when("replayed", at, now),
        None => sheet,
    };
    match &found.payload {
        Some(payload) => sheet.block("Payload", &json::indent(payload.get())),
        None => sheet.field("payload", "gone; it cannot be replayed"),
    }
}
