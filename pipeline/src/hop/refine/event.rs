//! What becomes of one event.
//!
//! ```text
//! erased ─▶ check event ─▶ level ─▶ dedup ─▶ redact ─▶ enrich ─▶ route ─▶ unique
//!   │         └─ failed      │         └─ duplicate └─ failed  └─ failed
//!   └─ filtered              └─ filtered
//! ```
//!
//! What is filtered is counted, and kept nowhere; so whether somebody was erased is asked first.
//!
//! It is noted as seen only when it goes on: what failed is corrected, and comes again under the same id.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::outputs::Outputs;
use crate::{
    Failed, Output, Stage,
    check::{self, Checked},
    dedup::{Dedup, Mark, Verdict},
    enrich::Stamp,
    gate::Rules,
    identity::{self, Fingerprint, Key, Scratch},
    level::Taken,
    lookup::Snapshot,
    provenance::Provenance,
    reason::Reason,
    record::Headers,
    redact::Facts,
    steps::Steps,
    topic,
    value::{Object, Value},
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
    /// The rows of look-ups.
    pub(super) snapshot: &'a Snapshot,
    /// What may be kept.
    pub(super) rules: &'a Rules,
}

/// Where an event has stopped, and why.
type Stopped = (Stage, Vec<Reason>);

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

    fn unique(&self, value: Bytes, key: Option<Bytes>) -> Output {
        let headers = Headers::new();
        Output { topic: topic::UNIQUE.into(), partition: self.partition, key, headers, value }
    }

    fn stamp<'a>(&'a self, checked: &Checked, id: String, flags: Object<'a>) -> Stamp<'a> {
        Stamp {
            provenance: self.provenance,
            index: self.index,
            ets_ms: checked.ets_ms,
            batch_ets_ms: self.provenance.batch_ets,
            document_id: id,
            flags,
        }
    }
}

/// Takes an event through the steps, and adds what is written for it.
pub(super) fn refine(
    meeting: &Meeting<'_>,
    steps: &Steps,
    dedup: &mut Dedup,
    (scratch, outputs): (&mut Scratch, &mut Outputs),
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
    (scratch, outputs): (&mut Scratch, &mut Outputs),
) -> Result<Refined, Stopped> {
    let erased = meeting.rules.tombstones();
    if erased.has_device(meeting.device) {
        return Ok(Refined::Filtered);
    }
    let mut event = Value::parse(&meeting.bytes).map_err(|error| {
        let message = format!("write the event as JSON: {error}");
        (Stage::CheckEvent, vec![Reason::new("$", "malformed_json", message)])
    })?;
    if erased.has(&event) {
        return Ok(Refined::Filtered);
    }
    let fingerprint = Fingerprint::of(&event, scratch);
    let checked = check::check(&mut event, meeting.provenance)
        .map_err(|reasons| (Stage::CheckEvent, reasons))?;
    if !meeting.rules.permits(&event, Taken::of(meeting.provenance)) {
        return Ok(Refined::Filtered);
    }
    let mark = mark(&checked.mid, meeting.device, &fingerprint);
    let verdict = dedup.judge(meeting.partition, mark, meeting.now);
    if verdict == Verdict::Duplicate {
        outputs.push(meeting.duplicate());
        return Ok(Refined::Duplicate);
    }
    let collision = verdict == Verdict::Collision;
    let flags = flags(&checked, collision);
    let id = identity::document_id(&checked.mid, meeting.device, &fingerprint);
    let before = outputs.len();
    let derived = improve(meeting, steps, event, (id, &checked, flags), outputs);
    // The event and what is made of it go on together, or not at all.
    let derived = derived.inspect_err(|_| outputs.truncate(before))?;
    dedup.note(meeting.partition, mark);
    Ok(Refined::Unique { derived, collision })
}

