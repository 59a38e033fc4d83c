//! Rules of one member at a time.

use super::{
    Failure,
    stage::{ALL, Hand, after, append, broken, ensure, numbers, output, prepare, read, texts},
};
use crate::{
    Error,
    log::{Limits, Log, Member as _, Outcome, Position, Start, Turn},
};

const GROUP: &str = "conformance";

pub(super) async fn check_limits(log: &impl Log) -> Result<(), Failure> {
    let topic = "conformance.limits";
    prepare(log, &[(topic, 2)]).await?;
    for partition in 0..2 {
        append(log, topic, partition, (0..20).map(|n| format!("{n:0>100}"))).await?;
    }
    let mut hand = Hand::join(log, GROUP, topic).await?;
    let (records, none) = (Limits { records: 7, bytes: 1 << 20 }, Limits { records: 0, bytes: 0 });
    let bytes = Limits { records: 100, bytes: 350 };
    let mut taken = Vec::new();
    for limits in [records, none, bytes].into_iter().cycle().take(1000) {
        let found = hand.turn(limits).await?;
        let count_max = limits.records.max(1);
        // The record that reaches the limit may go over it.
        let bytes: usize = found.iter().skip(1).map(|record| record.value.len()).sum();
        let kept = found.len() <= count_max && (found.len() <= 1 || bytes <= limits.bytes);
        ensure(kept, "a member keeps to its limits", || {
            format!("{} records with {bytes} bytes after the first for {limits:?}", found.len())
        })?;
        taken.extend(found);
        if taken.len() == 40 {
            break;
        }
    }
    taken.sort_by_key(|record| record.partition);
    let (one, other) = taken.split_at(taken.len().min(20));
    let right = |part: &[_]| texts(part).iter().map(|text| text.parse().ok()).eq((0..20).map(Some));
    ensure(right(one) && right(other), "every record is handed out once, in its order", || {
        format!("{:?}", texts(&taken))
    })?;
    hand.member.leave().await;
    Ok(())
}

pub(super) async fn check_idle(log: &impl Log) -> Result<(), Failure> {
    let topic = "conformance.idle";
    prepare(log, &[(topic, 2)]).await?;
    let mut hand = Hand::join(log, GROUP, topic).await?;
    hand.hold(2).await?;
    let rule = "a member with nothing to read is idle";
    let turn = hand.member.next(ALL).await.map_err(broken(rule))?;
    ensure(turn == Turn::Idle, rule, || format!("{turn:?}"))?;
    append(log, topic, 1, ["later"]).await?;
    let later = texts(&hand.take(1).await?);
    ensure(later == ["later"], "what comes later is handed out", || format!("{later:?}"))?;
    hand.member.leave().await;
    Ok(())
}

pub(super) async fn check_commit(log: &impl Log) -> Result<(), Failure> {
    let rule = "a commit writes its outputs and moves its positions";
    let (from, to) = ("conformance.commit", "conformance.commit.copied");
    prepare(log, &[(from, 1), (to, 2)]).await?;
    append(log, from, 0, numbers(10)).await?;
    check_committed(log, from, None).await?;
    let mut hand = Hand::join(log, GROUP, from).await?;
    let records = hand.take(10).await?;
    ensure(texts(&records) == numbers(10), "a group begins at the beginning", || {
        format!("{:?}", texts(&records))
    })?;
    // The first half, with outputs for two partitions.
    let at = records[4].offset + 1;
    let outputs = (0..5).map(|n| output(to, n % 2, n.to_string())).collect();
    let half = [Position { partition: 0, offset: at }];
    let outcome = hand.member.commit(outputs, &half).await.map_err(broken(rule))?;
    ensure(outcome == Outcome::Committed, rule, || format!("{outcome:?}"))?;
    check_committed(log, from, Some(at)).await?;
    for (partition, expected) in [(0, vec!["0", "2", "4"]), (1, vec!["1", "3"])] {
        let found = texts(&read(log, to, partition, Start::Beginning).await?);
        ensure(found == expected, "outputs stand in their order", || format!("{found:?}"))?;
    }
    append(log, from, 0, ["10"]).await?;
    let next = texts(&hand.take(1).await?);
    ensure(next == ["10"], "a commit does not change what is read next", || format!("{next:?}"))?;
    hand.member.leave().await;
    let mut hand = Hand::join(log, GROUP, from).await?;
    let records = hand.take(6).await?;
    let expected = &numbers(11)[5..];
    let rule = "a group goes on where it has committed";
    ensure(texts(&records) == expected, rule, || format!("{:?}", texts(&records)))?;
    ensure(hand.held.get(&0) == Some(&at), rule, || format!("gained at {:?}", hand.held))?;
    let rest = after(&records);
    let outcome = hand.member.commit(Vec::new(), &rest).await.map_err(broken(rule))?;
    let rule = "a commit may have no outputs";
    ensure(outcome == Outcome::Committed, rule, || format!("{outcome:?}"))?;
    hand.member.leave().await;
    check_committed(log, from, Some(rest[0].offset)).await
}

