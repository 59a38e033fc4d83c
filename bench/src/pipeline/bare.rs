//! A program that makes the same hops with messages of the same number and size, in transactions, and looks into none.

use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::BorrowedMessage,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use tidings_pipeline::topic;
use tokio::task::JoinHandle;

use super::ground::Ground;
use crate::{
    corpus,
    search::{Bare as Bulk, IN_FLIGHT, REQUEST},
};

/// How much goes into a transaction: as in the pipeline.
const RECORDS: usize = 20_000;
const BYTES: usize = 8 * 1024 * 1024;

/// What the pipeline adds to an event, with the numbers of this corpus.
const ADDED: usize = 300;

const WAIT: Duration = Duration::from_millis(100);
const STEP_MAX: Duration = Duration::from_secs(10);

/// The two hops, each on a thread of its own.
pub(super) struct Hops {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Hops {
    pub(super) fn start(ground: &Ground) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let hop = |from: &'static str, to: &'static str, events: usize| {
            let (ground, stop) = (ground.clone(), Arc::clone(&stop));
            tokio::task::spawn_blocking(move || hop(&ground, (from, to), events, &stop))
        };
        let events = usize::try_from(corpus::EVENTS).unwrap_or(1);
        let threads =
            vec![hop(topic::RAW, topic::EVENTS, 1), hop(topic::EVENTS, topic::UNIQUE, events)];
        Self { stop, threads }
    }

    pub(super) async fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.await??;
        }
        Ok(())
    }
}

/// Copies messages from topic to topic until it is to stop, each as so many parts.
fn hop(ground: &Ground, (from, to): (&str, &str), parts: usize, stop: &AtomicBool) -> Result<()> {
    let consumer = consumer(ground, &format!("bare-{to}"), from)?;
    let mut config = ClientConfig::new();
    for (name, value) in [
        ("bootstrap.servers", ground.brokers.as_str()),
        ("transactional.id", &ground.name(&format!("bare-{to}"))),
        ("message.max.bytes", "6291456"),
        ("compression.codec", "lz4"),
        ("linger.ms", "2"),
        ("queue.buffering.max.kbytes", "524288"),
        ("queue.buffering.max.messages", "0"),
    ] {
        config.set(name, value);
    }
    let producer: BaseProducer = config.create()?;
    producer.init_transactions(STEP_MAX)?;
    let (from, to) = (ground.name(from), ground.name(to));
    while !stop.load(Ordering::Relaxed) {
        let Some(first) = consumer.poll(WAIT) else { continue };
        producer.begin_transaction()?;
        let mut positions = HashMap::new();
        let (mut records, mut bytes) = (0, 0);
        let mut next = Some(first);
        while let Some(message) = next {
            let message = message?;
            records += 1;
            bytes += message.payload_len();
            positions.insert(message.partition(), message.offset() + 1);
            copy(&producer, &message, &to, parts)?;
            let is_full = records >= RECORDS || bytes >= BYTES;
            next = if is_full { None } else { consumer.poll(Duration::ZERO) };
        }
        let mut list = TopicPartitionList::new();
        for (partition, offset) in positions {
            list.add_partition_offset(&from, partition, Offset::Offset(offset))?;
        }
        let metadata = consumer.group_metadata().context("it is in no group")?;
        producer.send_offsets_to_transaction(&list, &metadata, STEP_MAX)?;
        while producer.in_flight_count() > 0 {
            producer.poll(Duration::from_millis(1));
        }
        producer.commit_transaction(STEP_MAX)?;
    }
    Ok(())
}

/// Copies a message, or writes as many parts of it, each as much longer as the pipeline makes an event.
fn copy(
    producer: &BaseProducer,
    message: &BorrowedMessage<'_>,
    to: &str,
    parts: usize,
) -> Result<()> {
    let (value, key) = (message.payload().unwrap_or_default(), message.key().unwrap_or_default());
    let part = value.len() / parts;
    for n in 0..parts {
        let bytes = if parts == 1 {
            value
        } else {
            let first = (n * part).min(value.len().saturating_sub(part + ADDED));
            &value[first..(first + part + ADDED).min(value.len())]
        };
        let mut record = BaseRecord::to(to).partition(message.partition()).key(key).payload(bytes);
        while let Err((error, back)) = producer.send(record) {
            ensure!(is_full(&error), "write: {error}");
            producer.poll(Duration::from_millis(1));
            record = back;
        }
    }
    Ok(())
}

fn is_full(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(Code::QueueFull)
}

/// Writes so many events to a file, one on each line.
pub(super) fn file(ground: &Ground, path: &Path, events: u64) -> Result<()> {
    let consumer = consumer(ground, "bare-file", topic::UNIQUE)?;
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut written = 0;
    while written < events {
        let Some(message) = consumer.poll(WAIT) else { continue };
        let message = message?;
        file.write_all(message.payload().unwrap_or_default())?;
        file.write_all(b"\n")?;
        consumer.store_offset_from_message(&message)?;
        written += 1;
        if written % 10_000 == 0 {
            file.flush()?;
            commit(&consumer)?;
        }
    }
    file.flush()?;
    commit(&consumer)?;
    Ok(())
}

/// Reads events and sends as many documents to an index, which are made beforehand: a part of an event is none.
pub(super) async fn bulk(ground: &Ground, bulk: &Bulk, index: &str) -> Result<()> {
    let consumer = Arc::new(consumer(ground, "bare-bulk", topic::UNIQUE)?);
    let mut flights: VecDeque<JoinHandle<Result<()>>> = VecDeque::new();
    for body in bulk.bodies() {
        if flights.len() == IN_FLIGHT
            && let Some(flight) = flights.pop_front()
        {
            flight.await??;
            let consumer = Arc::clone(&consumer);
            tokio::task::spawn_blocking(move || commit(&consumer)).await??;
        }
        let consumer = Arc::clone(&consumer);
        tokio::task::spawn_blocking(move || read(&consumer, REQUEST)).await??;
        let (bulk, index) = (bulk.clone(), index.to_owned());
        flights.push_back(tokio::spawn(async move { bulk.send_one(&index, body).await }));
    }
    for flight in flights {
        flight.await??;
    }
    commit(&consumer)?;
    Ok(())
}

/// Reads so many messages.
fn read(consumer: &BaseConsumer, messages: usize) -> Result<()> {
    let mut read = 0;
    while read < messages {
        let Some(message) = consumer.poll(WAIT) else { continue };
        let message = message?;
        std::hint::black_box(message.payload());
        consumer.store_offset_from_message(&message)?;
        read += 1;
    }
    Ok(())
}

/// Commits what has been read since the last time, if anything has.
fn commit(consumer: &BaseConsumer) -> Result<()> {
    match consumer.commit_consumer_state(CommitMode::Async) {
        Err(error) if error.rdkafka_error_code() != Some(Code::NoOffset) => Err(error.into()),
        _ => Ok(()),
    }
}

fn consumer(ground: &Ground, group: &str, topic: &str) -> Result<BaseConsumer> {
    let mut config = ClientConfig::new();
    for (name, value) in [
        ("bootstrap.servers", ground.brokers.as_str()),
        ("group.id", &ground.name(group)),
        ("isolation.level", "read_committed"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "earliest"),
        ("fetch.queue.backoff.ms", "10"),
        ("queued.min.messages", "100000"),
    ] {
        config.set(name, value);
    }
    let consumer: BaseConsumer = config.create()?;
    consumer.subscribe(&[&ground.name(topic)])?;
    Ok(consumer)
}
