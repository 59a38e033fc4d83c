//! A lane in the hands of its owner: what may start, and where to go on reading.
//!
//! All of it is in memory and belongs to one task, so a limit of requests in flight and a rate are exact.
//! It does no I/O; the clock comes in as an argument.
//!
//! Reading goes by a cursor, the last key read, because the beginning of a lane may be full of dead rows that a
//! pinned horizon keeps. A pass ends when a read reaches the end of what is due; then the cursor goes back to the
//! bound as it was when the pass began, below which nothing new can appear.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use tidings_ownership::ShardId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{bucket::Bucket, health::Health, ladder::Ladder, roster::Opened, store::Key};

/// How often a lane is read from its beginning, as a backstop that should find nothing.
const SWEEP_EVERY: Duration = Duration::from_hours(1);

/// While a long writing transaction holds the bound back by more than this, the cursor goes back to it at most once
/// in [`RETURN_EVERY`], because what lies between is read again.
const LAG_MAX: Duration = Duration::from_secs(5);

/// See [`LAG_MAX`].
const RETURN_EVERY: Duration = Duration::from_secs(1);

/// What the subscriber asks for.
#[derive(Debug)]
pub(crate) struct Terms {
    /// Where deliveries go, or why they cannot.
    pub(crate) destination: Result<Opened, String>,
    pub(crate) ladder: Ladder,
    pub(crate) in_flight_max: usize,
    pub(crate) rate_per_s: Option<f64>,
    /// Paused, disabled or deleted.
    pub(crate) stopped: bool,
}

/// A lane in the hands of its owner.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; together they are no state"
)]
pub(crate) struct Lane {
    pub(crate) shard: ShardId,
    pub(crate) term: i64,
    pub(crate) terms: Terms,
    pub(crate) bucket: Option<Bucket>,
    pub(crate) health: Health,
    /// Drops what is in flight when the term is gone.
    pub(crate) cancel: CancellationToken,
    /// One delivery at a time, because owners of its shard died.
    pub(crate) careful: bool,
    /// Read and not yet settled: delivery id to the due time it was read with.
    pub(crate) known: HashMap<i64, DateTime<Utc>>,
    /// Handed to the destination and not yet answered.
    pub(crate) in_flight: usize,
    /// There may be rows to read.
    pub(crate) ready: bool,
    /// It stands in the queue of lanes to be read.
    pub(crate) queued: bool,
    /// A read of it is under way.
    pub(crate) reading: bool,
    /// Something was written to it while it was being read.
    pub(crate) stirred: bool,
    /// Nothing may start before: the destination asked for it.
    not_before: Option<Instant>,
    /// When the database was known to know it.
    noted_at: Option<Instant>,
    /// When the next row is due, as far as is known.
    pub(crate) wake_at: Option<Instant>,
    pub(crate) used_at: Instant,
    cursor: Option<Key>,
    pass: Pass,
    swept_at: Instant,
    sweeping: bool,
    returned_at: Instant,
}

/// Where reading stands between the cursor's returns to the bound.
#[derive(Clone, Copy, Debug)]
enum Pass {
    /// The next read begins a pass.
    Between,
    /// A pass is under way; the bound is the one of its beginning, if there was one.
    Since(Option<DateTime<Utc>>),
}

/// What a read of a lane brought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// The last key that was read, parked rows included.
    pub(crate) last: Option<Key>,
    /// Whether everything that was due has been read.
    pub(crate) end: bool,
    /// The bound, from a horizon drawn before the read.
    pub(crate) bound: Option<DateTime<Utc>>,
    /// The database's clock.
    pub(crate) clock: Option<DateTime<Utc>>,
}

impl Lane {
    pub(crate) fn new(
        (shard, term): (ShardId, i64),
        terms: Terms,
        health: Health,
        now: Instant,
    ) -> Self {
        Self {
            shard,
            term,
            bucket: terms.rate_per_s.map(|rate| Bucket::new(rate, now)),
            terms,
            health,
            cancel: CancellationToken::new(),
            careful: false,
            known: HashMap::new(),
            in_flight: 0,
            ready: true,
            queued: false,
            reading: false,
            stirred: false,
            not_before: None,
            noted_at: None,
            wake_at: None,
            used_at: now,
            cursor: None,
            pass: Pass::Between,
            swept_at: now,
            sweeping: true,
            returned_at: now,
        }
    }

