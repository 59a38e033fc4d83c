//! Files read back: the events of one, each as it was written.

use std::io::{BufRead as _, BufReader, Read};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use parquet::{
    column::reader::ColumnReader,
    data_type::ByteArray,
    file::reader::{FileReader as _, SerializedFileReader},
};

use super::{Codec, event::TEXTS};

/// How many rows are read at once.
const ROWS: usize = 1_024;

/// Shows each event of a file to `look`, in order. Blocks.
///
/// # Errors
///
/// The file is none of this codec, in words; or what `look` says.
pub(super) fn decode<E: From<String>>(
    codec: Codec,
    file: Bytes,
    look: impl FnMut(Bytes) -> Result<(), E>,
) -> Result<(), E> {
    match codec {
        Codec::JsonlGzip => lines(MultiGzDecoder::new(&file[..]), look),
        Codec::JsonlZstd => {
            let decoder = zstd::Decoder::with_buffer(&file[..]);
            lines(decoder.map_err(|error| error.to_string())?, look)
        }
        Codec::Parquet => rows(file, look),
    }
}

fn lines<E: From<String>>(
    text: impl Read,
    mut look: impl FnMut(Bytes) -> Result<(), E>,
) -> Result<(), E> {
    let mut text = BufReader::new(text);
    loop {
        let mut line = Vec::new();
        let read = text.read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
        if read == 0 {
            return Ok(());
        }
        if line.pop() != Some(b'\n') {
            return Err("its last line has no end".to_owned().into());
        }
        look(line.into())?;
    }
}

fn rows<E: From<String>>(
    file: Bytes,
    mut look: impl FnMut(Bytes) -> Result<(), E>,
) -> Result<(), E> {
    let says = |error: parquet::errors::ParquetError| error.to_string();
    let reader = SerializedFileReader::new(file).map_err(says)?;
    // The two times stand before the texts, and the whole event is the last of these.
    let column = TEXTS.len() + 1;
    for index in 0..reader.num_row_groups() {
        let group = reader.get_row_group(index).map_err(says)?;
        let ColumnReader::ByteArrayColumnReader(mut events) =
            group.get_column_reader(column).map_err(says)?
        else {
            return Err("its events are no texts".to_owned().into());
        };
        loop {
            let (mut values, mut levels) = (Vec::<ByteArray>::new(), Vec::new());
            let (records, ..) =
                events.read_records(ROWS, Some(&mut levels), None, &mut values).map_err(says)?;
            if records == 0 {
                break;
            }
            if values.len() != records {
                return Err("it has rows without an event".to_owned().into());
            }
            for value in values {
                look(Bytes::copy_from_slice(value.data()))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
