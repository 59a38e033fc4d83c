//! A member of a group, as its user sees it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Sender},
    },
    thread,
    time::Duration,
};

use rdkafka::error::KafkaError;
use tokio::sync::oneshot;

use super::seat::{Command, Seat, Terms};
use crate::{
    Error, Result,
    log::{Limits, Member, Outcome, Position, Turn},
    record::Output,
};

/// How long a call waits for the thread, which may be waiting for the cluster itself.
const TURN_MAX: Duration = Duration::from_millis(500);

/// How long leaving may take; afterwards it goes on by itself.
const LEAVE_MAX: Duration = Duration::from_secs(5);

/// A member of a group on Kafka; dropped, it leaves the group.
pub struct KafkaMember {
    group: Arc<str>,
    commands: Option<Sender<Command>>,
    closing: Arc<AtomicBool>,
    /// A turn that was asked for and has not come yet.
    asked: Option<oneshot::Receiver<Result<Turn>>>,
    /// A turn that came when nobody waited for it.
    early: Option<Result<Turn>>,
    gone: oneshot::Receiver<()>,
}

impl KafkaMember {
    pub(super) fn start(terms: Terms) -> Result<Self> {
        let (commands, received) = mpsc::channel();
        let (going, gone) = oneshot::channel();
        let (group, closing) = (Arc::clone(&terms.group), Arc::new(AtomicBool::new(false)));
        let seat = Seat::take(terms, Arc::clone(&closing))?;
        let run = move || {
            seat.run(&received);
            // Whoever left may not have waited.
            going.send(()).unwrap_or_default();
        };
        let started = thread::Builder::new().name(format!("kafka {group}")).spawn(run);
        started.map_err(|error| {
            Error::broker("start a thread")(KafkaError::ClientCreation(error.to_string()))
        })?;
        let commands = Some(commands);
        Ok(Self { group, commands, closing, asked: None, early: None, gone })
    }

    fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<oneshot::Receiver<T>> {
        let (reply, answer) = oneshot::channel();
        let commands = self.commands.as_ref().ok_or_else(|| self.fenced())?;
        commands.send(command(reply)).map_err(|_| self.fenced())?;
        Ok(answer)
    }

    fn fenced(&self) -> Error {
        Error::Fenced { group: self.group.to_string() }
    }
}

impl Member for KafkaMember {
    async fn next(&mut self, limits: Limits) -> Result<Turn> {
        if let Some(early) = self.early.take() {
            return early;
        }
        let mut asked = match self.asked.take() {
            Some(asked) => asked,
            None => self.ask(|reply| Command::Next(limits, reply))?,
        };
        let Ok(answer) = tokio::time::timeout(TURN_MAX, &mut asked).await else {
            self.asked = Some(asked);
            return Ok(Turn::Idle);
        };
        answer.map_err(|_| self.fenced())?
    }

    async fn commit(&mut self, outputs: Vec<Output>, positions: &[Position]) -> Result<Outcome> {
        if let Some(asked) = self.asked.take() {
            self.early = Some(asked.await.map_err(|_| self.fenced())?);
        }
        let answer = self.ask(|reply| Command::Commit(outputs, positions.to_vec(), reply))?;
        let outcome = answer.await.map_err(|_| self.fenced())?;
        if !matches!(outcome, Ok(Outcome::Committed))
            && matches!(self.early, Some(Ok(Turn::Records(_))))
        {
            // They come again.
            self.early = None;
        }
        outcome
    }

    async fn leave(mut self) {
        self.commands = None;
        self.closing.store(true, Ordering::Relaxed);
        // A cluster that is away hears of it by itself, by a timeout.
        drop(tokio::time::timeout(LEAVE_MAX, &mut self.gone).await);
    }
}

impl Drop for KafkaMember {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for KafkaMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaMember").field("group", &self.group).finish_non_exhaustive()
    }
}
