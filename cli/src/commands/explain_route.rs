//! `tidings explain-route`.

mod subscriber;

use std::{
    fs,
    io::{self, Read},
};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use tidings::{
    Catalogue,
    filter::Condition,
    log,
    scope::Scope,
    subscription::{self, Route},
};
use uuid::Uuid;

use super::subscription::everywhere;
use crate::{
    arguments::explain::ExplainRoute,
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

/// An event, as far as its route goes.
struct Event {
    name: String,
    scope: Scope,
    tenant: String,
    payload: Option<Value>,
    /// When it was registered, if it was.
    registered_at: Option<DateTime<Utc>>,
}

/// A subscription that matches, and what its filter says.
#[derive(Debug, Serialize)]
struct Explained {
    #[serde(flatten)]
    route: Route,
    /// Each condition of the filter; empty where there is none, or no payload to try it on.
    conditions: Vec<Condition>,
}

/// Says who would be notified, and why.
pub(crate) async fn run(context: &Context, explain: &ExplainRoute) -> Result<()> {
    let given = explain.payload.as_deref().map(payload).transpose()?;
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let event = match explain.event {
        Some(id) => stored(&mut tx, id).await?,
        None => Event {
            name: explain.event_type.clone().unwrap_or_default(),
            scope: Scope::parse(&explain.scope)?,
            tenant: explain.tenant.tenant.clone(),
            payload: given,
            registered_at: None,
        },
    };
    check(&mut tx, &event.name).await?;
    if let Some(name) = &explain.subscriber {
        let explanation = subscriber::explain(&mut tx, &event, name).await?;
        let now = now(&mut tx).await?;
        tx.rollback().await?;
        database.close().await?;
        return context.output.show(&explanation, || subscriber::sheet(&explanation, now));
    }
    let explained = self::explain(&mut tx, &event).await?;
    tx.rollback().await?;
    database.close().await?;
    if explained.is_empty() {
        return context.output.list(&explained, || Table::new(&[], "nobody would be notified"));
    }
    context.output.show(&explained, || sheet(&explained))
}

/// Reads a payload that was given, or that stands in a file or on standard input.
fn payload(text: &str) -> Result<Value> {
    let doing = "read the payload";
    let refused = |error: serde_json::Error| {
        Coded::new(Exit::Refused, doing)
            .hint("give JSON, @FILE, or - for standard input")
            .because(error)
    };
    let mut read = String::new();
    match text.strip_prefix('@') {
        _ if text == "-" => {
            let from_stdin = io::stdin().lock().read_to_string(&mut read);
            from_stdin.context("read the payload from standard input")?;
        }
        Some(path) => {
            read = fs::read_to_string(path).map_err(|error| {
                Coded::new(Exit::NotFound, format!("{doing} from {path}")).because(error)
            })?;
        }
        None => text.clone_into(&mut read),
    }
    Ok(serde_json::from_str(&read).map_err(refused)?)
}

async fn stored(conn: &mut PgConnection, id: Uuid) -> Result<Event> {
    let found = log::event(conn, id).await?.ok_or_else(|| {
        Coded::new(Exit::NotFound, format!("there is no event {id}, or no more"))
            .hint("list events with `tidings event list`")
    })?;
    let payload = serde_json::from_str(found.payload.get()).context("read the payload")?;
    Ok(Event {
        scope: Scope::parse(&found.event.scope)?,
        name: found.event.event_type,
        tenant: found.event.tenant,
        payload: Some(payload),
        registered_at: Some(found.event.created_at),
    })
}

/// Nobody is notified of what nobody can register; better to say so than to answer with an empty list.
async fn check(conn: &mut PgConnection, event_type: &str) -> Result<()> {
    let types = Catalogue::stored(conn).await?;
    if types.iter().any(|known| known.event_type == event_type) {
        return Ok(());
    }
    let message = format!("there is no event type `{event_type}`");
    let hint = match types.as_slice() {
        [] => "the catalogue is empty: sync that of the application".to_owned(),
        types => {
            let mut names: Vec<_> = types.iter().map(|known| known.event_type.as_str()).collect();
            names.dedup();
            format!("the catalogue has {}", names.join(", "))
        }
    };
    Err(Coded::new(Exit::NotFound, message).hint(hint).into())
}

async fn explain(conn: &mut PgConnection, event: &Event) -> Result<Vec<Explained>> {
    let Event { name, scope, tenant, payload, .. } = event;
    let routes = subscription::explain(conn, name, scope, tenant, payload.as_ref()).await?;
    let mut explained = Vec::with_capacity(routes.len());
    for route in routes {
        let conditions = match (&route.filter, payload) {
            (Some(filter), Some(payload)) => filter.explain(conn, payload).await?,
            _ => Vec::new(),
        };
        explained.push(Explained { route, conditions });
    }
    Ok(explained)
}

fn sheet(explained: &[Explained]) -> Sheet {
    let who: Vec<_> = explained.iter().filter(|it| it.route.passes == Some(true)).collect();
    let mut names: Vec<_> = who.iter().map(|it| it.route.name.as_str()).collect();
    names.dedup();
    let open = explained.iter().filter(|it| it.route.passes.is_none()).count();
    let said = match (names.is_empty(), open) {
        (true, 0) => "nobody".to_owned(),
        (true, _) => "nobody for certain".to_owned(),
        (false, _) => names.join(", "),
    };
    let sheet = Sheet::new().field("notified", said);
    let sheet = match open {
        0 => sheet,
        _ => sheet.field("", "with --payload or --event, filters are tried as well"),
    };
    sheet.table("Subscriptions that match", routes(explained)).table(
        "Filters",
        conditions(explained.iter().map(|it| (it.route.subscription_id, it.conditions.as_slice()))),
    )
}

fn routes(explained: &[Explained]) -> Table {
    let columns = [
        Column::number("SUBSCRIPTION"),
        Column::new("NAME"),
        Column::new("KIND"),
        Column::new("PATTERN"),
        Column::flexible("SCOPE"),
        Column::new("ORDERED"),
        Column::new("FILTER"),
    ];
    let mut table = Table::new(&columns, "");
    for Explained { route, .. } in explained {
        let filter = match (&route.filter, route.passes) {
            (None, _) => Cell::new("none"),
            (_, Some(true)) => Cell::new("passes").tone(Tone::Good),
            (_, Some(false)) => Cell::new("does not pass").tone(Tone::Bad),
            (_, None) => Cell::new("not tried").tone(Tone::Warning),
        };
        table.row([
            Cell::new(route.subscription_id.to_string()),
            Cell::new(&route.name),
            Cell::new(&route.kind),
            Cell::new(&route.pattern),
            Cell::new(everywhere(&route.matched_scope)),
            Cell::new(if route.ordered { "yes" } else { "no" }),
            filter,
        ]);
    }
    table
}

fn conditions<'a>(explained: impl Iterator<Item = (i32, &'a [Condition])>) -> Table {
    let columns = [
        Column::number("SUBSCRIPTION"),
        Column::new("HOLDS"),
        Column::new("WHERE"),
        Column::flexible("ASKED"),
        Column::flexible("FOUND"),
    ];
    let mut table = Table::new(&columns, "");
    for (subscription_id, conditions) in explained {
        for condition in conditions {
            let (holds, tone) =
                if condition.holds { ("yes", Tone::Good) } else { ("no", Tone::Bad) };
            let found = condition.found.as_ref();
            table.row([
                Cell::new(subscription_id.to_string()),
                Cell::new(holds).tone(tone),
                Cell::new(&condition.path),
                Cell::new(condition.condition.to_string()),
                Cell::new(found.map_or_else(|| "nothing".to_owned(), ToString::to_string)),
            ]);
        }
    }
    table
}
