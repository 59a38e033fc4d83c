//! Records on their way out of the client library.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use chrono::DateTime;
use rdkafka::{
    Message as _,
    message::{BorrowedMessage, Headers as _},
};

use crate::{
    log::Limits,
    record::{Headers, Record},
};

/// Records that share one buffer, so that each costs no allocation of its own.
#[derive(Debug)]
pub(super) struct Batch {
    limits: Limits,
    buffer: BytesMut,
    value_bytes: usize,
    records: Vec<Draft>,
}

/// A record whose key and value still stand in the buffer.
#[derive(Debug)]
struct Draft {
    partition: i32,
    offset: i64,
    appended_ms: i64,
    key: Option<Range<usize>>,
    value: Range<usize>,
    headers: Headers,
}

impl Batch {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, buffer: BytesMut::new(), value_bytes: 0, records: Vec::new() }
    }

    /// Copies a message of the library.
    pub(super) fn push(&mut self, message: &BorrowedMessage<'_>) {
        let key = message.key().map(|key| self.keep(key));
        let value = self.keep(message.payload().unwrap_or_default());
        self.value_bytes += value.len();
        let headers = message.headers().map(|headers| {
            let text = |value: Option<&[u8]>| {
                String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
            };
            headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
        });
        self.records.push(Draft {
            partition: message.partition(),
            offset: message.offset(),
            appended_ms: message.timestamp().to_millis().unwrap_or_default(),
            key,
            value,
            headers: headers.unwrap_or_default(),
        });
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Says whether nothing more is to be taken; a first record always is.
    pub(super) const fn is_full(&self) -> bool {
        !self.records.is_empty()
            && (self.records.len() >= self.limits.records || self.value_bytes >= self.limits.bytes)
    }

    /// Returns the records.
    pub(super) fn into_records(self) -> Vec<Record> {
        let bytes = self.buffer.freeze();
        let record = |draft: Draft| Record {
            partition: draft.partition,
            offset: draft.offset,
            appended_at: DateTime::from_timestamp_millis(draft.appended_ms).unwrap_or_default(),
            key: draft.key.map(|key| slice(&bytes, key)),
            headers: draft.headers,
            value: slice(&bytes, draft.value),
        };
        self.records.into_iter().map(record).collect()
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let begin = self.buffer.len();
        self.buffer.extend_from_slice(bytes);
        begin..self.buffer.len()
    }
}

fn slice(bytes: &Bytes, range: Range<usize>) -> Bytes {
    bytes.slice(range)
}
