//! Files looked at again: what is missing of complete plans is made from the log and put.

use std::{collections::VecDeque, sync::Arc};

use serde::Serialize;
use tokio::task::spawn_blocking;

use super::{
    Sink, manifest,
    open::{Beginning, Closed, Judge, Open},
    plan::{Place, Plan, PlannedFile},
    replace::Replacing,
    spool::Spooled,
};
use crate::{
    Error, Log, Result,
    log::{Limits, Reader as _, Start},
    sink::{Hooks, resend::Range},
    store::{
        self,
        plan::{PlanOf, Which},
    },
    topic,
};

/// What is read at once.
const LIMITS: Limits = Limits { records: 10_000, bytes: 4 * 1024 * 1024 };

/// What became of the files of plans that were looked at.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Resent {
    /// Plans that were looked at.
    pub plans: u64,
    /// Files that are there as they were planned.
    pub intact: u64,
    /// Files that were missing, and are there again.
    pub restored: u64,
    /// How many events those have.
    pub events: u64,
    /// Files of which nothing may be there any more, by the level or because their subjects were erased.
    pub filtered: u64,
    /// Files that cannot be put right.
    pub refused: Vec<Refused>,
    /// Plans that are not done, and are left to the sink.
    pub pending: u64,
}

/// A file that cannot be put right, and why.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Refused {
    /// Its name, below the folder of the sink.
    pub name: String,
    /// Why, and what to do.
    pub reason: String,
}

impl Sink {
    /// Looks at each file of the plans in a range, and puts those again that are missing.
    ///
    /// A plan belongs to a range if one of its records may lie in it. Files are read back whole, to compare them.
    ///
    /// # Errors
    ///
    /// A store, a log or a database that does not answer. What is wrong with a file is no error, and in the result.
    pub async fn resend<L: Log>(
        &self,
        log: &L,
        (hooks, range): (&Arc<dyn Hooks>, Range),
        mut progress: impl FnMut(&Resent) + Send,
    ) -> Result<Resent> {
        let conditional = self.probe().await?;
        let topic_id = store::plan::name_topic(&self.pool, topic::UNIQUE).await?;
        let unanswered = Error::unanswered("lock the files of a sink");
        let mut lock = self.pool.begin().await.map_err(&unanswered)?;
        store::plan::lock_files(&mut lock, &self.options.name).await?;
        let replacing = Replacing::of(self, conditional);
        replacing.sweep().await?;
        let mut resent = Resent::default();
        for of in self.plans(&topic_id, range).await? {
            resent.plans += 1;
            let missing = self.missing(&of, &mut resent).await?;
            if !missing.is_empty() {
                let with = (&replacing, hooks);
                self.restore(log, (&of, missing), with, &mut resent).await?;
            }
            progress(&resent);
        }
        replacing.sweep().await?;
        lock.commit().await.map_err(unanswered)?;
        Ok(resent)
    }

    /// Returns the plans of a range.
    async fn plans(&self, topic_id: &str, range: Range) -> Result<Vec<PlanOf>> {
        let partition = match range {
            Range::Offsets { partition, .. } => Some(partition),
            Range::Time { .. } => None,
        };
        let which = Which { sink: &self.options.name, topic_id: Some(topic_id), partition };
        let (mut plans, mut after) = (Vec::<PlanOf>::new(), 0);
        loop {
            let page = store::plan::read_plans(&self.pool, which, after).await?;
            let Some(last) = page.last() else { return Ok(plans) };
            after = last.plan.id;
            for of in page {
                match range {
                    Range::Offsets { first, next, .. } => {
                        if of.plan.last >= first && of.plan.first < next {
                            plans.push(of);
                        }
                    }
                    Range::Time { from, until } => {
                        // The plans of a partition follow each other: where the next one begins by then, this is over.
                        if of.plan.print.first_at < from.timestamp_millis() {
                            plans.retain(|before| before.partition != of.partition);
                        }
                        if of.plan.print.first_at < until.timestamp_millis() {
                            plans.push(of);
                        }
                    }
                }
            }
        }
    }

