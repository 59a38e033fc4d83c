//! The event by which an installation says that it is there, and whether anybody uses it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::TelemetryData;

/// What the event is called.
pub const EVENT_NAME: &str = "heartbeat-trigger";

/// How often it is sent.
pub const INTERVAL: Duration = Duration::from_mins(15);

/// For how long a sign of use counts: half of the interval, so that most heartbeats tell of the time right before them.
pub const ACTIVE_FOR: Duration = Duration::from_secs(INTERVAL.as_secs() / 2);

/// Returns what a heartbeat tells: `active`, which is null where nobody knows.
pub fn telemetry(active: Option<bool>) -> TelemetryData {
    let mut data = TelemetryData::new();
    data.property(&[], "active", &active);
    data
}

/// When somebody was last seen to use the installation.
///
/// # Examples
///
/// ```
/// use std::time::Instant;
/// use tidings_analytics::heartbeat::{self, Activity};
///
/// static ACTIVITY: Activity = Activity::new();
///
/// let now = Instant::now();
/// assert_eq!(ACTIVITY.is_active(now), None);
/// ACTIVITY.seen(now);
/// assert_eq!(ACTIVITY.is_active(now), Some(true));
/// assert_eq!(ACTIVITY.is_active(now + heartbeat::INTERVAL), Some(false));
/// ```
#[derive(Debug, Default)]
pub struct Activity {
    seen_at: Mutex<Option<Instant>>,
}

impl Activity {
    /// Returns the activity of an installation that nobody was seen to use.
    pub const fn new() -> Self {
        Self { seen_at: Mutex::new(None) }
    }

    /// Notes a sign of use at `now`: a request of a person, for example.
    pub fn seen(&self, now: Instant) {
        let mut seen_at = self.seen_at.lock().unwrap_or_else(PoisonError::into_inner);
        *seen_at = (*seen_at).max(Some(now));
    }

    /// Returns whether there was a sign of use in the last 7.5 minutes, or `None` where there never was one.
    pub fn is_active(&self, now: Instant) -> Option<bool> {
        let seen_at = *self.seen_at.lock().unwrap_or_else(PoisonError::into_inner);
        seen_at.map(|seen_at| now.saturating_duration_since(seen_at) <= ACTIVE_FOR)
    }
}

/// Sends a heartbeat through `client` at each `interval` until `shutdown` is done or the client is.
///
/// The first one is sent after an interval. Heartbeats that were missed, by a machine that slept for example, are not
/// made up for. One that the client does not take is one of its counts.
///
/// # Cancel safety
///
/// It may be dropped at any time.
#[cfg(feature = "client")]
pub async fn run(
    client: &crate::client::Client,
    interval: Duration,
    active: impl Fn() -> Option<bool>,
    shutdown: impl Future<Output = ()>,
) {
    use crate::{
        Level,
        client::{Event, SendError},
    };

    const HEARTBEAT: Event = Event::track(EVENT_NAME, Level::Basic);

    let mut shutdown = std::pin::pin!(shutdown);
    let start = tokio::time::Instant::now() + interval;
    let mut ticks = tokio::time::interval_at(start, interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => return,
            _ = ticks.tick() => {}
        }
        let sent = client.send_event(&HEARTBEAT, &telemetry(active()));
        if sent == Err(SendError::Closed) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn heartbeat_tells_whether_anybody_is_there_if_that_is_known() {
        for (active, expected) in
            [(Some(true), json!(true)), (Some(false), json!(false)), (None, json!(null))]
        {
            let expected =
                json!({"event_properties": {"active": expected}, "derived_properties": {}});
            assert_eq!(serde_json::to_value(telemetry(active)).unwrap(), expected);
        }
    }

    #[test]
    fn sign_of_use_counts_for_half_an_interval() {
        let (activity, now) = (Activity::new(), Instant::now());
        activity.seen(now);
        // An earlier one that is noted later takes nothing back.
        activity.seen(now.checked_sub(INTERVAL).unwrap_or(now));
        assert_eq!(activity.is_active(now + ACTIVE_FOR), Some(true));
        assert_eq!(activity.is_active(now + ACTIVE_FOR + Duration::from_millis(1)), Some(false));
    }
}
