//! Writing what was accepted, many requests in one transaction.
//!
//! A writer takes whatever is ready, writes it in one call of one statement, and answers; meanwhile the next group
//! gathers.
//! A second writer begins when as much waits as is being written, so that groups do not fall apart into small ones.
//! So there is no timer: a single request is written at once, and under load the groups grow by themselves.
//! A request is whole in one group, so that a batch is stored or not, and never half.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use tidings::wake;
use tidings_pipeline::{Headers, topic};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{Error, Result, gate::Room, metrics::Metrics, refusal::Refusal, store, telemetry};

/// How many rows are written in one call, unless a single request has more.
const GROUP_ROWS_MAX: usize = 4096;

/// How many bytes are written in one call, unless a single request has more.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How often a call is repeated that the database rolled back because of another one.
const COLLISIONS_MAX: u32 = 3;

/// The topic of what comes in.
const TOPIC: &str = topic::RAW;

/// An event that is to be registered.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) event_type: Arc<str>,
    pub(crate) version: i16,
    pub(crate) payload: String,
    pub(crate) telemetry: String,
    pub(crate) headers: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) occurred_at: Option<DateTime<Utc>>,
}

/// A request that is to be appended to the raw log.
#[derive(Debug)]
pub(crate) struct Record {
    /// By which it is known if it is sent again.
    pub(crate) sha256: [u8; 32],
    pub(crate) key: Option<String>,
    pub(crate) headers: Headers,
    pub(crate) value: Bytes,
}

/// What became of an entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Written {
    Registered(Uuid),
    /// It had been registered before, under the same message id.
    Repeated(Uuid),
    /// Another event had been registered under the same message id.
    Conflict(Uuid),
    /// The catalogue has changed meanwhile, or there is no partition for today.
    Refused(String),
}

/// What a writer writes.
pub(crate) trait Row: Sized + Send + Sync + 'static {
    /// What the database says of each.
    type Answer: Send + 'static;

    /// The writer's name in metrics and log lines.
    const WRITER: &'static str;

    fn bytes(&self) -> usize;

    /// Writes rows in one transaction; the answer is as long as `rows`.
    fn write(
        conn: &mut PgConnection,
        turn: i64,
        rows: &[&Self],
    ) -> impl Future<Output = Result<Vec<Self::Answer>>> + Send;
}

impl Row for Entry {
    type Answer = Written;

    const WRITER: &'static str = "event";

    fn bytes(&self) -> usize {
        self.payload.len() + self.telemetry.len()
    }

    async fn write(conn: &mut PgConnection, _: i64, rows: &[&Self]) -> Result<Vec<Written>> {
        let written = store::register_each(conn, rows).await?;
        let mut lanes = Vec::new();
        let written = written.iter().map(|text| Written::parse(text, &mut lanes)).collect();
        // It is committed: the statement was its own transaction.
        wake::note(&lanes);
        wake::wake();
        Ok(written)
    }
}

impl Row for Record {
    type Answer = Option<i64>;

    const WRITER: &'static str = "log";

    fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        headers.sum::<usize>() + self.value.len()
    }

    async fn write(conn: &mut PgConnection, turn: i64, rows: &[&Self]) -> Result<Vec<Option<i64>>> {
        store::accept(conn, TOPIC, turn, rows).await
    }
}

impl Written {
    /// Reads what the database function answers: an event's id and the lanes with commas between, or a status and the
    /// id of another event.
    fn parse(text: &str, lanes: &mut Vec<i32>) -> Self {
        let (first, second) = text.split_once(' ').unwrap_or((text, ""));
        if let Ok(event_id) = first.parse() {
            lanes.extend(wake::parse(second));
            return Self::Registered(event_id);
        }
        match (first, second.parse()) {
            ("repeated", Ok(event_id)) => Self::Repeated(event_id),
            ("idempotency_conflict", Ok(event_id)) => Self::Conflict(event_id),
            _ => Self::Refused(first.to_owned()),
        }
    }
}

/// Where requests are handed in.
#[derive(Debug)]
pub(crate) struct Gatherer<R: Row> {
    sender: mpsc::UnboundedSender<Request<R>>,
    timeout: Duration,
}

#[derive(Debug)]
struct Request<R: Row> {
    rows: Vec<R>,
    /// Given back when the rows are written, even if nobody waits for them any more.
    _room: Arc<Room>,
    answer: oneshot::Sender<Result<Vec<R::Answer>, Refusal>>,
}

