//! CPU time of each step of the pipeline, on one thread and without a log.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow, ensure};
use nix::time::{ClockId, clock_gettime};
use tidings::analytics::{HashKey, HashKeys};
use tidings_pipeline::{
    Record, bundle,
    check::{self, Checked},
    dedup::{Dedup, Mark, Verdict},
    enrich::Stamp,
    identity::{self, Fingerprint, Key, Scratch},
    lookup::{Keys, Snapshot},
    provenance::Provenance,
    reason::Reason,
    redact::Facts,
    settings::Settings,
    steps::Steps,
    unbundle::unbundle,
    value::Value,
};

use crate::{
    corpus::{self, Corpus, EVENTS, PARTITIONS},
    report::{Report, progress},
    turns::float,
};

const TURNS: usize = 9;

/// Batches of one turn.
const BATCHES: usize = 4_000;

/// How many bundles go through a step before the next one: what they hold stays in the processor's cache.
const CHUNK: usize = 4;

/// What is set: rules that concern every event, and the copies of Sunbird.
const SETTINGS: &str = r#"
[[redact.rule]]
preset = "digit"
[[redact.rule]]
preset = "registration-answers"
[route]
preset = "sunbird"
"#;

/// The rows, in the order of the steps.
pub(crate) const ROWS: [&str; 8] = [
    "pipeline.cpu_unbundle_us",
    "pipeline.cpu_read_us",
    "pipeline.cpu_check_event_us",
    "pipeline.cpu_dedup_us",
    "pipeline.cpu_redact_us",
    "pipeline.cpu_enrich_us",
    "pipeline.cpu_route_us",
    "pipeline.cpu_write_us",
];

const NOTES: [&str; 8] = [
    "the batch checked and taken apart, and what is written of it",
    "bundles and events read as JSON",
    "by the lenient profile",
    "fingerprint, key, look-up, note and merge, in tables that grow from nothing",
    "presets digit and registration-answers, with a hash of the actor in every event",
    "times, flags, document id, provenance",
    "preset sunbird",
    "events as bytes, and let go",
];

/// An event between two steps.
struct Event<'a> {
    provenance: &'a Provenance,
    device: &'a str,
    partition: i32,
    index: u32,
    value: Value<'a>,
    fingerprint: Fingerprint,
    checked: Option<Checked>,
    keys: Keys<'a>,
}

/// What all turns share.
struct Bench {
    steps: Steps,
    snapshot: Snapshot,
    dedup: Dedup,
    scratch: Scratch,
    /// The time of each step.
    spent: [Duration; 8],
    bytes: usize,
}

/// Measures microseconds of CPU per event, which are seconds per million.
pub(crate) fn cpu(report: &mut Report) -> Result<()> {
    let bar = progress("pipeline.cpu", TURNS);
    let mut corpus = Corpus::new(7, corpus::now().timestamp_millis());
    let mut turns: [Vec<f64>; 8] = std::array::from_fn(|_| Vec::new());
    let events = float(BATCHES as u64 * EVENTS);
    let mut bytes = 0.0;
    // One more goes before, which warms up and does not count.
    for turn in 0..=TURNS {
        let mut bench = Bench::new()?;
        bench.pass(&corpus.records(BATCHES))?;
        if turn > 0 {
            bar.inc(1);
            bytes = float(bench.bytes as u64) / events;
            for (turns, spent) in turns.iter_mut().zip(bench.spent) {
                turns.push(spent.as_secs_f64() * 1e6 / events);
            }
        }
    }
    bar.finish_and_clear();
    for ((row, turns), note) in ROWS.into_iter().zip(&turns).zip(NOTES) {
        let note = format!(
            "{note}; {events} events of {bytes:.0} bytes in batches of {EVENTS}, {TURNS} turns"
        );
        report.add(row, "µs/event", turns, note);
    }
    Ok(())
}

impl Bench {
    fn new() -> Result<Self> {
        let keys = HashKeys::new(HashKey::new("k1", [7; 32])?);
        let steps = Steps::compile(&Settings::parse(SETTINGS)?, Some(Arc::new(keys)))?;
        let mut dedup = Dedup::new(Duration::from_hours(72), usize::MAX);
        (0..PARTITIONS).for_each(|partition| dedup.gain(partition));
        let (snapshot, scratch) = (Snapshot::default(), Scratch::default());
        Ok(Self { steps, snapshot, dedup, scratch, spent: [Duration::ZERO; 8], bytes: 0 })
    }