async fn check_committed(
    log: &impl Log,
    topic: &str,
    expected: Option<i64>,
) -> Result<(), Failure> {
    let rule = "committed positions are known";
    let found = log.committed(GROUP, topic).await.map_err(broken(rule))?;
    ensure(found == [expected], rule, || format!("{found:?}, and not {expected:?}"))
}

pub(super) async fn check_groups(log: &impl Log) -> Result<(), Failure> {
    let rule = "groups do not see each other";
    let topic = "conformance.groups";
    prepare(log, &[(topic, 1)]).await?;
    append(log, topic, 0, numbers(5)).await?;
    for group in ["conformance.one", "conformance.other"] {
        let mut hand = Hand::join(log, group, topic).await?;
        let records = hand.take(5).await?;
        ensure(texts(&records) == numbers(5), rule, || format!("{:?}", texts(&records)))?;
        let members = log.members(group, topic).await.map_err(broken(rule))?;
        ensure(members == 1, "a group knows its members", || format!("{members}, and not 1"))?;
        hand.member.commit(Vec::new(), &after(&records)).await.map_err(broken(rule))?;
        hand.member.leave().await;
    }
    let nobody = log.members("conformance.nobody", topic).await.map_err(broken(rule))?;
    ensure(nobody == 0, "a group that nobody joined has no members", || nobody.to_string())
}

pub(super) async fn check_unwritable(log: &impl Log) -> Result<(), Failure> {
    let rule = "a commit with an output that cannot be written has no effect";
    let (from, to) = ("conformance.unwritable", "conformance.unwritable.copied");
    prepare(log, &[(from, 1), (to, 1)]).await?;
    append(log, from, 0, numbers(3)).await?;
    let mut hand = Hand::join(log, GROUP, from).await?;
    let records = hand.take(3).await?;
    let outputs = vec![output(to, 0, "seen?"), output(to, 7, "nowhere")];
    let refused = hand.member.commit(outputs, &after(&records)).await;
    let named = matches!(refused, Err(Error::NoSuchPartition { partition: 7, .. }));
    ensure(named, rule, || format!("{refused:?}"))?;
    drop(hand);
    check_committed(log, from, None).await?;
    let found = read(log, to, 0, Start::Beginning).await?;
    ensure(found.is_empty(), rule, || format!("{:?}", texts(&found)))
}

pub(super) async fn check_unheld(log: &impl Log) -> Result<(), Failure> {
    let rule = "a commit for a partition that is not held has no effect";
    let (from, to) = ("conformance.unheld", "conformance.unheld.copied");
    prepare(log, &[(from, 1), (to, 1)]).await?;
    append(log, from, 0, numbers(3)).await?;
    // Before its first turn a member holds nothing.
    let mut hand = Hand::join(log, GROUP, from).await?;
    let position = [Position { partition: 0, offset: 1 }];
    let outcome = hand.member.commit(vec![output(to, 0, "seen?")], &position).await;
    ensure(matches!(outcome, Err(Error::Fenced { .. })), rule, || format!("{outcome:?}"))?;
    drop(hand);
    check_committed(log, from, None).await?;
    let found = read(log, to, 0, Start::Beginning).await?;
    ensure(found.is_empty(), rule, || format!("{:?}", texts(&found)))
}
