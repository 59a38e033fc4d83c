//! Archives, made as apps make them.

use std::io::{Cursor, Write};

use ::zip::{ZipWriter, write::SimpleFileOptions};
use flate2::{Compression, write::GzEncoder};
use rusqlite::Connection;
use serde_json::{Value, json};

/// A zip that can be changed before it is written.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) manifest: Value,
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

/// What the database of an older app says of itself.
#[derive(Default)]
pub(crate) struct Gsa<'a> {
    pub(crate) did: Option<&'a str>,
    /// Whether `meta_data` has keys and values.
    pub(crate) keyed: bool,
    /// What each row says that it has; the truth, if nothing.
    pub(crate) events: Option<i64>,
}

/// A batch: an app's with message id and device, a desktop's without.
pub(crate) fn batch(message_id: Option<&str>, did: Option<&str>, events: usize) -> String {
    let events: Vec<_> = (0..events).map(|n| event(&format!("LOG:{n}"))).collect();
    match message_id {
        Some(message_id) => json!({
            "id": "ekstep.telemetry", "ver": "1.0", "ts": "2024-01-01T00:00:00Z", "events": events,
            "params": {"did": did, "msgid": message_id, "key": "", "requesterId": ""},
        }),
        None => json!({"id": "api.telemetry", "ver": "1.0", "ts": 1, "events": events}),
    }
    .to_string()
}

pub(crate) fn event(mid: &str) -> Value {
    json!({
        "eid": "LOG", "ets": 1_700_000_000_000_i64, "ver": "3.0", "mid": mid, "actor": {"id": "u", "type": "User"},
        "context": {"channel": "c", "pdata": {"id": "p"}, "env": "e", "did": "device-of-events"},
        "edata": {"type": "system", "level": "INFO", "message": "hello"},
    })
}

impl Made {
    /// Makes the archive of some batches.
    pub(crate) fn of(batches: &[String]) -> Self {
        let files: Vec<_> = batches
            .iter()
            .enumerate()
            .map(|(n, batch)| (format!("{n}.gz"), gzip(batch.as_bytes())))
            .collect();
        let lines = batches.iter().zip(&files).enumerate().map(|(n, (batch, (file, gzip)))| {
            let parsed: Value = serde_json::from_str(batch).unwrap_or_default();
            let own = parsed["params"]["msgid"].as_str().map(str::to_owned);
            json!({
                "objectType": "telemetry", "file": file, "contentEncoding": "gzip", "size": gzip.len(),
                "explodedSize": batch.len(), "mid": own.unwrap_or_else(|| format!("listed-{n}")),
                "eventsCount": parsed["events"].as_array().map_or(0, Vec::len),
            })
        });
        let manifest = json!({
            "id": "sunbird.data.archive", "ver": "1.0", "ts": "2024-01-01T00:00:00.000Z",
            "producer": {"id": "org.sunbird.app", "ver": "3.0", "pid": "sunbird.app"},
            "archive": {"count": files.len(), "items": lines.collect::<Vec<_>>()},
        });
        Self { manifest, files }
    }

    pub(crate) fn items(&mut self) -> &mut Vec<Value> {
        self.manifest["archive"]["items"].as_array_mut().unwrap()
    }

    /// Says something else of an item.
    pub(crate) fn item(&mut self, place: usize, change: &Value) {
        for (name, value) in change.as_object().unwrap() {
            self.items()[place][name] = value.clone();
        }
    }

    /// Writes it, with everything in this folder.
    pub(crate) fn zip(&self, folder: &str) -> Vec<u8> {
        let manifest = ("manifest.json".to_owned(), self.manifest.to_string().into_bytes());
        let files = self.files.iter().chain([&manifest]);
        let files: Vec<_> =
            files.map(|(name, content)| (format!("{folder}{name}"), content.clone())).collect();
        zip(&files)
    }
}

impl Gsa<'_> {
    /// Makes the database of some batches under their message ids.
    pub(crate) fn made(&self, rows: &[(&str, String)]) -> Vec<u8> {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "create table processed_telemetry
             (_id integer primary key, msg_id text, data blob, event_count integer, priority integer)",
        )
        .unwrap();
        for (mid, batch) in rows {
            let parsed: Value = serde_json::from_str(batch).unwrap();
            let counted = i64::try_from(parsed["events"].as_array().unwrap().len()).unwrap();
            let events = self.events.unwrap_or(counted);
            let sql = "insert into processed_telemetry (msg_id, data, event_count, priority) values (?1, ?2, ?3, 1)";
            conn.execute(sql, (mid, gzip(batch.as_bytes()), events)).unwrap();
        }
        if self.keyed {
            let sql = "create table meta_data (key text, value text);
                insert into meta_data values ('version', '20'), ('types', '[\"telemetry\"]'), ('events_count', '3')";
            conn.execute_batch(sql).unwrap();
            conn.execute("insert into meta_data values ('did', ?1)", [self.did]).unwrap();
        } else {
            let sql = "create table meta_data
                (version int, types text, did text, export_id text, file_size int, events_count int)";
            conn.execute_batch(sql).unwrap();
            let sql = "insert into meta_data values (20, '[\"telemetry\"]', ?1, 'e', 0, 3)";
            conn.execute(sql, [self.did]).unwrap();
        }
        conn.serialize("main").unwrap().to_vec()
    }
}

/// Makes a database by hand.
pub(crate) fn sqlite(sql: &str) -> Vec<u8> {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch(sql).unwrap();
    conn.serialize("main").unwrap().to_vec()
}

pub(crate) fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}