    /// Takes over what the subscriber asks for now.
    pub(crate) fn change(&mut self, terms: Terms, now: Instant) {
        if terms.rate_per_s != self.terms.rate_per_s {
            self.bucket = terms.rate_per_s.map(|rate| Bucket::new(rate, now));
        }
        self.terms = terms;
        // A resumed lane has what was due while it was stopped.
        self.ready = true;
    }

    /// Holds everything back until then; answers whether that is longer than it was.
    pub(crate) fn hold_back(&mut self, until: Instant) -> bool {
        if self.not_before.is_some_and(|before| until <= before) {
            return false;
        }
        (self.not_before, self.noted_at) = (Some(until), None);
        self.due_at(until);
        true
    }

    /// Takes note that the database knows how long the lane is held back.
    pub(crate) fn noted(&mut self, now: Instant) {
        self.noted_at = Some(now);
    }

    /// Takes over how long the database, read from `began` on, says that the lane is held back: a person may have ended
    /// that. What the database did not know yet stands.
    pub(crate) fn held_back(&mut self, until: Option<Instant>, began: Instant) {
        if self.not_before.is_none() || self.noted_at.is_some_and(|at| at < began) {
            self.not_before = until;
            self.noted_at = Some(began);
        } else {
            self.not_before = self.not_before.max(until);
        }
    }

    /// Returns how many deliveries may start at `now`.
    pub(crate) fn capacity(&mut self, now: Instant) -> usize {
        if self.terms.stopped || self.not_before.is_some_and(|floor| now < floor) {
            return 0;
        }
        let slots = self.health.slots(self.slots(), self.in_flight, now);
        let free = slots.saturating_sub(self.in_flight);
        match &mut self.bucket {
            Some(bucket) => free.min(bucket.available(now)),
            None => free,
        }
    }

    /// Returns how many deliveries may be in flight while the destination is well.
    pub(crate) const fn slots(&self) -> usize {
        if self.careful { 1 } else { self.terms.in_flight_max }
    }

    /// Returns when a lane without capacity may have some again by the passing of time alone.
    pub(crate) fn reopens_at(&self, now: Instant) -> Option<Instant> {
        if self.terms.stopped {
            return None;
        }
        match self.not_before {
            Some(floor) if now < floor => Some(floor),
            _ if self.health.slots(self.slots(), self.in_flight, now) == 0 => {
                self.health.reopens_at(now)
            }
            _ => self.bucket.map(|bucket| now + bucket.wait()),
        }
    }

    /// Returns after which key to read, and how many rows to ask for to find `capacity` new ones: those already known
    /// that lie above the cursor are read again.
    pub(crate) fn position(&self, capacity: usize) -> (Option<Key>, usize) {
        let again = match self.cursor {
            Some(cursor) => self.known.iter().filter(|(id, due)| (**due, **id) > cursor).count(),
            None => self.known.len(),
        };
        (self.cursor, capacity + again)
    }

    /// Notes how far a read has come.
    pub(crate) fn advance(&mut self, progress: Progress, now: Instant) {
        let bound = match self.pass {
            Pass::Since(bound) => bound,
            Pass::Between => progress.bound,
        };
        if !progress.end {
            self.pass = Pass::Since(bound);
            if progress.last.is_some() {
                self.cursor = progress.last;
            }
            return;
        }
        self.pass = Pass::Between;
        self.sweeping = false;
        let lagging = match (bound, progress.clock) {
            (Some(bound), Some(clock)) => (clock - bound).to_std().is_ok_and(|lag| lag > LAG_MAX),
            _ => false,
        };
        if now.duration_since(self.swept_at) > SWEEP_EVERY {
            self.swept_at = now;
            self.sweeping = true;
            self.cursor = None;
            self.ready = true;
        } else if lagging && now.duration_since(self.returned_at) < RETURN_EVERY {
            self.cursor = progress.last.or(self.cursor);
        } else {
            self.returned_at = now;
            // Every row up to the bound that will ever be there has been read.
            self.cursor = bound.map(|bound| (bound, i64::MAX));
        }
    }

