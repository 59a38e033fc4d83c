//! `tidings catalogue`.

use std::{fs, io, path::Path};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tidings::{
    Catalogue, Error,
    catalogue::{self, Snapshot, StoredType, TypeVersion, compare::Difference, export::sample},
};

use crate::{
    arguments::catalogue::{Check, Command, Export, List, Named},
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

/// A type, and what an event of it looks like.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    stored: StoredType,
    versions: Vec<i16>,
    schema: Value,
    example: Option<Value>,
}

/// A document that is not JSON, for programs that asked for JSON.
#[derive(Debug, Serialize)]
struct Exported<'a> {
    format: &'static str,
    document: &'a str,
}

#[derive(Debug, Serialize)]
struct Written {
    format: Option<&'static str>,
    output: String,
    types: usize,
}

#[derive(Debug, Serialize)]
struct Updated<'a> {
    baseline: String,
    types: usize,
    differences: &'a [Difference],
}

#[derive(Debug, Serialize)]
struct Done {
    types: Vec<TypeVersion>,
    change: &'static str,
}

/// Does what `command` says.
pub(crate) async fn run(context: &Context, command: &Command) -> Result<()> {
    match command {
        Command::List(list) => self::list(context, list).await,
        Command::Show(named) => show(context, named).await,
        Command::Export(export) => self::export(context, export).await,
        Command::Check(check) => self::check(context, check).await,
        Command::Retire(named) => retire(context, named).await,
        Command::Restore(named) => restore(context, named).await,
    }
}

async fn list(context: &Context, list: &List) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let mut found = Catalogue::stored(&mut tx).await?;
    tx.rollback().await?;
    database.close().await?;
    found.retain(|known| list.all || !known.is_reserved());
    found.retain(|known| !list.subscribable || known.is_subscribable());
    context.output.list(&found, || table(&found))
}

async fn show(context: &Context, named: &Named) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let now = now(&mut tx).await?;
    let mut known = Catalogue::stored(&mut tx).await?;
    let snapshot = Snapshot::load(&mut tx).await?;
    tx.rollback().await?;
    database.close().await?;

    known.retain(|known| known.event_type == named.name);
    let versions: Vec<_> = known.iter().map(|known| known.version).collect();
    let version = named.version.or(versions.last().copied()).unwrap_or(1);
    let missing = || {
        let message = if versions.is_empty() {
            format!("there is no event type `{}`", named.name)
        } else {
            format!("event type `{}` has no version {version}", named.name)
        };
        Coded::new(Exit::NotFound, message).hint("list them with `tidings catalogue list`")
    };
    let stored = known.into_iter().find(|known| known.version == version).ok_or_else(missing)?;
    let entry = snapshot.get(&named.name, version).ok_or_else(missing)?;
    let (schema, example) = (entry.schema.clone(), sample(entry));
    let shown = Shown { stored, versions, schema, example };
    context.output.show(&shown, || shown.sheet(now))
}

async fn export(context: &Context, export: &Export) -> Result<()> {
    let snapshot = load(context, export.all).await?;
    let document = snapshot.export(export.format, &export.title);
    let format = export.format.as_str();
    let Some(path) = &export.output else {
        let item = Exported { format, document: &document };
        let item = (!export.format.is_json()).then_some(item);
        return context.output.document(&document, item);
    };
    write(path, &document)?;
    let types = snapshot.iter().len();
    let output = path.display().to_string();
    let said = format!("wrote {} to {output}", counted(types));
    context.output.done(&Written { format: Some(format), output, types }, &said)
}

async fn check(context: &Context, check: &Check) -> Result<()> {
    let path = &check.baseline;
    let shown = path.display().to_string();
    let old = read(path, check.update)?;
    let new = load(context, false).await?;
    let differences = old.compare(&new);
    if check.update {
        write(path, &new.to_json())?;
        let types = new.iter().len();
        let said = format!(
            "wrote {} to {shown}; {} different from before",
            counted(types),
            differences.len()
        );
        let updated = Updated { baseline: shown, types, differences: &differences };
        return context.output.done(&updated, &said);
    }
    context.output.list(&differences, || differences_table(&differences))?;
    match differences.iter().filter(|difference| difference.breaking).count() {
        0 => Ok(()),
        breaks => {
            let message = format!("consumers of these events break in {}", places(breaks));
            Err(Coded::new(Exit::Failed, message)
                .hint("give the type a new version, or accept it with --update if nobody consumes it yet")
                .into())
        }
    }
}

async fn retire(context: &Context, named: &Named) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let types = catalogue::retire(&mut tx, &named.name, named.version).await.map_err(not_found)?;
    tidings::commit(tx).await?;
    database.close().await?;
    let said = match types.as_slice() {
        [] => format!("`{}` was retired already", named.name),
        types => format!("retired {}; `tidings catalogue restore` undoes it", names(types)),
    };
    context.output.done(&Done { types, change: "retired" }, &said)
}

