//! Reading one partition to an end.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode as Code},
};

use super::{
    batch::Batch,
    context::Quiet,
    fault::is_permanent,
    settings::Settings,
    topics::{blocking, inquirer, persist, watermarks},
};
use crate::{
    Error, Result,
    log::{Limits, Reader, Start},
    record::Record,
};

/// How soon it is asked again whether everything is decided.
const DECIDED_PAUSE: Duration = Duration::from_millis(20);

/// How long nothing at all is waited for.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// How long one poll waits.
const POLL: Duration = Duration::from_millis(100);

/// What is being attempted, for errors.
const DOING: &str = "read a partition";

/// A reader of a partition on Kafka.
pub struct KafkaReader {
    /// `None` at the end.
    source: Option<Arc<Source>>,
}

struct Source {
    consumer: BaseConsumer<Quiet>,
    /// The offset behind the last one that is handed out.
    end: i64,
}

impl KafkaReader {
    pub(super) async fn open(
        settings: &Settings,
        topic_name: Arc<str>,
        partition: i32,
        start: Start,
    ) -> Result<Self> {
        let settings = settings.clone();
        let open = move || open(&settings, &topic_name, partition, start);
        Ok(Self { source: blocking(open).await? })
    }
}

impl Reader for KafkaReader {
    async fn next(&mut self, limits: Limits) -> Result<Option<Vec<Record>>> {
        let Some(source) = &self.source else { return Ok(None) };
        let source = Arc::clone(source);
        let (records, is_end) = blocking(move || source.read(limits)).await?;
        if is_end {
            self.source = None;
        }
        Ok((!records.is_empty()).then_some(records))
    }
}

fn open(
    settings: &Settings,
    topic_name: &str,
    partition: i32,
    start: Start,
) -> Result<Option<Arc<Source>>> {
    // What is written, decided or not.
    let written = inquirer(settings, "read_uncommitted")?;
    let (_, end) = watermarks(&written, topic_name, partition)?;
    let decided = inquirer(settings, "read_committed")?;
    let deadline = Instant::now() + SILENCE_MAX;
    let mut first = wait_until_decided(&decided, topic_name, partition, end, deadline)?;
    match start {
        Start::Beginning => {}
        Start::Offset(offset) => first = first.max(offset),
        Start::Time(time) => {
            let mut times = TopicPartitionList::new();
            let at = Offset::Offset(time.timestamp_millis());
            times.add_partition_offset(topic_name, partition, at).map_err(Error::broker(DOING))?;
            first = persist(DOING, |within| {
                let found = decided.offsets_for_times(times.clone(), within)?;
                found.elements().iter().try_fold(first, |first, element| {
                    element.error()?;
                    Ok(match element.offset() {
                        Offset::Offset(offset) => first.max(offset),
                        // Nothing is as late.
                        _ => end,
                    })
                })
            })?;
        }
    }
    if first >= end {
        return Ok(None);
    }
    let consumer: BaseConsumer<Quiet> =
        settings.reader().create_with_context(settings.quiet()).map_err(Error::broker(DOING))?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic_name, partition, Offset::Offset(first))
        .map_err(Error::broker(DOING))?;
    consumer.assign(&list).map_err(Error::broker(DOING))?;
    Ok(Some(Arc::new(Source { consumer, end })))
}

/// Waits until no transaction is open that has written before `end`; returns the first offset.
fn wait_until_decided(
    consumer: &BaseConsumer<Quiet>,
    topic_name: &str,
    partition: i32,
    end: i64,
    deadline: Instant,
) -> Result<i64> {
    loop {
        let (first, decided) = watermarks(consumer, topic_name, partition)?;
        if decided >= end {
            return Ok(first);
        }
        if Instant::now() > deadline {
            return Err(timed_out("wait for an open transaction"));
        }
        std::thread::sleep(DECIDED_PAUSE);
    }
}

impl Source {
    /// Returns the next records, and whether the end is reached.
    fn read(&self, limits: Limits) -> Result<(Vec<Record>, bool)> {
        let deadline = Instant::now() + SILENCE_MAX;
        let mut batch = Batch::new(limits);
        let mut is_end = false;
        while !batch.is_full() && !is_end {
            let wait = if batch.is_empty() { POLL } else { Duration::ZERO };
            match self.consumer.poll(wait) {
                Some(Ok(message)) if message.offset() < self.end => {
                    is_end = message.offset() + 1 == self.end;
                    batch.push(&message);
                }
                // Everything up to the end was decided at the start, so there is nothing more before it.
                Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => is_end = true,
                Some(Err(error)) => weigh(error)?,
                None if !batch.is_empty() => break,
                None if Instant::now() > deadline => return Err(timed_out(DOING)),
                None => {}
            }
        }
        Ok((batch.into_records(), is_end))
    }
}

/// Fails unless the library recovers from it by itself.
fn weigh(error: KafkaError) -> Result<()> {
    let code = error.rdkafka_error_code();
    let lapsed = matches!(code, Some(Code::OffsetOutOfRange | Code::AutoOffsetReset));
    if lapsed || code.is_some_and(is_permanent) {
        return Err(Error::broker(DOING)(error));
    }
    Ok(())
}

fn timed_out(doing: &'static str) -> Error {
    Error::broker(doing)(KafkaError::MessageConsumption(Code::OperationTimedOut))
}

impl fmt::Debug for KafkaReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.source.as_ref().map(|source| source.end);
        f.debug_struct("KafkaReader").field("end", &end).finish_non_exhaustive()
    }
}
