//! `tidings telemetry failed`.

use std::fs;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tidings_pipeline::{
    Log, Output,
    inspect::{
        Place,
        failed::{self, Filter, Item},
    },
    provenance::Source,
    reason::Reason,
    topic,
};

use super::Opened;
use crate::{
    arguments::telemetry::{FailedCommand as Command, FailedList, FailedReplay},
    context::Context,
    exit::Exit,
    failure::Coded,
    output::{
        sheet::Sheet,
        table::{Cell, Column, Table},
    },
    telemetry_log::on_log,
};

/// Something that was not taken, as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    place: Place,
    failed_at: DateTime<Utc>,
    stage: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sink: Option<String>,
    channel: String,
    profile: &'static str,
    /// Its batch in the raw log.
    source: String,
    /// Its place in the batch; `None` for a whole batch.
    index: Option<u32>,
    device: Option<String>,
    reasons: Vec<Reason>,
    bytes: usize,
    /// What it was, where one is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
}

#[derive(Debug, Serialize)]
struct Replayed {
    replayed: usize,
    /// What cannot be replayed, because a sink has rejected it.
    left: usize,
}

/// Does what `command` says.
pub(super) async fn run(context: &Context, command: &Command) -> Result<()> {
    match command {
        Command::List(list) => self::list(context, list).await,
        Command::Show { place, log } => {
            let opened = Opened::open(context, log).await?;
            let item = on_log!(&opened.log, log => failed::get(log, *place).await)?;
            opened.pool.close().await;
            let item = item.ok_or_else(|| not_found(*place))?;
            let content = String::from_utf8_lossy(&item.failed.bytes).into_owned();
            let shown = Shown { content: Some(content), ..Shown::of(&item) };
            context.output.show(&shown, || shown.sheet(opened.now))
        }
        Command::Replay(replay) => self::replay(context, replay).await,
    }
}

fn not_found(place: Place) -> Coded {
    Coded::new(Exit::NotFound, format!("there is nothing at {place}"))
        .hint("list what there is with `tidings telemetry failed list`")
}

fn filter(list: &FailedList, now: DateTime<Utc>) -> Filter {
    let which = list.which.clone();
    Filter {
        stage: which.stage,
        code: which.code,
        sink: which.sink,
        channel: which.channel,
        since: which.since.map(|since| since.at(now)),
    }
}

async fn list(context: &Context, list: &FailedList) -> Result<()> {
    let Opened { log, pool, now } = Opened::open(context, &list.log).await?;
    let limit = usize::try_from(list.limit).unwrap_or(usize::MAX);
    let filter = filter(list, now);
    let items = on_log!(&log, log => failed::list(log, &filter, limit).await)?;
    pool.close().await;
    let shown: Vec<_> = items.iter().map(Shown::of).collect();
    context.output.list(&shown, || table(&shown, now))
}

async fn replay(context: &Context, arguments: &FailedReplay) -> Result<()> {
    let corrected = match &arguments.corrected {
        None => None,
        Some(_) if arguments.places.len() != 1 => {
            let message = "corrected bytes are for one place";
            return Err(Coded::new(Exit::Usage, message).hint("name one place").into());
        }
        Some(path) => {
            Some(fs::read(path).with_context(|| format!("read {}", path.display()))?.into())
        }
    };
    let Opened { log, pool, now } = Opened::open(context, &arguments.list.log).await?;
    let filter = filter(&arguments.list, now);
    let limit = usize::try_from(arguments.list.limit).unwrap_or(usize::MAX);
    let replayed = on_log!(&log, log => async {
        let items = if arguments.all {
            failed::list(log, &filter, limit).await?
        } else {
            some(log, &arguments.places).await?
        };
        again(log, &items, corrected).await
    }
    .await)?;
    pool.close().await;
    let mut said = match replayed.replayed {
        0 => "there was nothing to replay".to_owned(),
        1 => "1 goes through the steps again".to_owned(),
        count => format!("{count} go through the steps again"),
    };
    if replayed.left > 0 {
        said =
            format!("{said}; {} were rejected by a sink, and are not for the steps", replayed.left);
    }
    context.output.done(&replayed, &said)
}

