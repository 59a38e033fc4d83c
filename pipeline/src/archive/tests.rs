//! Archives as apps, desktops and our browser client make them, and as nobody should.

pub(crate) mod made;

use bytes::Bytes;
use serde_json::json;

use self::made::{Gsa, Made, batch, gzip, sqlite};
use super::*;

fn open(bytes: impl Into<Bytes>) -> Result<Archive, Problem> {
    Archive::open(bytes.into(), Limits::default())
}

fn items(bytes: impl Into<Bytes>) -> Vec<Item> {
    open(bytes).unwrap().collect()
}

/// The code of an archive that cannot be opened.
fn refused(bytes: impl Into<Bytes>) -> &'static str {
    open(bytes).unwrap_err().code
}

/// The code of an item that is refused.
fn code(item: &Item) -> &'static str {
    item.batch.as_ref().unwrap_err().code
}

fn codes(notes: &[Problem]) -> Vec<&'static str> {
    notes.iter().map(|note| note.code).collect()
}

#[test]
fn archive_of_an_app_gives_its_batches_as_they_were_written() {
    let bodies = [batch(Some("m1"), Some("d1"), 3), batch(Some("m2"), Some("d1"), 1)];
    let made = Made::of(&bodies);
    let mut archive = open(made.zip("")).unwrap();
    assert_eq!((archive.kind(), archive.items(), archive.notes()), (Kind::Zip, 2, &[][..]));
    for (body, (mid, events)) in bodies.iter().zip([("m1", 3), ("m2", 1)]) {
        let item = archive.next().unwrap();
        assert_eq!((item.mid.as_deref(), item.events, item.notes), (Some(mid), events, vec![]));
        let found = item.batch.unwrap();
        assert_eq!((&*found.bytes, found.message_id.as_deref()), (body.as_bytes(), Some(mid)));
        assert_eq!(found.device.as_deref(), Some("d1"));
    }
    assert_eq!(archive.next(), None);
}

#[test]
fn batch_of_a_desktop_has_its_id_in_the_manifest_and_its_device_in_the_events() {
    let item = items(Made::of(&[batch(None, None, 2)]).zip("")).remove(0);
    assert_eq!((item.mid.as_deref(), item.notes), (Some("listed-0"), vec![]));
    let found = item.batch.unwrap();
    assert_eq!((found.message_id, found.device.as_deref()), (None, Some("device-of-events")));
}

#[test]
fn manifest_may_be_in_the_one_folder_of_the_archive() {
    let made = Made::of(&[batch(Some("m"), Some("d"), 1)]);
    let item = items(made.zip("archive-2024/")).remove(0);
    assert_eq!((&*item.file, item.mid.as_deref()), ("0.gz", Some("m")));
    assert!(item.batch.is_ok());
    assert_eq!(refused(made.zip("a/b/")), "manifest_missing");
    assert_eq!(refused(made.zip("../")), "manifest_missing");
    let (name, text) = ("manifest.json", made.manifest.to_string().into_bytes());
    let both = [("a", &text), ("b", &text)]
        .map(|(folder, text)| (format!("{folder}/{name}"), text.clone()));
    assert_eq!(refused(made::zip(&both)), "manifest_ambiguous");
    assert_eq!(refused(made::zip(&[("0.gz".to_owned(), Vec::new())])), "manifest_missing");
    assert_eq!(refused(made::zip(&[])), "manifest_missing");
}

#[test]
fn manifest_that_lies_is_told_and_what_is_there_counts() {
    let mut made = Made::of(&[batch(Some("m"), Some("d"), 2)]);
    made.item(0, &json!({"size": 1, "explodedSize": 2, "mid": "other", "eventsCount": 9}));
    made.manifest["id"] = "something.else".into();
    made.manifest["archive"]["count"] = 7.into();
    made.files.push(("notes.txt".to_owned(), b"hello".to_vec()));
    let mut archive = open(made.zip("")).unwrap();
    assert_eq!(codes(archive.notes()), ["id_differs", "count_differs", "unlisted_files"]);
    let item = archive.next().unwrap();
    let expected = ["size_differs", "exploded_size_differs", "events_count_differs", "mid_differs"];
    assert_eq!(codes(&item.notes), expected);
    assert_eq!((item.mid.as_deref(), item.events, item.batch.is_ok()), (Some("m"), 2, true));
}

