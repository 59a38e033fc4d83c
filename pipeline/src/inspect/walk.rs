//! Walking through a topic, forwards from a time or backwards from its end.

use std::ops::ControlFlow;

use crate::{
    Log, Record, Result,
    log::{Bounds, Limits, Reader, Start},
};

/// How much is read at once.
const LIMITS: Limits = Limits { records: 1000, bytes: 16 * 1024 * 1024 };

/// How many offsets are looked at in one step backwards.
const STEP: i64 = 1000;

/// Shows each record of a partition from `start` on to `look`, until it has seen enough.
pub(super) async fn forwards<L: Log>(
    log: &L,
    topic: &str,
    (partition, start): (i32, Start),
    mut look: impl FnMut(Record) -> ControlFlow<()> + Send,
) -> Result<()> {
    let mut reader = log.reader(topic, partition, start).await?;
    while let Some(records) = reader.next(LIMITS).await? {
        for record in records {
            if look(record).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Shows each record of a partition from its end on to `look`, the last one first, until it has seen enough.
pub(super) async fn backwards<L: Log>(
    log: &L,
    topic: &str,
    bounds: Bounds,
    mut look: impl FnMut(Record) -> ControlFlow<()> + Send,
) -> Result<()> {
    let mut end = bounds.end;
    while end > bounds.first {
        let from = (end - STEP).max(bounds.first);
        let mut records = Vec::new();
        forwards(log, topic, (bounds.partition, Start::Offset(from)), |record| {
            if record.offset >= end {
                return ControlFlow::Break(());
            }
            records.push(record);
            ControlFlow::Continue(())
        })
        .await?;
        for record in records.into_iter().rev() {
            if look(record).is_break() {
                return Ok(());
            }
        }
        end = from;
    }
    Ok(())
}
