//! The log in Postgres: it keeps the contract, and what the contract says of one moment holds in all of them.

mod crash;
mod pooler;
mod retention;
mod terms;
mod writes;

use std::{borrow::Cow, fmt::Display, time::Duration};

use bytes::Bytes;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tidings_pipeline::{
    Log, Output,
    log::{
        Limits, Member, Position, Postgres, Reader, Start, Turn,
        conformance::{self, Decide, Subject},
        postgres::Options,
    },
    record::{Headers, Record},
    topic::Spec,
};
use tidings_tests::Database;

/// More than any test writes.
const ALL: Limits = Limits { records: 100_000, bytes: 64 << 20 };

/// A log under test.
struct Bench {
    log: Postgres,
    pool: PgPool,
}

impl Bench {
    fn new(database: &Database) -> Self {
        Self { log: open(database, Options::default()), pool: database.pool().clone() }
    }
}

impl Subject for Bench {
    type Log = Postgres;

    fn log(&self) -> &Postgres {
        &self.log
    }

    /// As another worker's hold buries it.
    async fn fence(&self, group: &str, topic: &str) -> bool {
        let bury = "with dead as (delete from tidings.worker where $1 = any(groups) returning worker_id)
             update tidings.shard s set worker_id = null from dead d where s.worker_id = d.worker_id";
        let shards = format!("log:{group}:{topic}");
        let buried = sqlx::query(bury).bind(shards).execute(&self.pool).await.unwrap();
        buried.rows_affected() > 0
    }

    async fn undecided(&self, output: Output) -> Option<Decide> {
        let mut tx = self.pool.begin().await.unwrap();
        let append = "select tidings.append_v1($1, array[$2], array[null], array['{}'], array[$3])";
        sqlx::query(append)
            .bind(&*output.topic)
            .bind(output.partition)
            .bind(&*output.value)
            .execute(&mut *tx)
            .await
            .unwrap();
        Some(Box::new(|| Box::pin(async { tx.commit().await.unwrap() })))
    }
}

/// Returns the log of a database, with connections of its own.
fn open(database: &Database, options: Options) -> Postgres {
    open_at(&database.url(), options)
}

fn open_at(url: &str, options: Options) -> Postgres {
    let connect: PgConnectOptions = url.parse().unwrap();
    let pool = PgPoolOptions::new().max_connections(10).connect_lazy_with(connect.clone());
    Postgres::new(pool, connect, options)
}

/// Makes topics that are kept for a week.
async fn prepare(log: &Postgres, topics: &[(&'static str, i32)]) {
    let specs: Vec<_> =
        topics.iter().map(|(name, partitions)| spec(name, *partitions, 7)).collect();
    log.prepare(&specs).await.unwrap();
}

const fn spec(name: &'static str, partitions: i32, days: u64) -> Spec {
    let retention = Duration::from_hours(24 * days);
    Spec {
        name: Cow::Borrowed(name),
        partitions,
        retention,
        record_bytes_max: 6 << 20,
        append_time: true,
    }
}

fn output(topic: &'static str, partition: i32, value: impl Display) -> Output {
    let value = Bytes::from(value.to_string());
    Output { topic: topic.into(), partition, key: None, headers: Headers::new(), value }
}

/// Writes a record for each of `values`.
async fn append(
    log: &Postgres,
    topic: &'static str,
    partition: i32,
    values: impl IntoIterator<Item = impl Display>,
) -> Vec<i64> {
    let records = values.into_iter().map(|value| output(topic, partition, value)).collect();
    log.append(records).await.unwrap()
}

/// Returns the values of everything that a partition has.
async fn read(log: &Postgres, topic: &str, partition: i32) -> Vec<String> {
    let mut reader = log.reader(topic, partition, Start::Beginning).await.unwrap();
    let mut values = Vec::new();
    while let Some(records) = reader.next(ALL).await.unwrap() {
        values.extend(texts(&records));
    }
    values
}

fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8(record.value.to_vec()).unwrap()).collect()
}

/// Takes turns until there are `count` records.
async fn take(member: &mut impl Member, count: usize) -> Vec<Record> {
    let mut taken = Vec::new();
    let taking = async {
        while taken.len() < count {
            if let Turn::Records(records) = member.next(ALL).await.unwrap() {
                taken.extend(records);
            }
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), taking).await;
    assert!(waited.is_ok(), "{} records of {count}", taken.len());
    taken
}

/// Returns the positions after these records.
fn after(records: &[Record]) -> Vec<Position> {
    let mut positions: Vec<Position> = Vec::new();
    for Record { partition, offset, .. } in records {
        match positions.iter_mut().find(|at| at.partition == *partition) {
            Some(at) => at.offset = at.offset.max(offset + 1),
            None => positions.push(Position { partition: *partition, offset: offset + 1 }),
        }
    }
    positions
}

#[tokio::test(flavor = "multi_thread")]
async fn log_in_postgres_keeps_the_contract() {
    let database = Database::new().await;
    conformance::log(&Bench::new(&database)).await.unwrap();
}

#[tokio::test]
async fn installations_in_one_database_do_not_see_each_other() {
    let database = Database::new().await;
    let [one, other] = ["one.", "other."].map(|prefix| {
        let options = Options { prefix: prefix.to_owned(), ..Options::default() };
        open(&database, options)
    });
    for log in [&one, &other] {
        prepare(log, &[("events", 1), ("unique", 2)]).await;
    }
    append(&one, "events", 0, ["of one"]).await;
    assert_eq!(read(&other, "events", 0).await, Vec::<String>::new());
    let mut member = one.join("refine", "events").await.unwrap();
    let records = take(&mut member, 1).await;
    member.commit(vec![output("unique", 1, "done")], &after(&records)).await.unwrap();
    assert_eq!(one.committed("refine", "events").await.unwrap(), [Some(1)]);
    assert_eq!(other.committed("refine", "events").await.unwrap(), [None]);
    assert_eq!(read(&one, "unique", 1).await, ["done"]);
    assert_eq!(other.bounds("unique").await.unwrap()[1].end, 0);
    let error = one.append(vec![output("nowhere", 0, "")]).await.unwrap_err();
    assert!(error.to_string().contains("partition 0 of topic nowhere"), "{error}");
}

#[tokio::test]
async fn topic_that_was_never_used_may_get_another_number_of_partitions() {
    let database = Database::new().await;
    let log = open(&database, Options::default());
    // The schema comes with sixteen.
    prepare(&log, &[("telemetry.raw", 4)]).await;
    assert_eq!(log.partitions("telemetry.raw").await.unwrap(), 4);
    prepare(&log, &[("telemetry.raw", 6)]).await;
    append(&log, "telemetry.raw", 5, ["used"]).await;
    let error = log.prepare(&[spec("telemetry.raw", 4, 7)]).await.unwrap_err();
    assert!(error.to_string().contains("has 6 partitions, and 4 are configured"), "{error}");
    assert_eq!(read(&log, "telemetry.raw", 5).await, ["used"]);
}
