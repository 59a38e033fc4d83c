//! What stands at positions: when the log took it.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode as Code},
};

use super::{context::Quiet, fault::is_permanent, settings::Settings};
use crate::{Error, Result, log::Position};

/// How long all positions of a topic may take.
const WITHIN: Duration = Duration::from_secs(20);

/// How long one poll waits.
const POLL: Duration = Duration::from_millis(100);

/// What is fetched of each partition at once; a batch of records that is larger comes as a whole.
const FETCH_BYTES: &str = "65536";

/// What is being attempted, for errors.
const DOING: &str = "read what stands at positions";

/// Returns when the log took the first record at or behind each position; `None` where there is none.
pub(super) fn taken_at(
    settings: &Settings,
    topic_name: &str,
    positions: &[Position],
) -> Result<Vec<Option<DateTime<Utc>>>> {
    let mut found = vec![None; positions.len()];
    if positions.is_empty() {
        return Ok(found);
    }
    let mut config = settings.reader();
    config.set("queued.min.messages", "1").set("fetch.message.max.bytes", FETCH_BYTES);
    let consumer: BaseConsumer<Quiet> =
        config.create_with_context(settings.quiet()).map_err(Error::broker(DOING))?;
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for at in positions {
        list.add_partition_offset(topic_name, at.partition, Offset::Offset(at.offset))
            .map_err(Error::broker(DOING))?;
    }
    consumer.assign(&list).map_err(Error::broker(DOING))?;
    let mut open: Vec<i32> = positions.iter().map(|at| at.partition).collect();
    let deadline = Instant::now() + WITHIN;
    while !open.is_empty() {
        if Instant::now() > deadline {
            let late = KafkaError::MessageConsumption(Code::OperationTimedOut);
            return Err(Error::broker(DOING)(late));
        }
        let (partition, at) = match consumer.poll(POLL) {
            None => continue,
            Some(Ok(message)) => (message.partition(), message.timestamp().to_millis()),
            Some(Err(KafkaError::PartitionEOF(partition))) => (partition, None),
            Some(Err(error)) if is_final(&error) => return Err(Error::broker(DOING)(error)),
            Some(Err(_)) => continue,
        };
        if !open.contains(&partition) {
            continue;
        }
        open.retain(|other| *other != partition);
        let places = positions.iter().zip(&mut found);
        for (_, found) in places.filter(|(place, _)| place.partition == partition) {
            *found = at.and_then(DateTime::from_timestamp_millis);
        }
        // The rest of it is of no use, and would stand before the others.
        let mut done = TopicPartitionList::new();
        done.add_partition(topic_name, partition);
        consumer.pause(&done).map_err(Error::broker(DOING))?;
    }
    Ok(found)
}

/// Returns whether an error does not pass: what the library recovers from by itself is waited for.
fn is_final(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    matches!(code, Some(Code::OffsetOutOfRange | Code::AutoOffsetReset))
        || code.is_some_and(is_permanent)
}
