//! `tidings replay`: the events of a time, delivered again in short transactions, one after the other.

use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use tidings::{
    replay::{STEP_MAX, Selection},
    scope::Scope,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::subscriber::find;
use crate::{
    arguments::{
        log::{pattern, scope},
        replay::Replay,
    },
    connection::{Database, now},
    context::Context,
    environment,
    exit::Exit,
    failure::Coded,
    signals::Signals,
};

/// What one transaction makes where nobody bounds the rate: few enough to be interrupted soon.
const STEP: u16 = 1000;

/// With a bound, so many transactions a second.
const STEPS_PER_S: u32 = 4;

/// What a replay came to.
#[derive(Debug, Default, Serialize)]
struct Done {
    dry_run: bool,
    /// Whether nothing is left.
    finished: bool,
    events: u64,
    deliveries: u64,
    /// Behind which event to go on; `None` if it is finished.
    after: Option<Uuid>,
}

/// A replay under way.
struct Run<'a> {
    selection: Selection,
    database: Database,
    arguments: &'a Replay,
}

/// Counts, asks, and delivers again.
pub(crate) async fn run(context: &Context, arguments: &Replay) -> Result<()> {
    let mut signals = Signals::listen()?;
    let mut run = Run::prepare(context, arguments).await?;
    let counted = run.count(context).await?;
    if arguments.dry_run {
        let said = format!(
            "{} of {} would be made",
            deliveries(counted.deliveries),
            events(counted.events)
        );
        run.database.close().await?;
        return context.output.done(&counted, &said);
    }
    if counted.deliveries == 0 {
        run.database.close().await?;
        let done = Done { finished: true, ..Done::default() };
        return context.output.done(&done, "there is nothing to replay");
    }
    agree(context, arguments, &counted)?;
    let mut done = Done::default();
    let outcome = run.deliver(context, &mut signals, &mut done, counted.deliveries).await;
    let again = run.command(done.after);
    match outcome {
        Ok(()) if done.finished => {}
        Ok(()) => {
            context.output.done(&done, &format!("{} made so far", deliveries(done.deliveries)))?;
            return Err(Coded::new(Exit::Failed, "replay: interrupted")
                .hint(format!("go on with `{again}`"))
                .into());
        }
        Err(error) => {
            let message = format!("replay, after {} were made", deliveries(done.deliveries));
            let coded = Coded::new(crate::failure::judge(&error).0, message);
            return Err(coded.hint(format!("go on with `{again}`")).because(error).into());
        }
    }
    run.database.close().await?;
    let made = format!("{} of {} made", deliveries(done.deliveries), events(done.events));
    context.output.done(&done, &made)
}

/// Sees to it that somebody wants this.
fn agree(context: &Context, arguments: &Replay, counted: &Done) -> Result<()> {
    let many = deliveries(counted.deliveries);
    if arguments.yes {
        return Ok(());
    }
    if !environment::can_ask() || context.global.json {
        let message = format!("replay: {many} would be made, and nobody can be asked");
        return Err(Coded::new(Exit::Refused, message)
            .hint("add --yes to make them, or --dry-run to count")
            .into());
    }
    if context.output.ask(&format!("make {many} of {}?", events(counted.events)))? {
        return Ok(());
    }
    Err(Coded::new(Exit::Refused, "replay: not wanted").into())
}

impl<'a> Run<'a> {
    async fn prepare(context: &Context, arguments: &'a Replay) -> Result<Self> {
        let (pattern, scope) =
            (pattern(arguments.pattern.as_deref())?, scope(arguments.scope.as_deref())?);
        let mut database = context.open().await?;
        let mut tx = database.begin().await?;
        let now = now(&mut tx).await?;
        let tenant = &arguments.tenant.tenant;
        let subscriber_id = match &arguments.subscriber {
            None => None,
            Some(name) => Some(find(&mut tx, tenant, name).await?.summary.subscriber_id),
        };
        let until = arguments.until.map_or(now, |until| until.at(now));
        let selection = Selection {
            events: Some(arguments.events.clone()).filter(|events| !events.is_empty()),
            pattern,
            tenant: Some(tenant.clone()).filter(|tenant| !tenant.is_empty()),
            scope: scope.unwrap_or_else(Scope::root),
            subscriber_id,
            ..Selection::new(arguments.since.at(now), until)
        };
        selection.check(&mut tx).await.context("replay")?;
        tx.rollback().await.context("replay")?;
        Ok(Self { selection, database, arguments })
    }

