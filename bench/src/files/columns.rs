//! Parquet by the library alone: the columns are made before the clock runs.

use std::{sync::Arc, time::Instant};

use anyhow::{Context, Result};
use parquet::{
    basic::{
        Compression, ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel,
    },
    data_type::{ByteArray, ByteArrayType, Int64Type},
    file::{
        properties::{EnabledStatistics, WriterProperties},
        writer::SerializedFileWriter,
    },
    schema::types::{ColumnPath, Type, TypePtr},
};
use serde_json::Value;
use tidings_pipeline::{Output, sink::files::ZSTD_LEVEL};

use crate::turns::float;

/// How many bytes of events make a group of rows, as in the sink.
const GROUP: usize = 8 * 1024 * 1024;

const TIMES: [&str; 2] = ["ets", "syncts"];

/// The texts, and where they stand in an event; nowhere is all of it.
const TEXTS: [(&str, &str); 14] = [
    ("id", "/metadata/id"),
    ("mid", "/mid"),
    ("eid", "/eid"),
    ("device", "/context/did"),
    ("actor", "/actor/id"),
    ("channel", "/context/channel"),
    ("pdata_id", "/context/pdata/id"),
    ("pid", "/context/pdata/pid"),
    ("env", "/context/env"),
    ("sid", "/context/sid"),
    ("object_id", "/object/id"),
    ("object_type", "/object/type"),
    ("edata", "/edata"),
    ("event", ""),
];

/// Columns whose values hardly ever repeat, as in the sink.
const UNIQUE: [&str; 4] = ["id", "mid", "edata", "event"];

/// Files, each of groups of rows.
pub(super) struct Files {
    files: Vec<Vec<Group>>,
    bytes: usize,
}

#[derive(Default)]
struct Group {
    levels: Vec<i16>,
    times: [Vec<i64>; TIMES.len()],
    texts: [Vec<ByteArray>; TEXTS.len()],
    bytes: usize,
}

/// Returns the columns of events, those of a partition in one file.
pub(super) fn of(events: &[Output]) -> Result<Files> {
    let mut files = Vec::new();
    for events in events.chunk_by(|one, next| one.partition == next.partition) {
        let (mut groups, mut group) = (Vec::new(), Group::default());
        for event in events {
            group.push(event)?;
            if group.bytes >= GROUP {
                groups.push(std::mem::take(&mut group));
            }
        }
        groups.push(group);
        files.push(groups);
    }
    let bytes = events.iter().map(|event| event.value.len()).sum();
    Ok(Files { files, bytes })
}

impl Files {
    /// Returns millions of bytes of events per second.
    pub(super) fn encode(&self) -> Result<f64> {
        let began = Instant::now();
        for groups in &self.files {
            let properties = Arc::new(properties()?);
            let mut writer = SerializedFileWriter::new(Vec::new(), schema()?, properties)?;
            for group in groups {
                let mut rows = writer.next_row_group()?;
                for values in &group.times {
                    let mut column = rows.next_column()?.context("a column is missing")?;
                    column.typed::<Int64Type>().write_batch(values, Some(&group.levels), None)?;
                    column.close()?;
                }
                for values in &group.texts {
                    let mut column = rows.next_column()?.context("a column is missing")?;
                    column.typed::<ByteArrayType>().write_batch(
                        values,
                        Some(&group.levels),
                        None,
                    )?;
                    column.close()?;
                }
                rows.close()?;
            }
            std::hint::black_box(writer.into_inner()?);
        }
        Ok(float(self.bytes as u64) / 1e6 / began.elapsed().as_secs_f64())
    }
}

impl Group {
    fn push(&mut self, event: &Output) -> Result<()> {
        let parsed: Value = serde_json::from_slice(&event.value)?;
        for (name, values) in TIMES.iter().zip(&mut self.times) {
            values.push(parsed[name].as_i64().with_context(|| format!("no {name}"))?);
        }
        for ((name, pointer), values) in TEXTS.iter().zip(&mut self.texts) {
            let value = match parsed.pointer(pointer).with_context(|| format!("no {name}"))? {
                Value::Object(_) if pointer.is_empty() => event.value.clone(),
                Value::String(text) => text.clone().into(),
                other => other.to_string().into(),
            };
            values.push(value.into());
        }
        self.levels.push(1);
        self.bytes += event.value.len();
        Ok(())
    }
}

fn schema() -> Result<TypePtr> {
    let mut fields = Vec::new();
    for name in TIMES {
        let time = Type::primitive_type_builder(name, Physical::INT64)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(Some(LogicalType::timestamp(true, TimeUnit::MILLIS)))
            .with_converted_type(ConvertedType::TIMESTAMP_MILLIS)
            .build()?;
        fields.push(Arc::new(time));
    }
    for (name, _) in TEXTS {
        let text = Type::primitive_type_builder(name, Physical::BYTE_ARRAY)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(Some(LogicalType::String))
            .with_converted_type(ConvertedType::UTF8)
            .build()?;
        fields.push(Arc::new(text));
    }
    Ok(Arc::new(Type::group_type_builder("event").with_fields(fields).build()?))
}

fn properties() -> Result<WriterProperties> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for name in UNIQUE {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
    }
    for name in ["edata", "event"] {
        properties = properties
            .set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::None);
    }
    Ok(properties.build())
}
