//! From complete files to files that are there: planned, put, listed.

use std::sync::{Arc, atomic::Ordering};

use tokio::task::spawn_blocking;

use super::{
    Conditional, Sink, manifest,
    open::{Closed, Open},
    plan::{Comparison, Place, Plan, PlannedFile},
    spool::Spooled,
    target::Put,
};
use crate::{
    Error, Result,
    store::{self, plan::Owner},
    telemetry, topic,
};

/// What files are filed by.
pub(super) struct Filing<'a> {
    pub(super) sink: &'a Sink,
    pub(super) topic_id: Arc<str>,
    pub(super) conditional: Conditional,
}

impl Filing<'_> {
    /// Opens the files of a partition, under the plan that is there if there is one.
    pub(super) async fn begin(&self, partition: i32, first: i64) -> Result<Open> {
        let found = store::plan::read_plan(&self.sink.pool, self.owner(partition), first).await?;
        if let Some(plan) = &found.plan {
            telemetry::plan_adopted(&self.sink.options.name, partition, plan.first, plan.last);
        } else if let Some(next) = found.next.filter(|next| *next != first) {
            return Err(self.out_of_plan(partition, first, next));
        }
        let folder = Arc::clone(&self.sink.folder);
        Ok(Open::new(partition, first, self.sink.options.codec, found.plan, folder))
    }

    /// Brings the files of a partition through all steps before the commit.
    pub(super) async fn file(&self, closed: &mut Closed) -> Result<()> {
        let Closed { partition, first, last, .. } = *closed;
        let (made, spooled): (Vec<_>, Vec<_>) =
            std::mem::take(&mut closed.files).into_iter().unzip();
        let adopted = closed.plan.take();
        let plan = if let Some(plan) = adopted {
            plan
        } else {
            let (print, codec, files) = (closed.print.clone(), closed.codec, made.clone());
            let ours = Plan { id: 0, first, last, print, codec, done: false, files };
            self.plan(partition, ours).await?
        };
        if plan.print != closed.print {
            return Err(plan.broken(partition));
        }
        let files = self.upload(partition, &plan, made, spooled).await?;
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
    async fn plan(&self, partition: i32, ours: Plan) -> Result<Plan> {
        let first = ours.first;
        let found = store::plan::store_plan(&self.sink.pool, self.owner(partition), &ours).await?;
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
        partition: i32,
        plan: &Plan,
        made: Vec<PlannedFile>,
        spooled: Vec<Spooled>,
    ) -> Result<Vec<PlannedFile>> {
        if plan.done {
            return Ok(plan.files.clone());
        }
        match plan.compare(&made) {
            Comparison::Same => {}
            Comparison::Recoded => {
                telemetry::plan_recoded(&self.sink.options.name, partition, plan.first, plan.last);
            }
            Comparison::Different => return Err(plan.broken(partition)),
        }
        let mut files = Vec::with_capacity(made.len());
        for ((planned, made), spooled) in plan.files.iter().zip(made).zip(spooled) {
            files.push(self.upload_file(partition, plan, planned, (made, spooled)).await?);
        }
        if !store::plan::finish_plan(&self.sink.pool, plan.id).await? {
            return Err(Error::PlannedOtherwise { partition, first: plan.first });
        }
        Ok(files)
    }

    async fn upload_file(
        &self,
        partition: i32,
        plan: &Plan,
        planned: &PlannedFile,
        (made, spooled): (PlannedFile, Spooled),
    ) -> Result<PlannedFile> {
        let store = &self.sink.store;
        if made.sha256 != planned.sha256 {
            // The planned bytes cannot be made any more. If they are there, all is well; if not, ours take their place.
            let found = store.sha256(&store.path(&planned.name)).await?;
            if found.as_deref() == Some(&planned.sha256) {
                return Ok(planned.clone());
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
        match store.put(&planned.name, bytes, &made.sha256, self.conditional).await? {
            Put::Stored => {
                metrics.files.fetch_add(1, Ordering::Relaxed);
                metrics.bytes_out.fetch_add(made.bytes, Ordering::Relaxed);
            }
            Put::AlreadyThere => {
                metrics.files_found.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(PlannedFile { name: planned.name.clone(), ..made })
    }

    fn owner(&self, partition: i32) -> Owner<'_> {
        Owner { sink: &self.sink.options.name, topic_id: &self.topic_id, partition }
    }

    fn out_of_plan(&self, partition: i32, first: i64, next: i64) -> Error {
        let sink = self.sink.options.name.clone();
        Error::OutOfPlan { sink, topic: topic::UNIQUE, partition, first, next }
    }
}
