//! Rules of readers.

use chrono::{DateTime, TimeDelta};

use super::{
    Failure,
    stage::{ALL, append, broken, ensure, numbers, prepare, read, texts},
};
use crate::log::{Limits, Log, Position, Reader as _, Start};

pub(super) async fn check_starts(log: &impl Log) -> Result<(), Failure> {
    let topic = "conformance.starts";
    prepare(log, &[(topic, 2)]).await?;
    let empty = read(log, topic, 0, Start::Beginning).await?;
    ensure(empty.is_empty(), "an empty partition ends at once", || format!("{empty:?}"))?;
    for number in numbers(12) {
        // One at a time, so that they have times of their own.
        append(log, topic, 0, [number]).await?;
    }
    append(log, topic, 1, ["of another partition"]).await?;
    let all = read(log, topic, 0, Start::Beginning).await?;
    ensure(texts(&all) == numbers(12), "a reader begins with the first record", || {
        format!("{:?}", texts(&all))
    })?;
    for (number, record) in all.iter().enumerate() {
        let rest = read(log, topic, 0, Start::Offset(record.offset)).await?;
        ensure(rest == all[number..], "a reader begins at an offset", || {
            format!("{:?} from {}", texts(&rest), record.offset)
        })?;
        let since = all.iter().position(|other| other.appended_at >= record.appended_at);
        let since = since.unwrap_or_default();
        let rest = read(log, topic, 0, Start::Time(record.appended_at)).await?;
        ensure(rest == all[since..], "a reader begins with what is not older than a time", || {
            format!("{:?} from {}, and not from {since}", texts(&rest), record.appended_at)
        })?;
    }
    let (Some(first), Some(last)) = (all.first(), all.last()) else { return Ok(()) };
    let ends = [
        ("before everything", Start::Time(DateTime::UNIX_EPOCH), all.len()),
        ("after everything", Start::Time(last.appended_at + TimeDelta::days(1)), 0),
        ("before the first offset", Start::Offset(first.offset - 1), all.len()),
        ("after the last offset", Start::Offset(last.offset + 1), 0),
        ("far after the last offset", Start::Offset(last.offset + 1000), 0),
    ];
    for (what, start, expected) in ends {
        let found = read(log, topic, 0, start).await?;
        ensure(found.len() == expected, "a reader may begin outside of what is there", || {
            format!("{what}: {:?}", texts(&found))
        })?;
    }
    Ok(())
}

pub(super) async fn check_times(log: &impl Log) -> Result<(), Failure> {
    let rule = "the log says when it took what stands at positions";
    let topic = "conformance.times";
    prepare(log, &[(topic, 3)]).await?;
    let (mut positions, mut expected) = (Vec::new(), Vec::new());
    for partition in 0..2 {
        append(log, topic, partition, numbers(3)).await?;
        let all = read(log, topic, partition, Start::Beginning).await?;
        positions.extend(all.get(1).map(|record| Position { partition, offset: record.offset }));
        expected.push(all.get(1).map(|record| record.appended_at));
    }
    positions.push(Position { partition: 2, offset: 0 });
    expected.push(None);
    let found = log.taken_at(topic, &positions).await.map_err(broken(rule))?;
    ensure(found == expected, rule, || format!("{found:?}, and not {expected:?}"))?;
    let none = log.taken_at(topic, &[]).await.map_err(broken(rule))?;
    ensure(none.is_empty(), rule, || format!("{none:?} of nothing"))
}

pub(super) async fn check_end(log: &impl Log) -> Result<(), Failure> {
    let rule = "a reader ends where its partition did when it was opened";
    let topic = "conformance.ends";
    prepare(log, &[(topic, 1)]).await?;
    append(log, topic, 0, numbers(10)).await?;
    let mut reader = log.reader(topic, 0, Start::Beginning).await.map_err(broken(rule))?;
    append(log, topic, 0, ["too late"]).await?;
    let (limits, mut found) = (Limits { records: 3, bytes: usize::MAX }, Vec::new());
    while let Some(records) = reader.next(limits).await.map_err(broken(rule))? {
        ensure((1..=3).contains(&records.len()), "a reader keeps to its limits", || {
            format!("{} records, and not 1 to 3", records.len())
        })?;
        found.extend(records);
    }
    ensure(texts(&found) == numbers(10), rule, || format!("{:?}", texts(&found)))?;
    let again = reader.next(ALL).await.map_err(broken(rule))?;
    ensure(again.is_none(), "the end of a reader is final", || format!("{again:?}"))?;
    let mut reader = log.reader(topic, 0, Start::Beginning).await.map_err(broken(rule))?;
    let limits = Limits { records: 100, bytes: 0 };
    while let Some(records) = reader.next(limits).await.map_err(broken(rule))? {
        ensure(records.len() == 1, "one record is handed out, however small the limit", || {
            format!("{} records", records.len())
        })?;
    }
    Ok(())
}
