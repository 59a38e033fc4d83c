//! Every line that this crate logs, sorted by what it is about.
//!
//! Nothing that a client has sent is in them, and nothing is logged per event above `debug`.

use std::error::Error as StdError;

use crate::Error;

/// An error with what it comes from, as one sentence.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
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
