//! `tidings telemetry resend`.

use std::sync::Arc;

use anyhow::Result;
use chrono::{DateTime, Utc};
use tidings_pipeline::{
    gate::Gate,
    sink::{
        Guard, Hooks,
        files::{self, Codec, Roll},
        resend::{Job, Range, Resent},
        table,
    },
};

use super::Opened;
use crate::{
    arguments::telemetry::{Resend, SinkKind},
    commands::pipeline::sinks,
    context::Context,
    exit::Exit,
    failure::Coded,
    output::{
        progress::Progress,
        sheet::Sheet,
        table::{Cell, Column, Table},
    },
    telemetry_log::on_log,
};

/// Sends events to a sink again.
pub(super) async fn run(context: &Context, arguments: &Resend) -> Result<()> {
    let Opened { log, pool, now } = Opened::open(context, &arguments.log).await?;
    let (range, places) = (arguments.range(now), sinks::places(context, &arguments.places));
    let hooks: Arc<dyn Hooks> = Arc::new(Guard::new(Gate::new(pool.clone())));
    let progress = context.output.progress("sending events to the sink again");
    let mut told = Told { progress, said: 0 };
    if arguments.sink == SinkKind::Files {
        let how = (Codec::default(), Roll::default());
        let sink = sinks::files(context, &places, how, &pool)?;
        let sink = sink.ok_or_else(|| unnamed("--files"))?;
        let told = |so_far: &files::Resent| told.say(so_far.plans, 100, "plans");
        let resent = on_log!(&log, log => sink.resend(log, (&hooks, range), told).await)?;
        pool.close().await;
        context.output.show(&resent, || sheet_of_files(&resent))?;
        return if resent.refused.is_empty() { Ok(()) } else { Err(unrestored(&resent).into()) };
    }
    let job = Job { pool: &pool, hooks: &*hooks, range };
    let told = |so_far: &Resent| told.say(so_far.taken, 50_000, "events");
    let resent = if arguments.sink == SinkKind::Search {
        let sink = sinks::search(&places)?.ok_or_else(|| unnamed("--search"))?;
        on_log!(&log, log => sink.resend(log, &job, told).await)?
    } else {
        let sink = table::Sink::new(table::Options::new("table"), pool.clone());
        on_log!(&log, log => sink.resend(log, &job, told).await)?
    };
    pool.close().await;
    context.output.show(&resent, || sheet(&resent))
}

/// Says how far it is, now and then.
struct Told {
    progress: Progress,
    said: u64,
}

impl Told {
    fn say(&mut self, done: u64, every: u64, of: &str) {
        if done >= self.said + every {
            self.said = done;
            self.progress.say(&format!("{done} {of}"));
        }
    }
}

impl Resend {
    fn range(&self, now: DateTime<Utc>) -> Range {
        match (self.place, &self.from) {
            (Some(place), _) => {
                let next = self.next.unwrap_or(i64::MAX);
                Range::Offsets { partition: place.partition, first: place.offset, next }
            }
            (None, from) => {
                let from = from.as_ref().map_or(DateTime::UNIX_EPOCH, |from| from.at(now));
                Range::Time { from, until: self.until.at(now) }
            }
        }
    }
}

fn unnamed(option: &str) -> Coded {
    Coded::new(Exit::Usage, format!("find the sink: {option} is not set"))
        .hint("name it as the pipeline does")
}

fn unrestored(resent: &files::Resent) -> Coded {
    let count = resent.refused.len();
    Coded::new(Exit::Refused, format!("resend: {count} files cannot be put right"))
        .hint("each is listed with the reason")
}

fn sheet(resent: &Resent) -> Sheet {
    let Resent { taken, stored, already_there, rejected, filtered, recovered, pending } = resent;
    Sheet::new()
        .heading(format!("{taken} events sent again"))
        .field("stored", stored.to_string())
        .field("already there", already_there.to_string())
        .field("rejected", rejected.to_string())
        .field("filtered", filtered.to_string())
        .field("recovered", format!("{recovered}; rejected before, and stored in the account now"))
        .field("pending", format!("{pending}; the sink takes them by itself"))
}

fn sheet_of_files(resent: &files::Resent) -> Sheet {
    let files::Resent { plans, intact, restored, events, filtered, refused, pending } = resent;
    let columns = [Column::flexible("FILE"), Column::flexible("REASON")];
    let mut table = Table::new(&columns, "none");
    for one in refused {
        table.row([Cell::new(one.name.clone()), Cell::new(one.reason.clone())]);
    }
    Sheet::new()
        .heading(format!("the files of {plans} plans looked at"))
        .field("intact", intact.to_string())
        .field("restored", format!("{restored}, with {events} events"))
        .field("filtered", format!("{filtered}; nothing of them may be kept any more"))
        .field("pending", format!("{pending} plans; the sink finishes them by itself"))
        .table("Not put right", table)
}
