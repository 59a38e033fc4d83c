//! Every line that this crate logs.
//!
//! Nothing that a client has sent is in them, and nothing is logged per request above `debug`.

use std::{error::Error as StdError, io};

use crate::Error;

/// An error with what it comes from, as one sentence.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

pub(crate) fn unwatched(error: &Error) {
    let error = chain(error);
    tracing::warn!(%error, "the catalogue and the keys were not read and stay as they were");
}

pub(crate) fn loaded(types: usize, channels: usize, keys: usize) {
    tracing::info!(types, channels, keys, "the catalogue and the keys were read");
}

pub(crate) fn unusable_schema(event_type: &str, version: i16, error: &str) {
    tracing::warn!(
        event.r#type = event_type,
        event.version = version,
        error,
        "the schema of {event_type} version {version} cannot be used, and its events are refused"
    );
}

pub(crate) fn unwritten(writer: &'static str, requests: usize, error: &Error) {
    let error = chain(error);
    tracing::warn!(writer, requests, %error, "{requests} requests were not written and are told to come again");
}

pub(crate) fn unstorable(writer: &'static str, error: &Error) {
    let error = chain(error);
    tracing::warn!(writer, %error, "a request was refused because the database cannot store it");
}

pub(crate) fn unkept(error: &Error) {
    let error = chain(error);
    tracing::warn!(%error, "old requests and partitions of the log were not removed");
}

pub(crate) fn kept(forgotten: i64, dropped: i64) {
    if forgotten > 0 || dropped > 0 {
        tracing::debug!(forgotten, dropped, "old requests and partitions of the log were removed");
    }
}

pub(crate) fn unaccepted(error: &io::Error) {
    tracing::warn!(%error, "no connection was taken; raise the limit of open files if it was reached");
}

pub(crate) fn closing(requests: usize) {
    tracing::info!(requests, "the relay takes nothing any more, and finishes {requests} requests");
}

pub(crate) fn site_unreachable(error: &str) {
    tracing::warn!(
        error,
        "the site behind the relay cannot be reached; browsers are told 502 until it is back"
    );
}

pub(crate) fn site_reached() {
    tracing::info!("the site behind the relay is back");
}

pub(crate) fn script_forbidden(directive: &'static str) {
    tracing::warn!(
        directive,
        "pages have a Content-Security-Policy whose {directive} forbids the script, and stay as they are; let it name 'self' or a nonce"
    );
}

pub(crate) fn page_compressed() {
    tracing::warn!(
        "the site compresses pages although it is asked not to, and they stay as they are"
    );
}

pub(crate) fn log_is_away(error: Option<&tidings_pipeline::Error>) {
    let error = error.map_or_else(|| "it was too late".to_owned(), |error| chain(error));
    tracing::warn!(%error, "the log does not take telemetry; clients are told to come again");
}

pub(crate) fn log_is_back() {
    tracing::info!("the log takes telemetry again");
}
