//! A member of a group: holds partitions, fetches from them, and commits.
//!
//! ```text
//! shard held under a term ──adopt──▶ gained ──fetch──▶ … ──commit──▶ …
//!                            │                            │
//!                            └ waits for an open commit   └ matched by the term that was adopted last
//!                              of whoever held it before    and by the number of commits before it
//! ```
//!
//! Who holds a shard may change at any time; who has adopted its partition decides whose commits take effect.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use tidings_ownership::{Holdings, ShardId, ShardState};
use tokio::{sync::watch, time::Instant};

use super::{
    Postgres,
    batch::Batch,
    seat::Seat,
    share,
    store::{self, Adopted, Cursors, Joined, Moves, Status},
};
use crate::{
    Error, Result,
    log::{Change, Limits, Member, Outcome, Position, Turn},
    record::{Output, Record},
    telemetry,
};

/// How long a call waits for something to happen.
const IDLE: Duration = Duration::from_millis(500);

/// How soon a partition is looked at again in which there was nothing; then later and later.
const POLL_MIN: Duration = Duration::from_millis(20);

/// How late at most.
const POLL_MAX: Duration = Duration::from_millis(500);

/// How soon a commit is asked for again that was not answered; then later and later.
const AGAIN_MIN: Duration = Duration::from_millis(50);

/// How late at most.
const AGAIN_MAX: Duration = Duration::from_secs(2);

/// A member of a group of a log in Postgres.
///
/// Dropped, it gives back what it holds in the background, where there is a runtime to do so.
#[derive(Debug)]
pub struct PostgresMember {
    log: Postgres,
    group: String,
    topic: String,
    joined: Joined,
    seat: Seat,
    parts: BTreeMap<i32, Part>,
    /// What was given back, under the term it had last.
    released: BTreeMap<i32, i64>,
    /// Changes when something is written to the topic in this process.
    written: watch::Receiver<()>,
    poll: Duration,
    /// How often it has fetched: each partition comes first in its turn.
    turns: usize,
}

/// A partition that was adopted.
#[derive(Clone, Copy, Debug)]
struct Part {
    term: i64,
    commits: i64,
    committed: Option<i64>,
    /// What is fetched next.
    next: i64,
    /// The time of the last record that was fetched.
    time: Option<DateTime<Utc>>,
}

impl From<&Adopted> for Part {
    fn from(adopted: &Adopted) -> Self {
        Self {
            term: adopted.term,
            commits: adopted.commits,
            committed: adopted.committed,
            next: adopted.committed.unwrap_or(adopted.first),
            time: None,
        }
    }
}

impl PostgresMember {
    /// Returns a member that has taken its seat and adopted nothing yet.
    pub(super) fn new(log: Postgres, names: (String, String), joined: Joined, seat: Seat) -> Self {
        let (group, topic) = names;
        let written = log.written(&topic);
        Self {
            log,
            group,
            topic,
            joined,
            seat,
            parts: BTreeMap::new(),
            released: BTreeMap::new(),
            written,
            poll: POLL_MIN,
            turns: 0,
        }
    }

    fn fenced(&self) -> Error {
        Error::Fenced { group: self.group.clone() }
    }

    /// Follows what is held: forgets what is lost, gives back what is too much, adopts what has come.
    async fn follow(&mut self, holdings: &Holdings) -> Result<Option<Change>> {
        let held = self.held(holdings);
        let adopted = self.parts.iter().map(|(partition, part)| (*partition, part.term)).collect();
        let plan = share::plan(&held, &adopted, &self.released);
        for partition in &plan.lost {
            self.parts.remove(partition);
        }
        // Nobody works on it any more: a commit needs this member, and so does this call.
        for (partition, term) in plan.released {
            if let Ok(shard) = i16::try_from(partition) {
                let group = self.joined.shards.as_str().into();
                self.seat.release(ShardId { group, shard }, term);
                self.released.insert(partition, term);
            }
        }
        let mut change = Change { lost: plan.lost, gained: Vec::new() };
        if !plan.claims.is_empty() {
            match self.adopt(&plan.claims).await {
                Ok(gained) => change.gained = gained,
                Err(error) if error.is_transient() => telemetry::unadopted(&self.group, &error),
                Err(error) => return Err(error),
            }
        }
        Ok((change != Change::default()).then_some(change))
    }

    fn held(&self, holdings: &Holdings) -> BTreeMap<i32, ShardState> {
        let ours = holdings.shards.iter().filter(|(id, _)| *id.group == *self.joined.shards);
        ours.map(|(id, state)| (i32::from(id.shard), *state)).collect()
    }

    async fn adopt(&mut self, claims: &[(i32, i64)]) -> Result<Vec<Position>> {
        let sessions = &self.log.shared.sessions;
        let group = self.log.name(&self.group);
        let adopted = store::adopt(sessions, &group, self.joined.topic_id, claims).await?;
        for Adopted { partition, committed, first, .. } in &adopted {
            if let Some(committed) = committed.filter(|committed| committed < first) {
                return Err(Error::Lapsed {
                    group: self.group.clone(),
                    topic: self.topic.clone(),
                    partition: *partition,
                    committed,
                    first: *first,
                });
            }
        }
        let gained = adopted.iter().map(|adopted| {
            let part = Part::from(adopted);
            self.parts.insert(adopted.partition, part);
            Position { partition: adopted.partition, offset: part.next }
        });
        Ok(gained.collect())
    }

