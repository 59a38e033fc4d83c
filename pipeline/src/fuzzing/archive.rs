//! Archives that nobody has made with an app.

use std::io::{Cursor, Write};

use ::zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

use crate::archive::{Archive, ITEMS_MAX, Item, Limits, Problem};

/// Small, so that an input can reach them.
const LIMITS: Limits = Limits {
    archive_bytes_max: 1_000_000,
    inflated_bytes_max: 600_000,
    batch_bytes_max: 300_000,
    events_max: 100,
    ratio_max: 50,
};

/// Opens an archive and reads it to its end; returns 200 if it has a batch that is taken, 400 otherwise.
///
/// Input: a zip as it is; or what one is made of, parted by lines `---`: the manifest, and then files, each its name on
/// the first line and its content, which is compressed.
pub fn zip(input: &[u8]) -> u16 {
    if input.starts_with(b"PK") { read(input) } else { read(&composed(input)) }
}

/// Opens a database of batches and reads it to its end, in the same way.
pub fn gsa(input: &[u8]) -> u16 {
    read(input)
}

fn read(bytes: &[u8]) -> u16 {
    let archive = match Archive::open(Bytes::copy_from_slice(bytes), LIMITS) {
        Ok(archive) => archive,
        Err(problem) => {
            check_problem(&problem);
            return 400;
        }
    };
    archive.notes().iter().for_each(check_problem);
    let announced = archive.items();
    assert!(announced <= ITEMS_MAX);
    let (mut items, mut bytes, mut is_taken) = (0, 0, false);
    for item in archive {
        items += 1;
        bytes += check_item(&item);
        is_taken |= item.batch.is_ok();
    }
    assert!(items <= announced, "it has more items than it said");
    assert!(bytes <= LIMITS.inflated_bytes_max, "it became larger than it may");
    if is_taken { 200 } else { 400 }
}

/// Checks an item, and returns how large its batch is.
fn check_item(item: &Item) -> usize {
    for text in [Some(&item.file), item.mid.as_ref()].into_iter().flatten() {
        assert!(text.len() <= 256 && !text.chars().any(char::is_control), "{text:?}");
    }
    item.notes.iter().for_each(check_problem);
    let batch = match &item.batch {
        Ok(batch) => batch,
        Err(problem) => {
            check_problem(problem);
            return 0;
        }
    };
    assert!(batch.bytes.len() <= LIMITS.batch_bytes_max);
    // By another reader, which keeps all of it; it follows nothing that is nested more deeply than 128.
    if let Ok(value) = serde_json::from_slice::<Value>(&batch.bytes) {
        let events = value["events"].as_array().map(Vec::len);
        assert_eq!(events, Some(item.events), "the events are counted otherwise");
        let own = value["params"]["msgid"].as_str().filter(|text| !text.is_empty());
        assert!(own.is_none() || own == batch.message_id.as_deref());
    }
    assert!((1..=LIMITS.events_max).contains(&item.events));
    batch.bytes.len()
}

fn check_problem(problem: &Problem) {
    assert!(problem.code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
    assert!((10..2000).contains(&problem.message.len()), "{problem}");
}

/// Makes the zip that an input describes.
fn composed(input: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(input);
    let mut parts = text.split("\n---\n");
    let manifest = parts.next().unwrap_or_default();
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut add = |name: &str, content: &[u8]| {
        // Two files of one name cannot be written, and neither can a name that is too long.
        if writer.start_file(name, options).is_ok() {
            writer.write_all(content).unwrap();
        }
    };
    for part in parts {
        let (name, content) = part.split_once('\n').unwrap_or((part, ""));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content.as_bytes()).unwrap();
        add(name, &encoder.finish().unwrap());
    }
    add("manifest.json", manifest.as_bytes());
    writer.finish().unwrap().into_inner()
}
