//! Archives from files, on the command line.

use std::fs;

use serde_json::{Value, json};
use tidings_pipeline::{
    Log as _,
    archive::{Archive, Limits},
    log::{Memory, Postgres, postgres},
    topic::{self, Layout},
};
use tidings_relay::archive::Import;
use tidings_tests::{Database, Temporary};

use super::made;
use crate::binary::{Ran, on, run};

/// Runs `tidings telemetry import` on these files of a folder.
async fn import(database: &Database, folder: &Temporary, words: &[&str]) -> Ran {
    let launch = on(database).folder(folder.path()).args(["telemetry", "import"]);
    run(&launch.args(words)).await
}

fn parsed(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[tokio::test]
async fn archives_are_imported_once_and_each_item_is_reported() {
    let (database, folder) = (Database::new().await, Temporary::new("archives"));
    let (app, desktop) =
        (made::of_app("m1", "phone", &["a", "b"]), made::of_desktop("desk", &["c"]));
    fs::write(folder.path().join("a.zip"), made::of("", &[("m1", &app), ("m2", &desktop)]))
        .unwrap();
    fs::write(
        folder.path().join("b.gsa"),
        made::gsa("phone", &[("m3", &made::of_app("m3", "phone", &["d"]))]),
    )
    .unwrap();
    let words = ["a.zip", "b.gsa", "--importer", "ann", "--json"];
    let report = import(&database, &folder, &words).await.json();
    assert_eq!(
        report,
        json!([
            {"archive": "a.zip", "kind": "zip", "accepted": 3, "repeated": 0, "filtered": 0, "refused": 0, "items": [
                {"mid": "m1", "file": "0.gz", "events": 2, "status": "accepted"},
                {"mid": "m2", "file": "1.gz", "events": 1, "status": "accepted"},
            ]},
            {"archive": "b.gsa", "kind": "gsa", "accepted": 1, "repeated": 0, "filtered": 0, "refused": 0, "items": [
                {"mid": "m3", "file": "processed_telemetry/1", "events": 1, "status": "accepted"},
            ]},
        ])
    );
    let again = import(&database, &folder, &["a.zip", "b.gsa", "--importer", "bob"]).await;
    assert_eq!(
        again.stdout.trim_end(),
        "a.zip: 0 events accepted, 3 were there before\nb.gsa: 0 events accepted, 1 were there before"
    );
    let records: Vec<(Value, i64)> =
        sqlx::query_as("select headers, length(value)::bigint from tidings.log_record")
            .fetch_all(database.pool())
            .await
            .unwrap();
    assert_eq!(records.len(), 3);
    for (headers, _) in &records {
        assert_eq!([&headers["importer"], &headers["channel"]], ["ann", "anonymous"]);
        assert!(["phone", "desk"].contains(&headers["x-device-id"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn archive_goes_to_the_log_of_its_prefix() {
    // It went to the log without a prefix, and nobody read it there.
    let (database, folder) = (Database::new().await, Temporary::new("archives"));
    let options = postgres::Options { prefix: "acme.".to_owned(), ..postgres::Options::default() };
    let connect = database.url().parse().unwrap();
    let log = Postgres::new(database.pool().clone(), connect, options);
    log.prepare(&Layout { partitions: 2, ..Layout::default() }.specs()).await.unwrap();
    let app = made::of_app("m1", "phone", &["a"]);
    fs::write(folder.path().join("a.zip"), made::of("", &[("m1", &app)])).unwrap();
    let words = ["a.zip", "--importer", "ann", "--log-prefix", "acme."];
    let ran = import(&database, &folder, &words).await;
    assert_eq!(ran.stdout.trim_end(), "a.zip: 1 events accepted, 0 were there before", "{ran:?}");
    let there = "select t.name from tidings.log_record r join tidings.log_topic t using (topic_id)";
    let topics: Vec<String> = sqlx::query_scalar(there).fetch_all(database.pool()).await.unwrap();
    assert_eq!(topics, ["acme.telemetry.raw"]);
}

#[tokio::test]
async fn what_is_refused_is_said_and_is_a_failure() {
    let (database, folder) = (Database::new().await, Temporary::new("archives"));
    let good = made::of_app("m1", "phone", &["a"]);
    let lines = vec![made::line("0.gz", "m1", &good), made::line("/etc/passwd", "m2", &good)];
    let files = [("0.gz".to_owned(), made::gzip(&good))].into_iter();
    let bad = made::zip("", &lines, files, zip::CompressionMethod::Deflated);
    fs::write(folder.path().join("bad.zip"), bad).unwrap();
    fs::write(folder.path().join("notes.txt"), "hello").unwrap();
    let words = ["bad.zip", "notes.txt", "missing.zip"];
    let ran = import(&database, &folder, &words).await;
    ran.refused(4, "3 of what was to be imported could not be");
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines[0], "bad.zip: 1 events accepted, 0 were there before, 1 batches refused");
    assert!(lines[1].starts_with("  /etc/passwd: refused: its name leads out"), "{lines:?}");
    assert!(lines[2].starts_with("notes.txt: refused: it is neither a zip nor"), "{lines:?}");
    assert!(lines[3].starts_with("missing.zip: refused: the file cannot be read"), "{lines:?}");
    let ran = import(&database, &folder, &["bad.zip", "notes.txt", "--json"]).await;
    ran.refused(4, "\"refused\"");
    let report = parsed(&ran);
    assert_eq!(
        [&report[0]["repeated"], &report[0]["items"][1]["code"]],
        [&json!(1), &json!("unsafe_name")]
    );
    assert_eq!(report[1]["code"], "not_an_archive");
    let ran = import(&database, &folder, &["bad.zip", "--channel", "nobody"]).await;
    ran.refused(3, "there is no channel `nobody`");
    import(&database, &folder, &[]).await.refused(2, "FILE");
}

#[tokio::test]
async fn archive_goes_to_a_log_outside_of_the_database_as_well() {
    let (database, log) = (Database::new().await, Memory::new());
    log.prepare(&Layout { partitions: 2, ..Layout::default() }.specs()).await.unwrap();
    let batch = made::of_app("m1", "phone", &["a"]);
    let archive = made::of("", &[("m1", &batch)]);
    let mut conn = database.pool().acquire().await.unwrap();
    for _ in 0..2 {
        let opened = Archive::open(archive.clone().into(), Limits::default()).unwrap();
        let mut import = Import::begin(&mut conn, opened, "anonymous", "ann").await.unwrap();
        while import.gather().await.unwrap() {
            assert_eq!(import.write_to(&log).await.unwrap(), 1);
        }
        assert_eq!(import.report().accepted, 1);
    }
    // It is there twice: what such a log has is known to the pipeline alone.
    let records = log.records(topic::RAW);
    assert_eq!(records.len(), 2);
    for record in records {
        assert_eq!(
            (&*record.value, record.headers.get("importer")),
            (batch.as_bytes(), Some("ann"))
        );
    }
}
