//! What it costs to recognise events for days: memory for each key, and the time until a new owner has the keys.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tidings_pipeline::{
    Headers, Log, Output,
    dedup::{Dedup, Mark, Verdict},
    log::Kafka,
    topic::{self, Layout},
};
use tidings_tests::kafka::Kafka as Broker;

use crate::{
    corpus::{self, PARTITIONS},
    report::{Report, progress},
    turns::float,
};

/// The word with which this program is started to measure its memory.
pub(crate) const WORD: &str = "dedup-memory";

const KEYS: usize = 10_000_000;

/// Keys of one commit.
const BATCH: usize = 20_000;

const TURNS: usize = 5;

/// Measures the memory of a process of its own, which has nothing else in it.
pub(crate) async fn bytes_per_key(report: &mut Report) -> Result<()> {
    let bar = progress("dedup.bytes_per_key", TURNS);
    let (mut turns, mut own) = (Vec::new(), 0.0);
    for _ in 0..TURNS {
        let program = std::env::current_exe()?;
        let output = tokio::process::Command::new(program).arg(WORD).output().await?;
        let text = String::from_utf8(output.stdout)?;
        let said = String::from_utf8_lossy(&output.stderr);
        let (resident, counted) =
            text.trim().split_once(' ').with_context(|| format!("it says {text:?}: {said}"))?;
        turns.push(resident.parse()?);
        own = counted.parse()?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let note = format!(
        "resident memory of a process after {KEYS} keys in {PARTITIONS} partitions over that before, {TURNS} turns; {own:.1} \
         by the table's own count"
    );
    report.add("dedup.bytes_per_key", "B", &turns, note);
    Ok(())
}

/// Takes keys in as the pipeline does, and says how many bytes each has made this process larger by, and how many the
/// table counts.
#[expect(clippy::print_stdout, reason = "whoever has started it reads the numbers")]
pub(crate) fn fill() -> Result<()> {
    let (mut dedup, now, random) = (empty(), corpus::now(), &mut StdRng::seed_from_u64(3));
    let before = resident()?;
    for _ in 0..KEYS / BATCH {
        for _ in 0..BATCH {
            let (partition, mark) = key(random);
            ensure!(dedup.judge(partition, mark, now) == Verdict::New, "a key came twice");
            dedup.note(partition, mark);
        }
        dedup.committed(now);
    }
    let grown = resident()?.saturating_sub(before);
    let per_key = |bytes: usize| float(bytes as u64) / float(KEYS as u64);
    ensure!(dedup.keys() == KEYS, "{} keys are there", dedup.keys());
    println!("{} {}", per_key(grown), per_key(dedup.bytes()));
    Ok(())
}

/// Measures how long a new owner of all partitions reads the keys from the log.
pub(crate) async fn rebuild(broker: &Broker, report: &mut Report) -> Result<()> {
    let log = Kafka::builder(broker.brokers()).prefix("rebuild.").build()?;
    let layout = Layout { partitions: PARTITIONS, ..Layout::default() };
    log.prepare(&layout.specs()).await?;
    let random = &mut StdRng::seed_from_u64(4);
    for _ in 0..KEYS / BATCH {
        log.append(seen(random)).await?;
    }
    let bar = progress("dedup.rebuild_s", TURNS);
    let (partitions, mut turns) = ((0..PARTITIONS).collect::<Vec<_>>(), Vec::new());
    // One more goes before, which warms up and does not count.
    for turn in 0..=TURNS {
        let mut dedup = empty();
        let now: DateTime<Utc> = corpus::now();
        let began = Instant::now();
        dedup.rebuild(&log, &partitions, now).await?;
        let took = began.elapsed().as_secs_f64();
        ensure!(dedup.keys() == KEYS, "{} keys came back", dedup.keys());
        if turn > 0 {
            turns.push(took);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let note = format!(
        "{KEYS} keys of {PARTITIONS} partitions from telemetry.seen on Kafka, {BATCH} keys a commit, {TURNS} turns"
    );
    report.add("dedup.rebuild_s", "s", &turns, note);
    Ok(())
}

/// Returns what one commit of the second hop writes of its keys.
fn seen(random: &mut StdRng) -> Vec<Output> {
    let mut values = vec![Vec::new(); usize::try_from(PARTITIONS).unwrap_or_default()];
    for _ in 0..BATCH {
        let (partition, mark) = key(random);
        let value = &mut values[usize::try_from(partition).unwrap_or_default()];
        value.extend_from_slice(&mark.key);
        value.extend_from_slice(&mark.fingerprint);
    }
    let output = |(partition, value): (i32, Vec<u8>)| {
        let (topic, headers, value) = (topic::SEEN.into(), Headers::new(), value.into());
        Output { topic, partition, key: None, headers, value }
    };
    (0..).zip(values).map(output).collect()
}

fn key(random: &mut StdRng) -> (i32, Mark) {
    let (mut key, mut fingerprint) = ([0; 16], [0; 8]);
    random.fill_bytes(&mut key);
    random.fill_bytes(&mut fingerprint);
    // Of other bits than those by which the table orders its keys.
    (i32::from(key[15]) % PARTITIONS, Mark { key, fingerprint })
}

fn empty() -> Dedup {
    let mut dedup = Dedup::new(Layout::default().window, usize::MAX);
    (0..PARTITIONS).for_each(|partition| dedup.gain(partition));
    dedup
}

/// Returns how many bytes of memory this process has.
fn resident() -> Result<usize> {
    let path = "/proc/self/statm";
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("read {path}: this row is measured on Linux"))?;
    let pages: usize = text.split_whitespace().nth(1).context("no resident size")?.parse()?;
    Ok(pages * 4096)
}