#[test]
fn item_that_cannot_be_taken_says_why_and_the_others_go_on() {
    let good = batch(Some("m"), Some("d"), 1);
    for (change, expected) in [
        (json!({"contentEncoding": "identity"}), "unsupported_encoding"),
        (json!({"contentEncoding": null}), "unsupported_encoding"),
        (json!({"objectType": "content"}), "unsupported_type"),
        (json!({"file": null}), "missing_file"),
        (json!({"file": "9.gz"}), "missing_file"),
        (json!({"file": "0.gz"}), "repeated_file"),
        (json!({"file": "../0.gz"}), "unsafe_name"),
        (json!({"file": "/etc/passwd"}), "unsafe_name"),
        (json!({"file": "a\\..\\..\\0.gz"}), "unsafe_name"),
        (json!({"file": "C:\\0.gz"}), "unsafe_name"),
    ] {
        let mut made = Made::of(&[good.clone(), good.clone(), good.clone()]);
        made.item(1, &change);
        let items = items(made.zip(""));
        assert_eq!(code(&items[1]), expected, "{change}");
        assert!(items[0].batch.is_ok() && items[2].batch.is_ok(), "{change}");
    }
}

#[test]
fn file_that_is_no_batch_is_refused() {
    for (file, expected) in [
        (b"hello".to_vec(), "broken_file"),
        (Vec::new(), "broken_file"),
        (gzip(b"{}")[..12].to_vec(), "broken_file"),
        (gzip(b"[]"), "malformed_batch"),
        (gzip(b"{\"events\":{}}"), "malformed_batch"),
        (gzip(b"{\"events\":[\xff]}"), "malformed_batch"),
        (gzip(b"{}"), "no_events"),
        (gzip(b"{\"events\":[]}"), "no_events"),
        (gzip(format!("{{\"events\":[{}0]}}", "0,".repeat(1000)).as_bytes()), "too_many_events"),
    ] {
        let mut made = Made::of(&[String::new()]);
        made.files[0].1 = file;
        assert_eq!(code(&items(made.zip(""))[0]), expected);
    }
}

#[test]
fn bomb_is_refused_before_it_is_large() {
    let zeros = vec![b' '; 4_000_000];
    let mut made = Made::of(&[String::new(), batch(Some("m"), Some("d"), 1)]);
    made.files[0].1 = gzip(&zeros);
    let found = items(made.zip(""));
    assert_eq!(code(&found[0]), "suspicious_compression");
    assert!(found[1].batch.is_ok());
    // Deflated by the zip as well: large already before it is gzip.
    made.files[0].1 = vec![b' '; 6_000_000];
    assert_eq!(code(&items(made.zip(""))[0]), "item_too_large");
    // Many small ones: what is refused counts too.
    let limits = Limits { inflated_bytes_max: 1_000_000, ..Limits::default() };
    let mut many = Made::of(&vec![batch(Some("m"), Some("d"), 1); 9]);
    for file in &mut many.files {
        file.1 = gzip(&vec![b' '; 250_000]);
    }
    let found: Vec<_> = Archive::open(many.zip("").into(), limits).unwrap().collect();
    assert_eq!(code(&found[0]), "malformed_batch");
    assert_eq!(code(&found[8]), "too_many_bytes");
}

#[test]
fn archive_that_is_too_much_is_refused_as_a_whole() {
    let limits = Limits { archive_bytes_max: 10, ..Limits::default() };
    let small = Archive::open(Bytes::from_static(b"PK345678901"), limits);
    assert_eq!(small.unwrap_err().code, "archive_too_large");
    let mut made = Made::of(&[batch(Some("m"), Some("d"), 1)]);
    let listed = made.items()[0].clone();
    *made.items() = vec![listed; ITEMS_MAX + 1];
    assert_eq!(refused(made.zip("")), "too_many_items");
    let mut directory = Made::of(&[]).zip("");
    directory.splice(0..0, b"PK\x01\x02".repeat(2 * ITEMS_MAX + 1));
    assert_eq!(refused(directory), "too_many_files");
}

#[test]
fn whatever_is_no_archive_is_told_so() {
    assert_eq!(refused(&b""[..]), "not_an_archive");
    assert_eq!(refused(&b"{\"events\":[]}"[..]), "not_an_archive");
    assert_eq!(refused(&b"PK\x03\x04"[..]), "broken_archive");
    for manifest in ["", "7", "{}", "{\"archive\":{}}", "{\"archive\":{\"items\":7}}"] {
        let file = ("manifest.json".to_owned(), manifest.into());
        assert_eq!(refused(made::zip(&[file])), "malformed_manifest", "{manifest}");
    }
    let file =
        ("manifest.json".to_owned(), b"{\"archive\":{\"items\":[7,{\"file\":{}}]}}".to_vec());
    let found = items(made::zip(&[file]));
    assert_eq!([code(&found[0]), code(&found[1])], ["missing_file"; 2]);
}

