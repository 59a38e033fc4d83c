//! Keys as they are written: 24 bytes each, one after the other.

use super::Mark;

/// How many bytes a key takes when it is written.
pub const KEY_BYTES: usize = 24;

/// Bytes that are no keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{bytes} bytes are no whole number of keys of 24 bytes")]
pub struct BadBlob {
    /// How many bytes there are.
    pub bytes: usize,
}

pub(super) fn write(blob: &mut Vec<u8>, mark: &Mark) {
    blob.extend_from_slice(&mark.key);
    blob.extend_from_slice(&mark.fingerprint);
}

pub(super) fn read(blob: &[u8]) -> Result<impl Iterator<Item = Mark>, BadBlob> {
    let (keys, rest) = blob.as_chunks::<KEY_BYTES>();
    if !rest.is_empty() {
        return Err(BadBlob { bytes: blob.len() });
    }
    Ok(keys.iter().map(|bytes| {
        let (mut key, mut fingerprint) = ([0; 16], [0; 8]);
        key.copy_from_slice(&bytes[..16]);
        fingerprint.copy_from_slice(&bytes[16..]);
        Mark { key, fingerprint }
    }))
}
