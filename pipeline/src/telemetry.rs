//! Every line that this crate logs.
//!
//! Nothing that a client has sent is in them, and nothing is logged per event.

#[cfg(feature = "kafka")]
mod kafka;

use std::error::Error as StdError;

use crate::{
    Error,
    dedup::{BadBlob, Evicted},
    log::{Change, Position},
};

#[cfg(feature = "kafka")]
pub(crate) use self::kafka::*;

/// An error with what it comes from, as one sentence.
pub(crate) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

pub(crate) fn thrown_back(group: &str, error: &Error) {
    let error = chain(error);
    tracing::warn!(group, %error, "{group} begins again from what is committed");
}

/// It was said a few minutes ago.
pub(crate) fn thrown_back_again(group: &str, error: &Error) {
    let error = chain(error);
    tracing::debug!(group, %error, "{group} begins again from what is committed, once more");
}

pub(crate) fn changed(group: &str, change: &Change) {
    let (gained, lost) = (change.gained.len(), change.lost.len());
    tracing::info!(group, gained, lost, "{group} has gained {gained} partitions and lost {lost}");
}

pub(crate) fn aborted(group: &str) {
    tracing::warn!(group, "a transaction of {group} was aborted and is done again");
}

pub(crate) fn unreadable_entry(partition: i32, offset: i64, error: &serde_json::Error) {
    tracing::error!(
        partition,
        offset,
        %error,
        "record {offset} of partition {partition} of the ledger cannot be read, and is not counted"
    );
}

pub(crate) fn unreadable_keys(partition: i32, offset: i64, error: BadBlob) {
    tracing::error!(
        partition,
        offset,
        %error,
        "record {offset} of partition {partition} of the keys cannot be read; what it has may come twice"
    );
}

pub(crate) fn rebuilt(partitions: usize, keys: usize, bytes: usize) {
    tracing::info!(
        partitions,
        keys,
        size_bytes = bytes,
        "the keys of {partitions} partitions were read back in; {keys} keys are held"
    );
}

pub(crate) fn sessions_rebuilt(partitions: usize, open: usize) {
    tracing::info!(
        partitions,
        open,
        "the sessions of {partitions} partitions were read back in; {open} are open"
    );
}

pub(crate) fn unreadable_sessions(partition: i32, offset: i64, error: &serde_json::Error) {
    tracing::error!(
        partition,
        offset,
        %error,
        "record {offset} of partition {partition} of the sessions cannot be read; those that were open are left out"
    );
}

pub(crate) fn unsummarized(partition: i32, offset: i64) {
    tracing::error!(
        partition,
        offset,
        "sessions has a fault: record {offset} of partition {partition} is in no session, and the rest goes on"
    );
}

pub(crate) fn evicted(evicted: Evicted) {
    let Evicted { keys, reaches_s } = evicted;
    tracing::warn!(
        keys,
        reaches_s,
        "{keys} keys went before their time because memory is full; duplicates are known for {reaches_s} s back"
    );
}

pub(crate) fn panicked(step: &str, partition: i32, offset: i64) {
    tracing::error!(
        step,
        partition,
        offset,
        "{step} has a fault: record {offset} of partition {partition} is kept as failed, and the rest goes on"
    );
}

/// A sink knows whom it talks to.
pub(crate) fn sink_started(sink: &str, engine: &str) {
    tracing::info!(sink.name = sink, engine, "sink {sink} writes to {engine}");
}

pub(crate) fn unmeasured(error: &Error) {
    let error = chain(error);
    tracing::debug!(%error, "how far groups are behind was not measured; it is tried again");
}

pub(crate) fn unpruned(error: &Error) {
    let error = chain(error);
    tracing::warn!(%error, "old records of the ledger were not removed");
}

// Files.

pub(crate) fn conditional_put_missing(sink: &str, store: &str) {
    tracing::warn!(
        sink,
        store,
        "{store} cannot put a file only where nothing is; files of {sink} are at least once there"
    );
}

pub(crate) fn files_committed(sink: &str, partition: i32, first: i64, last: i64) {
    tracing::debug!(
        sink,
        partition,
        first,
        last,
        "{sink} has filed {first} to {last} of partition {partition}"
    );
}

pub(crate) fn plan_adopted(sink: &str, partition: i32, first: i64, last: i64) {
    tracing::info!(
        sink,
        partition,
        first,
        last,
        "{sink} finishes the plan of {first} to {last} of partition {partition}"
    );
}