/// What the writers of a relay share.
#[derive(Clone, Debug)]
pub(crate) struct Writers {
    pub(crate) pool: PgPool,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) count: u16,
    pub(crate) timeout: Duration,
    /// Cancelled when nothing can be handed in any more.
    pub(crate) ended: CancellationToken,
}

impl<R: Row> Gatherer<R> {
    /// Starts the writers.
    pub(crate) fn start(writers: &Writers, tasks: &TaskTracker) -> Self {
        // What waits here is bounded by the gate.
        let (sender, receiver) = mpsc::unbounded_channel();
        let queue =
            Arc::new(Queue { receiver: Mutex::new(receiver), writing: watch::Sender::new(0) });
        for turn in 0..writers.count {
            tasks.spawn(write_groups(writers.clone(), Arc::clone(&queue), i64::from(turn)));
        }
        Self { sender, timeout: writers.timeout }
    }

    /// Writes rows, and answers when they are committed.
    ///
    /// # Errors
    ///
    /// 503 where the database does not answer in time: the rows may be there all the same.
    ///
    /// # Cancel safety
    ///
    /// Rows that were handed in may be written.
    pub(crate) async fn write(
        &self,
        rows: Vec<R>,
        room: &Arc<Room>,
    ) -> Result<Vec<R::Answer>, Refusal> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let (answer, answered) = oneshot::channel();
        let request = Request { rows, _room: Arc::clone(room), answer };
        self.sender.send(request).map_err(|_| unavailable())?;
        match tokio::time::timeout(self.timeout, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(unavailable()),
        }
    }
}

#[cfg(any(test, fuzzing))]
impl<R: Row> Gatherer<R> {
    /// Starts a writer without a database: it keeps the rows, and answers as it is told.
    pub(crate) fn keeping(
        answer: fn(&R) -> R::Answer,
        kept: Arc<std::sync::Mutex<Vec<R>>>,
    ) -> Self {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Request<R>>();
        tokio::spawn(async move {
            while let Some(request) = receiver.recv().await {
                let answers = request.rows.iter().map(answer).collect();
                let mut kept = kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                kept.extend(request.rows);
                drop(request.answer.send(Ok(answers)));
            }
        });
        Self { sender, timeout: Duration::MAX }
    }
}

/// What the writers of one kind share.
struct Queue<R: Row> {
    receiver: Mutex<mpsc::UnboundedReceiver<Request<R>>>,
    /// How many rows are being written.
    writing: watch::Sender<usize>,
}

/// What one writer writes at a time.
struct Group<R: Row> {
    requests: Vec<Request<R>>,
    rows: usize,
    bytes: usize,
}

/// Writes one group after the other until the relay has ended.
async fn write_groups<R: Row>(writers: Writers, queue: Arc<Queue<R>>, mut turn: i64) {
    loop {
        let group = {
            let mut receiver = queue.receiver.lock().await;
            tokio::select! {
                biased;
                group = Group::gather(&mut receiver, queue.writing.subscribe()) => match group {
                    Some(group) => group,
                    None => return,
                },
                () = writers.ended.cancelled() => return,
            }
        };
        let rows = group.rows;
        queue.writing.send_modify(|writing| *writing += rows);
        write_group(&writers, turn, group.requests).await;
        queue.writing.send_modify(|writing| *writing -= rows);
        turn += i64::from(writers.count);
    }
}

impl<R: Row> Group<R> {
    /// Waits for a request, and takes what is ready: as much as is being written meanwhile, if that is not over before.
    /// Nothing where nobody can hand in any more.
    async fn gather(
        receiver: &mut mpsc::UnboundedReceiver<Request<R>>,
        mut writing: watch::Receiver<usize>,
    ) -> Option<Self> {
        let mut group = Self { requests: Vec::new(), rows: 0, bytes: 0 };
        group.take(receiver.recv().await?);
        loop {
            while !group.is_full()
                && let Ok(next) = receiver.try_recv()
            {
                group.take(next);
            }
            if group.is_full() || group.rows >= *writing.borrow_and_update() {
                return Some(group);
            }
            tokio::select! {
                next = receiver.recv() => match next {
                    Some(next) => group.take(next),
                    None => return Some(group),
                },
                // An error would be the end of the writers.
                _ = writing.changed() => {}
            }
        }
    }