#[test]
fn encrypted_file_is_refused() {
    let made = Made::of(&[batch(Some("m"), Some("d"), 1)]);
    let mut bytes = made.zip("");
    // The flag, in the directory of the file that is listed.
    let at = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    bytes[at + 8] |= 1;
    assert_eq!(code(&items(bytes)[0]), "encrypted");
}

#[test]
fn database_of_an_older_app_gives_its_batches() {
    for keyed in [false, true] {
        let gsa = Gsa { did: Some("d9"), keyed, ..Gsa::default() };
        let rows = [
            ("m1", batch(Some("m1"), None, 2)),
            ("m2", r#"{"events":[{"eid":"OE_START"}]}"#.to_owned()),
        ];
        let mut archive = open(gsa.made(&rows)).unwrap();
        assert_eq!((archive.kind(), archive.items()), (Kind::Gsa, 2));
        let (first, second) = (archive.next().unwrap(), archive.next().unwrap());
        assert_eq!((first.mid.as_deref(), first.events, first.notes), (Some("m1"), 2, vec![]));
        assert_eq!(first.batch.unwrap().device.as_deref(), Some("device-of-events"));
        assert_eq!((&*second.file, second.mid.as_deref()), ("processed_telemetry/2", Some("m2")));
        assert_eq!(second.batch.unwrap().device.as_deref(), Some("d9"), "keyed: {keyed}");
        assert_eq!(archive.next(), None);
    }
}

#[test]
fn database_with_a_log_beside_it_is_read_without_it() {
    let mut bytes = Gsa::default().made(&[("m", batch(Some("m"), None, 1))]);
    bytes[18..20].fill(2);
    assert!(items(bytes)[0].batch.is_ok());
}

#[test]
fn row_that_lies_or_is_no_batch_stops_nothing() {
    let gsa = Gsa { events: Some(7), ..Gsa::default() };
    let item = items(gsa.made(&[("other", batch(Some("m"), None, 2))])).remove(0);
    assert_eq!(codes(&item.notes), ["events_count_differs", "mid_differs"]);
    assert_eq!(item.mid.as_deref(), Some("m"));
    let bytes = sqlite(
        "create table processed_telemetry (_id integer primary key, msg_id text, data blob, event_count int);
         insert into processed_telemetry (data) values (null), ('text'), (x'00'), (zeroblob(6000000))",
    );
    let found = items(bytes);
    let found: Vec<_> = found.iter().map(code).collect();
    assert_eq!(found, ["broken_file", "broken_file", "broken_file", "item_too_large"]);
}

#[test]
fn database_runs_nothing_of_its_own() {
    let data = "create table t (msg_id text, data blob, event_count int); insert into t values ('m', x'00', 1);";
    for (made, expected) in [
        (format!("{data} create view processed_telemetry as select * from t"), "manifest_missing"),
        ("create virtual table processed_telemetry using fts5(msg_id, data)".to_owned(), "manifest_missing"),
        (data.to_owned(), "manifest_missing"),
        (
            "create table processed_telemetry (msg_id text primary key, data, event_count) without rowid;
             insert into processed_telemetry values ('m', x'00', 1)"
                .to_owned(),
            "broken_archive",
        ),
    ] {
        let found = open(sqlite(&made)).map(|mut archive| code(&archive.next().unwrap()));
        assert_eq!(found.unwrap_or_else(|problem| problem.code), expected, "{made}");
    }
    assert_eq!(refused(&b"SQLite format 3\0"[..]), "broken_archive");
}

#[test]
fn report_says_of_each_item_what_became_of_it() {
    let mut made = Made::of(&[batch(Some("m1"), Some("d"), 2), batch(Some("m2"), Some("d"), 3)]);
    made.item(1, &json!({"contentEncoding": "br"}));
    let archive = open(made.zip("")).unwrap();
    let mut report = Report::new(&archive);
    for item in archive {
        report.push(Entry::new(&item, Status::Accepted, 1));
    }
    let written = serde_json::to_value(&report).unwrap();
    assert_eq!(
        written,
        json!({
            "kind": "zip", "accepted": 1, "repeated": 0, "filtered": 1, "refused": 1,
            "items": [
                {"mid": "m1", "file": "0.gz", "events": 2, "filtered": 1, "status": "accepted"},
                {"mid": "m2", "file": "1.gz", "events": 0, "status": "refused", "code": "unsupported_encoding",
                 "message": "its `contentEncoding` is not `gzip`, the one that is read"},
            ],
        })
    );
}
