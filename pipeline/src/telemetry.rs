//! Everything that this crate says about itself.

use std::error::Error;

// Files.

pub(crate) fn conditional_put_missing(sink: &str, store: &str) {
    tracing::warn!(
        sink.name = sink,
        store,
        "{store} cannot put a file only where nothing is; files of {sink} are at least once there"
    );
}

pub(crate) fn files_committed(sink: &str, partition: i32, first: i64, last: i64) {
    tracing::debug!(
        sink.name = sink,
        log.partition = partition,
        log.first = first,
        log.last = last,
        "{sink} has filed {first} to {last} of partition {partition}"
    );
}

pub(crate) fn plan_adopted(sink: &str, partition: i32, first: i64, last: i64) {
    tracing::info!(
        sink.name = sink,
        log.partition = partition,
        log.first = first,
        log.last = last,
        "{sink} finishes the plan of {first} to {last} of partition {partition}"
    );
}

pub(crate) fn plan_recoded(sink: &str, partition: i32, first: i64, last: i64) {
    tracing::warn!(
        sink.name = sink,
        log.partition = partition,
        log.first = first,
        log.last = last,
        "the plan of {first} to {last} of partition {partition} was made by another version of its codec; {sink} makes it anew"
    );
}

pub(crate) fn probe_left(store: &str, path: &str, error: &(dyn Error + 'static)) {
    tracing::warn!(store, path, error, "{path} is left in {store}; delete it by hand");
}

pub(crate) fn request_retried(
    store: &str,
    path: &str,
    attempt: u32,
    error: &(dyn Error + 'static),
) {
    tracing::debug!(
        store,
        path,
        attempt,
        error,
        "attempt {attempt} at {path} in {store} has failed"
    );
}

pub(crate) fn sink_interrupted(sink: &str, error: &(dyn Error + 'static)) {
    tracing::warn!(
        sink.name = sink,
        error,
        "{sink} is interrupted and begins again at its last commit"
    );
}

pub(crate) fn sink_left_open(sink: &str) {
    tracing::warn!(
        sink.name = sink,
        "{sink} has stopped before its open files were up; their events are read again at the next start"
    );
}
