//! How long records are kept: as long as topics say, and never past a group that has not read them.

use tidings_pipeline::{
    Log, Record,
    log::{Bounds, Member, Postgres, Reader, Start, postgres::Options},
};
use tidings_tests::Database;

use super::{ALL, after, append, open, read, spec, take, texts};

/// A log with the topics `long`, kept for ten days, and `short`, kept for two.
async fn log_of(database: &Database) -> Postgres {
    let log = open(database, Options::default());
    log.prepare(&[spec("long", 1, 10), spec("short", 1, 2)]).await.unwrap();
    log
}

/// Moves everything that was written so far back by `days`, as if it had been written then.
async fn age(database: &Database, days: i32) {
    let mut tx = database.pool().begin().await.unwrap();
    let statements = format!(
        "select tidings.make_partition('log_record', clock_timestamp() - n * interval '24 hours')
           from generate_series(1, 40) n;
         update tidings.log_record set appended_at = appended_at - {days} * interval '24 hours';
         update tidings.log_partition set appended_at = appended_at - {days} * interval '24 hours'
           where next_offset > 0"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

/// Keeps until there is nothing more to do; returns how many days and records went.
async fn keep(log: &Postgres) -> (i64, i64) {
    let mut all = (0, 0);
    loop {
        let kept = log.keep_once().await.unwrap();
        if (kept.dropped, kept.deleted) == (0, 0) {
            return all;
        }
        all = (all.0 + kept.dropped, all.1 + kept.deleted);
    }
}

async fn days_ahead(database: &Database) -> i64 {
    let query = "select count(*) from tidings.partition where parent = 'log_record' and ends_at > clock_timestamp()";
    sqlx::query_scalar(query).fetch_one(database.pool()).await.unwrap()
}

#[tokio::test]
async fn each_topic_is_kept_as_long_as_it_says() {
    let database = Database::new().await;
    let log = log_of(&database).await;
    for topic in ["long", "short"] {
        append(&log, topic, 0, ["oldest"]).await;
    }
    age(&database, 5).await;
    for topic in ["long", "short"] {
        append(&log, topic, 0, ["older", "old"]).await;
    }
    age(&database, 7).await;
    for topic in ["long", "short"] {
        append(&log, topic, 0, ["new"]).await;
    }
    // Twelve and seven days old now.
    let (dropped, deleted) = keep(&log).await;
    assert!(dropped >= 2, "{dropped} days went");
    assert_eq!(deleted, 3, "what the day that was dropped had is among them");
    assert_eq!(read(&log, "long", 0).await, ["older", "old", "new"]);
    assert_eq!(read(&log, "short", 0).await, ["new"]);
    let short = log.bounds("short").await.unwrap();
    assert_eq!(short, [Bounds { partition: 0, first: 3, end: 4 }]);
    assert_eq!(days_ahead(&database).await, 4, "today and three days to come");
}

#[tokio::test]
async fn nothing_goes_that_a_group_has_not_read() {
    let database = Database::new().await;
    let log = log_of(&database).await;
    for topic in ["long", "short"] {
        append(&log, topic, 0, 0..4).await;
    }
    let mut slow = log.join("slow", "long").await.unwrap();
    let mut quick = log.join("quick", "short").await.unwrap();
    let records = take(&mut quick, 4).await;
    quick.commit(Vec::new(), &after(&records[..2])).await.unwrap();
    age(&database, 30).await;
    let (_, deleted) = keep(&log).await;
    assert_eq!(deleted, 2, "what has been read of the topic that is kept for two days");
    assert_eq!(read(&log, "short", 0).await, ["2", "3"]);
    assert_eq!(read(&log, "long", 0).await.len(), 4, "nothing was committed yet");
    let records = take(&mut slow, 4).await;
    slow.commit(Vec::new(), &after(&records[..3])).await.unwrap();
    assert_eq!(keep(&log).await, (0, 0), "one record is still to be read");
    slow.commit(Vec::new(), &after(&records)).await.unwrap();
    quick.commit(Vec::new(), &after(&take_rest(&log, "short").await)).await.unwrap();
    let (dropped, _) = keep(&log).await;
    assert!(dropped > 0, "now its day goes");
    assert_eq!(read(&log, "long", 0).await, Vec::<String>::new());
    append(&log, "long", 0, ["after"]).await;
    assert_eq!(texts(&take(&mut slow, 1).await), ["after"]);
}

async fn take_rest(log: &Postgres, topic: &str) -> Vec<Record> {
    let mut reader = log.reader(topic, 0, Start::Beginning).await.unwrap();
    reader.next(ALL).await.unwrap().unwrap_or_default()
}

#[tokio::test]
async fn group_that_is_gone_is_forgotten_and_holds_nothing_back() {
    let database = Database::new().await;
    let log = log_of(&database).await;
    append(&log, "long", 0, 0..4).await;
    let member = log.join("gone", "long").await.unwrap();
    let error = log.forget_group("gone").await.unwrap_err();
    let said = std::error::Error::source(&error).unwrap().to_string();
    assert!(said.contains("the group gone has members"), "{said}");
    member.leave().await;
    age(&database, 30).await;
    // Days without a record go.
    keep(&log).await;
    assert_eq!(read(&log, "long", 0).await.len(), 4);
    assert!(log.forget_group("gone").await.unwrap());
    assert!(!log.forget_group("gone").await.unwrap(), "there is none any more");
    assert!(keep(&log).await.0 > 0);
    assert_eq!(log.committed("gone", "long").await.unwrap(), [None]);
    // One that comes under its name begins at the beginning, like any other.
    append(&log, "long", 0, ["new"]).await;
    let mut member = log.join("gone", "long").await.unwrap();
    assert_eq!(texts(&take(&mut member, 1).await), ["new"]);
}

#[tokio::test]
async fn group_whose_records_are_gone_all_the_same_is_told() {
    let database = Database::new().await;
    let log = log_of(&database).await;
    append(&log, "long", 0, 0..4).await;
    let mut member = log.join("g", "long").await.unwrap();
    let records = take(&mut member, 4).await;
    member.commit(Vec::new(), &after(&records[..1])).await.unwrap();
    member.leave().await;
    let delete = "delete from tidings.log_record where record_offset < 3";
    sqlx::query(delete).execute(database.pool()).await.unwrap();
    let mut member = log.join("g", "long").await.unwrap();
    let error = loop {
        if let Err(error) = member.next(ALL).await {
            break error;
        }
    };
    assert!(error.to_string().contains("long/0 between 1, where g has stopped, and 3"), "{error}");
}

#[tokio::test]
async fn relay_drops_no_day_that_a_group_has_to_read() {
    let database = Database::new().await;
    let log = log_of(&database).await;
    append(&log, "telemetry.raw", 3, 0..2).await;
    let mut member = log.join("unbundle", "telemetry.raw").await.unwrap();
    let records = take(&mut member, 2).await;
    age(&database, 30).await;
    let keep = "select (tidings.keep_relay_v1(interval '1 day', interval '1 day')).dropped";
    let mut all = 0;
    for _ in 0..40 {
        all += sqlx::query_scalar::<_, i64>(keep).fetch_one(database.pool()).await.unwrap();
    }
    assert_eq!(read(&log, "telemetry.raw", 3).await.len(), 2, "{all} days went");
    member.commit(Vec::new(), &after(&records)).await.unwrap();
    for _ in 0..40 {
        all += sqlx::query_scalar::<_, i64>(keep).fetch_one(database.pool()).await.unwrap();
    }
    assert!(all > 0);
    assert_eq!(read(&log, "telemetry.raw", 3).await, Vec::<String>::new());
}
