//! Bodies that come compressed, inflated within bounds.
//!
//! What a body becomes is bounded twice: by its size, and by how much larger it is than what was sent, so that a few
//! kilobytes cannot keep the relay busy with megabytes of nothing.

use std::io::{self, Read};

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::{gate::Room, limits::Limits, refusal::Refusal};

/// Bodies up to this size may be inflated to any ratio: they are small.
const RATIO_FREE_BYTES: usize = 256 * 1024;

/// How much is inflated before the room is asked for more.
const STEP_BYTES: usize = 64 * 1024;

/// How a body is encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Encoding {
    /// As it is.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950, and RFC 1951 from clients that leave the wrapper away.
    Deflate,
}

impl Encoding {
    /// Reads `content-encoding`.
    pub(crate) fn parse(text: Option<&str>) -> Option<Self> {
        match text.map(str::trim).unwrap_or_default().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    /// Returns whether these bytes begin as gzip does, which no JSON and no form does.
    pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
        bytes.starts_with(&[0x1f, 0x8b])
    }
}

/// Inflates a body.
///
/// # Errors
///
/// A body that is not of the encoding it claims, that ends too early, or that grows over the limits; no room.
pub(crate) fn inflate(
    encoding: Encoding,
    body: Bytes,
    limits: &Limits,
    room: &Room,
) -> Result<Bytes, Refusal> {
    let plain = match encoding {
        Encoding::Identity => return Ok(body),
        Encoding::Gzip => drain(MultiGzDecoder::new(&*body), body.len(), limits, room),
        // The first byte of a zlib wrapper names method 8; that of a raw stream that does so would have to be a stored
        // block with reserved bits set.
        Encoding::Deflate if body.first().is_some_and(|byte| byte & 0x0f == 8) => {
            drain(ZlibDecoder::new(&*body), body.len(), limits, room)
        }
        Encoding::Deflate => drain(DeflateDecoder::new(&*body), body.len(), limits, room),
    }?;
    Ok(plain.into())
}

fn drain(
    mut decoder: impl Read,
    compressed: usize,
    limits: &Limits,
    room: &Room,
) -> Result<Vec<u8>, Refusal> {
    let ratio_max = compressed.saturating_mul(limits.inflate_ratio_max).max(RATIO_FREE_BYTES);
    let mut plain = Vec::new();
    loop {
        let before = plain.len();
        let read = decoder.by_ref().take(STEP_BYTES as u64).read_to_end(&mut plain);
        read.map_err(|error| broken(&error))?;
        if plain.len() == before {
            return Ok(plain);
        }
        if plain.len() > limits.body_bytes_max {
            return Err(limits.body_too_large());
        }
        if plain.len() > ratio_max {
            let message = format!(
                "the body inflates to more than {} times its size; send it less compressed",
                limits.inflate_ratio_max
            );
            return Err(Refusal::too_large("suspicious_compression", message));
        }
        room.grow(plain.len() - before)?;
    }
}

fn broken(error: &io::Error) -> Refusal {
    let message = match error.kind() {
        io::ErrorKind::UnexpectedEof => "the compressed body ends too early",
        _ => "the body is not what its content-encoding says",
    };
    Refusal::malformed("bad_encoding", message)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use super::*;
    use crate::gate::Gate;

    fn gzip(plain: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap().into()
    }

    fn inflated(encoding: Encoding, body: Bytes) -> Result<Bytes, Refusal> {
        let room = Gate::new(1, 100_000_000).enter().unwrap();
        inflate(encoding, body, &Limits::default(), &room)
    }

    #[test]
    fn each_encoding_gives_the_body_back() {
        let plain = b"{\"event\":\"view:loaded\"}".as_slice();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(plain).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(plain).unwrap();
        for (encoding, body) in [
            (Encoding::Identity, Bytes::from_static(plain)),
            (Encoding::Gzip, gzip(plain)),
            (Encoding::Deflate, zlib.finish().unwrap().into()),
            (Encoding::Deflate, raw.finish().unwrap().into()),
        ] {
            assert_eq!(inflated(encoding, body).unwrap(), plain, "{encoding:?}");
        }
    }

    #[test]
    fn bomb_is_refused_before_it_is_large() {
        let zeros = gzip(&vec![b' '; 4_000_000]);
        assert_eq!(inflated(Encoding::Gzip, zeros).unwrap_err().code, "suspicious_compression");
        // Two bytes of noise in a hundred keep the ratio, and the size is still bounded.
        let noise = (0..6_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8);
        let refusal = inflated(Encoding::Gzip, gzip(&noise.collect::<Vec<_>>())).unwrap_err();
        assert_eq!((refusal.code, refusal.status.as_u16()), ("body_too_large", 413));
    }

    #[test]
    fn broken_body_is_said_to_be_broken() {
        let whole = gzip(b"{}");
        for body in [whole.slice(..whole.len() - 4), whole.slice(..9), Bytes::from_static(b"{}")] {
            assert_eq!(inflated(Encoding::Gzip, body).unwrap_err().code, "bad_encoding");
        }
    }

    #[test]
    fn encoding_is_read_as_it_is_written() {
        for (text, expected) in [
            (None, Some(Encoding::Identity)),
            (Some("GZIP"), Some(Encoding::Gzip)),
            (Some(" deflate "), Some(Encoding::Deflate)),
            (Some("br"), None),
            (Some("gzip, gzip"), None),
        ] {
            assert_eq!(Encoding::parse(text), expected, "{text:?}");
        }
    }
}
