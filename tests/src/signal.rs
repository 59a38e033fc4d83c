//! Waiting for something to become true, with a deadline, instead of sleeping and hoping.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// How soon a condition of the database is asked again: at first often, for what comes at once.
const POLL_MIN: Duration = Duration::from_millis(2);

/// How soon it is asked again later, so that a test that waits does not keep the machine busy.
const POLL_MAX: Duration = Duration::from_millis(50);

/// Asks `condition` until it answers with a value, and returns the value.
///
/// This is the one place of the tests that asks again and again, for what nobody can signal: the state of a database or
/// of another process.
/// It runs on the real clock, also where a test has paused tokio's.
///
/// # Panics
///
/// There is no value `within` this time; the message says `what` was waited for.
pub async fn eventually<T, F>(
    within: Duration,
    what: &str,
    mut condition: impl FnMut() -> F + Send,
) -> T
where
    F: Future<Output = Option<T>> + Send,
    T: Send,
{
    let deadline = Instant::now() + within;
    let mut pause = POLL_MIN;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {within:?} in vain: {what}");
        real_pause(pause).await;
        pause = (pause * 2).min(POLL_MAX);
    }
}

/// Lets real time pass without blocking the runtime.
async fn real_pause(pause: Duration) {
    let slept = tokio::task::spawn_blocking(move || std::thread::sleep(pause));
    slept.await.expect("a sleeping thread cannot fail");
}

/// Waits until the watched value fulfils `condition`, and returns a copy of it.
///
/// # Panics
///
/// It does not `within` this time; the message says `what` was waited for and shows the last value.
pub async fn watched<T: Clone + Debug + Send + Sync>(
    mut receiver: watch::Receiver<T>,
    within: Duration,
    what: &str,
    condition: impl FnMut(&T) -> bool + Send,
) -> T {
    let waited = tokio::time::timeout(within, receiver.wait_for(condition)).await;
    let value = waited.ok().and_then(Result::ok).map(|value| value.clone());
    if let Some(value) = value {
        return value;
    }
    panic!("waited {within:?} in vain: {what}; last seen: {:?}", *receiver.borrow())
}

/// Something that happens once, and that others wait for.
#[derive(Clone, Debug)]
pub struct Signal(watch::Sender<bool>);

impl Signal {
    /// Returns a signal that has not been raised.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Raises the signal; everybody who waits, or comes to wait later, goes on.
    pub fn raise(&self) {
        self.0.send_replace(true);
    }

    /// Says whether the signal has been raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the signal is raised.
    ///
    /// # Panics
    ///
    /// It is not raised `within` this time.
    pub async fn wait(&self, within: Duration) {
        watched(self.0.subscribe(), within, "the signal is raised", |raised| *raised).await;
    }
}

impl Default for Signal {
    fn default() -> Self {
        Self::new()
    }
}
