//! Erasure in files: each that has events of somebody who was erased is written anew without them.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::{
    Sink,
    codec::{Codec, Writer},
    decode::decode,
    event::Event,
    plan::{Place, PlannedFile},
    replace::Replacing,
    spool::{Spool, Spooled},
};
use crate::{
    Error, Result,
    gate::Tombstones,
    store::{
        self,
        plan::{PlanOf, Which},
    },
    value::Value,
};

/// What was found in files, and done about it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Erased {
    /// Files that were read.
    pub files: u64,
    /// Of those, how many were written anew, or deleted because nothing was left.
    pub rewritten: u64,
    /// Events that were taken out.
    pub events: u64,
    /// Files that were planned and are not in the store.
    pub missing: u64,
    /// Plans whose files are not up yet. The sink leaves out what was erased when it goes on; run it, and erase again.
    pub unfinished: u64,
}

/// What is left of a file.
struct Left {
    /// How many events were taken out.
    erased: u64,
    /// The rest, where any was and something is left.
    rest: Option<(Spooled, u64)>,
}

impl Sink {
    /// Writes every file anew that has events of somebody who was erased, without them, and deletes the one before.
    ///
    /// A call that was interrupted is repeated. `progress` is told what was done after each plan.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or a store or a database that does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped has done a part; what it has left behind the next one tidies up.
    pub async fn erase(
        &self,
        erased: &Tombstones,
        mut progress: impl FnMut(&Erased) + Send,
    ) -> Result<Erased> {
        let conditional = self.probe().await?;
        let unanswered = Error::unanswered("lock the files of a sink");
        let mut lock = self.pool.begin().await.map_err(&unanswered)?;
        store::plan::lock_files(&mut lock, &self.options.name).await?;
        let replacing = Replacing::of(self, conditional);
        replacing.sweep().await?;
        let (mut done, mut after) = (Erased::default(), 0);
        let which = Which { sink: &self.options.name, topic_id: None, partition: None };
        loop {
            let page = store::plan::read_plans(&self.pool, which, after).await?;
            let Some(last) = page.last() else { break };
            after = last.plan.id;
            for of in &page {
                self.erase_plan(of, (erased, &replacing), &mut done).await?;
                progress(&done);
            }
        }
        replacing.sweep().await?;
        lock.commit().await.map_err(unanswered)?;
        Ok(done)
    }

    async fn erase_plan(
        &self,
        of: &PlanOf,
        (erased, replacing): (&Tombstones, &Replacing<'_>),
        done: &mut Erased,
    ) -> Result<()> {
        let PlanOf { topic_id, partition, plan } = of;
        if !plan.done {
            done.unfinished += 1;
            return Ok(());
        }
        let (first, last) = (plan.first, plan.last);
        let place = Place { topic_id, partition: *partition, first, last };
        for file in &plan.files {
            let Some(bytes) = self.store.get(&file.name).await? else {
                done.missing += 1;
                continue;
            };
            done.files += 1;
            let Left { erased, rest } = self.sift(plan.codec, file, bytes, erased).await?;
            if erased > 0 {
                replacing.replace((place, plan), file, rest).await?;
                done.rewritten += 1;
                done.events += erased;
            }
        }
        Ok(())
    }

    /// Returns what is left of a file without the events of who was erased.
    async fn sift(
        &self,
        codec: Codec,
        file: &PlannedFile,
        bytes: Bytes,
        erased: &Tombstones,
    ) -> Result<Left> {
        let (erased, folder) = (erased.clone(), Arc::clone(&self.folder));
        let sifted = spawn_blocking(move || {
            let mut found = 0_u64;
            decode(codec, bytes.clone(), |event| {
                found += u64::from(is_of(&erased, &event));
                Ok::<_, Fault>(())
            })?;
            // Most files have nothing of anybody, and are not written.
            if found == 0 {
                return Ok(Left { erased: 0, rest: None });
            }
            let mut writer = Writer::new(codec, Spool::new(folder))?;
            decode(codec, bytes, |event| {
                if is_of(&erased, &event) {
                    return Ok(());
                }
                Ok::<_, Fault>(writer.write(Event::read(event, codec)?)?)
            })?;
            let (spooled, events) = writer.finish()?;
            let rest = (events > 0).then_some((spooled, events));
            Ok::<_, Fault>(Left { erased: found, rest })
        });
        let path = || file.name.clone();
        sifted.await?.map_err(|fault| match fault {
            Fault::Ours(error) => error,
            Fault::OfFile(reason) => Error::Unreadable { path: path(), reason },
        })
    }
}

/// What has gone wrong with a file.
enum Fault {
    OfFile(String),
    Ours(Error),
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::OfFile(reason)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

fn is_of(erased: &Tombstones, event: &[u8]) -> bool {
    Value::parse(event).is_ok_and(|event| erased.has(&event))
}
