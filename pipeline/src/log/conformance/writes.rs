//! Rules of topics and of what is written.

use bytes::Bytes;
use futures_util::future::try_join_all;

use super::{
    Failure,
    stage::{Hand, after, append, broken, ensure, output, prepare, read, spec, texts},
};
use crate::{
    Error, Result,
    log::{Log, Member as _, Outcome, Start},
    record::{Headers, Output, Record},
};

/// A little less than what a topic takes, because some logs count what stands around a record.
const LARGE_BYTES: usize = 5_500_000;

pub(super) async fn check_topics(log: &impl Log) -> Result<(), Failure> {
    let rule = "topics are made once, with the partitions that they are to have";
    let topic = "conformance.topics";
    prepare(log, &[(topic, 3)]).await?;
    append(log, topic, 2, ["kept"]).await?;
    prepare(log, &[(topic, 3)]).await?;
    let kept = texts(&read(log, topic, 2, Start::Beginning).await?);
    ensure(kept == ["kept"], "a topic that is there is left alone", || format!("{kept:?}"))?;
    let partitions = log.partitions(topic).await.map_err(broken(rule))?;
    ensure(partitions == 3, rule, || format!("{partitions} partitions, and not 3"))?;
    let other = log.prepare(&[spec(topic, 4)]).await;
    let refused = matches!(other, Err(Error::Repartitioned { found: 3, wanted: 4, .. }));
    ensure(refused, "another number of partitions is refused", || format!("{other:?}"))?;
    check_missing(log, topic).await
}

async fn check_missing(log: &impl Log, topic: &'static str) -> Result<(), Failure> {
    fn check<T>(what: &str, found: Result<T>) -> Result<(), Failure> {
        let found = found.err();
        let named = matches!(found, Some(Error::NoSuchPartition { .. }));
        ensure(named, "a topic or partition that is not there is named", || {
            format!("{what}: {found:?}")
        })
    }
    let missing = "conformance.missing";
    check("partitions", log.partitions(missing).await)?;
    check("bounds", log.bounds(missing).await)?;
    check("committed", log.committed("conformance", missing).await)?;
    check("join", log.join("conformance", missing).await.map(drop))?;
    check("append", log.append(vec![output(missing, 0, "")]).await)?;
    check("append to another partition", log.append(vec![output(topic, 3, "")]).await)?;
    check("reader", log.reader(missing, 0, Start::Beginning).await.map(drop))?;
    check("reader of another partition", log.reader(topic, 3, Start::Beginning).await.map(drop))
}

pub(super) async fn check_appends(log: &impl Log) -> Result<(), Failure> {
    const WRITERS: i32 = 8;
    let topic = "conformance.appends";
    prepare(log, &[(topic, 2)]).await?;
    let write = async |writer: i32| {
        // Both partitions in one call, in turns.
        let records: Vec<_> =
            (0..20).map(|n| output(topic, n % 2, format!("{writer}:{n}"))).collect();
        log.append(records).await.map_err(broken("many append at once"))
    };
    let offsets = try_join_all((0..WRITERS).map(write)).await?;
    let none = log.append(Vec::new()).await.map_err(broken("nothing may be appended"))?;
    ensure(none.is_empty(), "nothing may be appended", || format!("{none:?}"))?;
    let mut found: [Vec<Record>; 2] = [Vec::new(), Vec::new()];
    for (partition, found) in (0..).zip(&mut found) {
        *found = read(log, topic, partition, Start::Beginning).await?;
        let grow = found.is_sorted_by(|one, next| one.offset < next.offset);
        ensure(
            grow && found.len() == 80,
            "each record is there once, under its own offset",
            || format!("{} records at {:?}", found.len(), found.iter().map(|r| r.offset)),
        )?;
    }
    for (writer, offsets) in (0..WRITERS).zip(&offsets) {
        let rule = "offsets are returned in the order of the records, and grow with it";
        for (n, offset) in offsets.iter().enumerate() {
            let at = found[n % 2].iter().find(|record| record.offset == *offset);
            let right = at.is_some_and(|record| record.value == format!("{writer}:{n}"));
            ensure(right, rule, || format!("{writer}:{n} is not at {offset}: {at:?}"))?;
        }
        let grow = offsets.len() == 20 && offsets.windows(3).all(|next| next[0] < next[2]);
        ensure(grow, rule, || format!("{offsets:?}"))?;
    }
    check_bounds(log, topic, &found).await
}

