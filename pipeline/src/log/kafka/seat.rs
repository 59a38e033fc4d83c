//! The thread of a member: it polls, commits, and goes back.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Receiver,
    },
    time::{Duration, Instant},
};

use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode as Code},
    topic_partition_list::TopicPartitionListElem,
};
use tokio::sync::oneshot;

use super::{
    batch::Batch,
    fault::{is_fencing, is_permanent, is_transient},
    membership::{Membership, News},
    settings::Settings,
    topics::{Topic, Topics},
    writer::{Verdict, Writer},
};
use crate::{
    Error, Result,
    log::{Change, Limits, Outcome, Position, Turn},
    record::{Output, Record},
    telemetry,
};

/// How long a turn waits for something.
const TURN: Duration = Duration::from_millis(400);

/// How soon a commit without outputs is tried again.
const COMMIT_PAUSE: Duration = Duration::from_millis(50);

/// How long a step back takes at most; it needs no broker.
const SEEK_MAX: Duration = Duration::from_secs(5);

/// How long it may take to look up where a partition begins.
const WATERMARKS_MAX: Duration = Duration::from_secs(5);

/// What a member is, wherever it runs.
pub(super) struct Terms {
    pub(super) settings: Settings,
    pub(super) topics: Arc<Topics>,
    pub(super) group: Arc<str>,
    pub(super) topic: Arc<str>,
    /// The topic's name in the cluster.
    pub(super) topic_name: Arc<str>,
    /// The transactional id.
    pub(super) writer_id: String,
}

/// What a member is asked.
pub(super) enum Command {
    Next(Limits, oneshot::Sender<Result<Turn>>),
    Commit(Vec<Output>, Vec<Position>, oneshot::Sender<Result<Outcome>>),
}

/// A member, on its thread.
pub(super) struct Seat {
    terms: Terms,
    consumer: BaseConsumer<Membership>,
    writer: Option<Writer>,
    held: BTreeMap<i32, Held>,
    /// Records that were taken when a change came, of what is still held.
    kept: Vec<Record>,
    closing: Arc<AtomicBool>,
    is_fenced: bool,
}

/// A partition that is held.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Where it is read on after an abort.
    offset: i64,
    /// Whether the group has committed there.
    committed: bool,
}

impl Seat {
    /// Joins the group; partitions come with the turns.
    pub(super) fn take(terms: Terms, closing: Arc<AtomicBool>) -> Result<Self> {
        let doing = "join a group";
        let (group, topic) = (Arc::clone(&terms.group), Arc::clone(&terms.topic));
        let troubles = terms.settings.troubles.clone();
        let membership = Membership::new((group, topic), Arc::clone(&closing), troubles);
        let config = terms.settings.member(&terms.group);
        let consumer: BaseConsumer<_> =
            config.create_with_context(membership).map_err(Error::broker(doing))?;
        consumer.subscribe(&[&terms.topic_name]).map_err(Error::broker(doing))?;
        let (writer, held, kept) = (None, BTreeMap::new(), Vec::new());
        Ok(Self { terms, consumer, writer, held, kept, closing, is_fenced: false })
    }

