//! Who an event is of and which one it is: device, key, fingerprint, document id, partition.
//!
//! What is computed here stands in topics, indexes and file names, so it stays as it is for ever; the tests fix it.
//! Everything is computed from the event as it came, before a check has coerced anything: a retry is recognised then,
//! whatever the profile of its channel has become in between.

mod canonical;
mod device;

use std::borrow::Cow;

use sha2::{Digest, Sha256};

pub use self::device::{Ids, Unreadable, device, device_of_text, ids};
use crate::value::Value;

/// Members at the top of an event that are written on its way, by us and by others, and say nothing of what it is.
pub const TRANSPORT: [&str; 4] = ["@timestamp", "flags", "metadata", "syncts"];

/// By which an event is known in dedup: a part of the hash of its `mid` and its device.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key(pub [u8; 16]);

/// The hash of an event's content, however its members are ordered and its numbers are written.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Fingerprint(pub [u8; 32]);

/// What fingerprints are computed in, kept from one event to the next.
#[derive(Debug, Default)]
pub struct Scratch {
    text: Vec<u8>,
    order: Vec<usize>,
}

impl Key {
    /// Returns the key of an event.
    #[must_use]
    pub fn new(mid: &str, device: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(length(mid));
        hash.update(mid);
        hash.update(device);
        Self(first(&hash.finalize().into()))
    }
}

impl Fingerprint {
    /// Returns the fingerprint of an event.
    pub fn of(event: &Value<'_>, scratch: &mut Scratch) -> Self {
        scratch.text.clear();
        scratch.order.clear();
        canonical::write_event(event, &mut scratch.text, &mut scratch.order);
        Self(Sha256::digest(&scratch.text).into())
    }

    /// Returns the first half of it as 32 hexadecimal digits: what stands in for a `mid` or a device that is missing.
    #[must_use]
    pub fn short(&self) -> String {
        hex(&first::<16>(&self.0))
    }
}

/// Returns the id of the document that an event is in an index: 40 hexadecimal digits.
///
/// An event with the key of another one and other content is a second document.
#[must_use]
pub fn document_id(mid: &str, device: &str, fingerprint: &Fingerprint) -> String {
    let mut hash = Sha256::new();
    hash.update(length(mid));
    hash.update(mid);
    hash.update(length(device));
    hash.update(device);
    hash.update(fingerprint.0);
    hex(&first::<20>(&hash.finalize().into()))
}

/// Returns a device as it stands in records: one that is too long by its hash.
pub(crate) fn fit_device(device: &str) -> Cow<'_, str> {
    device::fit(device.into())
}

/// Returns the partition of a device, from `events` on; the first one where there are no `partitions`.
#[must_use]
pub fn partition(device: &str, partitions: i32) -> i32 {
    let number = u64::from_be_bytes(first(&Sha256::digest(device).into()));
    let rest = number % u64::try_from(partitions).unwrap_or_default().max(1);
    i32::try_from(rest).unwrap_or_default()
}

/// Returns a length as it goes into a hash, so that no two texts can be confused with two others.
fn length(text: &str) -> [u8; 8] {
    (text.len() as u64).to_be_bytes()
}

fn first<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&hash[..N]);
    part
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests;
