//! How much the relay holds in memory at a time, in requests and in bytes.
//!
//! A request enters, grows as its body is read and as it is taken apart, and leaves when it has been answered and
//! written.
//! Whoever finds no room is told to come back, before anything of the body is kept.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::sync::Notify;

use crate::refusal::Refusal;

/// The bound on what is in memory.
#[derive(Debug)]
pub(crate) struct Gate {
    requests_max: usize,
    bytes_max: usize,
    requests: AtomicUsize,
    bytes: AtomicUsize,
    closed: AtomicBool,
    left: Notify,
}

/// The room that one request takes; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    gate: Arc<Gate>,
    bytes: AtomicUsize,
}

impl Gate {
    pub(crate) fn new(requests_max: usize, bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            requests_max,
            bytes_max,
            requests: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            left: Notify::new(),
        })
    }

    /// Lets a request in.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Room, Refusal> {
        // Counted before the flag is read, so that a closing gate sees every request that it lets in.
        let room = take(&self.requests, 1, self.requests_max)
            .then(|| Room { gate: Arc::clone(self), bytes: AtomicUsize::new(0) });
        if self.is_closed() {
            return Err(Refusal::busy(
                "shutting_down",
                "the relay is shutting down; send it again",
            ));
        }
        room.ok_or_else(full)
    }

    /// Lets nobody in any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Waits until the last request has left.
    ///
    /// # Cancel safety
    ///
    /// It only looks.
    pub(crate) async fn emptied(&self) {
        loop {
            // Before the look, or the last one could leave in between.
            let left = self.left.notified();
            if self.requests() == 0 {
                return;
            }
            left.await;
        }
    }

    /// Returns how many requests are inside.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Returns how many bytes they take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }
}

impl Room {
    /// Returns a room for a part of what the request does, which gives its bytes back before the request leaves.
    pub(crate) fn part(&self) -> Self {
        // Let in with the request, whether the gate has closed since or not.
        self.gate.requests.fetch_add(1, Ordering::SeqCst);
        Self { gate: Arc::clone(&self.gate), bytes: AtomicUsize::new(0) }
    }

    /// Takes `bytes` more.
    pub(crate) fn grow(&self, bytes: usize) -> Result<(), Refusal> {
        if !take(&self.gate.bytes, bytes, self.gate.bytes_max) {
            return Err(full());
        }
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.gate.bytes.fetch_sub(*self.bytes.get_mut(), Ordering::SeqCst);
        self.gate.requests.fetch_sub(1, Ordering::SeqCst);
        self.gate.left.notify_waiters();
    }
}

/// Adds to a count unless it would go over `max`.
fn take(count: &AtomicUsize, more: usize, max: usize) -> bool {
    let add = |now: usize| now.checked_add(more).filter(|sum| *sum <= max);
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add).is_ok()
}

fn full() -> Refusal {
    Refusal::busy("overloaded", "the relay has as much in hand as it may; send it again later")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_too_many_is_turned_away_until_another_leaves() {
        let gate = Gate::new(2, 100);
        let (one, _two) = (gate.enter().unwrap(), gate.enter().unwrap());
        let refusal = gate.enter().unwrap_err();
        assert_eq!((refusal.code, refusal.retry_after_s()), ("overloaded", Some(1)));
        drop(one);
        gate.enter().unwrap();
    }

    #[test]
    fn byte_too_many_is_refused_and_all_are_given_back() {
        let gate = Gate::new(2, 100);
        let (one, two) = (gate.enter().unwrap(), gate.enter().unwrap());
        one.grow(60).unwrap();
        two.grow(40).unwrap();
        assert_eq!(two.grow(1).unwrap_err().code, "overloaded");
        drop(one);
        two.grow(60).unwrap();
        assert!(two.grow(usize::MAX).is_err());
        assert_eq!(gate.bytes(), 100);
        drop(two);
        assert_eq!((gate.bytes(), gate.requests()), (0, 0));
    }

    #[test]
    fn part_gives_its_bytes_back_before_the_request_leaves() {
        let gate = Gate::new(1, 100);
        let room = gate.enter().unwrap();
        room.grow(50).unwrap();
        for _ in 0..3 {
            let part = room.part();
            part.grow(50).unwrap();
            assert!(part.grow(1).is_err());
        }
        assert_eq!((gate.bytes(), gate.requests()), (50, 1));
    }

    #[tokio::test]
    async fn closed_gate_lets_nobody_in_and_tells_when_the_last_has_left() {
        let gate = Gate::new(2, 100);
        let one = gate.enter().unwrap();
        gate.close();
        assert_eq!(gate.enter().unwrap_err().code, "shutting_down");
        let emptied = gate.emptied();
        tokio::pin!(emptied);
        tokio::select! {
            biased;
            () = &mut emptied => panic!("one is still inside"),
            () = std::future::ready(()) => drop(one),
        }
        emptied.await;
    }
}
