//! A file of columns: Parquet, in groups of rows that are gathered in memory.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use parquet::{
    basic::{
        Compression, ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel,
    },
    data_type::{ByteArray, ByteArrayType, Int64Type},
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::{ColumnPath, Type, TypePtr},
};

use super::{
    codec::ZSTD_LEVEL,
    event::{Event, TEXTS},
    spool::Spool,
};
use crate::{Error, Result};

/// How many bytes of events make a group of rows: what an open file holds in memory at most, beside one event.
pub(super) const GROUP_BYTES: usize = 8 * 1024 * 1024;

/// Columns whose values hardly ever repeat: a dictionary of them would be built in vain.
const UNIQUE: [&str; 4] = ["id", "mid", "edata", "event"];

/// A Parquet file while it is written.
pub(super) struct Table {
    writer: SerializedFileWriter<Spool>,
    ets: Column<i64>,
    syncts: Column<i64>,
    texts: [Column<ByteArray>; TEXTS.len()],
    /// Bytes of the events of this group.
    bytes: usize,
}

/// The values of one column, and for each row whether it has one.
struct Column<T> {
    values: Vec<T>,
    levels: Vec<i16>,
}

impl Table {
    pub(super) fn new(spool: Spool) -> Result<Self> {
        let (schema, properties) = (schema()?, properties()?);
        let writer = SerializedFileWriter::new(spool, schema, Arc::new(properties))?;
        let texts = std::array::from_fn(|_| Column::default());
        Ok(Self { writer, ets: Column::default(), syncts: Column::default(), texts, bytes: 0 })
    }

    /// Returns how many bytes have been written; rows of the group that is not full do not count.
    pub(super) fn bytes(&self) -> u64 {
        self.writer.inner().len()
    }

    pub(super) fn push(&mut self, event: Event) -> Result<()> {
        let bytes = event.len();
        self.syncts.push(event.syncts);
        let (ets, texts) = match event.columns {
            Some(columns) => (columns.ets, columns.texts),
            None => (None, std::array::from_fn(|_| None)),
        };
        self.ets.push(ets);
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.push(text.map(|text: Bytes| ByteArray::from(text)));
        }
        self.bytes += bytes;
        if self.bytes >= GROUP_BYTES { self.write_group() } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> Result<Spool> {
        self.write_group()?;
        Ok(self.writer.into_inner()?)
    }

    fn write_group(&mut self) -> Result<()> {
        if self.syncts.levels.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        self.ets.write_times(&mut group)?;
        self.syncts.write_times(&mut group)?;
        for column in &mut self.texts {
            column.write_texts(&mut group)?;
        }
        group.close()?;
        self.bytes = 0;
        Ok(())
    }
}

impl<T> Column<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }

    fn clear(&mut self) {
        self.values.clear();
        self.levels.clear();
    }
}

impl Column<i64> {
    fn write_times(&mut self, group: &mut SerializedRowGroupWriter<'_, Spool>) -> Result<()> {
        let Some(mut column) = group.next_column()? else { return Err(missing()) };
        column.typed::<Int64Type>().write_batch(&self.values, Some(&self.levels), None)?;
        column.close()?;
        self.clear();
        Ok(())
    }
}

impl Column<ByteArray> {
    fn write_texts(&mut self, group: &mut SerializedRowGroupWriter<'_, Spool>) -> Result<()> {
        let Some(mut column) = group.next_column()? else { return Err(missing()) };
        column.typed::<ByteArrayType>().write_batch(&self.values, Some(&self.levels), None)?;
        column.close()?;
        self.clear();
        Ok(())
    }
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self { values: Vec::new(), levels: Vec::new() }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Table").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

fn missing() -> Error {
    ParquetError::General("the schema has fewer columns than rows have".to_owned()).into()
}

/// Two times, then texts; every column may be empty.
fn schema() -> Result<TypePtr> {
    let time = |name| {
        Type::primitive_type_builder(name, Physical::INT64)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(Some(LogicalType::timestamp(true, TimeUnit::MILLIS)))
            .with_converted_type(ConvertedType::TIMESTAMP_MILLIS)
            .build()
    };
    let text = |name| {
        Type::primitive_type_builder(name, Physical::BYTE_ARRAY)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(Some(LogicalType::String))
            .with_converted_type(ConvertedType::UTF8)
            .build()
    };
    let mut fields = vec![Arc::new(time("ets")?), Arc::new(time("syncts")?)];
    for name in TEXTS {
        fields.push(Arc::new(text(name)?));
    }
    Ok(Arc::new(Type::group_type_builder("event").with_fields(fields).build()?))
}

fn properties() -> Result<WriterProperties> {
    let mut properties = WriterProperties::builder()
        // Without the version of the library, so that an update of it alone changes no bytes.
        .set_created_by("tidings".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for name in UNIQUE {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
    }
    // Nobody compares whole texts.
    for name in ["edata", "event"] {
        properties = properties
            .set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::None);
    }
    Ok(properties.build())
}