async fn restore(context: &Context, named: &Named) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let types = catalogue::restore(&mut tx, &named.name, named.version).await.map_err(not_found)?;
    tidings::commit(tx).await?;
    database.close().await?;
    let said = match types.as_slice() {
        [] => format!("`{}` was not retired", named.name),
        types => format!("restored {}", names(types)),
    };
    context.output.done(&Done { types, change: "restored" }, &said)
}

async fn load(context: &Context, all: bool) -> Result<Snapshot> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let snapshot = Snapshot::load(&mut tx).await?;
    tx.rollback().await?;
    database.close().await?;
    Ok(if all { snapshot } else { snapshot.without_reserved() })
}

/// Reads a baseline; one that is not there yet is empty where it is to be written.
fn read(path: &Path, may_be_new: bool) -> Result<Snapshot> {
    let shown = path.display();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && may_be_new => {
            return Ok(Snapshot::default());
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = format!("there is no baseline {shown}");
            return Err(Coded::new(Exit::NotFound, message).hint("--update writes it").into());
        }
        Err(error) => return Err(error).with_context(|| format!("read the baseline {shown}")),
    };
    Snapshot::from_json(&text).with_context(|| format!("read {shown}"))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// A type that is named and is not there, where a subscription would be refused.
fn not_found(error: Error) -> anyhow::Error {
    match error {
        Error::NoSuchType { .. } => Coded::new(Exit::NotFound, error.to_string()).into(),
        error => error.into(),
    }
}

fn table(found: &[StoredType]) -> Table {
    let columns = [
        Column::new("TYPE"),
        Column::number("VERSION"),
        Column::new("AUDIENCE"),
        Column::new("SCOPE"),
        Column::new("STATE"),
        Column::flexible("DOCUMENTATION"),
    ];
    let none = "there are no event types; an application declares its own with `Catalogue::sync`";
    let mut table = Table::new(&columns, none);
    for known in found {
        let (state, tone) = state(known);
        table.row([
            Cell::new(&known.event_type),
            Cell::new(known.version.to_string()),
            Cell::new(known.audience.join(",")),
            Cell::new(known.scopes.join("/")),
            Cell::new(state).tone(tone),
            Cell::new(known.documentation.lines().next().unwrap_or_default()),
        ]);
    }
    table
}

fn state(known: &StoredType) -> (&'static str, Tone) {
    if known.retired_at.is_some() { ("retired", Tone::Dim) } else { ("active", Tone::Plain) }
}

fn differences_table(found: &[Difference]) -> Table {
    let columns = [
        Column::new("BREAKS"),
        Column::new("TYPE"),
        Column::number("VERSION"),
        Column::new("PATH"),
        Column::new("DIFFERENCE"),
    ];
    let mut table = Table::new(&columns, "nothing is different");
    for difference in found {
        let (breaks, tone) =
            if difference.breaking { ("yes", Tone::Bad) } else { ("no", Tone::Plain) };
        table.row([
            Cell::new(breaks).tone(tone),
            Cell::new(&difference.id.event_type),
            Cell::new(difference.id.version.to_string()),
            Cell::new(&difference.path),
            Cell::new(&difference.message),
        ]);
    }
    table
}

fn names(types: &[TypeVersion]) -> String {
    types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn counted(types: usize) -> String {
    if types == 1 { "1 event type".to_owned() } else { format!("{types} event types") }
}

fn places(count: usize) -> String {
    if count == 1 { "1 place".to_owned() } else { format!("{count} places") }
}

impl Shown {
    fn sheet(&self, now: DateTime<Utc>) -> Sheet {
        let known = &self.stored;
        let (state, tone) = state(known);
        let versions = self.versions.iter().map(ToString::to_string).collect::<Vec<_>>();
        let scope = match known.scopes.as_slice() {
            [] => "none".to_owned(),
            scopes => scopes.join(", "),
        };
        let sheet = Sheet::new()
            .field("type", format!("{} version {}", known.event_type, known.version))
            .field("versions", versions.join(", "))
            .toned("state", state, tone)
            .field("audience", known.audience.join(", "))
            .field("scope", scope)
            .field("level", &known.level)
            .when("declared", known.created_at, now)
            .when("changed", known.updated_at, now);
        let sheet = match known.retired_at {
            Some(at) => sheet.when("retired", at, now),
            None => sheet,
        };
        let sheet = match known.documentation.as_str() {
            "" => sheet,
            documentation => sheet.block("Documentation", documentation),
        };
        let sheet = sheet.block("Schema", &format!("{:#}", self.schema));
        match &self.example {
            Some(example) => sheet.block("Example", &format!("{example:#}")),
            None => sheet,
        }
    }
}
