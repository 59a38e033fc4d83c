//! `tidings subscriber`.

mod add;
mod ping;
mod topic;
mod update;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tidings::subscriber::{self, Detail, Filter, Purpose, State, StoredSecret, Summary};

use super::{keys, subscription};

pub(super) use self::add::{secret, secret_text};
use crate::{
    arguments::subscriber::{Command, List, Named},
    connection::now,
    context::Context,
    exit::Exit,
    failure::Coded,
    output::{
        sheet::Sheet,
        style::Tone,
        table::{Cell, Column, Table},
        when,
    },
};

/// What a change came to.
#[derive(Debug, Serialize)]
struct Changed<'a> {
    subscriber_id: i32,
    name: &'a str,
    change: &'static str,
}

#[derive(Clone, Copy)]
enum Change {
    Pause,
    Resume,
    Remove,
}

/// Does what `command` says.
pub(crate) async fn run(context: &Context, command: &Command) -> Result<()> {
    match command {
        Command::Add(add) => add::run(context, add).await,
        Command::Update(arguments) => update::run(context, arguments).await,
        Command::Rotate(arguments) => keys::rotate(context, arguments).await,
        Command::Credentials(arguments) => keys::credentials(context, arguments).await,
        Command::Jwks(named) => keys::jwks(context, Some(named)).await,
        Command::List(list) => self::list(context, list).await,
        Command::Show(named) => show(context, named).await,
        Command::Pause(named) => change(context, named, Change::Pause).await,
        Command::Resume(named) => change(context, named, Change::Resume).await,
        Command::Ping(ping) => ping::run(context, ping).await,
        Command::Remove(named) => change(context, named, Change::Remove).await,
    }
}

/// Finds a subscriber by its name or id.
///
/// # Errors
///
/// There is none.
pub(super) async fn find(conn: &mut PgConnection, tenant: &str, name: &str) -> Result<Detail> {
    let found = subscriber::find(conn, tenant, name)
        .await
        .with_context(|| format!("find the subscriber `{name}`"))?;
    found.ok_or_else(|| {
        let whose = match tenant {
            "" => String::new(),
            tenant => format!(" of tenant `{tenant}`"),
        };
        Coded::new(Exit::NotFound, format!("there is no subscriber `{name}`{whose}"))
            .hint("list them with `tidings subscriber list`; --tenant says whose names are meant")
            .into()
    })
}

async fn list(context: &Context, list: &List) -> Result<()> {
    let filter = Filter {
        tenant: list.tenant.clone(),
        kind: list.kind.clone(),
        after: list.after,
        limit: list.page.limit,
    };
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let found = subscriber::list(&mut tx, &filter).await?;
    let now = now(&mut tx).await?;
    tx.rollback().await?;
    database.close().await?;
    context.output.list(&found, || table(&found, now))?;
    context.output.more(list.page, &found, |last| last.subscriber_id.to_string())
}

async fn show(context: &Context, named: &Named) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let found = find(&mut tx, &named.tenant.tenant, &named.name).await?;
    let now = now(&mut tx).await?;
    tx.rollback().await?;
    database.close().await?;
    context.output.show(&found, || sheet(&found, now))
}

async fn change(context: &Context, named: &Named, change: Change) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let summary = find(&mut tx, &named.tenant.tenant, &named.name).await?.summary;
    let (id, name) = (summary.subscriber_id, summary.name.as_str());
    let there = match change {
        Change::Pause => subscriber::pause(&mut tx, id).await?,
        Change::Resume => subscriber::resume(&mut tx, id).await?,
        Change::Remove => subscriber::remove(&mut tx, id).await?,
    };
    if !there {
        let message = format!("the subscriber `{name}` was removed meanwhile");
        return Err(Coded::new(Exit::NotFound, message).into());
    }
    tidings::commit(tx).await?;
    database.close().await?;
    let done = change.done();
    let changed = Changed { subscriber_id: id, name, change: done };
    let said = format!("subscriber {name} (id {id}) {done}; {}", change.consequence());
    context.output.done(&changed, &said)
}

impl Change {
    const fn done(self) -> &'static str {
        match self {
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Remove => "removed",
        }
    }

    const fn consequence(self) -> &'static str {
        match self {
            Self::Pause => "its deliveries wait",
            Self::Resume => "what has come due goes out now",
            Self::Remove => "its subscriptions and what waited for it are gone",
        }
    }
}

