//! Everything that this crate says about itself.

use std::time::Duration;

use tracing::{debug, error, info, warn};

use crate::{Error, log::Position};

/// A sink has committed.
pub(crate) fn sink_committed(sink: &str, positions: &[Position], rejected: usize) {
    debug!(sink.name = sink, partitions = positions.len(), rejected, "sink {sink} has committed");
}

/// A sink that was waiting has gone on.
pub(crate) fn sink_goes_on(sink: &str) {
    info!(sink.name = sink, "sink {sink} goes on");
}

/// A service says what only a person can put right; nothing is lost meanwhile.
pub(crate) fn sink_needs_somebody(sink: &str, reason: &str) {
    error!(sink.name = sink, reason, "sink {sink} waits, and loses nothing: {reason}");
}

/// Another member has taken over, or the log was away.
pub(crate) fn sink_rejoins(sink: &str, error: &Error, pause: Duration) {
    let pause_ms = pause.as_millis();
    warn!(sink.name = sink, pause_ms, %error, "sink {sink} joins its group again");
}

/// A service refuses documents; each is in the topic of failed events.
pub(crate) fn sink_rejected(sink: &str, count: usize, code: &str) {
    warn!(sink.name = sink, count, code, "sink {sink} has refused {count} events: {code}");
}

/// A sink knows whom it talks to.
pub(crate) fn sink_started(sink: &str, engine: &str) {
    info!(sink.name = sink, engine, "sink {sink} writes to {engine}");
}

/// Fewer bytes are sent at once, because more were refused.
pub(crate) fn sink_narrowed(sink: &str, bytes_max: usize) {
    warn!(
        sink.name = sink,
        bytes_max, "sink {sink} sends at most {bytes_max} bytes at once from now on"
    );
}

/// A service does not take anything for now.
pub(crate) fn sink_waits(sink: &str, reason: &str) {
    warn!(sink.name = sink, reason, "sink {sink} waits: {reason}");
}

/// An index template was written.
pub(crate) fn template_installed(sink: &str, template: &str) {
    info!(sink.name = sink, template, "sink {sink} has written the index template {template}");
}

/// An index template is somebody else's.
pub(crate) fn template_left(sink: &str, template: &str) {
    info!(
        sink.name = sink,
        template, "sink {sink} leaves the index template {template} as it is: it is not ours"
    );
}