/// Redacts, enriches and routes an event and what is made of it; returns how many of these there are.
fn improve<'a>(
    meeting: &'a Meeting<'a>,
    steps: &'a Steps,
    mut event: Value<'a>,
    (id, checked, mut flags): (String, &Checked, Object<'a>),
    outputs: &mut Outputs,
) -> Result<u64, Stopped> {
    let (channel, snapshot) = (meeting.provenance.channel.as_str(), meeting.snapshot);
    let keys = steps.lookups().keys(&event, channel);
    let facts = Facts { channel, keys: &keys, snapshot };
    let redacted =
        steps.redact(&mut event, facts).map_err(|reason| (Stage::Redact, vec![reason]))?;
    let key = if redacted { Some(redacted_key(&event)) } else { meeting.key.clone() };
    if redacted {
        flags.set("redacted", true);
    }
    let derived = steps.derive(&event);
    let count = derived.events.len() as u64;
    if derived.left_out > 0 {
        flags.set("share_items_left_out", derived.left_out as u64);
    }
    for mut of in derived.events {
        let mid = of.get("mid").and_then(Value::as_str).unwrap_or_default();
        let fingerprint = Fingerprint::of(&of, &mut Scratch::default());
        let id = identity::document_id(mid, meeting.device, &fingerprint);
        let keys = steps.keys_of_derived(&of, &event, &keys, channel);
        let stamp = meeting.stamp(checked, id, redacted_flag(redacted));
        steps.enrich(&mut of, &keys, snapshot, stamp).map_err(unenriched)?;
        hide_sender(meeting, &mut of, redacted);
        write(meeting, steps, (&of, &key), outputs);
    }
    let stamp = meeting.stamp(checked, id, flags);
    steps.enrich(&mut event, &keys, snapshot, stamp).map_err(unenriched)?;
    hide_sender(meeting, &mut event, redacted);
    write(meeting, steps, (&event, &key), outputs);
    Ok(count)
}

/// Returns the key of an event in which something is another now: the device as it stands there.
///
/// What a rule has taken out of the event must not stand beside it.
fn redacted_key(event: &Value<'_>) -> Bytes {
    let device = identity::device(event, &mut Scratch::default());
    Bytes::copy_from_slice(device.as_bytes())
}

/// Returns what is flagged of an event that was made of another one.
fn redacted_flag(redacted: bool) -> Object<'static> {
    let mut flags = Object::new();
    if redacted {
        flags.set("redacted", true);
    }
    flags
}

/// Takes the sender out of the metadata of a redacted event that is its own.
fn hide_sender(meeting: &Meeting<'_>, event: &mut Value<'_>, redacted: bool) {
    if redacted
        && meeting.provenance.sender.as_deref() == Some(meeting.device)
        && let Some(metadata) = event.at_mut(&["metadata"]).and_then(Value::as_object_mut)
    {
        metadata.remove("sender");
    }
}

fn unenriched(reason: Reason) -> Stopped {
    (Stage::Enrich, vec![reason])
}

fn flags(checked: &Checked, collision: bool) -> Object<'static> {
    let mut flags = checked.flags.to_object();
    if collision {
        flags.set("collision", true);
    }
    flags
}

/// Adds an event to `unique`, and to what it is routed to besides.
fn write(
    meeting: &Meeting<'_>,
    steps: &Steps,
    (event, key): (&Value<'_>, &Option<Bytes>),
    outputs: &mut Outputs,
) {
    let unique = meeting.unique(outputs.write(event), key.clone());
    for topic in steps.router().topics(event, &meeting.provenance.channel) {
        outputs.push(Output { topic: topic.into(), ..unique.clone() });
    }
    outputs.push(unique);
}

/// Returns by what dedup knows an event.
fn mark(mid: &str, device: &str, fingerprint: &Fingerprint) -> Mark {
    let mut short = [0; 8];
    short.copy_from_slice(&fingerprint.0[..8]);
    Mark { key: Key::new(mid, device).0, fingerprint: short }
}
