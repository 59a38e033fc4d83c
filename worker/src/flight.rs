//! One batch on its way to its destination.
//!
//! No connection is held meanwhile. A panic of the destination is a failed attempt, so is a call that takes too
//! long; when the term of the lane is gone the call is dropped and nothing is said of it.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tidings::{
    deliverer::{Answer, Verdict},
    delivery::Delivery,
};
use tidings_ownership::ShardId;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    pump::Message,
    roster::{Opened, panicked},
    session::Database,
    settlement::Read,
    store,
};

/// What became of one delivery.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) read: Read,
    pub(crate) answer: Answer,
    pub(crate) elapsed: Duration,
    /// Whether it was attempted at all.
    pub(crate) care: Care,
}

/// What careful mode has to say about a delivery; other deliveries are always attempted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Care {
    /// It was attempted.
    Attempted,
    /// It could not be noted that it was about to start, so it was not started.
    Unnoted,
    /// Its worker has died too often while it was alone in flight.
    Poison,
}

/// What became of a batch, under the term it was read.
#[derive(Debug)]
pub(crate) struct Landed {
    pub(crate) lane: i32,
    pub(crate) term: i64,
    /// When it left.
    pub(crate) began: Instant,
    pub(crate) outcomes: Vec<Outcome>,
}

/// A batch about to start.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) lane: i32,
    pub(crate) term: i64,
    pub(crate) destination: Result<Opened, String>,
    pub(crate) reads: Vec<Read>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) cancel: CancellationToken,
    pub(crate) careful: Option<Careful>,
}

/// The permission to be alone in flight, in a shard whose owners died.
#[derive(Debug)]
pub(crate) struct Careful {
    pub(crate) database: Database,
    pub(crate) worker_id: Uuid,
    pub(crate) shard: ShardId,
    /// One permit, handed out in the order of asking, so that every careful lane has its turn.
    pub(crate) turn: Arc<Semaphore>,
}

/// A delivery whose worker died so often before is not tried again.
const CRASHES_MAX: i16 = 2;

impl Flight {
    /// Starts the batch in a task of its own.
    pub(crate) fn start(self, messages: mpsc::UnboundedSender<Message>) {
        tokio::spawn(async move {
            let cancel = self.cancel.clone();
            tokio::select! {
                () = cancel.cancelled() => {}
                landed = self.fly() => {
                    // The pump is gone only when the process is.
                    drop(messages.send(Message::Landed(landed)));
                }
            }
        });
    }

    async fn fly(mut self) -> Landed {
        // Held until the delivery has returned.
        let _turn = self.turn().await;
        let began = Instant::now();
        let care = self.take_care().await;
        let answers = match care {
            Care::Attempted => self.deliver().await,
            Care::Unnoted | Care::Poison => Vec::new(),
        };
        let elapsed = began.elapsed();
        let mut answers = answers.into_iter();
        let outcomes = self
            .reads
            .into_iter()
            .map(|read| {
                let answer = answers.next().unwrap_or_else(|| {
                    Answer::failed(
                        Verdict::Retry,
                        "the destination did not answer for this delivery",
                    )
                });
                Outcome { read, answer, elapsed, care }
            })
            .collect();
        Landed { lane: self.lane, term: self.term, began, outcomes }
    }

    /// Waits until a careful delivery may be alone in flight.
    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let turn = Arc::clone(&self.careful.as_ref()?.turn);
        turn.acquire_owned().await.ok()
    }

    /// Notes a careful attempt before it starts.
    async fn take_care(&mut self) -> Care {
        let (Some(careful), Some(read)) = (&self.careful, self.reads.first()) else {
            return Care::Attempted;
        };
        let noted = async {
            let doing = "note a careful attempt";
            let mut tx = careful.database.begin().await.map_err(crate::Error::unanswered(doing))?;
            let crashes =
                store::careful(&mut tx, careful.worker_id, (&careful.shard, self.term), read)
                    .await?;
            tx.commit().await.map_err(crate::Error::unanswered(doing))?;
            Ok::<_, crate::Error>(crashes)
        };
        match noted.await {
            Ok(Some(crashes)) if crashes > CRASHES_MAX => Care::Poison,
            Ok(Some(_)) => Care::Attempted,
            Ok(None) | Err(_) => Care::Unnoted,
        }
    }

    async fn deliver(&self) -> Vec<Answer> {
        let opened = match &self.destination {
            Ok(opened) => opened,
            Err(reason) => return self.all(|| Answer::failed(Verdict::Retry, reason.clone())),
        };
        // The destination may panic when it is asked, and while it works.
        let work = AssertUnwindSafe(async { opened.destination.deliver(&self.deliveries).await })
            .catch_unwind();
        match tokio::time::timeout(opened.timeout, work).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(panic)) => self.all(|| Answer::failed(Verdict::Retry, panicked(panic.as_ref()))),
            Err(_) => self.all(|| {
                let text = format!("no answer within {} ms", opened.timeout.as_millis());
                Answer::failed(Verdict::Retry, text)
            }),
        }
    }

    fn all(&self, answer: impl Fn() -> Answer) -> Vec<Answer> {
        self.reads.iter().map(|_| answer()).collect()
    }
}
