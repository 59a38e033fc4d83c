//! What a step or a sink could not take: where it stopped, why, and the bytes as they came.
//!
//! It is a record of its own topic, from which it is listed, corrected and sent again.

use std::{borrow::Cow, fmt, str::FromStr};

use bytes::Bytes;

use crate::{
    provenance::Provenance,
    reason::Reason,
    record::{Output, Record},
    topic,
};

/// How many reasons stand in a record; the last one says how many more there were.
pub const REASONS_MAX: usize = 32;

/// The longest path or message of a reason in a record, in bytes.
///
/// Reasons are headers, which Kafka's clients keep in memory as they are.
pub const REASON_BYTES_MAX: usize = 512;

/// Something that was not taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Failed {
    /// The batch that it came in.
    pub provenance: Provenance,
    /// Where it stopped.
    pub stage: Stage,
    /// The sink that has rejected it, where one has.
    pub sink: Option<String>,
    /// Its place in the batch; `None` for a whole batch.
    pub index: Option<u32>,
    /// The device that it is of, if that is known.
    pub device: Option<String>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What it was.
    pub bytes: Bytes,
}

/// Where something has stopped.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Stage {
    /// The batch is none.
    Check,
    /// An item of a batch is no event.
    Unbundle,
    /// The event does not keep to its profile.
    CheckEvent,
    /// It could not be redacted.
    Redact,
    /// It could not be enriched.
    Enrich,
    /// A sink has rejected it.
    Sink,
}

impl Failed {
    /// Returns a whole batch that was not taken.
    #[must_use]
    pub fn batch(provenance: Provenance, reason: Reason, bytes: Bytes) -> Self {
        let (index, device) = (None, None);
        let (stage, reasons) = (Stage::Check, vec![reason]);
        Self { provenance, stage, sink: None, index, device, reasons, bytes }
    }

    /// Returns an event that was not taken, by its place in the batch.
    #[must_use]
    pub fn event(
        provenance: Provenance,
        stage: Stage,
        index: u32,
        reasons: Vec<Reason>,
        bytes: Bytes,
    ) -> Self {
        let (sink, device) = (None, None);
        Self { provenance, stage, sink, index: Some(index), device, reasons, bytes }
    }

    /// Says whose it is.
    #[must_use]
    pub fn of_device(mut self, device: impl Into<String>) -> Self {
        self.device = Some(device.into());
        self
    }

    /// Says which sink has rejected it.
    #[must_use]
    pub fn by_sink(mut self, sink: impl Into<String>) -> Self {
        self.sink = Some(sink.into());
        self
    }

    /// Returns the record that keeps it.
    #[must_use]
    pub fn output(&self, partition: i32) -> Output {
        let mut headers = self.provenance.headers();
        headers.push("stage", self.stage.as_str());
        if let Some(sink) = &self.sink {
            headers.push("sink", sink.as_str());
        }
        if let Some(index) = self.index {
            headers.push("index", index.to_string());
        }
        let reasons = serde_json::to_string(&bounded(&self.reasons));
        // Texts can always be written.
        headers.push("reasons", reasons.unwrap_or_default());
        Output {
            topic: Cow::Borrowed(topic::FAILED),
            partition,
            key: self.device.clone().map(Bytes::from),
            headers,
            value: self.bytes.clone(),
        }
    }

    /// Reads what [`output`](Self::output) has written; `None` for a record of somebody else.
    #[must_use]
    pub fn read(record: &Record) -> Option<Self> {
        let headers = &record.headers;
        let device = record.key.as_ref().map(|key| String::from_utf8(key.to_vec()));
        Some(Self {
            provenance: Provenance::of_events(record)?,
            stage: headers.get("stage")?.parse().ok()?,
            sink: headers.get("sink").map(str::to_owned),
            index: headers.get("index").map(str::parse).transpose().ok()?,
            device: device.transpose().ok()?,
            reasons: serde_json::from_str(headers.get("reasons")?).ok()?,
            bytes: record.value.clone(),
        })
    }
}

impl Stage {
    /// All stages, in the order in which an event meets them.
    pub const ALL: [Self; 6] =
        [Self::Check, Self::Unbundle, Self::CheckEvent, Self::Redact, Self::Enrich, Self::Sink];