async fn some<L: Log>(log: &L, places: &[Place]) -> Result<Vec<Item>> {
    let mut items = Vec::with_capacity(places.len());
    for place in places {
        items.push(failed::get(log, *place).await?.ok_or_else(|| not_found(*place))?);
    }
    Ok(items)
}

async fn again<L: Log>(
    log: &L,
    items: &[Item],
    corrected: Option<bytes::Bytes>,
) -> Result<Replayed> {
    let partitions = log.partitions(topic::RAW).await?.max(1);
    let mut outputs: Vec<Output> = Vec::with_capacity(items.len());
    let mut left = 0;
    for item in items {
        match item.replay(corrected.clone(), item.place.partition % partitions) {
            Ok(output) => outputs.push(output),
            Err(error) if items.len() == 1 => {
                return Err(Coded::new(Exit::Refused, error.to_string()).into());
            }
            Err(_) => left += 1,
        }
    }
    let replayed = outputs.len();
    log.append(outputs).await?;
    Ok(Replayed { replayed, left })
}

impl Shown {
    fn of(item: &Item) -> Self {
        let failed = &item.failed;
        Self {
            place: item.place,
            failed_at: item.failed_at,
            stage: failed.stage.as_str(),
            sink: failed.sink.clone(),
            channel: failed.provenance.channel.clone(),
            profile: failed.provenance.profile.as_str(),
            source: failed.provenance.source.to_string(),
            index: failed.index,
            device: failed.device.clone(),
            reasons: failed.reasons.clone(),
            bytes: failed.bytes.len(),
            content: None,
        }
    }

    /// Says which batch it came in.
    fn batch(&self) -> String {
        if self.source == Source::UNKNOWN.to_string() {
            return "unknown: it does not say".to_owned();
        }
        format!("{} in {}", self.source, topic::RAW)
    }

    fn sheet(&self, now: DateTime<Utc>) -> Sheet {
        let index =
            self.index.map_or_else(|| "the whole batch".to_owned(), |index| index.to_string());
        let mut table = Table::new(
            &[Column::new("WHERE"), Column::new("CODE"), Column::flexible("WHAT TO DO")],
            "none",
        );
        for reason in &self.reasons {
            table.row([
                Cell::new(&*reason.path),
                Cell::new(&*reason.code),
                Cell::new(reason.message.as_str()),
            ]);
        }
        let stage = match &self.sink {
            Some(sink) => format!("{} {sink}", self.stage),
            None => self.stage.to_owned(),
        };
        Sheet::new()
            .heading(format!("failed {}", self.place))
            .when("failed", self.failed_at, now)
            .field("stage", stage)
            .field("channel", format!("{}, profile {}", self.channel, self.profile))
            .field("batch", self.batch())
            .field("in it", index)
            .maybe("device", self.device.as_ref())
            .table("reasons", table)
            .block("bytes", self.content.as_deref().unwrap_or_default())
    }
}

fn table(shown: &[Shown], now: DateTime<Utc>) -> Table {
    let columns = [
        Column::new("PLACE"),
        Column::new("FAILED"),
        Column::new("STAGE"),
        Column::flexible("CHANNEL"),
        Column::number("BYTES"),
        Column::flexible("WHERE"),
        Column::flexible("WHY"),
    ];
    let mut table = Table::new(&columns, "nothing has failed");
    for one in shown {
        let first = one.reasons.first();
        table.row([
            Cell::new(one.place.to_string()),
            Cell::when(one.failed_at, now),
            Cell::new(one.stage),
            Cell::new(one.channel.as_str()),
            Cell::new(one.bytes.to_string()),
            Cell::new(first.map_or("", |reason| &reason.path)),
            Cell::new(first.map_or("", |reason| &reason.code)),
        ]);
    }
    table
}
