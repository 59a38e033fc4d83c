//! Every log line that the binary itself emits.

use std::{path::Path, time::Duration};

use tidings::subscriber::Ensured;
use tidings_worker::Counts;

use crate::failure::chain;

pub(crate) fn progressed(doing: &str, detail: &str) {
    match detail {
        "" => tracing::info!("{doing}"),
        detail => tracing::info!("{doing}: {detail}"),
    }
}

pub(crate) fn database_found(place: &str) {
    tracing::info!(database.place = place, "database found at {place}");
}

pub(crate) fn database_started(version: &str, place: &str, elapsed: Duration) {
    let elapsed_ms = elapsed.as_millis();
    tracing::info!(elapsed_ms, "embedded PostgreSQL {version} runs at {place}");
}

pub(crate) fn database_lost(status: &str, log: &Path) {
    let log = log.display();
    tracing::error!(
        status,
        "the embedded PostgreSQL has ended by itself ({status}); starting it again, its log is {log}"
    );
}

pub(crate) fn schema_ready(total: usize, fresh: usize) {
    tracing::info!(total, fresh, "schema up to date, {fresh} of {total} migrations were new");
}

pub(crate) fn key_made(path: &Path) {
    let path = path.display();
    tracing::warn!(
        "key file {path} made; keep a copy, without it the stored secrets cannot be opened"
    );
}

pub(crate) fn key_open_to_others(path: &Path) {
    let path = path.display();
    tracing::warn!("key file {path} can be read by others than its owner; chmod 600 it");
}

pub(crate) fn no_key() {
    tracing::warn!(
        "no key is set, so subscribers with a secret cannot be served; set TIDINGS_KEY or --key-file"
    );
}

pub(crate) fn not_to_be_tracked() {
    tracing::info!("no reports are made, because DO_NOT_TRACK is set");
}

pub(crate) fn no_hash_keys() {
    tracing::warn!("no hash keys are given, so ids of people are left out; set --hash-key-file");
}

pub(crate) fn worker_started(name: &str, kinds: &str) {
    tracing::info!(worker.name = name, "worker started for subscribers of the kinds {kinds}");
}

pub(crate) fn sink_ensured(name: &str, ensured: Ensured) {
    let subscriber_id = ensured.subscriber_id();
    let what = match ensured {
        Ensured::Added(_) => "added, and told of everything",
        Ensured::Changed(_) => "changed to the host and the key of the settings",
        Ensured::Unchanged(_) => "there",
    };
    tracing::info!(subscriber.id = subscriber_id, "the sink {name} is {what}");
}

pub(crate) fn sink_name_taken(name: &str) {
    tracing::warn!(
        "a subscriber of another kind is called {name}: registered events do not get into the pipeline; add a sink with `tidings sink add NAME --kind pipeline`"
    );
}

pub(crate) fn draining(signal: &str, patience: Duration) {
    let patience = crate::duration::format(patience);
    tracing::info!(signal, "{signal} received; what is in flight may finish within {patience}");
}

pub(crate) fn stopped(counts: Counts, drained: bool) {
    let Counts { delivered, retried, buried, .. } = counts;
    tracing::info!(
        delivered,
        retried,
        buried,
        drained,
        "stopped; {delivered} delivered, {retried} to be retried, {buried} buried since the start"
    );
}

pub(crate) fn database_stopped(ending: &str) {
    tracing::info!("embedded PostgreSQL stopped {ending}");
}

pub(crate) fn stopped_early(signal: &str) {
    tracing::info!(signal, "{signal} received before the start was over; nothing was in flight");
}

pub(crate) fn secrets_closed(count: usize, first: &anyhow::Error) {
    tracing::error!(
        count,
        error = chain(first),
        "the secrets of {count} subscribers cannot be opened, and their deliveries wait; is TIDINGS_KEY or the key file another one?"
    );
}

pub(crate) fn no_topic(error: &anyhow::Error) {
    tracing::warn!(
        "the relay cannot write telemetry yet, and tells clients to come again: {error:#}"
    );
}