    fn pass(&mut self, raw: &[Record]) -> Result<()> {
        for raw in raw.chunks(CHUNK) {
            let outputs = timed(&mut self.spent[0], || {
                let mut outputs = Vec::new();
                for record in raw {
                    let unbundled = unbundle(record);
                    let bundles = unbundled.bundles.iter();
                    outputs.extend(bundles.map(|b| b.output(&unbundled.provenance, PARTITIONS)));
                }
                outputs
            })?;
            let bundles = corpus::records(outputs);
            ensure!(bundles.len() == raw.len(), "a batch of one device became several bundles");
            let provenances: Vec<Provenance> = bundles
                .iter()
                .map(Provenance::of_events)
                .collect::<Option<_>>()
                .context("no source")?;
            self.refine(&bundles, &provenances)?;
        }
        Ok(())
    }

    fn refine(&mut self, bundles: &[Record], provenances: &[Provenance]) -> Result<()> {
        let mut events = timed(&mut self.spent[1], || read(bundles, provenances))??;
        // Before the check in the pipeline too, because the check may change the event.
        timed(&mut self.spent[3], || {
            for event in &mut events {
                event.fingerprint = Fingerprint::of(&event.value, &mut self.scratch);
            }
        })?;
        timed(&mut self.spent[2], || {
            for event in &mut events {
                event.checked = check::check(&mut event.value, event.provenance).ok();
            }
        })?;
        let dedup = &mut self.dedup;
        let new = timed(&mut self.spent[3], || note(&events, dedup))?;
        ensure!(new == events.len(), "{new} of {} events were accepted and new", events.len());
        let (steps, snapshot) = (&self.steps, &self.snapshot);
        timed(&mut self.spent[4], || redact(&mut events, steps, snapshot))??;
        timed(&mut self.spent[5], || enrich(&mut events, steps, snapshot))??;
        timed(&mut self.spent[6], || {
            for event in &events {
                let channel = event.provenance.channel.as_str();
                std::hint::black_box(steps.router().topics(&event.value, channel).count());
            }
        })?;
        timed(&mut self.spent[7], || {
            for event in &events {
                self.bytes += std::hint::black_box(event.value.to_bytes()).len();
            }
            // To let them go is a part of what they cost.
            drop(events);
        })
    }
}

fn read<'a>(bundles: &'a [Record], provenances: &'a [Provenance]) -> Result<Vec<Event<'a>>> {
    let mut events = Vec::with_capacity(CHUNK * 20);
    for (bundle, provenance) in bundles.iter().zip(provenances) {
        let device = std::str::from_utf8(bundle.key.as_deref().unwrap_or_default())?;
        let partition = bundle.partition;
        for (index, text) in bundle::read(bundle).map_err(unfit)? {
            let value = Value::parse(text.get().as_bytes())?;
            let (fingerprint, checked, keys) = (Fingerprint([0; 32]), None, Keys::default());
            let event =
                Event { provenance, device, partition, index, value, fingerprint, checked, keys };
            events.push(event);
        }
    }
    Ok(events)
}

/// Has dedup judge, note and keep events; returns how many of them were new.
fn note(events: &[Event<'_>], dedup: &mut Dedup) -> usize {
    let now = corpus::now();
    let mut new = 0;
    for event in events {
        let Some(checked) = &event.checked else { continue };
        let mut fingerprint = [0; 8];
        fingerprint.copy_from_slice(&event.fingerprint.0[..8]);
        let mark = Mark { key: Key::new(&checked.mid, event.device).0, fingerprint };
        if dedup.judge(event.partition, mark, now) == Verdict::New {
            new += 1;
            dedup.note(event.partition, mark);
        }
    }
    std::hint::black_box(dedup.added());
    dedup.committed(now);
    new
}

fn redact(events: &mut [Event<'_>], steps: &Steps, snapshot: &Snapshot) -> Result<()> {
    for event in events {
        let channel = event.provenance.channel.as_str();
        event.keys = steps.lookups().keys(&event.value, channel);
        let facts = Facts { channel, keys: &event.keys, snapshot };
        steps.redact(&mut event.value, facts).map_err(unfit)?;
    }
    Ok(())
}

fn enrich<'a>(events: &mut [Event<'a>], steps: &'a Steps, snapshot: &'a Snapshot) -> Result<()> {
    for event in events {
        let Some(checked) = &event.checked else { continue };
        let stamp = Stamp {
            provenance: event.provenance,
            index: event.index,
            ets_ms: checked.ets_ms,
            batch_ets_ms: event.provenance.batch_ets,
            document_id: identity::document_id(&checked.mid, event.device, &event.fingerprint),
            flags: checked.flags.to_object(),
        };
        steps.enrich(&mut event.value, &event.keys, snapshot, stamp).map_err(unfit)?;
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn unfit(reason: Reason) -> anyhow::Error {
    anyhow!("{}: {}", reason.code, reason.message)
}

/// Runs `work`, and adds the CPU time of this thread that it took.
fn timed<T>(spent: &mut Duration, work: impl FnOnce() -> T) -> Result<T> {
    let before = Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?);
    let done = work();
    let after = Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?);
    *spent += after.saturating_sub(before);
    Ok(done)
}