    async fn count(&mut self, context: &Context) -> Result<Done> {
        let progress = context.output.progress("counting");
        let mut counted = Done { dry_run: true, after: self.arguments.after, ..Done::default() };
        while !counted.finished {
            let mut tx = self.database.begin().await?;
            let step = self.selection.count(&mut tx, counted.after, STEP_MAX).await?;
            tx.rollback().await.context("count")?;
            counted.add(&step);
            progress.set(&deliveries(counted.deliveries));
        }
        Ok(counted)
    }

    /// Goes on until nothing is left, or a signal asks it to stop.
    async fn deliver(
        &mut self,
        context: &Context,
        signals: &mut Signals,
        done: &mut Done,
        total: u64,
    ) -> Result<()> {
        let progress = context.output.counted("replaying", total);
        let began = Instant::now();
        let limit = self.step();
        done.after = self.arguments.after;
        while !done.finished {
            let mut tx = self.database.begin().await?;
            let step = self.selection.step(&mut tx, done.after, limit).await?;
            tidings::commit(tx).await?;
            done.add(&step);
            progress.reach(done.deliveries);
            let due = began + self.pace(done.deliveries);
            if !done.finished && tokio::time::timeout_at(due, signals.next()).await.is_ok() {
                break;
            }
        }
        Ok(())
    }

    /// Returns how many deliveries one transaction makes.
    fn step(&self) -> u16 {
        let bounded = self.arguments.rate.map(|rate| (rate / STEPS_PER_S).max(1));
        bounded.and_then(|step| u16::try_from(step).ok()).map_or(STEP, |step| step.min(STEP))
    }

    /// Returns how long so many deliveries take at least.
    fn pace(&self, deliveries: u64) -> Duration {
        let Some(rate) = self.arguments.rate else { return Duration::ZERO };
        let ms = deliveries.saturating_mul(1000) / u64::from(rate);
        Duration::from_millis(ms)
    }

    /// Returns the command that goes on behind an event; with times that do not move.
    fn command(&self, after: Option<Uuid>) -> String {
        let at = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let Replay { pattern, scope, tenant, subscriber, events, rate, .. } = self.arguments;
        let events: Vec<_> = events.iter().map(Uuid::to_string).collect();
        let mut words =
            vec![("--since", at(self.selection.since)), ("--until", at(self.selection.until))];
        let optional = [
            ("--type", pattern.as_ref()),
            ("--scope", scope.as_ref()),
            ("--tenant", Some(&tenant.tenant).filter(|tenant| !tenant.is_empty())),
            ("--subscriber", subscriber.as_ref()),
        ];
        for (flag, value) in optional {
            words.extend(value.map(|value| (flag, format!("'{value}'"))));
        }
        words.extend(events.into_iter().map(|event| ("--event", event)));
        words.extend(rate.map(|rate| ("--rate", rate.to_string())));
        words.extend(after.map(|after| ("--after", after.to_string())));
        let words: Vec<_> = words.iter().map(|(flag, value)| format!("{flag} {value}")).collect();
        format!("tidings replay {}", words.join(" "))
    }
}

impl Done {
    fn add(&mut self, step: &tidings::replay::Step) {
        self.events += step.events;
        self.deliveries += step.deliveries;
        self.finished = step.after.is_none();
        self.after = step.after;
    }
}

fn deliveries(count: u64) -> String {
    if count == 1 { "1 delivery".to_owned() } else { format!("{count} deliveries") }
}

fn events(count: u64) -> String {
    if count == 1 { "1 event".to_owned() } else { format!("{count} events") }
}