    async fn fetch(&mut self, limits: Limits) -> Result<Vec<Record>> {
        let mut cursors = Cursors::default();
        let first = self.turns % self.parts.len().max(1);
        for (partition, part) in self.parts.iter().cycle().skip(first).take(self.parts.len()) {
            cursors.partitions.push(*partition);
            cursors.offsets.push(part.next);
            cursors.times.push(part.time);
        }
        self.turns = self.turns.wrapping_add(1);
        let sessions = &self.log.shared.sessions;
        let records = store::fetch(sessions, self.joined.topic_id, &cursors, limits).await?;
        for record in &records {
            if let Some(part) = self.parts.get_mut(&record.partition) {
                (part.next, part.time) = (record.offset + 1, Some(record.appended_at));
            }
        }
        Ok(records)
    }

    /// Waits for a change of what is held, for somebody in this process to write, or for the next look.
    async fn wait(&mut self, deadline: Instant) -> Result<()> {
        let next_look = (Instant::now() + self.poll).min(deadline);
        tokio::select! {
            // The task that holds ends with this member only.
            held = self.seat.holdings.changed() => held.map_err(|_| self.fenced())?,
            // The log, and with it whoever says so, lives as long as this member.
            _ = self.written.changed() => self.poll = POLL_MIN,
            () = tokio::time::sleep_until(next_look) => self.poll = (self.poll * 2).min(POLL_MAX),
        }
        Ok(())
    }

    /// Returns the moves of a commit: without positions, what is held stays where it is, and is the fence all the same.
    fn moves(&self, positions: &[Position]) -> Result<Moves> {
        let mut offsets: BTreeMap<i32, Option<i64>> =
            positions.iter().map(|at| (at.partition, Some(at.offset))).collect();
        if offsets.is_empty() {
            offsets =
                self.parts.iter().map(|(partition, part)| (*partition, part.committed)).collect();
        }
        let mut moves = Moves::default();
        for (partition, offset) in offsets {
            let part = self.parts.get(&partition).ok_or_else(|| self.fenced())?;
            moves.partitions.push(partition);
            moves.terms.push(part.term);
            moves.commits.push(part.commits);
            moves.offsets.push(offset);
        }
        Ok(moves)
    }

    /// Asks for a commit until it is known what became of it.
    async fn settle(&self, moves: &Moves, batch: &Batch<'_>) -> Result<Status> {
        let group = self.log.name(&self.group);
        let group = (group.as_str(), self.joined.topic_id);
        let mut pause = AGAIN_MIN;
        loop {
            let sessions = &self.log.shared.sessions;
            let error = match store::commit(sessions, group, moves, batch).await {
                Ok(status) => return Ok(status),
                Err(error) => error,
            };
            let is_of_missing_day = store::is_of_missing_day(&error);
            if !is_of_missing_day && !error.is_transient() {
                return Err(error);
            }
            telemetry::uncommitted(&self.group, &error);
            if self.seat.is_lost() {
                return Ok(Status::Fenced);
            }
            if is_of_missing_day && self.log.keep_once().await.is_ok() {
                continue;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(AGAIN_MAX);
        }
    }
}

impl Member for PostgresMember {
    async fn next(&mut self, limits: Limits) -> Result<Turn> {
        let deadline = Instant::now() + IDLE;
        loop {
            // Before the look, or what is written between it and the wait would be missed.
            self.written.mark_unchanged();
            let holdings = self.seat.look().ok_or_else(|| self.fenced())?;
            self.log.shared.sessions.follow(holdings.session);
            if let Some(change) = self.follow(&holdings).await? {
                self.poll = POLL_MIN;
                return Ok(Turn::Changed(change));
            }
            // Somebody else may have the partitions already; what is fetched then is for nothing.
            if holdings.is_trusted(Instant::now()) && !self.parts.is_empty() {
                match self.fetch(limits).await {
                    Ok(records) if !records.is_empty() => {
                        self.poll = POLL_MIN;
                        return Ok(Turn::Records(records));
                    }
                    Ok(_) => {}
                    Err(error) if error.is_transient() => telemetry::unfetched(&self.group, &error),
                    Err(error) => return Err(error),
                }
            }
            if Instant::now() >= deadline {
                return Ok(Turn::Idle);
            }
            self.wait(deadline).await?;
        }
    }

    async fn commit(&mut self, outputs: Vec<Output>, positions: &[Position]) -> Result<Outcome> {
        let moves = self.moves(positions)?;
        let batch = Batch::new(&self.log.shared.options.prefix, &outputs);
        if self.settle(&moves, &batch).await? == Status::Fenced {
            return Err(self.fenced());
        }
        for (partition, offset) in moves.partitions.iter().zip(&moves.offsets) {
            if let Some(part) = self.parts.get_mut(partition) {
                part.commits += 1;
                part.committed = *offset;
            }
        }
        self.log.wake(outputs.iter().map(|output| &*output.topic));
        Ok(Outcome::Committed)
    }

    async fn leave(self) {
        self.seat.leave().await;
    }
}
