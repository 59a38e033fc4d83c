//! What becomes of one event.
//!
//! ```text
//! check event ─▶ fingerprint ─▶ dedup ─▶ redact ─▶ enrich ─▶ route ─▶ unique
//!      └─ failed      └─ duplicate  └─ failed   └─ failed
//! ```
//!
//! It is noted as seen only when it goes on: what failed is corrected, and comes again under the same id.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::{
    Failed, Output, Stage,
    check::{self, Checked},
    dedup::{Dedup, Mark, Verdict},
    identity::{self, Fingerprint, Key, Scratch},
    provenance::Provenance,
    reason::Reason,
    record::Headers,
    steps::{Place, Steps},
    topic,
    value::Value,
};

/// An event as it arrives.
#[derive(Debug)]
pub(super) struct Meeting<'a> {
    pub(super) provenance: &'a Provenance,
    pub(super) device: &'a str,
    /// The partition of the device, in every topic from here on.
    pub(super) partition: i32,
    /// Its place in the batch.
    pub(super) index: u32,
    /// As it came.
    pub(super) bytes: Bytes,
    /// The device as the key of a record.
    pub(super) key: Option<Bytes>,
    pub(super) now: DateTime<Utc>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refined {
    /// It goes on, with so many others that were made of it.
    Unique {
        derived: u64,
        collision: bool,
    },
    Duplicate,
    Failed,
    Filtered,
}

impl Meeting<'_> {
    /// Returns the record that keeps it as failed.
    pub(super) fn failed(&self, stage: Stage, reasons: Vec<Reason>) -> Output {
        let provenance = self.provenance.clone();
        let failed = Failed::event(provenance, stage, self.index, reasons, self.bytes.clone());
        failed.of_device(self.device).output(self.partition)
    }

    fn duplicate(&self) -> Output {
        let headers = self.provenance.headers().with("index", self.index.to_string());
        let (key, value) = (self.key.clone(), self.bytes.clone());
        Output { topic: topic::DUPLICATE.into(), partition: self.partition, key, headers, value }
    }

    fn unique(&self, event: &Value<'_>) -> Output {
        let (key, value) = (self.key.clone(), event.to_bytes().into());
        let headers = Headers::new();
        Output { topic: topic::UNIQUE.into(), partition: self.partition, key, headers, value }
    }

    fn place<'a>(&'a self, id: &'a str, checked: &'a Checked, collision: bool) -> Place<'a> {
        let (provenance, index) = (self.provenance, self.index);
        Place { provenance, index, id, checked, collision }
    }
}

/// Takes an event through the steps, and adds what is written for it.
pub(super) fn refine(
    meeting: &Meeting<'_>,
    steps: &Steps,
    dedup: &mut Dedup,
    (scratch, outputs): (&mut Scratch, &mut Vec<Output>),
) -> Refined {
    match go(meeting, steps, dedup, (scratch, outputs)) {
        Ok(refined) => refined,
        Err((stage, reasons)) => {
            outputs.push(meeting.failed(stage, reasons));
            Refined::Failed
        }
    }
}

fn go(
    meeting: &Meeting<'_>,
    steps: &Steps,
    dedup: &mut Dedup,
    (scratch, outputs): (&mut Scratch, &mut Vec<Output>),
) -> Result<Refined, (Stage, Vec<Reason>)> {
    let mut event = Value::parse(&meeting.bytes).map_err(|error| {
        let message = format!("write the event as JSON: {error}");
        (Stage::CheckEvent, vec![Reason::new("$", "malformed_json", message)])
    })?;
    let fingerprint = Fingerprint::of(&event, scratch);
    let checked = check::check(&mut event, meeting.provenance)
        .map_err(|reasons| (Stage::CheckEvent, reasons))?;
    let mark = mark(&checked.mid, meeting.device, &fingerprint);
    let verdict = dedup.judge(meeting.partition, mark, meeting.now);
    if verdict == Verdict::Duplicate {
        outputs.push(meeting.duplicate());
        return Ok(Refined::Duplicate);
    }
    let id = identity::document_id(&checked.mid, meeting.device, &fingerprint);
    let collision = verdict == Verdict::Collision;
    let place = meeting.place(&id, &checked, collision);
    let derived = steps.derive(&event, &place);
    steps.apply(&mut event, &place).map_err(|(stage, reason)| (stage, vec![reason]))?;
    let before = outputs.len();
    write(meeting, steps, &event, outputs);
    let mut count = 0;
    for (mut of, mid) in derived {
        let fingerprint = Fingerprint::of(&of, scratch);
        let id = identity::document_id(&mid, meeting.device, &fingerprint);
        let place = meeting.place(&id, &checked, collision);
        if let Err((stage, reason)) = steps.apply(&mut of, &place) {
            // The event and what is made of it go on together, or not at all.
            outputs.truncate(before);
            return Err((stage, vec![reason]));
        }
        write(meeting, steps, &of, outputs);
        count += 1;
    }
    dedup.note(meeting.partition, mark);
    Ok(Refined::Unique { derived: count, collision })
}

/// Adds an event to `unique`, and to what it is routed to besides.
fn write(meeting: &Meeting<'_>, steps: &Steps, event: &Value<'_>, outputs: &mut Vec<Output>) {
    let unique = meeting.unique(event);
    for topic in steps.routes(event) {
        outputs.push(Output { topic, ..unique.clone() });
    }
    outputs.push(unique);
}

/// Returns by what dedup knows an event.
fn mark(mid: &str, device: &str, fingerprint: &Fingerprint) -> Mark {
    let mut short = [0; 8];
    short.copy_from_slice(&fingerprint.0[..8]);
    Mark { key: Key::new(mid, device).0, fingerprint: short }
}
