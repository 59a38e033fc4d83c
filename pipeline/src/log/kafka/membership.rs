//! What a member holds: the answers to the group's rebalances.
//!
//! They are given while the consumer is polled, on the thread of the seat, so that nothing moves between two turns.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientContext, Offset, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code},
    topic_partition_list::TopicPartitionListElem,
    types::RDKafkaRespErr,
    util::Timeout,
};

use super::context::Troubles;
use crate::{log::Position, telemetry};

/// How long one question for positions may take before it is asked again.
const POSITIONS_MAX: Duration = Duration::from_secs(5);

/// How soon it is asked again.
const POSITIONS_PAUSE: Duration = Duration::from_millis(100);

/// Hears of rebalances.
pub(super) struct Membership {
    pub(super) group: Arc<str>,
    pub(super) topic: Arc<str>,
    /// Whether the member goes, and nothing is waited for any more.
    pub(super) closing: Arc<AtomicBool>,
    pub(super) troubles: Troubles,
    news: Mutex<News>,
}

/// What has changed since it was last asked for.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) lost: Vec<i32>,
    pub(super) gained: Vec<Gained>,
}

/// A partition that was gained.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gained {
    pub(super) at: Position,
    /// Whether the group has committed there, and does not just begin.
    pub(super) committed: bool,
}

impl Membership {
    pub(super) fn new(
        (group, topic): (Arc<str>, Arc<str>),
        closing: Arc<AtomicBool>,
        troubles: Troubles,
    ) -> Self {
        Self { group, topic, closing, troubles, news: Mutex::new(News::default()) }
    }

    /// Returns what has changed, once.
    pub(super) fn take_news(&self) -> Option<News> {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = !news.lost.is_empty() || !news.gained.is_empty();
        is_news.then(|| std::mem::take(&mut *news))
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        let Some(gained) = self.settled_positions(consumer, partitions) else {
            // The library waits for an answer before it lets the member go; nothing is read any more.
            if let Err(error) = consumer.incremental_assign(partitions) {
                telemetry::kafka_unassigned(&self.group, &self.topic, &error);
            }
            return;
        };
        let mut list = TopicPartitionList::new();
        let names = partitions.elements();
        for (element, gained) in names.iter().zip(&gained) {
            let offset = Offset::Offset(gained.at.offset);
            // An offset that was read cannot be one that is refused.
            let added = list.add_partition_offset(element.topic(), gained.at.partition, offset);
            if let Err(error) = added {
                telemetry::kafka_unassigned(&self.group, &self.topic, &error);
            }
        }
        if let Err(error) = consumer.incremental_assign(&list) {
            telemetry::kafka_unassigned(&self.group, &self.topic, &error);
            return;
        }
        let numbers: Vec<_> = gained.iter().map(|gained| gained.at.partition).collect();
        telemetry::kafka_gained(&self.group, &self.topic, &numbers);
        self.news.lock().unwrap_or_else(PoisonError::into_inner).gained.extend(gained);
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        let numbers: Vec<_> =
            partitions.elements().iter().map(TopicPartitionListElem::partition).collect();
        telemetry::kafka_lost(&self.group, &self.topic, &numbers);
        self.news.lock().unwrap_or_else(PoisonError::into_inner).lost.extend(numbers);
        if let Err(error) = consumer.incremental_unassign(partitions) {
            telemetry::kafka_unassigned(&self.group, &self.topic, &error);
        }
    }

    /// Asks until it is known where the partitions are read on; `None` if the member goes.
    ///
    /// The cluster does not say while transactions are open that move these positions: the answer is final.
    fn settled_positions(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &TopicPartitionList,
    ) -> Option<Vec<Gained>> {
        loop {
            if self.closing.load(Ordering::Relaxed) {
                return None;
            }
            match positions(consumer, partitions) {
                Ok(gained) => return Some(gained),
                Err(error) => self.troubles.troubled(&error, "ask where partitions are read on"),
            }
            std::thread::sleep(POSITIONS_PAUSE);
        }
    }
}

fn positions(
    consumer: &BaseConsumer<Membership>,
    partitions: &TopicPartitionList,
) -> KafkaResult<Vec<Gained>> {
    let committed = consumer.committed_offsets(partitions.clone(), POSITIONS_MAX)?;
    let position = |element: &TopicPartitionListElem<'_>| {
        element.error()?;
        let partition = element.partition();
        if let Offset::Offset(offset) = element.offset() {
            return Ok(Gained { at: Position { partition, offset }, committed: true });
        }
        let (offset, _) = consumer.fetch_watermarks(element.topic(), partition, POSITIONS_MAX)?;
        Ok(Gained { at: Position { partition, offset }, committed: false })
    };
    committed.elements().iter().map(position).collect()
}

impl ClientContext for Membership {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        self.troubles.said(level, fac, message);
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.troubles.troubled(&error, reason);
    }
}

impl ConsumerContext for Membership {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        match error.into() {
            Code::AssignPartitions => self.assign(consumer, partitions),
            _ => self.revoke(consumer, partitions),
        }
    }

    fn main_queue_min_poll_interval(&self) -> Timeout {
        Timeout::After(Duration::from_millis(100))
    }
}