    fn take(&mut self, request: Request<R>) {
        // Whoever has gone away does not need it written.
        if !request.answer.is_closed() {
            self.rows += request.rows.len();
            self.bytes += request.rows.iter().map(Row::bytes).sum::<usize>();
            self.requests.push(request);
        }
    }

    const fn is_full(&self) -> bool {
        self.rows >= GROUP_ROWS_MAX || self.bytes >= GROUP_BYTES_MAX
    }
}

async fn write_group<R: Row>(writers: &Writers, turn: i64, group: Vec<Request<R>>) {
    if group.is_empty() {
        return;
    }
    let rows: Vec<&R> = group.iter().flat_map(|request| &request.rows).collect();
    match write(writers, turn, &rows).await {
        Ok(answers) => {
            let mut answers = answers.into_iter();
            for request in group {
                let own = answers.by_ref().take(request.rows.len()).collect();
                // Whoever has gone away since may ask again.
                drop(request.answer.send(Ok(own)));
            }
        }
        // One of them is at fault, and the others are not to suffer for it.
        Err(Error::Unstorable { .. }) if group.len() > 1 => {
            for request in group {
                Box::pin(write_group(writers, turn, vec![request])).await;
            }
        }
        Err(error) => {
            if matches!(error, Error::Unstorable { .. }) {
                telemetry::unstorable(R::WRITER, &error);
            } else {
                telemetry::unwritten(R::WRITER, group.len(), &error);
            }
            for request in group {
                drop(request.answer.send(Err(refusal(&error))));
            }
        }
    }
}

async fn write<R: Row>(writers: &Writers, turn: i64, rows: &[&R]) -> Result<Vec<R::Answer>> {
    let mut collisions = 0;
    loop {
        let begun = Instant::now();
        match write_once(writers, turn, rows).await {
            Ok(answers) => {
                writers.metrics.committed(R::WRITER, rows.len(), begun.elapsed());
                return Ok(answers);
            }
            Err(error) if error.is_collision() && collisions < COLLISIONS_MAX => collisions += 1,
            Err(error) => {
                writers.metrics.uncommitted(R::WRITER);
                return Err(error);
            }
        }
    }
}

async fn write_once<R: Row>(writers: &Writers, turn: i64, rows: &[&R]) -> Result<Vec<R::Answer>> {
    let deadline = tokio::time::Instant::now() + writers.timeout;
    let acquired = tokio::time::timeout_at(deadline, writers.pool.acquire()).await;
    let mut conn = match acquired {
        Ok(conn) => conn.map_err(Error::unanswered("connect to the database"))?,
        Err(_) => return Err(late("connect to the database")),
    };
    let written = tokio::time::timeout_at(deadline, R::write(&mut conn, turn, rows)).await;
    let written = written.unwrap_or_else(|_| Err(late("wait for the commit")));
    if matches!(written, Err(Error::Unanswered { .. })) {
        // A session that hangs is not given to the next one.
        drop(conn.detach());
    }
    written
}

fn late(doing: &'static str) -> Error {
    Error::Unanswered { doing, source: sqlx::Error::PoolTimedOut }
}

fn refusal(error: &Error) -> Refusal {
    match error {
        Error::Unstorable { .. } => {
            Refusal::invalid("unstorable", "the database cannot store what was sent")
        }
        Error::SchemaMissing(_) => Refusal::busy(
            "not_ready",
            "the database is not ready for this relay; send it again later",
        ),
        _ => unavailable(),
    }
}

fn unavailable() -> Refusal {
    Refusal::busy("unavailable", "the database does not answer; send it again later")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_of_the_database_is_read() {
        let id: Uuid = "0192f0c1-7c1e-7000-8000-000000000001".parse().unwrap();
        let mut lanes = Vec::new();
        for (text, expected) in [
            (format!("{id} 4,7"), Written::Registered(id)),
            (format!("{id}"), Written::Registered(id)),
            (format!("repeated {id}"), Written::Repeated(id)),
            (format!("idempotency_conflict {id}"), Written::Conflict(id)),
            ("retired_type".to_owned(), Written::Refused("retired_type".to_owned())),
        ] {
            assert_eq!(Written::parse(&text, &mut lanes), expected);
        }
        assert_eq!(lanes, [4, 7]);
    }
}