pub(crate) fn plan_lessened(sink: &str, partition: i32, first: i64, last: i64) {
    tracing::info!(
        sink,
        partition,
        first,
        last,
        "some events of the plan of {first} to {last} of partition {partition} may not be kept any more; {sink} makes its files without them"
    );
}

pub(crate) fn plan_recoded(sink: &str, partition: i32, first: i64, last: i64) {
    tracing::warn!(
        sink,
        partition,
        first,
        last,
        "the plan of {first} to {last} of partition {partition} was made by another version of its codec; {sink} makes it anew"
    );
}

pub(crate) fn probe_left(store: &str, path: &str, error: &object_store::Error) {
    tracing::warn!(store, path, %error, "{path} is left in {store}; delete it by hand");
}

pub(crate) fn request_retried(store: &str, path: &str, attempt: u32, error: &object_store::Error) {
    tracing::debug!(
        store,
        path,
        attempt,
        %error,
        "attempt {attempt} at {path} in {store} has failed"
    );
}

pub(crate) fn sink_left_open(sink: &str) {
    tracing::warn!(
        sink,
        "{sink} has stopped before its open files were up; their events are read again at the next start"
    );
}

// The log.

pub(crate) fn kept(dropped: i64, deleted: i64) {
    if dropped > 0 || deleted > 0 {
        tracing::info!(
            dropped,
            deleted,
            "dropped {dropped} days of the log and deleted {deleted} records"
        );
    }
}

pub(crate) fn unkept(error: &Error) {
    let error = chain(error);
    tracing::warn!(%error, "the log was not tidied up; it is tried again");
}

pub(crate) fn unadopted(group: &str, error: &Error) {
    let error = chain(error);
    tracing::warn!(group.name = group, %error, "{group} has not adopted its partitions; it tries again");
}

pub(crate) fn unfetched(group: &str, error: &Error) {
    let error = chain(error);
    tracing::warn!(group.name = group, %error, "{group} has not fetched; it tries again");
}

pub(crate) fn uncommitted(group: &str, error: &Error) {
    let error = chain(error);
    tracing::warn!(group.name = group, %error, "{group} does not know what became of a commit; it asks again");
}

/// A sink has committed.
pub(crate) fn sink_committed(sink: &str, positions: &[Position], rejected: usize) {
    tracing::debug!(
        sink.name = sink,
        partitions = positions.len(),
        rejected,
        "sink {sink} has committed"
    );
}

/// A sink that was waiting has gone on.
pub(crate) fn sink_goes_on(sink: &str) {
    tracing::info!(sink.name = sink, "sink {sink} goes on");
}

/// A service says what only a person can put right; nothing is lost meanwhile.
pub(crate) fn sink_needs_somebody(sink: &str, reason: &str) {
    tracing::error!(sink.name = sink, reason, "sink {sink} waits, and loses nothing: {reason}");
}

/// A service refuses documents; each is in the topic of failed events.
pub(crate) fn sink_rejected(sink: &str, count: usize, code: &str) {
    tracing::warn!(sink.name = sink, count, code, "sink {sink} has refused {count} events: {code}");
}

/// Fewer bytes are sent at once, because more were refused.
pub(crate) fn sink_narrowed(sink: &str, bytes_max: usize) {
    tracing::warn!(
        sink.name = sink,
        bytes_max,
        "sink {sink} sends at most {bytes_max} bytes at once from now on"
    );
}

/// A service does not take anything for now.
pub(crate) fn sink_waits(sink: &str, reason: &str) {
    tracing::warn!(sink.name = sink, reason, "sink {sink} waits: {reason}");
}

/// An index template was written.
pub(crate) fn template_installed(sink: &str, template: &str) {
    tracing::info!(
        sink.name = sink,
        template,
        "sink {sink} has written the index template {template}"
    );
}

/// An index template is somebody else's.
pub(crate) fn template_left(sink: &str, template: &str) {
    tracing::info!(
        sink.name = sink,
        template,
        "sink {sink} leaves the index template {template} as it is: it is not ours"
    );
}

/// A day of the searchable table was older than it is kept.
pub(crate) fn table_day_dropped(sink: &str) {
    tracing::info!(sink.name = sink, "sink {sink} has dropped a day of the table");
}

/// Days that are too old stay for now.
pub(crate) fn table_not_kept(sink: &str, error: &Error) {
    tracing::warn!(sink.name = sink, %error, "sink {sink} cannot drop old days of the table; tried again");
}
