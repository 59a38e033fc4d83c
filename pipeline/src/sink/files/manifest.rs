//! Manifests: which files are complete. Readers go by them, never by what lies in the store.
//!
//! One for each file, written when all files of its plan are up, under the same name below `manifest/`; so nobody
//! writes into what somebody else has written, and a reader of one day lists one folder.

use bytes::Bytes;
use chrono::NaiveDate;
use serde::Serialize;

use super::{
    codec::Codec,
    plan::{Place, PlannedFile},
};
use crate::topic;

/// The version of the form.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Manifest<'a> {
    format: u32,
    sink: &'a str,
    topic: &'a str,
    topic_id: &'a str,
    partition: i32,
    first: i64,
    last: i64,
    dt: NaiveDate,
    /// Below the folder of the sink.
    path: &'a str,
    generation: i32,
    codec: Codec,
    events: u64,
    bytes: u64,
    sha256: &'a str,
}

/// Returns the text of the manifest of a file.
pub(super) fn text(sink: &str, place: Place<'_>, codec: Codec, file: &PlannedFile) -> Bytes {
    let Place { topic_id, partition, first, last } = place;
    let manifest = Manifest {
        format: FORMAT,
        sink,
        topic: topic::UNIQUE,
        topic_id,
        partition,
        first,
        last,
        dt: file.dt,
        path: &file.name,
        generation: file.generation,
        codec,
        events: file.events,
        bytes: file.bytes,
        sha256: &file.sha256,
    };
    // Numbers and texts can always be written.
    let mut text = serde_json::to_vec(&manifest).unwrap_or_default();
    text.push(b'\n');
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_says_where_the_file_is_and_what_is_in_it() {
        let dt = NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
        let place = Place { topic_id: "00ff00ff00ff", partition: 3, first: 0, last: 9 };
        let name = place.file(dt, 1, Codec::Parquet);
        let sha256 = "ab".repeat(32);
        let file = PlannedFile { dt, name, generation: 1, events: 4, bytes: 99, sha256 };
        let text = text("lake", place, Codec::Parquet, &file);
        assert_eq!(
            std::str::from_utf8(&text).unwrap(),
            concat!(
                r#"{"format":1,"sink":"lake","topic":"telemetry.unique","topic_id":"00ff00ff00ff","partition":3,"#,
                r#""first":0,"last":9,"dt":"2026-11-22","#,
                r#""path":"dt=2026-11-22/00ff00ff00ff/3/00000000000000000000-00000000000000000009.g1.parquet","#,
                r#""generation":1,"codec":"parquet","events":4,"bytes":99,"#,
                r#""sha256":"abababababababababababababababababababababababababababababababab"}"#,
                "\n"
            )
        );
    }
}