    /// Returns the files of a plan that are not there.
    async fn missing(&self, of: &PlanOf, resent: &mut Resent) -> Result<Vec<PlannedFile>> {
        if !of.plan.done {
            resent.pending += 1;
            return Ok(Vec::new());
        }
        let mut missing = Vec::new();
        for file in &of.plan.files {
            match self.store.sha256(&self.store.path(&file.name)).await? {
                Some(found) if found == file.sha256 => resent.intact += 1,
                Some(_) => {
                    let reason = "it has other content than was planned; find out who has changed it, move it away, and resend again";
                    resent.refuse(file, reason);
                }
                None => missing.push(file.clone()),
            }
        }
        Ok(missing)
    }

    /// Makes files of a plan from its records, and puts them.
    async fn restore<L: Log>(
        &self,
        log: &L,
        (of, missing): (&PlanOf, Vec<PlannedFile>),
        (replacing, hooks): (&Replacing<'_>, &Arc<dyn Hooks>),
        resent: &mut Resent,
    ) -> Result<()> {
        let PlanOf { topic_id, partition, plan } = of;
        let Some(closed) = self.make(log, of, hooks).await? else {
            let reason =
                "its records are not in the log any more; restore it from a backup of the store";
            for file in &missing {
                resent.refuse(file, reason);
            }
            return Ok(());
        };
        let (first, last) = (plan.first, plan.last);
        let place = Place { topic_id, partition: *partition, first, last };
        let mut made = closed.files;
        for file in missing {
            let at = made.iter().position(|(made, _)| made.dt == file.dt);
            let made = at.map(|at| made.swap_remove(at));
            self.put_again((place, plan), &file, made, (replacing, resent)).await?;
        }
        Ok(())
    }

    async fn put_again(
        &self,
        (place, plan): (Place<'_>, &Plan),
        file: &PlannedFile,
        made: Option<(PlannedFile, Spooled)>,
        (replacing, resent): (&Replacing<'_>, &mut Resent),
    ) -> Result<()> {
        match made {
            None => {
                replacing.replace((place, plan), file, None).await?;
                resent.filtered += 1;
                return Ok(());
            }
            Some((made, spooled)) if made.sha256 == file.sha256 => {
                let bytes = spawn_blocking(|| spooled.into_bytes()).await?.map_err(Error::Spool)?;
                self.store
                    .put_anew(&file.name, bytes, &file.sha256, replacing.conditional())
                    .await?;
                let text = manifest::text(&self.options.name, place, plan.codec, file);
                self.store.overwrite(&place.manifest(file.dt), text).await?;
                resent.events += made.events;
            }
            // Fewer by now, or the bytes of another version of the codec.
            Some((made, spooled)) => {
                replacing.replace((place, plan), file, Some((spooled, made.events))).await?;
                resent.events += made.events;
            }
        }
        resent.restored += 1;
        Ok(())
    }

    /// Makes the files of a plan from its records; nothing if they are not there any more.
    async fn make<L: Log>(
        &self,
        log: &L,
        of: &PlanOf,
        hooks: &Arc<dyn Hooks>,
    ) -> Result<Option<Closed>> {
        let (partition, plan) = (of.partition, &of.plan);
        let edition = hooks.refresh().await?;
        let judge = Judge { hooks: Arc::clone(hooks), edition };
        let (first, codec) = (plan.first, plan.codec);
        let beginning = Beginning { partition, first, codec, plan: Some(plan.clone()) };
        let mut open = Open::new(beginning, judge, Arc::clone(&self.folder));
        let mut reader = log.reader(topic::UNIQUE, partition, Start::Offset(first)).await?;
        while let Some(records) = reader.next(LIMITS).await? {
            let of_plan = records.iter().take_while(|record| record.offset <= plan.last).count();
            let is_over = of_plan < records.len();
            let mut queue: VecDeque<_> = records.into_iter().take(of_plan).collect();
            let (roll, name) = (self.options.roll, self.options.name.clone());
            let taken = spawn_blocking(move || open.take(&mut queue, &roll, &name).map(|_| open));
            open = match taken.await? {
                Err(Error::PlanBroken { .. }) => return Ok(None),
                taken => taken?,
            };
            if is_over {
                break;
            }
        }
        let topic_id = of.topic_id.clone();
        let closed = spawn_blocking(move || open.close(&topic_id)).await??;
        Ok(closed.filter(|closed| closed.print == plan.print))
    }
}

impl Resent {
    fn refuse(&mut self, file: &PlannedFile, reason: &str) {
        self.refused.push(Refused { name: file.name.clone(), reason: reason.to_owned() });
    }
}
