//! Records on their way into the client library.

use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::BaseRecord,
    util::IntoOpaque,
};

use crate::record::{Headers, Output};

/// Returns an output as the library takes it.
pub(super) fn outgoing<'a, D: IntoOpaque>(
    output: &'a Output,
    topic_name: &'a str,
    opaque: D,
) -> BaseRecord<'a, [u8], [u8], D> {
    let record = BaseRecord::with_opaque_to(topic_name, opaque)
        .partition(output.partition)
        .payload(&output.value[..]);
    let record = match &output.key {
        Some(key) => record.key(&key[..]),
        None => record,
    };
    match headers(&output.headers) {
        Some(headers) => record.headers(headers),
        None => record,
    }
}

fn headers(headers: &Headers) -> Option<OwnedHeaders> {
    if headers.is_empty() {
        return None;
    }
    let none = OwnedHeaders::new_with_capacity(headers.len());
    let add = |all: OwnedHeaders, (key, value)| all.insert(Header { key, value: Some(value) });
    Some(headers.iter().fold(none, add))
}