    /// Does what it is asked until nobody can ask any more, and leaves the group.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        for command in commands {
            // Whoever asked may have gone meanwhile.
            match command {
                Command::Next(limits, reply) => drop(reply.send(self.next(limits))),
                Command::Commit(outputs, positions, reply) => {
                    drop(reply.send(self.commit(outputs, &positions)));
                }
            }
        }
    }

    fn next(&mut self, limits: Limits) -> Result<Turn> {
        if self.is_fenced {
            return Err(Verdict::fenced(&self.terms.group));
        }
        if !self.kept.is_empty() {
            return Ok(Turn::Records(self.take_kept(limits)));
        }
        let deadline = Instant::now() + TURN;
        let mut batch = Batch::new(limits);
        while !batch.is_full() {
            let wait = if batch.is_empty() { deadline - Instant::now() } else { Duration::ZERO };
            let (trouble, is_quiet) = match self.consumer.poll(wait) {
                Some(Ok(message)) if self.held.contains_key(&message.partition()) => {
                    self.terms.settings.troubles.answered();
                    batch.push(&message);
                    continue;
                }
                Some(Ok(_)) => (None, false),
                Some(Err(error)) => (Some(error), false),
                None => (None, true),
            };
            if let Some(news) = self.consumer.client().context().take_news() {
                return Ok(Turn::Changed(self.change(news, batch)));
            }
            if let Some(error) = trouble {
                self.weigh(&error)?;
            }
            if is_quiet && (!batch.is_empty() || Instant::now() >= deadline)
                || self.closing.load(Ordering::Relaxed)
            {
                break;
            }
        }
        let records = batch.into_records();
        Ok(if records.is_empty() { Turn::Idle } else { Turn::Records(records) })
    }

    fn commit(&mut self, outputs: Vec<Output>, positions: &[Position]) -> Result<Outcome> {
        if positions.iter().any(|at| !self.held.contains_key(&at.partition)) {
            self.is_fenced = true;
        }
        if self.is_fenced {
            return Err(Verdict::fenced(&self.terms.group));
        }
        let verdict = match self.list(positions) {
            Ok(list) if outputs.is_empty() => self.move_positions(&list),
            Ok(list) => self.transact(outputs, &list)?,
            Err(error) => Verdict::Refused(error),
        };
        match verdict {
            Verdict::Committed => {
                self.terms.settings.troubles.answered();
                for at in positions {
                    self.held.insert(at.partition, Held { offset: at.offset, committed: true });
                }
                Ok(Outcome::Committed)
            }
            Verdict::Aborted(error) => {
                telemetry::kafka_aborted(&self.terms.group, &error);
                self.go_back()?;
                Ok(Outcome::Aborted)
            }
            Verdict::Refused(error) => {
                self.go_back()?;
                Err(Error::broker("commit outputs and positions")(error))
            }
            Verdict::Fenced(error) => Err(self.fenced(&error)),
        }
    }

    fn transact(
        &mut self,
        outputs: Vec<Output>,
        positions: &TopicPartitionList,
    ) -> Result<Verdict> {
        let outputs = match self.address(outputs) {
            Ok(outputs) => outputs,
            Err(Error::Broker { source, .. }) => return Ok(Verdict::Aborted(source)),
            Err(error) => {
                self.go_back()?;
                return Err(error);
            }
        };
        let writer = if let Some(writer) = self.writer.take() {
            writer
        } else {
            let names = (&*self.terms.group, self.terms.writer_id.as_str());
            match Writer::open(&self.terms.settings, names, &self.closing) {
                Ok(writer) => writer,
                // A setting or a permission: to join again would not help.
                Err(error) if !is_transient(&error) => return Ok(Verdict::Refused(error)),
                Err(error) => return Ok(Verdict::Fenced(error)),
            }
        };
        let verdict = writer.transact(&outputs, positions, &self.consumer);
        self.writer = Some(writer);
        Ok(verdict)
    }

    /// Finds the topics of outputs.
    fn address(&self, outputs: Vec<Output>) -> Result<Vec<(Topic, Output)>> {
        let mut topics: HashMap<String, Topic> = HashMap::new();
        let mut addressed = Vec::with_capacity(outputs.len());
        for output in outputs {
            let topic = if let Some(topic) = topics.get(&*output.topic) {
                topic.clone()
            } else {
                let topic = self.terms.topics.find_blocking(&output.topic)?;
                topics.insert(output.topic.to_string(), topic.clone());
                topic
            };
            if !(0..topic.partitions).contains(&output.partition) {
                let (topic, partition) = (output.topic.to_string(), output.partition);
                return Err(Error::NoSuchPartition { topic, partition });
            }
            addressed.push((topic, output));
        }
        Ok(addressed)
    }

    /// Commits positions alone.
    fn move_positions(&self, positions: &TopicPartitionList) -> Verdict {
        loop {
            if self.consumer.assignment_lost() {
                return Verdict::Fenced(KafkaError::ConsumerCommit(Code::UnknownMemberId));
            }
            match self.consumer.commit(positions, CommitMode::Sync) {
                Ok(()) => return Verdict::Committed,
                Err(error) => {
                    let code = error.rdkafka_error_code();
                    if code.is_some_and(is_fencing) || self.closing.load(Ordering::Relaxed) {
                        return Verdict::Fenced(error);
                    }
                    if code.is_some_and(is_permanent) {
                        return Verdict::Refused(error);
                    }
                }
            }
            std::thread::sleep(COMMIT_PAUSE);
        }
    }

    /// Reads everything that is held again from where it was committed.
    fn go_back(&mut self) -> Result<()> {
        self.kept.clear();
        let positions: Vec<_> = self
            .held
            .iter()
            .map(|(partition, held)| Position { partition: *partition, offset: held.offset })
            .collect();
        let gone_back = self.list(&positions).and_then(|list| {
            let list = self.consumer.seek_partitions(list, SEEK_MAX)?;
            list.elements().iter().try_for_each(TopicPartitionListElem::error)
        });
        gone_back.map_err(|error| self.fenced(&error))
    }

    /// Takes over what the group has told, and keeps the records of what is still held.
    fn change(&mut self, news: News, batch: Batch) -> Change {
        for partition in &news.lost {
            self.held.remove(partition);
        }
        self.kept = batch.into_records();
        self.kept.retain(|record| self.held.contains_key(&record.partition));
        for gained in &news.gained {
            let held = Held { offset: gained.at.offset, committed: gained.committed };
            self.held.insert(gained.at.partition, held);
        }
        let gained = news.gained.iter().map(|gained| gained.at).collect();
        Change { lost: news.lost, gained }
    }

    fn take_kept(&mut self, limits: Limits) -> Vec<Record> {
        let (mut count, mut bytes) = (0, 0);
        for record in &self.kept {
            if count > 0 && (count >= limits.records || bytes >= limits.bytes) {
                break;
            }
            count += 1;
            bytes += record.value.len();
        }
        let rest = self.kept.split_off(count);
        std::mem::replace(&mut self.kept, rest)
    }

    /// Decides about an error that came with polling. What the library recovers from by itself is nothing.
    fn weigh(&mut self, error: &KafkaError) -> Result<()> {
        let code = error.rdkafka_error_code();
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) || code.is_some_and(is_fencing) {
            return Err(self.fenced(error));
        }
        match code {
            Some(Code::OffsetOutOfRange | Code::AutoOffsetReset) => self.check_lapsed(),
            Some(code) if is_permanent(code) => Err(Error::broker("read a topic")(error.clone())),
            _ => Ok(()),
        }
    }

    /// Finds out which position is not there any more.
    fn check_lapsed(&mut self) -> Result<()> {
        for (partition, held) in &mut self.held {
            let (name, partition) = (&self.terms.topic_name, *partition);
            let Ok((first, end)) = self.consumer.fetch_watermarks(name, partition, WATERMARKS_MAX)
            else {
                continue;
            };
            if (first..=end).contains(&held.offset) {
                continue;
            }
            if held.committed {
                return Err(Error::Lapsed {
                    group: self.terms.group.to_string(),
                    topic: self.terms.topic.to_string(),
                    partition,
                    committed: held.offset,
                    first,
                });
            }
            // The group just begins, and what lapses before it has begun is not its own.
            held.offset = first;
            let sought = self.consumer.seek(name, partition, Offset::Offset(first), SEEK_MAX);
            sought.map_err(Error::broker("go to where a partition begins"))?;
        }
        Ok(())
    }

    fn list(&self, positions: &[Position]) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for at in positions {
            let offset = Offset::Offset(at.offset);
            list.add_partition_offset(&self.terms.topic_name, at.partition, offset)?;
        }
        Ok(list)
    }

    fn fenced(&mut self, error: &KafkaError) -> Error {
        telemetry::kafka_fenced(&self.terms.group, error);
        self.is_fenced = true;
        Verdict::fenced(&self.terms.group)
    }
}
