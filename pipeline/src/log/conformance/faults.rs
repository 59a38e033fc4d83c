//! Rules of what goes wrong, for logs that can be made to.

use super::{
    Failure, Subject,
    stage::{ALL, Hand, after, append, broken, ensure, numbers, output, prepare, read, texts},
};
use crate::{
    Error,
    log::{Log, Member as _, Outcome, Reader as _, Start},
};

const GROUP: &str = "conformance";

pub(super) async fn check_abort(subject: &impl Subject) -> Result<(), Failure> {
    let rule = "an aborted commit has no effect, and its records come again";
    let (from, to) = ("conformance.abort", "conformance.abort.copied");
    let log = subject.log();
    prepare(log, &[(from, 2), (to, 1)]).await?;
    for partition in 0..2 {
        append(log, from, partition, numbers(4)).await?;
    }
    let mut hand = Hand::join(log, GROUP, from).await?;
    let records = hand.take(8).await?;
    let first: Vec<_> = records.iter().filter(|record| record.value == "0").cloned().collect();
    let outputs = vec![output(to, 0, "first")];
    hand.member.commit(outputs, &after(&first)).await.map_err(broken(rule))?;
    if !subject.abort_next().await {
        hand.member.leave().await;
        return Ok(());
    }
    let outputs = vec![output(to, 0, "aborted")];
    let outcome = hand.member.commit(outputs, &after(&records)).await.map_err(broken(rule))?;
    ensure(outcome == Outcome::Aborted, rule, || format!("{outcome:?}"))?;
    let committed = log.committed(GROUP, from).await.map_err(broken(rule))?;
    let expected: Vec<_> = after(&first).iter().map(|position| Some(position.offset)).collect();
    ensure(committed == expected, rule, || format!("committed are {committed:?}"))?;
    let again = hand.take(6).await?;
    let expected: Vec<_> = records.iter().filter(|record| record.value != "0").collect();
    ensure(again.iter().eq(expected), rule, || format!("{:?}", texts(&again)))?;
    let outputs = vec![output(to, 0, "second")];
    let outcome = hand.member.commit(outputs, &after(&again)).await.map_err(broken(rule))?;
    ensure(outcome == Outcome::Committed, rule, || format!("then {outcome:?}"))?;
    hand.member.leave().await;
    let found = texts(&read(log, to, 0, Start::Beginning).await?);
    ensure(found == ["first", "second"], rule, || format!("{found:?}"))
}

pub(super) async fn check_fence(subject: &impl Subject) -> Result<(), Failure> {
    let rule = "what a member does that is held for dead has no effect";
    let (from, to) = ("conformance.fence", "conformance.fence.copied");
    let log = subject.log();
    prepare(log, &[(from, 2), (to, 1)]).await?;
    append(log, from, 0, numbers(3)).await?;
    let mut dead = Hand::join(log, GROUP, from).await?;
    let records = dead.take(3).await?;
    if !subject.fence(GROUP, from).await {
        dead.member.leave().await;
        return Ok(());
    }
    let mut heir = Hand::join(log, GROUP, from).await?;
    let inherited = heir.take(3).await?;
    ensure(inherited == records, "another member takes over", || format!("{inherited:?}"))?;
    let late = dead.member.commit(vec![output(to, 0, "late")], &after(&records)).await;
    ensure(matches!(late, Err(Error::Fenced { .. })), rule, || format!("{late:?}"))?;
    drop(dead);
    let outputs = vec![output(to, 0, "in time")];
    let outcome = heir.member.commit(outputs, &after(&inherited)).await.map_err(broken(rule))?;
    ensure(outcome == Outcome::Committed, rule, || format!("of the other one: {outcome:?}"))?;
    heir.member.leave().await;
    let found = texts(&read(log, to, 0, Start::Beginning).await?);
    ensure(found == ["in time"], rule, || format!("{found:?}"))
}

pub(super) async fn check_undecided(subject: &impl Subject) -> Result<(), Failure> {
    let topic = "conformance.undecided";
    let log = subject.log();
    prepare(log, &[(topic, 1)]).await?;
    append(log, topic, 0, ["before"]).await?;
    let Some(decide) = subject.undecided(output(topic, 0, "undecided")).await else {
        return Ok(());
    };
    // Some logs let it in, and hide it; others let it wait.
    let append_after = {
        let log = log.clone();
        tokio::spawn(async move { append(&log, topic, 0, ["after"]).await })
    };
    let mut hand = Hand::join(log, GROUP, topic).await?;
    let mut taken = hand.take(1).await?;
    for _ in 0..3 {
        taken.extend(hand.turn(ALL).await?);
    }
    ensure(texts(&taken) == ["before"], "nothing is read that is undecided, or past it", || {
        format!("{:?}", texts(&taken))
    })?;
    let read_on = {
        let log = log.clone();
        tokio::spawn(async move { read_to_end(&log, topic).await })
    };
    taken.extend(hand.turn(ALL).await?);
    let rule = "a reader waits for what is undecided when it is opened";
    ensure(!read_on.is_finished(), rule, || "it has ended before")?;
    decide().await;
    let found = read_on.await.map_err(broken("no call panics"))??;
    let waited = found.starts_with(&["before".to_owned(), "undecided".to_owned()]);
    ensure(waited, rule, || format!("{found:?}"))?;
    append_after.await.map_err(broken("no call panics"))??;
    while taken.len() < 3 {
        taken.extend(hand.take(1).await?);
    }
    let all = ["before", "undecided", "after"];
    ensure(texts(&taken) == all, "what was undecided is read in its place", || {
        format!("{:?}", texts(&taken))
    })?;
    hand.member.leave().await;
    Ok(())
}

async fn read_to_end(log: &impl Log, topic: &str) -> Result<Vec<String>, Failure> {
    let rule = "a reader waits for what is undecided when it is opened";
    let mut reader = log.reader(topic, 0, Start::Beginning).await.map_err(broken(rule))?;
    let mut found = Vec::new();
    while let Some(records) = reader.next(ALL).await.map_err(broken(rule))? {
        found.extend(texts(&records));
    }
    Ok(found)
}