    /// Returns the word in headers and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Unbundle => "unbundle",
            Self::CheckEvent => "check_event",
            Self::Redact => "redact",
            Self::Enrich => "enrich",
            Self::Sink => "sink",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A word that is no stage.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is not a stage; write check, unbundle, check_event, redact, enrich or sink")]
pub struct BadStage {
    /// The word.
    pub text: String,
}

impl FromStr for Stage {
    type Err = BadStage;

    fn from_str(text: &str) -> Result<Self, BadStage> {
        let found = Self::ALL.into_iter().find(|stage| stage.as_str() == text);
        found.ok_or_else(|| BadStage { text: text.to_owned() })
    }
}

/// Returns as many reasons as a record takes, each as long as it takes.
fn bounded(reasons: &[Reason]) -> Vec<Reason> {
    let fits = reasons.len() <= REASONS_MAX;
    let kept = if fits { reasons.len() } else { REASONS_MAX - 1 };
    let cut = |reason: &Reason| Reason {
        path: short(&reason.path).to_owned().into(),
        code: reason.code.clone(),
        message: short(&reason.message).to_owned(),
    };
    let mut bounded: Vec<_> = reasons.iter().take(kept).map(cut).collect();
    if !fits {
        let more = reasons.len() - kept;
        bounded.push(Reason::new("$", "more", format!("there are {more} more reasons")));
    }
    bounded
}

/// Returns the beginning of a text, as much of it as a reason takes.
fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(REASON_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::record::Headers;

    fn record(output: Output) -> Record {
        let Output { partition, key, headers, value, .. } = output;
        Record { partition, offset: 7, appended_at: DateTime::UNIX_EPOCH, key, headers, value }
    }

    fn provenance() -> Provenance {
        let raw = Output {
            topic: topic::RAW.into(),
            partition: 3,
            key: None,
            headers: Headers::new().with("channel", "portal").with("profile", "strict-3.1"),
            value: Bytes::new(),
        };
        Provenance::of_raw(&record(raw))
    }

    #[test]
    fn what_failed_is_read_as_it_was_written() {
        let because = |code| vec![Reason::new("$.ets", code, "write `ets`\u{0} as a number")];
        let bytes = Bytes::from_static(b"{\"ets\":\xff}");
        let batch = Failed::batch(provenance(), because("missing").remove(0), bytes.clone());
        let event =
            Failed::event(provenance(), Stage::CheckEvent, 4, because("empty"), bytes.clone());
        let rejected = Failed::event(provenance(), Stage::Sink, 0, because("mapping"), bytes)
            .of_device("d é")
            .by_sink("search");
        for failed in [batch, event, rejected] {
            let output = failed.output(9);
            assert_eq!((&*output.topic, output.partition), (topic::FAILED, 9));
            assert_eq!(Failed::read(&record(output)), Some(failed));
        }
    }

    #[test]
    fn record_of_somebody_else_is_not_read() {
        let mut other = record(
            Failed::batch(provenance(), Reason::new("$", "no_json", "write JSON"), Bytes::new())
                .output(0),
        );
        other.headers = Headers::new().with("source", "0/1").with("stage", "cook");
        assert_eq!(Failed::read(&other), None);
    }

    #[test]
    fn reasons_are_bounded_in_number_and_size() {
        let reason = Reason::new("é".repeat(40_000), "unknown_field", "ü".repeat(40_000));
        let failed =
            Failed::event(provenance(), Stage::CheckEvent, 0, vec![reason; 500], Bytes::new());
        let output = failed.output(0);
        assert!(output.headers.get("reasons").unwrap().len() <= 40_000);
        let read = Failed::read(&record(output)).unwrap();
        assert_eq!(read.reasons.len(), REASONS_MAX);
        assert_eq!(read.reasons.last().unwrap().message, "there are 469 more reasons");
    }

    #[test]
    fn stage_is_read_as_it_is_written() {
        for stage in Stage::ALL {
            assert_eq!(stage.to_string().parse::<Stage>().unwrap(), stage);
        }
        assert_eq!(
            "sinks".parse::<Stage>().unwrap_err().to_string(),
            "`sinks` is not a stage; write check, unbundle, check_event, redact, enrich or sink"
        );
    }
}
