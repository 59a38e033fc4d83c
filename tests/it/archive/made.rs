//! Archives, as apps, desktops and our browser client make them.

use std::io::{Cursor, Write};

use flate2::{Compression, write::GzEncoder};
use rusqlite::Connection;
use serde_json::{Value, json};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// The events of one device.
pub(super) fn events(device: &str, mids: &[&str]) -> Vec<Value> {
    let event = |mid: &&str| {
        json!({
            "eid": "LOG", "ets": 1_700_000_000_000_i64, "ver": "3.0", "mid": mid,
            "actor": {"id": device, "type": "User"},
            "context": {"channel": "c", "pdata": {"id": "app"}, "env": "e", "did": device},
            "edata": {"type": "system", "level": "INFO", "message": "hello"},
        })
    };
    mids.iter().map(event).collect()
}

/// A batch of Sunbird's app.
pub(super) fn of_app(message_id: &str, device: &str, mids: &[&str]) -> String {
    let params = json!({"did": device, "msgid": message_id, "key": "", "requesterId": ""});
    json!({"id": "ekstep.telemetry", "ver": "1.0", "ts": "2024-01-01T00:00:00Z", "events": events(device, mids), "params": params})
        .to_string()
}

/// A batch of Sunbird's desktop, whose message id stands in the manifest alone.
pub(super) fn of_desktop(device: &str, mids: &[&str]) -> String {
    json!({"id": "api.telemetry", "ver": "1.0", "ts": "2024-01-01T00:00:00Z", "events": events(device, mids)})
        .to_string()
}

/// A batch of our browser client.
pub(super) fn of_browser(message_id: &str, device: &str, mids: &[&str]) -> String {
    let params = json!({"msgid": message_id, "did": device});
    json!({"id": "api.sunbird.telemetry", "ver": "3.0", "ets": 1, "params": params, "events": events(device, mids)})
        .to_string()
}

/// A line of a manifest.
pub(super) fn line(file: &str, mid: &str, batch: &str) -> Value {
    let events = serde_json::from_str::<Value>(batch).unwrap()["events"].as_array().unwrap().len();
    json!({
        "objectType": "telemetry", "file": file, "contentEncoding": "gzip", "size": gzip(batch).len(),
        "explodedSize": batch.len(), "mid": mid, "eventsCount": events,
    })
}

/// An archive of an app or a desktop, with everything in this folder.
pub(super) fn of(folder: &str, batches: &[(&str, &str)]) -> Vec<u8> {
    let lines =
        batches.iter().enumerate().map(|(n, (mid, batch))| line(&format!("{n}.gz"), mid, batch));
    let files = batches.iter().enumerate().map(|(n, (_, batch))| (format!("{n}.gz"), gzip(batch)));
    zip(folder, &lines.collect::<Vec<_>>(), files, CompressionMethod::Deflated)
}

/// An archive of our browser client: stored without compression, the manifest first.
pub(super) fn shared(batches: &[(&str, &str)]) -> Vec<u8> {
    let lines = batches.iter().map(|(mid, batch)| line(&format!("{mid}.gz"), mid, batch));
    let files = batches.iter().map(|(mid, batch)| (format!("{mid}.gz"), gzip(batch)));
    zip("", &lines.collect::<Vec<_>>(), files, CompressionMethod::Stored)
}

/// The zip of a manifest with these lines.
pub(super) fn zip(
    folder: &str,
    lines: &[Value],
    files: impl Iterator<Item = (String, Vec<u8>)>,
    method: CompressionMethod,
) -> Vec<u8> {
    let manifest = json!({
        "id": "sunbird.data.archive", "ver": "1.0", "ts": "2024-01-01T00:00:00.000Z",
        "producer": {"id": "app", "ver": "1.0", "pid": "app"},
        "archive": {"count": lines.len(), "items": &lines},
    });
    let manifest = ("manifest.json".to_owned(), manifest.to_string().into_bytes());
    plain(folder, [manifest].into_iter().chain(files), method)
}

/// A zip of files.
pub(super) fn plain(
    folder: &str,
    files: impl Iterator<Item = (String, Vec<u8>)>,
    method: CompressionMethod,
) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, content) in files {
        writer.start_file(format!("{folder}{name}"), options).unwrap();
        writer.write_all(&content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The database of an older app.
pub(super) fn gsa(device: &str, batches: &[(&str, &str)]) -> Vec<u8> {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch(
        "create table processed_telemetry
         (_id integer primary key, msg_id text, data blob, event_count integer, priority integer);
         create table meta_data (key text, value text);
         insert into meta_data values ('version', '20'), ('types', '[\"telemetry\"]')",
    )
    .unwrap();
    conn.execute("insert into meta_data values ('did', ?1)", [device]).unwrap();
    for (mid, batch) in batches {
        let events = line("", mid, batch)["eventsCount"].as_i64();
        let sql = "insert into processed_telemetry (msg_id, data, event_count, priority) values (?1, ?2, ?3, 1)";
        conn.execute(sql, (mid, gzip(batch), events)).unwrap();
    }
    conn.serialize("main").unwrap().to_vec()
}

pub(super) fn gzip(plain: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain.as_bytes()).unwrap();
    encoder.finish().unwrap()
}
