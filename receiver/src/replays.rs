//! Replays: requests that were genuine once, and are sent again by somebody who has listened.
//!
//! A retry is something else: the sender signs it anew, so it has the id of the message and a time of its own. A replay has
//! both the id and the time of a request that has been here, because whoever changes either breaks the signature. So the pair
//! is what is remembered, until the tolerance of the verifier has passed; after that the verifier refuses it anyway.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashSet},
    error, fmt,
    future::{self, Future},
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use ring::digest;

use crate::Verified;

/// How many requests [`Memory::default`] remembers, in at most about 50 MB. Within the usual 300 s, that is 1,600 a second.
const CAPACITY: usize = 500_000;

/// The bytes that are kept of the hash of an id and a time; two requests that share them are never met.
const DIGEST_BYTES: usize = 16;

/// Remembers requests for as long as they could be replayed.
///
/// Several processes that serve one address share what they remember, or a replay goes through once in each of them.
/// [`Memory`] is for one process. To implement it on a database, make the pair of id and timestamp a key, insert it, and answer
/// by whether it was there; the record may go once `until` has passed.
pub trait Replays: fmt::Debug + Send + Sync + 'static {
    /// Records a request that has been verified, and says whether it was here before.
    ///
    /// Of several calls with the same id and timestamp, also at the same time, exactly one is told [`Sighting::First`], as long
    /// as `until` is not over. Both times are of the caller's clock.
    ///
    /// # Errors
    ///
    /// It cannot be said whether it was here. The request is then refused, and the sender tries again.
    fn record<'a>(
        &'a self,
        request: &'a Verified,
        until: SystemTime,
        now: SystemTime,
    ) -> Recorded<'a>;
}

/// What [`Replays::record`] returns: a future in a box, so that the trait can be implemented by what waits for a server.
pub type Recorded<'a> = Pin<Box<dyn Future<Output = Result<Sighting, ReplaysError>> + Send + 'a>>;

/// Whether a request was here before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sighting {
    /// It was not.
    First,
    /// It was: this is a replay.
    Again,
}

/// Nobody can say whether a request was here before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplaysError {
    /// As many requests are remembered as there may be, and none of them can be forgotten yet.
    #[error(
        "remember a request: all {capacity} places are taken by requests that could still be replayed; raise the capacity, or shorten the tolerance"
    )]
    Full {
        /// How many requests are remembered.
        capacity: usize,
    },
    /// What remembers them does not answer.
    #[error("remember a request")]
    Unavailable(#[source] Box<dyn error::Error + Send + Sync>),
}

/// Remembers requests in the memory of this process; forgets them when it ends.
///
/// Only requests that have been verified get a place, so nobody without a key can fill it.
#[derive(Debug)]
pub struct Memory {
    capacity: usize,
    seen: Mutex<Seen>,
}

type Digest = [u8; DIGEST_BYTES];

#[derive(Default)]
struct Seen {
    digests: HashSet<Digest>,
    /// The same, by the time from when they may be forgotten.
    ends: BinaryHeap<Reverse<(SystemTime, Digest)>>,
}

impl Memory {
    /// Returns an empty memory with places for `capacity` requests.
    ///
    /// A request that finds no place is refused, because nobody could tell it from a replay later: give it as many as arrive
    /// within the tolerance at the busiest time.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, seen: Mutex::default() }
    }

    fn record_now(
        &self,
        request: &Verified,
        until: SystemTime,
        now: SystemTime,
    ) -> Result<Sighting, ReplaysError> {
        let digest = digest(request);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget(now);
        if seen.digests.contains(&digest) {
            return Ok(Sighting::Again);
        }
        if seen.digests.len() >= self.capacity {
            return Err(ReplaysError::Full { capacity: self.capacity });
        }
        seen.digests.insert(digest);
        seen.ends.push(Reverse((until, digest)));
        Ok(Sighting::First)
    }
}

impl Default for Memory {
    /// Returns an empty memory with places for 500,000 requests, which take up to about 50 MB when they are in use.
    fn default() -> Self {
        Self::new(CAPACITY)
    }
}

impl Replays for Memory {
    fn record<'a>(
        &'a self,
        request: &'a Verified,
        until: SystemTime,
        now: SystemTime,
    ) -> Recorded<'a> {
        Box::pin(future::ready(self.record_now(request, until, now)))
    }
}

impl Seen {
    /// Forgets what the verifier refuses by now.
    fn forget(&mut self, now: SystemTime) {
        while let Some(Reverse((until, digest))) = self.ends.peek()
            && *until < now
        {
            self.digests.remove(digest);
            self.ends.pop();
        }
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests", self.digests.len())
    }
}

fn digest(request: &Verified) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    let seconds = request.timestamp.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    context.update(&seconds.as_secs().to_be_bytes());
    context.update(request.id.as_bytes());
    let mut first = [0; DIGEST_BYTES];
    first.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    first
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Key;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn request(id: &str, seconds: u64) -> Verified {
        let fingerprint = Key::secret(&[1; 32]).unwrap().fingerprint();
        Verified { id: id.to_owned(), timestamp: at(seconds), fingerprint }
    }

    #[test]
    fn replay_is_told_from_a_retry_and_from_another_message() {
        let memory = Memory::default();
        let record =
            |id, seconds| memory.record_now(&request(id, seconds), at(400), at(101)).unwrap();
        assert_eq!(record("a", 100), Sighting::First);
        assert_eq!(record("a", 100), Sighting::Again);
        assert_eq!(record("a", 101), Sighting::First, "a retry");
        assert_eq!(record("b", 100), Sighting::First, "another message");
        assert_eq!(record("a", 100), Sighting::Again);
    }

    #[test]
    fn request_is_remembered_until_its_end_and_no_longer() {
        let memory = Memory::default();
        let record = |now| memory.record_now(&request("a", 100), at(400), at(now)).unwrap();
        assert_eq!(record(100), Sighting::First);
        assert_eq!(record(400), Sighting::Again);
        assert_eq!(record(401), Sighting::First);
        assert_eq!(
            format!("{memory:?}"),
            "Memory { capacity: 500000, seen: Mutex { data: 1 requests, poisoned: false, .. } }"
        );
    }

    #[test]
    fn full_memory_takes_no_more_and_forgets_nothing_early() {
        let memory = Memory::new(2);
        let record = |id, now| memory.record_now(&request(id, 100), at(400), at(now));
        assert_eq!(record("a", 100).unwrap(), Sighting::First);
        assert_eq!(record("b", 100).unwrap(), Sighting::First);
        let refused = record("c", 100).unwrap_err();
        assert!(matches!(refused, ReplaysError::Full { capacity: 2 }));
        assert_eq!(record("a", 400).unwrap(), Sighting::Again);
        assert_eq!(record("c", 401).unwrap(), Sighting::First);
    }

    #[test]
    fn one_of_many_at_the_same_time_is_the_first() {
        let memory = Memory::default();
        let firsts = std::thread::scope(|scope| {
            let race = || memory.record_now(&request("a", 100), at(400), at(100)).unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(race)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .filter(|sighting| *sighting == Sighting::First)
                .count()
        });
        assert_eq!(firsts, 1);
    }
}
