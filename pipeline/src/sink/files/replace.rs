//! A file in the place of another one, with fewer events or other bytes: under the next generation.
//!
//! ```text
//! new file up ──▶ row of the plan amended, old one noted ──▶ manifest ──▶ old file deleted ──▶ note deleted
//! ```
//!
//! Whoever dies on the way leaves a note, or a file that nobody knows and the next one replaces.

use sqlx::PgPool;
use tokio::task::spawn_blocking;

use super::{
    Conditional, Sink, Store, manifest,
    open::hex,
    plan::{Place, Plan, PlannedFile},
    spool::Spooled,
};
use crate::{Error, Result, store};

/// What files are replaced by.
pub(super) struct Replacing<'a> {
    sink: &'a str,
    store: &'a Store,
    pool: &'a PgPool,
    conditional: Conditional,
}

impl<'a> Replacing<'a> {
    pub(super) fn of(sink: &'a Sink, conditional: Conditional) -> Self {
        let Sink { options, store, pool, .. } = sink;
        Self { sink: &options.name, store, pool, conditional }
    }

    pub(super) const fn conditional(&self) -> Conditional {
        self.conditional
    }

    /// Puts so many events in the place of a file of a plan, or nothing; returns the new one. The old one is still there.
    ///
    /// # Errors
    ///
    /// Somebody else has replaced it meanwhile, or the store or the database does not answer.
    pub(super) async fn replace(
        &self,
        (place, plan): (Place<'_>, &Plan),
        old: &PlannedFile,
        new: Option<(Spooled, u64)>,
    ) -> Result<Option<PlannedFile>> {
        let file = match new {
            None => None,
            Some((spooled, events)) => {
                let (dt, generation) = (old.dt, old.generation + 1);
                let name = place.file(dt, generation, plan.codec);
                let (sha256, bytes) = (hex(&spooled.sha256), spooled.len());
                let content =
                    spawn_blocking(|| spooled.into_bytes()).await?.map_err(Error::Spool)?;
                self.store.put_anew(&name, content, &sha256, self.conditional).await?;
                Some(PlannedFile { dt, name, generation, events, bytes, sha256 })
            }
        };
        let of = (plan.id, old.dt);
        if store::plan::amend_file(self.pool, of, old.generation, file.as_ref()).await? {
            return Ok(file);
        }
        Err(Error::PlannedOtherwise { partition: place.partition, first: place.first })
    }

    /// Deletes a file that was replaced before its plan was done, and so is in no manifest.
    pub(super) async fn delete(&self, name: &str) -> Result<()> {
        self.store.delete(name).await?;
        store::plan::forget_stale_file(self.pool, self.sink, name).await
    }

    /// Brings the manifests of everything that was replaced up to date, and deletes what it has replaced.
    pub(super) async fn sweep(&self) -> Result<()> {
        for stale in store::plan::read_stale_files(self.pool, self.sink).await? {
            let place = Place {
                topic_id: &stale.topic_id,
                partition: stale.partition,
                first: stale.first,
                last: stale.last,
            };
            let manifest = place.manifest(stale.dt);
            match &stale.file {
                Some(file) => {
                    let text = manifest::text(self.sink, place, stale.codec, file);
                    self.store.overwrite(&manifest, text).await?;
                }
                None => self.store.delete(&manifest).await?,
            }
            self.delete(&stale.name).await?;
        }
        Ok(())
    }
}
