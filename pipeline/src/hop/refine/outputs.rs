//! What a batch writes; its events share memory, so that each costs no allocation of its own.

use bytes::{Bytes, BytesMut};

use crate::{Output, value::Value};

/// How much memory events share.
const PAGE_BYTES: usize = 256 * 1024;

/// Outputs in their order.
#[derive(Debug)]
pub(super) struct Outputs {
    list: Vec<Output>,
    page: BytesMut,
    /// The event at hand, whose length is not known before it is written.
    text: Vec<u8>,
}

impl Outputs {
    pub(super) fn with_capacity(outputs: usize) -> Self {
        Self { list: Vec::with_capacity(outputs), page: BytesMut::new(), text: Vec::new() }
    }

    /// Returns an event as JSON.
    pub(super) fn write(&mut self, event: &Value<'_>) -> Bytes {
        self.text.clear();
        event.write(&mut self.text);
        if self.page.capacity() < self.text.len() {
            self.page = BytesMut::with_capacity(PAGE_BYTES.max(self.text.len()));
        }
        self.page.extend_from_slice(&self.text);
        self.page.split().freeze()
    }

    pub(super) fn push(&mut self, output: Output) {
        self.list.push(output);
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.list.truncate(len);
    }

    pub(super) fn into_list(self) -> Vec<Output> {
        self.list
    }
}

impl Extend<Output> for Outputs {
    fn extend<I: IntoIterator<Item = Output>>(&mut self, outputs: I) {
        self.list.extend(outputs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_stay_as_they_were_written_beside_others() {
        let mut outputs = Outputs::with_capacity(0);
        let texts: Vec<_> =
            [10, 100_000, 200_000, 300_000, 5].map(|len| format!("\"{}\"", "a".repeat(len))).into();
        let written: Vec<_> = texts
            .iter()
            .map(|text| outputs.write(&Value::parse(text.as_bytes()).unwrap()))
            .collect();
        assert!(written.iter().zip(&texts).all(|(written, text)| written == text.as_bytes()));
    }
}
