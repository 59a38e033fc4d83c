//! Codecs: how events become the bytes of a file. The same events in the same order become the same bytes.

use std::{fmt, io::Write, str::FromStr};

use flate2::{Compression, write::GzEncoder};
use serde::{Deserialize, Serialize};

use super::{
    event::Event,
    spool::{Spool, Spooled},
    table::Table,
};
use crate::{Error, Result};

/// The level of gzip: two thirds of the time of level 6, for a tenth more bytes.
pub const GZIP_LEVEL: u32 = 3;

/// The level of Zstandard, in files of lines and in Parquet: its own default.
pub const ZSTD_LEVEL: i32 = 3;

/// How much is gathered before a codec is called: it costs more per call than per byte.
const CHUNK_BYTES: usize = 128 * 1024;

/// How events become files.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Codec {
    /// One event on each line, by gzip.
    #[serde(rename = "jsonl.gz")]
    JsonlGzip,
    /// One event on each line, by Zstandard: smaller than gzip, and four times as fast.
    #[default]
    #[serde(rename = "jsonl.zst")]
    JsonlZstd,
    /// Columns, with the whole event as text in the last of them.
    #[serde(rename = "parquet")]
    Parquet,
}

/// A word that is no codec.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is not a codec; write jsonl.gz, jsonl.zst or parquet")]
pub struct BadCodec {
    /// The word.
    pub text: String,
}

impl Codec {
    /// All codecs.
    pub const ALL: [Self; 3] = [Self::JsonlGzip, Self::JsonlZstd, Self::Parquet];

    /// Returns the word that is typed and stored, which names of files end with too.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JsonlGzip => "jsonl.gz",
            Self::JsonlZstd => "jsonl.zst",
            Self::Parquet => "parquet",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Codec {
    type Err = BadCodec;

    fn from_str(text: &str) -> Result<Self, BadCodec> {
        let found = Self::ALL.into_iter().find(|codec| codec.as_str() == text);
        found.ok_or_else(|| BadCodec { text: text.to_owned() })
    }
}

/// A file while it is written.
pub(super) struct Writer {
    encoder: Encoder,
    /// Lines that the encoder has not seen.
    chunk: Vec<u8>,
    events: u64,
}

enum Encoder {
    Gzip(GzEncoder<Spool>),
    Zstd(zstd::Encoder<'static, Spool>),
    Parquet(Box<Table>),
}

impl Writer {
    pub(super) fn new(codec: Codec, spool: Spool) -> Result<Self> {
        let encoder = match codec {
            // Without a name and a time, which would make every file another.
            Codec::JsonlGzip => Encoder::Gzip(GzEncoder::new(spool, Compression::new(GZIP_LEVEL))),
            Codec::JsonlZstd => {
                Encoder::Zstd(zstd::Encoder::new(spool, ZSTD_LEVEL).map_err(Error::spool)?)
            }
            Codec::Parquet => Encoder::Parquet(Box::new(Table::new(spool)?)),
        };
        Ok(Self { encoder, chunk: Vec::new(), events: 0 })
    }

    pub(super) fn write(&mut self, event: Event) -> Result<()> {
        self.events += 1;
        if let Encoder::Parquet(table) = &mut self.encoder {
            return table.push(event);
        }
        event.write_line(&mut self.chunk);
        if self.chunk.len() >= CHUNK_BYTES { self.flush() } else { Ok(()) }
    }

    /// Returns how many bytes have left the encoder.
    pub(super) fn bytes(&self) -> u64 {
        match &self.encoder {
            Encoder::Gzip(encoder) => encoder.get_ref().len(),
            Encoder::Zstd(encoder) => encoder.get_ref().len(),
            Encoder::Parquet(table) => table.bytes(),
        }
    }

    /// Ends the file; returns it, and how many events it has.
    pub(super) fn finish(mut self) -> Result<(Spooled, u64)> {
        self.flush()?;
        let spool = match self.encoder {
            Encoder::Gzip(encoder) => encoder.finish().map_err(Error::spool)?,
            Encoder::Zstd(encoder) => encoder.finish().map_err(Error::spool)?,
            Encoder::Parquet(table) => table.finish()?,
        };
        Ok((spool.finish(), self.events))
    }

    fn flush(&mut self) -> Result<()> {
        let written = match &mut self.encoder {
            Encoder::Gzip(encoder) => encoder.write_all(&self.chunk),
            Encoder::Zstd(encoder) => encoder.write_all(&self.chunk),
            Encoder::Parquet(_) => Ok(()),
        };
        self.chunk.clear();
        written.map_err(Error::spool)
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Writer").field("events", &self.events).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
