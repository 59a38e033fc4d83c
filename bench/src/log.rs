//! How fast the log in Postgres is written and read, against plain inserts of the same rows.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use bytes::Bytes;
use sqlx::{PgPool, postgres::PgConnectOptions};
use tidings_pipeline::{
    Headers, Log, Output,
    log::{Limits, Member, Outcome, Position, Postgres, Turn, postgres::Options},
    topic::Layout,
};

use crate::{
    corpus::{self, Corpus, PARTITIONS},
    fixture::{Database, Fixture},
    report::Report,
    turns::{compare, float},
};

const TURNS: usize = 7;
const TURN: Duration = Duration::from_secs(3);

/// How many events are written in one call, as in a commit of the pipeline to one partition.
const ROWS: usize = 1000;

/// As the hops of the pipeline read.
const LIMITS: Limits = Limits { records: 20_000, bytes: 8 * 1024 * 1024 };

const TABLE: &[&str] = &["create table plain_record (like tidings.log_record including all)"];

const CLEAR: &[&str] = &["truncate tidings.log_record, plain_record", "checkpoint"];

const INSERT: &str = "insert into plain_record (topic_id, partition, record_offset, appended_at, key, headers, value)
select 1, $1, $2 + n, clock_timestamp(), key, headers::json, value
from unnest($3::text[], $4::text[], $5::bytea[]) with ordinality as u (key, headers, value, n)";

/// The log, and what is written to it.
struct Stage {
    database: Database,
    log: Postgres,
    device: Bytes,
    events: Vec<Bytes>,
}

/// Measures events per second that are appended, over those that are inserted.
pub(crate) async fn postgres_ratio(fixture: &Fixture, report: &mut Report) -> Result<()> {
    let stage = Stage::new(fixture).await?;
    let reads = std::sync::Mutex::new(Vec::new());
    let turns = compare(
        "log.postgres_ratio",
        TURNS,
        async || {
            let (written, rate) = stage.append().await?;
            let read = stage.read(written).await?;
            reads.lock().map_err(|_| anyhow::anyhow!("a turn has panicked"))?.push(read);
            stage.database.run(CLEAR).await?;
            Ok(rate)
        },
        async || {
            let rate = stage.insert().await?;
            stage.database.run(CLEAR).await?;
            Ok(rate)
        },
    )
    .await?;
    let mut reads = reads.into_inner().unwrap_or_default();
    reads.sort_by(f64::total_cmp);
    let note = format!(
        "4 connections, {ROWS} events of {} bytes in each call and insert, {TURNS} turns of {} s; {:.0} against {:.0} \
         events/s; one member reads, writes again and commits {:.0} events/s",
        corpus::bytes(&stage.events) / stage.events.len(),
        TURN.as_secs(),
        turns.ours,
        turns.other,
        reads.get(reads.len() / 2).copied().unwrap_or_default()
    );
    report.add("log.postgres_ratio", "ratio", &turns.ratios, note);
    stage.database.discard(fixture).await
}

impl Stage {
    async fn new(fixture: &Fixture) -> Result<Self> {
        let database = Database::create(fixture, "log").await?;
        let connect: PgConnectOptions = fixture.url_of(database.name()).parse()?;
        let log = Postgres::new(database.pool.clone(), connect, Options::default());
        let layout = Layout { partitions: PARTITIONS, ..Layout::default() };
        log.prepare(&layout.routed(["in", "out"].into_iter())).await?;
        database.run(TABLE).await?;
        let events = Corpus::new(5, corpus::now().timestamp_millis()).events(ROWS)?;
        let device = Bytes::from_static(b"7f6d2d3d95a5a0a0f2a0a6be4f9d7f0e");
        Ok(Self { database, log, device, events })
    }

    /// Returns how many events are appended, and how many in a second.
    async fn append(&self) -> Result<(usize, f64)> {
        rate(|partition, _| async move {
            let output = |value: &Bytes| Output {
                topic: "in".into(),
                partition,
                key: Some(self.device.clone()),
                headers: Headers::new(),
                value: value.clone(),
            };
            self.log.append(self.events.iter().map(output).collect()).await?;
            Ok(())
        })
        .await
    }

    /// Returns how many events are inserted in a second.
    async fn insert(&self) -> Result<f64> {
        let device = String::from_utf8_lossy(&self.device);
        let (keys, headers) = (vec![device; ROWS], vec!["{}"; ROWS]);
        let values: Vec<&[u8]> = self.events.iter().map(|event| &event[..]).collect();
        let pool: &PgPool = &self.database.pool;
        let inserted = rate(|partition, turn| {
            let (keys, headers, values) = (&keys, &headers, &values);
            async move {
                let insert = sqlx::query(INSERT).bind(partition).bind(i64::try_from(turn * ROWS)?);
                insert.bind(keys).bind(headers).bind(values).execute(pool).await?;
                Ok(())
            }
        });
        Ok(inserted.await?.1)
    }

    /// Returns how many events a member reads, writes to another topic and commits in a second.
    async fn read(&self, written: usize) -> Result<f64> {
        let mut member = self.log.join("bench", "in").await?;
        let (mut read, mut began) = (0, Instant::now());
        while read < written {
            let records = match member.next(LIMITS).await? {
                Turn::Records(records) => records,
                Turn::Idle => continue,
                Turn::Changed(_) => {
                    began = Instant::now();
                    continue;
                }
            };
            read += records.len();
            let mut positions: Vec<Position> = Vec::new();
            for of in records.chunk_by(|one, next| one.partition == next.partition) {
                let last = of.last().map(|record| (record.partition, record.offset + 1));
                positions.extend(last.map(|(partition, offset)| Position { partition, offset }));
            }
            let output = |record: tidings_pipeline::Record| Output {
                topic: "out".into(),
                partition: record.partition,
                key: record.key,
                headers: record.headers,
                value: record.value,
            };
            let outputs = records.into_iter().map(output).collect();
            ensure!(member.commit(outputs, &positions).await? == Outcome::Committed, "aborted");
        }
        let rate = float(read as u64) / began.elapsed().as_secs_f64();
        member.leave().await;
        Ok(rate)
    }
}

/// Calls `write` again and again with a partition and a number, by several at a time; returns how many events were
/// written, and how many in a second.
async fn rate<F>(write: impl Fn(i32, usize) -> F + Sync) -> Result<(usize, f64)>
where
    F: Future<Output = Result<()>> + Send,
{
    let (began, turns) = (Instant::now(), AtomicUsize::new(0));
    let writer = async || {
        while began.elapsed() < TURN {
            let turn = turns.fetch_add(1, Ordering::Relaxed);
            Box::pin(write(i32::try_from(turn % 16)?, turn)).await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(writer(), writer(), writer(), writer())?;
    let written = turns.into_inner() * ROWS;
    Ok((written, float(written as u64) / began.elapsed().as_secs_f64()))
}