async fn check_bounds(
    log: &impl Log,
    topic: &str,
    found: &[Vec<Record>; 2],
) -> Result<(), Failure> {
    let rule = "bounds are those of what is there";
    let bounds = log.bounds(topic).await.map_err(broken(rule))?;
    ensure(bounds.len() == 2, rule, || format!("{bounds:?}"))?;
    for ((partition, bounds), records) in (0..).zip(&bounds).zip(found) {
        let first = records.first().map(|record| record.offset);
        let last = records.last().map(|record| record.offset);
        let right = bounds.partition == partition
            && Some(bounds.first) == first
            && last.is_some_and(|last| bounds.end > last);
        ensure(right, rule, || format!("{bounds:?} around {first:?} to {last:?}"))?;
    }
    Ok(())
}

pub(super) async fn check_contents(log: &impl Log) -> Result<(), Failure> {
    let topic = "conformance.contents";
    prepare(log, &[(topic, 1)]).await?;
    let keyed = |key: &'static str, headers, value: &'static [u8]| {
        let (key, value) = (Some(Bytes::from(key)), Bytes::from_static(value));
        Output { topic: topic.into(), partition: 0, key, headers, value }
    };
    let headers = Headers::new().with("kind", "one").with("kind", "two").with("empty", "");
    let outputs = vec![
        keyed("device-1", headers, b"{\"mid\":\"1\"}"),
        keyed(
            "",
            Headers::new().with("name", "\u{0928}\u{092e}\u{0938}\u{094d}\u{0924}\u{0947}"),
            b"",
        ),
        output(topic, 0, "neither key nor headers"),
        keyed("\u{1f4ec}", Headers::new(), b"\x00\xff bytes that are no text"),
    ];
    log.append(outputs.clone()).await.map_err(broken("records are appended"))?;
    check_same(&outputs, &read(log, topic, 0, Start::Beginning).await?)?;
    let mut hand = Hand::join(log, "conformance", topic).await?;
    check_same(&outputs, &hand.take(outputs.len()).await?)?;
    hand.member.leave().await;
    Ok(())
}

pub(super) async fn check_large(log: &impl Log) -> Result<(), Failure> {
    let rule = "large records go in and come out, also in a commit";
    let (from, to) = ("conformance.large", "conformance.large.copied");
    prepare(log, &[(from, 1), (to, 1)]).await?;
    // No two parts of it are alike, so that nothing is saved by compression.
    let mut state = 1_u32;
    let value: Bytes = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(LARGE_BYTES)
    .collect();
    let output = |topic: &'static str| Output { value: value.clone(), ..output(topic, 0, "") };
    log.append(vec![output(from), output(from)]).await.map_err(broken(rule))?;
    let mut hand = Hand::join(log, "conformance", from).await?;
    let records = hand.take(2).await?;
    check_same(&[output(from), output(from)], &records)?;
    let outputs = vec![output(to), output(to)];
    let committed = hand.member.commit(outputs, &after(&records)).await.map_err(broken(rule))?;
    ensure(committed == Outcome::Committed, rule, || format!("{committed:?}"))?;
    hand.member.leave().await;
    check_same(&[output(to), output(to)], &read(log, to, 0, Start::Beginning).await?)
}

fn check_same(written: &[Output], found: &[Record]) -> Result<(), Failure> {
    let rule = "key, headers and value come out as they went in";
    ensure(written.len() == found.len(), rule, || {
        format!("{} records of {}", found.len(), written.len())
    })?;
    for (number, (output, record)) in written.iter().zip(found).enumerate() {
        // An empty key and none are the same to some logs.
        let key = |key: &Option<Bytes>| key.clone().unwrap_or_default();
        ensure(key(&output.key) == key(&record.key), rule, || {
            format!("the key {:?} of record {number} is {:?}", output.key, record.key)
        })?;
        ensure(output.headers == record.headers, rule, || {
            format!("{:?} of record {number} are {:?}", output.headers, record.headers)
        })?;
        ensure(output.value == record.value, rule, || {
            let bytes = (output.value.len(), record.value.len());
            format!(
                "the value of record {number}, {} bytes, is another one of {}",
                bytes.0, bytes.1
            )
        })?;
    }
    Ok(())
}