    /// Reads from the beginning next time: a row that was read was not started, or has moved.
    pub(crate) fn rewind(&mut self) {
        self.cursor = None;
        self.pass = Pass::Between;
        self.ready = true;
    }

    /// Returns whether the present pass is a sweep that should find nothing new, other than the first.
    pub(crate) fn is_backstop(&self, now: Instant) -> bool {
        self.sweeping && self.swept_at == now
    }

    /// Notes that a row will be due at `at`.
    pub(crate) fn due_at(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }

    /// Returns whether nothing of it is in anybody's hands.
    pub(crate) fn is_drained(&self) -> bool {
        self.known.is_empty() && !self.reading
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::health::Rules;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
    }

    fn lane(in_flight_max: usize, rate_per_s: Option<f64>) -> Lane {
        let terms = Terms {
            destination: Err("none".to_owned()),
            ladder: Ladder::default(),
            in_flight_max,
            rate_per_s,
            stopped: false,
        };
        let shard = ShardId { group: "memory".into(), shard: 0 };
        Lane::new((shard, 1), terms, Health::new(Rules::default()), Instant::now())
    }

    fn read(last: i64, end: bool, bound: i64) -> Progress {
        Progress {
            last: Some((at(last), last)),
            end,
            bound: Some(at(bound)),
            clock: Some(at(bound)),
        }
    }

    #[test]
    fn backlog_is_read_on_from_the_last_key() {
        let mut lane = lane(10, None);
        let now = Instant::now();
        lane.advance(read(5, false, 100), now);
        assert_eq!(lane.position(10).0, Some((at(5), 5)));
        lane.advance(read(9, false, 101), now);
        assert_eq!(lane.position(10).0, Some((at(9), 9)));
    }

    #[test]
    fn end_of_a_pass_goes_back_to_the_bound_as_it_was_when_the_pass_began() {
        let mut lane = lane(10, None);
        let now = Instant::now();
        lane.advance(read(5, false, 3), now);
        lane.advance(read(9, true, 8), now);
        assert_eq!(lane.position(10).0, Some((at(3), i64::MAX)));
        lane.advance(read(9, true, 8), now);
        assert_eq!(lane.position(10).0, Some((at(8), i64::MAX)));
    }

    #[test]
    fn rows_in_hand_above_the_cursor_are_asked_for_on_top() {
        let mut lane = lane(10, None);
        lane.known.extend([(1, at(1)), (7, at(7)), (8, at(8))]);
        assert_eq!(lane.position(4), (None, 7));
        lane.advance(read(5, false, 100), Instant::now());
        assert_eq!(lane.position(4), (Some((at(5), 5)), 6));
    }

    #[test]
    fn capacity_is_the_least_of_slots_rate_floor_and_pause() {
        let now = Instant::now();
        let mut lane = lane(10, Some(30.0));
        assert_eq!(lane.capacity(now), 3);
        lane.in_flight = 9;
        assert_eq!(lane.capacity(now), 1);
        lane.in_flight = 0;
        lane.careful = true;
        assert_eq!(lane.capacity(now), 1);
        lane.not_before = Some(now + Duration::from_secs(1));
        assert_eq!(lane.capacity(now), 0);
        assert_eq!(lane.reopens_at(now), lane.not_before);
        assert_eq!(lane.capacity(now + Duration::from_secs(1)), 1);
        lane.terms.stopped = true;
        assert_eq!(lane.capacity(now + Duration::from_secs(2)), 0);
    }

    #[test]
    fn long_transaction_that_holds_the_bound_back_does_not_make_every_read_start_there() {
        let mut lane = lane(10, None);
        let start = Instant::now();
        let progress = |last| Progress {
            last: Some((at(last), last)),
            end: true,
            bound: Some(at(0)),
            clock: Some(at(100)),
        };
        lane.advance(progress(90), start);
        assert_eq!(lane.position(1).0, Some((at(90), 90)));
        lane.advance(progress(91), start + RETURN_EVERY);
        assert_eq!(lane.position(1).0, Some((at(0), i64::MAX)));
    }
}
