//! From complete files to files that are there: planned, put, listed.

use std::sync::{Arc, atomic::Ordering};

use tokio::task::spawn_blocking;

use super::{
    Conditional, Sink, manifest,
    open::{Beginning, Closed, Judge, Open},
    plan::{Comparison, Place, Plan, PlannedFile},
    replace::Replacing,
    spool::Spooled,
    target::Put,
};
use crate::{
    Error, Result,
    sink::hooks::{Edition, Hooks},
    store::{self, plan::Owner},
    telemetry, topic,
};

/// What files are filed by.
pub(super) struct Filing<'a> {
    pub(super) sink: &'a Sink,
    pub(super) topic_id: Arc<str>,
    pub(super) conditional: Conditional,
    pub(super) hooks: Arc<dyn Hooks>,
}

impl Filing<'_> {
    /// Opens the files of a partition, under the plan that is there if there is one.
    pub(super) async fn begin(&self, partition: i32, first: i64) -> Result<Open> {
        let edition = self.hooks.refresh().await?;
        let found = store::plan::read_plan(&self.sink.pool, self.owner(partition), first).await?;
        if let Some(plan) = &found.plan {
            telemetry::plan_adopted(&self.sink.options.name, partition, plan.first, plan.last);
        } else if let Some(next) = found.next.filter(|next| *next != first) {
            return Err(self.out_of_plan(partition, first, next));
        }
        let (codec, plan) = (self.sink.options.codec, found.plan);
        let judge = Judge { hooks: Arc::clone(&self.hooks), edition };
        let beginning = Beginning { partition, first, codec, plan };
        Ok(Open::new(beginning, judge, Arc::clone(&self.sink.folder)))
    }

    /// Brings the files of a partition through all steps before the commit.
    pub(super) async fn file(&self, closed: &mut Closed) -> Result<()> {
        let Closed { partition, first, last, .. } = *closed;
        let made = std::mem::take(&mut closed.files);
        let adopted = closed.plan.take();
        let plan = if let Some(plan) = adopted {
            plan
        } else {
            let files = made.iter().map(|(file, _)| file.clone()).collect();
            let (print, codec) = (closed.print.clone(), closed.codec);
            let ours = Plan { id: 0, first, last, print, codec, done: false, files };
            self.plan(partition, ours, closed.edition).await?
        };
        if plan.print != closed.print {
            return Err(plan.broken(partition));
        }
        let files = self.upload(&plan, made, closed).await?;
        // Before the commit: after it nobody would know that a manifest is missing. The plan is final already.
        let place = Place { topic_id: &self.topic_id, partition, first, last };
        for file in &files {
            let text = manifest::text(&self.sink.options.name, place, plan.codec, file);
            let name = place.manifest(file.dt);
            self.sink.store.put_if_missing(&name, text, self.conditional).await?;
        }
        Ok(())
    }

    /// Stores the plan of these files, or finds that the same has been planned already.
    async fn plan(&self, partition: i32, ours: Plan, edition: Edition) -> Result<Plan> {
        let (first, pool) = (ours.first, &self.sink.pool);
        let owner = self.owner(partition);
        let found = store::plan::store_plan(pool, owner, &ours, edition.tombstone).await?;
        if found.stale {
            return Err(self.sink.rejudged());
        }
        let Some(plan) = found.plan else {
            return Err(self.out_of_plan(partition, first, found.next.unwrap_or_default()));
        };
        // What was read beyond its end, or is missing up to it, cannot be taken back: it is read again.
        if (plan.last, plan.codec) != (ours.last, ours.codec) {
            return Err(Error::PlannedOtherwise { partition, first });
        }
        Ok(plan)
    }

    /// Puts all files of a plan that is not done, and says that it is; returns them as they lie there.
    async fn upload(
        &self,
        plan: &Plan,
        made: Vec<(PlannedFile, Spooled)>,
        closed: &mut Closed,
    ) -> Result<Vec<PlannedFile>> {
        let (partition, name) = (closed.partition, &self.sink.options.name);
        if plan.done {
            for (file, _) in &made {
                closed.found(file.dt);
            }
            return Ok(plan.files.clone());
        }
        let files: Vec<_> = made.iter().map(|(file, _)| file.clone()).collect();
        match plan.compare(&files, |dt| closed.filtered(dt)) {
            Comparison::Same => {}
            Comparison::Recoded => {
                telemetry::plan_recoded(name, partition, plan.first, plan.last);
            }
            Comparison::Fewer => {
                telemetry::plan_lessened(name, partition, plan.first, plan.last);
            }
            Comparison::Different => return Err(plan.broken(partition)),
        }
        let mut made = made.into_iter().peekable();
        let mut files = Vec::with_capacity(made.len());
        // Both are by day.
        for planned in &plan.files {
            let ours = made.next_if(|(file, _)| file.dt == planned.dt);
            match ours {
                Some((ours, spooled)) if ours.events == planned.events => {
                    let (file, put) =
                        self.upload_file(partition, (plan, planned), (ours, spooled)).await?;
                    if put == Put::AlreadyThere {
                        closed.found(file.dt);
                    }
                    files.push(file);
                }
                fewer => {
                    let place = Place {
                        topic_id: &self.topic_id,
                        partition,
                        first: plan.first,
                        last: plan.last,
                    };
                    let replacing = Replacing::of(self.sink, self.conditional);
                    let new = fewer.map(|(ours, spooled)| (spooled, ours.events));
                    files.extend(replacing.replace((place, plan), planned, new).await?);
                    replacing.delete(&planned.name).await?;
                }
            }
        }
        if !store::plan::finish_plan(&self.sink.pool, plan.id).await? {
            return Err(Error::PlannedOtherwise { partition, first: plan.first });
        }
        Ok(files)
    }

    async fn upload_file(
        &self,
        partition: i32,
        (plan, planned): (&Plan, &PlannedFile),
        (made, spooled): (PlannedFile, Spooled),
    ) -> Result<(PlannedFile, Put)> {
        let store = &self.sink.store;
        if made.sha256 != planned.sha256 {
            // The planned bytes cannot be made any more. If they are there, all is well; if not, ours take their place.
            let found = store.sha256(&store.path(&planned.name)).await?;
            if found.as_deref() == Some(&planned.sha256) {
                return Ok((planned.clone(), Put::AlreadyThere));
            }
            let bytes = i64::try_from(made.bytes).unwrap_or(i64::MAX);
            let (pool, sha256) = (&self.sink.pool, spooled.sha256);
            if !store::plan::amend_plan(pool, plan.id, planned.dt, bytes, &sha256).await? {
                // Another owner has finished it meanwhile.
                return Err(Error::PlannedOtherwise { partition, first: plan.first });
            }
        }
        let bytes = spawn_blocking(|| spooled.into_bytes()).await?.map_err(Error::Spool)?;
        let metrics = &self.sink.metrics;
        let put = store.put(&planned.name, bytes, &made.sha256, self.conditional).await?;
        match put {
            Put::Stored => {
                metrics.files.fetch_add(1, Ordering::Relaxed);
                metrics.bytes_out.fetch_add(made.bytes, Ordering::Relaxed);
            }
            Put::AlreadyThere => {
                metrics.files_found.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (name, generation) = (planned.name.clone(), planned.generation);
        Ok((PlannedFile { name, generation, ..made }, put))
    }

    fn owner(&self, partition: i32) -> Owner<'_> {
        Owner { sink: &self.sink.options.name, topic_id: &self.topic_id, partition }
    }

    fn out_of_plan(&self, partition: i32, first: i64, next: i64) -> Error {
        let sink = self.sink.options.name.clone();
        Error::OutOfPlan { sink, topic: topic::UNIQUE, partition, first, next }
    }
}
