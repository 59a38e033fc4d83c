//! How much is taken, of one request and of all together.

use std::time::Duration;

use crate::refusal::Refusal;

/// The bounds of a relay.
///
/// ```
/// use tidings_relay::Limits;
///
/// let limits = Limits { telemetry_events_max: 5000, ..Limits::default() };
/// assert_eq!(limits.body_bytes_max, 5_000_000);
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest body as it is sent, if it is compressed; 1 MB.
    pub compressed_bytes_max: usize,
    /// The largest body, plain or inflated; 5 MB.
    pub body_bytes_max: usize,
    /// How many times its size a body of more than 256 KiB may be inflated to; 200.
    pub inflate_ratio_max: usize,
    /// The deepest nesting of JSON; 64.
    pub depth_max: usize,
    /// How long a client may take to send a body; 30 s.
    pub body_timeout: Duration,
    /// How long a request waits for its commit; 10 s.
    pub commit_timeout: Duration,
    /// How many events `/analytics` takes in a batch; 1000.
    pub analytics_events_max: usize,
    /// How many events a Sunbird or DIGIT batch has; 1000.
    pub telemetry_events_max: usize,
    /// How many calls a Segment batch has; 2500.
    pub segment_calls_max: usize,
    /// The largest body of the Segment routes; 500 kB.
    pub segment_body_bytes_max: usize,
    /// How many events a PostHog batch has; 2500.
    pub posthog_events_max: usize,
    /// The largest single event, but for Sunbird and DIGIT ones; 32 kB.
    pub event_bytes_max: usize,
    /// The largest offline archive, as it is sent; 8 MB.
    pub archive_bytes_max: usize,
    /// Everything in it when it is inflated, piece by piece; 100 MB.
    pub archive_inflated_bytes_max: usize,
    /// How many requests are in hand at a time; 4096.
    pub buffer_requests_max: usize,
    /// How many bytes they take, with the buffers of their connections and what is made of them; 32 MiB.
    pub buffer_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            compressed_bytes_max: 1_000_000,
            body_bytes_max: 5_000_000,
            inflate_ratio_max: 200,
            depth_max: 64,
            body_timeout: Duration::from_secs(30),
            commit_timeout: Duration::from_secs(10),
            analytics_events_max: 1000,
            telemetry_events_max: 1000,
            segment_calls_max: 2500,
            segment_body_bytes_max: 500_000,
            posthog_events_max: 2500,
            event_bytes_max: 32_000,
            archive_bytes_max: 8_000_000,
            archive_inflated_bytes_max: 100_000_000,
            buffer_requests_max: 4096,
            buffer_bytes_max: 32 * 1024 * 1024,
        }
    }
}

impl Limits {
    pub(crate) fn body_too_large(&self) -> Refusal {
        let message = format!(
            "the body has more than {} bytes, or more than {} compressed; send smaller batches",
            self.body_bytes_max, self.compressed_bytes_max
        );
        Refusal::too_large("body_too_large", message)
    }
    pub(crate) fn archive_too_large(&self) -> Refusal {
        let message = format!(
            "the archive has more than {} bytes; share it in parts, or import the file with `tidings telemetry import`",
            self.archive_bytes_max
        );
        Refusal::too_large("archive_too_large", message)
    }
}
