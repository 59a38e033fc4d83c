//! Who has lost a partition writes nothing, and what nobody knows of a commit is found out.

use std::time::Duration;

use tidings_pipeline::{
    Error, Log,
    log::{Member, Outcome, Turn, conformance::Subject, postgres::Options},
};
use tidings_tests::{Database, Moment, Proxy, SOON, eventually};
use tokio::time::Instant;

use super::{ALL, Bench, after, append, open, open_at, output, prepare, read, take, texts};

#[tokio::test]
async fn stale_term_writes_nothing_and_the_next_owner_goes_on_from_the_last_commit() {
    let database = Database::new().await;
    let bench = Bench::new(&database);
    let log = &bench.log;
    prepare(log, &[("from", 1), ("to", 1)]).await;
    append(log, "from", 0, 0..4).await;
    let mut old = log.join("g", "from").await.unwrap();
    let records = take(&mut old, 4).await;
    old.commit(vec![output("to", 0, "0")], &after(&records[..1])).await.unwrap();
    assert!(bench.fence("g", "from").await);
    let mut new = log.join("g", "from").await.unwrap();
    let rest = take(&mut new, 3).await;
    assert_eq!(texts(&rest), ["1", "2", "3"]);
    // Neither before the next owner has committed nor after it.
    let late = old.commit(vec![output("to", 0, "late")], &after(&records)).await.unwrap_err();
    assert!(matches!(late, Error::Fenced { .. }), "{late:?}");
    new.commit(vec![output("to", 0, "1 to 3")], &after(&rest)).await.unwrap();
    let later = old.commit(vec![output("to", 0, "later")], &[]).await.unwrap_err();
    assert!(matches!(later, Error::Fenced { .. }), "{later:?}");
    assert_eq!(read(log, "to", 0).await, ["0", "1 to 3"]);
    assert_eq!(log.committed("g", "from").await.unwrap(), [Some(4)]);
}

#[tokio::test]
async fn takeover_waits_for_a_commit_that_is_under_way() {
    let database = Database::new().await;
    let bench = Bench::new(&database);
    let log = &bench.log;
    prepare(log, &[("from", 1), ("to", 1)]).await;
    append(log, "from", 0, 0..2).await;
    let mut old = log.join("g", "from").await.unwrap();
    let records = take(&mut old, 2).await;
    // Somebody holds the output's partition, so that the commit stops half-way.
    let mut hold = database.pool().begin().await.unwrap();
    let lock = "select from tidings.log_partition where topic_id =
         (select topic_id from tidings.log_topic where name = 'to') for update";
    sqlx::query(lock).execute(&mut *hold).await.unwrap();
    let commit = tokio::spawn(async move {
        let outcome = old.commit(vec![output("to", 0, "done")], &after(&records)).await;
        (old, outcome)
    });
    wait(&database, 1).await;
    assert!(bench.fence("g", "from").await);
    let mut new = log.join("g", "from").await.unwrap();
    let gained = tokio::spawn(async move {
        loop {
            if let Turn::Changed(change) = new.next(ALL).await.unwrap() {
                return (new, change);
            }
        }
    });
    wait(&database, 2).await;
    assert!(!gained.is_finished());
    hold.commit().await.unwrap();
    let (_old, outcome) = commit.await.unwrap();
    assert_eq!(outcome.unwrap(), Outcome::Committed, "it was under way before the takeover");
    let (_new, change) = gained.await.unwrap();
    assert_eq!(change.gained[0].offset, 2, "what was committed meanwhile is not read again");
}

#[tokio::test]
async fn commit_that_is_not_answered_is_asked_for_again_and_takes_effect_once() {
    for (moment, mark) in [(Moment::Before, "never arrived"), (Moment::After, "never answered")] {
        let database = Database::new().await;
        let direct = open(&database, Options::default());
        prepare(&direct, &[("from", 1), ("to", 1)]).await;
        append(&direct, "from", 0, 0..2).await;
        let proxy = Proxy::start(database.server().address().port).await;
        let log = open_at(&proxy.url(&database.url()), Options::default());
        let mut member = log.join("g", "from").await.unwrap();
        let records = take(&mut member, 2).await;
        proxy.cut_at(mark.as_bytes(), moment);
        let outcome = member.commit(vec![output("to", 0, mark)], &after(&records)).await;
        assert_eq!(outcome.unwrap(), Outcome::Committed, "{mark}");
        assert_eq!(read(&direct, "to", 0).await, [mark]);
        assert_eq!(direct.committed("g", "from").await.unwrap(), [Some(2)]);
        // And so does the one after it.
        let outcome = member.commit(vec![output("to", 0, "next")], &[]).await;
        assert_eq!(outcome.unwrap(), Outcome::Committed);
        assert_eq!(read(&direct, "to", 0).await, [mark, "next"]);
    }
}

#[tokio::test]
async fn partitions_of_a_member_that_leaves_are_free_at_once() {
    let database = Database::new().await;
    let log = open(&database, Options { lease: Duration::from_mins(5), ..Options::default() });
    prepare(&log, &[("from", 4)]).await;
    append(&log, "from", 3, 0..2).await;
    for round in 0..3 {
        let mut member = log.join("g", "from").await.unwrap();
        assert_eq!(take(&mut member, 2).await.len(), 2, "round {round}");
        if round == 1 {
            member.leave().await;
        }
    }
}

#[tokio::test]
async fn member_is_woken_by_what_is_written_in_its_own_process() {
    let database = Database::new().await;
    let log = open(&database, Options::default());
    prepare(&log, &[("from", 1)]).await;
    let mut member = log.join("g", "from").await.unwrap();
    // Idle for long enough that it looks twice a second only.
    let mut idle = 0;
    while idle < 3 {
        idle += i32::from(member.next(ALL).await.unwrap() == Turn::Idle);
    }
    let mut quickest = Duration::MAX;
    for number in 0..5 {
        let waiting = tokio::spawn(async move {
            let records = take(&mut member, 1).await;
            (member, records, Instant::now())
        });
        tokio::task::yield_now().await;
        append(&log, "from", 0, [number]).await;
        let written = Instant::now();
        let (back, records, taken) = waiting.await.unwrap();
        member = back;
        assert_eq!(texts(&records), [number.to_string()]);
        quickest = quickest.min(taken.saturating_duration_since(written));
        assert_eq!(member.next(ALL).await.unwrap(), Turn::Idle);
    }
    assert!(quickest < Duration::from_millis(15), "{quickest:?} until it was noticed");
}

/// Waits until so many wait for a lock.
async fn wait(database: &Database, count: i64) {
    let waiting = "select count(*) from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'";
    eventually(SOON, "they wait for each other", async || {
        let found: i64 = sqlx::query_scalar(waiting).fetch_one(database.pool()).await.unwrap();
        (found == count).then_some(())
    })
    .await;
}