fn table(found: &[Summary], now: DateTime<Utc>) -> Table {
    let columns = [
        Column::number("ID"),
        Column::new("NAME"),
        Column::new("KIND"),
        Column::new("STATE"),
        Column::number("SUBSCRIPTIONS"),
        Column::flexible("ENDPOINT"),
        Column::new("ADDED"),
    ];
    let mut table =
        Table::new(&columns, "there are no subscribers; add one with `tidings subscriber add`");
    for summary in found {
        let name = match summary.tenant.as_str() {
            "" => summary.name.clone(),
            tenant => format!("{tenant}/{}", summary.name),
        };
        table.row([
            Cell::new(summary.subscriber_id.to_string()),
            Cell::new(name),
            Cell::new(&summary.kind),
            Cell::new(summary.state.as_str()).tone(tone(summary.state)),
            Cell::new(summary.subscription_count.to_string()),
            Cell::maybe(summary.endpoint.as_ref()),
            Cell::when(summary.created_at, now),
        ]);
    }
    table
}

fn sheet(found: &Detail, now: DateTime<Utc>) -> Sheet {
    let summary = &found.summary;
    let tenant = Some(&summary.tenant).filter(|tenant| !tenant.is_empty());
    let secrets = found.secrets.iter().map(|secret| stored(secret, now)).collect::<Vec<_>>();
    let secrets = secrets.join("; ");
    Sheet::new()
        .field("name", &summary.name)
        .field("id", summary.subscriber_id.to_string())
        .maybe("tenant", tenant)
        .field("kind", &summary.kind)
        .toned("state", state(summary, now), tone(summary.state))
        .field("config", found.config.to_string())
        .field("secret", if secrets.is_empty() { "none" } else { &secrets })
        .maybe("in flight", found.in_flight_max.map(|max| format!("{max} at most")))
        .maybe("rate", found.rate_per_s.map(|rate| format!("{rate} per second at most")))
        .field(
            "retry",
            found.retry.as_ref().map_or("default ladder".to_owned(), ToString::to_string),
        )
        .field("lane", format!("shard {} of {}", found.shard, summary.kind))
        .when("added", summary.created_at, now)
        .when("changed", found.updated_at, now)
        .field("version", found.version.to_string())
        .table("Subscriptions", subscription::table(&found.subscriptions, now))
}

/// Says what a stored secret is for and since when, never what it is.
fn stored(secret: &StoredSecret, now: DateTime<Utc>) -> String {
    let mut parts = Vec::new();
    match secret.purpose {
        Purpose::Signing => {}
        Purpose::KeyPair => parts.push("key pair".to_owned()),
        Purpose::Credentials => parts.push("credentials".to_owned()),
    }
    parts.extend(secret.fingerprint.clone());
    parts.push(format!("made {}", when::both(secret.created_at, now)));
    parts.extend(secret.expires_at.map(|at| format!("signs until {}", when::both(at, now))));
    let verified = secret.last_verified_at;
    parts.extend(verified.map(|at| format!("last verified {}", when::both(at, now))));
    parts.extend(secret.public_key.as_ref().map(|key| format!("public key {key}")));
    parts.join(", ")
}

fn state(summary: &Summary, now: DateTime<Utc>) -> String {
    let since = |at: Option<DateTime<Utc>>| {
        at.map(|at| format!(" since {}", when::both(at, now))).unwrap_or_default()
    };
    match summary.state {
        State::Active => "active".to_owned(),
        State::Paused => format!("paused{}", since(summary.paused_at)),
        State::Disabled => {
            let reason = summary.disabled_reason.as_deref().unwrap_or("for no stated reason");
            format!("disabled{}: {reason}", since(summary.disabled_at))
        }
        State::HeldBack => {
            let until = summary.held_back_until.map(|at| when::both(at, now)).unwrap_or_default();
            format!("held back until {until}")
        }
        State::Failing => {
            let trouble = summary.trouble.as_ref();
            let until = trouble.and_then(|trouble| trouble.until);
            let until = until.map(|at| when::both(at, now)).unwrap_or_default();
            let since = since(trouble.and_then(|trouble| trouble.failing_since));
            let failures = trouble.map(|trouble| trouble.failures).unwrap_or_default();
            format!("failing{since}: {failures} attempts in a row; one is tried {until}")
        }
    }
}

const fn tone(state: State) -> Tone {
    match state {
        State::Active => Tone::Good,
        State::HeldBack | State::Paused | State::Failing => Tone::Warning,
        State::Disabled => Tone::Bad,
    }
}
