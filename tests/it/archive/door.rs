//! Archives at the door of a relay.

use reqwest::{Client, Response};
use serde_json::{Value, json};
use tidings::{Level, privacy};
use tidings_relay::{
    Builder, Limits, Relay,
    channel::{self, Settings},
    key,
};
use tidings_tests::{World, eventually};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use zip::CompressionMethod;

use super::made;

/// A relay on a socket.
struct Door {
    world: World,
    url: String,
    client: Client,
    shutdown: CancellationToken,
}

impl Door {
    async fn open(set: impl FnOnce(Builder) -> Builder) -> Self {
        let world = World::new(&["order:placed"]).await;
        let shutdown = CancellationToken::new();
        let relay = set(Relay::builder(world.pool.clone())).build(shutdown.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = axum::serve(listener, relay.router());
        tokio::spawn(
            served.with_graceful_shutdown(shutdown.clone().cancelled_owned()).into_future(),
        );
        // Whoever comes second finds it installed; nothing here is encrypted.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().no_proxy().build().unwrap();
        Self { world, url, client, shutdown }
    }

    async fn key(&self, channel: &str) -> String {
        let mut conn = self.world.pool.acquire().await.unwrap();
        let mut random = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(rand::random());
        key::add(&mut conn, &mut random, channel).await.unwrap().text.to_string()
    }

    async fn import(&self, archive: &[u8], key: &str) -> (u16, Value) {
        let sent = self.client.post(format!("{}/api/telemetry/import", self.url));
        let sent = sent.header("content-type", "application/zip").header("x-device-id", "importer");
        read(sent.bearer_auth(key).body(archive.to_vec()).send().await.unwrap()).await
    }

    async fn send(&self, batch: &str, key: &str) -> Value {
        let sent = self.client.post(format!("{}/v1/telemetry", self.url)).bearer_auth(key);
        let sent = sent.header("content-type", "application/json").body(batch.to_owned());
        let (status, answer) = read(sent.send().await.unwrap()).await;
        assert_eq!(status, 200, "{answer}");
        answer["result"].clone()
    }

    /// Returns the headers and the values of the raw log.
    async fn records(&self) -> Vec<(Value, String)> {
        let query = "select headers, convert_from(value, 'UTF8') from tidings.log_record
            order by appended_at, partition, record_offset";
        sqlx::query_as(query).fetch_all(&self.world.pool).await.unwrap()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

/// The members of each item.
fn items(answer: &Value, names: [&str; 3]) -> Vec<[Value; 3]> {
    let items = answer["result"]["items"].as_array().unwrap();
    items.iter().map(|item| names.map(|name| item[name].clone())).collect()
}

#[tokio::test]
async fn what_a_browser_has_shared_arrives_once_whoever_sends_it() {
    let door = Door::open(|builder| builder).await;
    let key = door.key("school").await;
    let bodies = [("b1", &["a", "b"][..]), ("b2", &["c"])]
        .map(|(id, mids)| (id, made::of_browser(id, "tablet", mids)));
    let archive = made::shared(&[(bodies[0].0, &bodies[0].1), (bodies[1].0, &bodies[1].1)]);
    let (status, answer) = door.import(&archive, &key).await;
    assert_eq!((status, &answer["responseCode"]), (200, &json!("SUCCESS")), "{answer}");
    let [kind, accepted, refused] =
        ["kind", "accepted", "refused"].map(|name| &answer["result"][name]);
    assert_eq!((kind, accepted, refused), (&json!("zip"), &json!(3), &json!(0)));
    assert_eq!(
        items(&answer, ["mid", "events", "status"]),
        [[json!("b1"), json!(2), json!("accepted")], [json!("b2"), json!(1), json!("accepted")]]
    );
    let (_, again) = door.import(&archive, &key).await;
    assert_eq!(
        [&again["result"]["accepted"], &again["result"]["repeated"]],
        [&json!(0), &json!(3)]
    );
    // The device comes online and sends the same.
    assert_eq!(door.send(&bodies[0].1, &key).await["repeated"], true);
    let mut records = door.records().await;
    records.sort_by(|one, other| one.1.cmp(&other.1));
    let values: Vec<_> = records.iter().map(|(_, value)| value).collect();
    assert_eq!(values, [&bodies[0].1, &bodies[1].1]);
    let headers = &records[0].0;
    assert_eq!(
        ["x-device-id", "importer", "channel", "profile", "message_id", "format"]
            .map(|name| headers[name].as_str().unwrap()),
        ["tablet", &key[..8], "school", "lenient", "b1", "sunbird"]
    );
    assert!(headers["syncts"].as_i64().unwrap() > 1_700_000_000_000);
    let page = door.client.get(format!("{}/metrics", door.url)).send().await.unwrap();
    let page = page.text().await.unwrap();
    for (outcome, count) in [("accepted", 3), ("repeated", 3)] {
        let line = format!(
            "tidings_relay_events_total{{route=\"/api/telemetry/import\",outcome=\"{outcome}\"}} {count}"
        );
        assert!(page.contains(&line), "{line} is not in {page}");
    }
}

#[tokio::test]
async fn archives_of_apps_and_desktops_in_any_folder_and_older_ones_are_taken() {
    let door = Door::open(|builder| builder).await;
    let key = door.key("school").await;
    let (app, desktop) =
        (made::of_app("m1", "phone", &["a"]), made::of_desktop("desk", &["b", "c"]));
    let old = made::of_app("m9", "phone", &["d"]);
    for archive in [
        made::of("archive-2024/", &[("m1", &app), ("m2", &desktop)]),
        made::gsa("old-phone", &[("m9", &old)]),
    ] {
        let (status, answer) = door.import(&archive, &key).await;
        assert_eq!((status, &answer["result"]["refused"]), (200, &json!(0)), "{answer}");
        assert!(answer["result"]["items"][0].get("notes").is_none(), "{answer}");
    }
    let records = door.records().await;
    let devices: Vec<_> = records
        .iter()
        .map(|(headers, _)| [&headers["message_id"], &headers["x-device-id"]])
        .collect();
    assert_eq!(devices.len(), 3);
    for expected in [["m1", "phone"], ["m2", "desk"], ["m9", "phone"]] {
        assert!(devices.iter().any(|found| found.map(Value::as_str) == expected.map(Some)));
    }
    // A desktop sends its batch without a message id.
    assert_eq!(door.send(&desktop, &key).await["repeated"], true);
}

#[tokio::test]
async fn bad_items_are_told_and_the_good_ones_are_there() {
    let door = Door::open(|builder| builder).await;
    let key = door.key("school").await;
    let good = made::of_app("m1", "phone", &["a"]);
    let bomb = " ".repeat(4_000_000);
    let mut lines: Vec<_> =
        ["../0.gz", "1.gz", "2.gz", "3.gz"].map(|file| made::line(file, "x", &good)).into();
    lines[2]["contentEncoding"] = "br".into();
    let files = [("1.gz", &bomb), ("2.gz", &good), ("3.gz", &good)]
        .map(|(name, content)| (name.to_owned(), made::gzip(content)));
    let archive = made::zip("", &lines, files.into_iter(), CompressionMethod::Deflated);
    let (status, answer) = door.import(&archive, &key).await;
    assert_eq!(status, 200);
    let refused = |code: &str| [json!("x"), json!("refused"), json!(code)];
    assert_eq!(
        items(&answer, ["mid", "status", "code"]),
        [
            refused("unsafe_name"),
            refused("suspicious_compression"),
            refused("unsupported_encoding"),
            [json!("m1"), json!("accepted"), Value::Null],
        ]
    );
    assert_eq!(answer["result"]["items"][3]["notes"][0]["code"], "mid_differs");
    assert_eq!(door.records().await.len(), 1);
}

#[tokio::test]
async fn archive_that_cannot_be_taken_is_refused_in_the_envelope() {
    let limits = Limits { archive_bytes_max: 10_000, ..Limits::default() };
    let door = Door::open(|builder| builder.limits(limits)).await;
    let key = door.key("school").await;
    let empty = made::plain("", std::iter::empty(), CompressionMethod::Stored);
    for (archive, key, status, err) in [
        (&empty[..], &*key, 400, "MANIFEST_MISSING"),
        (b"hello", &*key, 400, "NOT_AN_ARCHIVE"),
        (b"", &*key, 400, "NOT_AN_ARCHIVE"),
        (&[b'P'; 10_001], &*key, 413, "ARCHIVE_TOO_LARGE"),
        (&empty, "tk_unknown", 401, "UNAUTHORIZED"),
    ] {
        let (found, answer) = door.import(archive, key).await;
        assert_eq!((found, &answer["params"]["err"]), (status, &json!(err)), "{answer}");
        assert_eq!(answer["params"]["status"], "failed");
    }
    let sent = door.client.post(format!("{}/api/telemetry/import", door.url)).bearer_auth(&key);
    let sent = sent.header("content-type", "application/json").body("{}");
    let (status, answer) = read(sent.send().await.unwrap()).await;
    assert_eq!((status, &answer["params"]["err"]), (415, &json!("UNSUPPORTED_MEDIA_TYPE")));
    assert!(door.records().await.is_empty());
}

#[tokio::test]
async fn archive_counts_against_the_quota_as_a_whole() {
    let door = Door::open(|builder| builder).await;
    let mut conn = door.world.pool.acquire().await.unwrap();
    let settings = Settings { events_per_minute: Some(100), ..Settings::default() };
    channel::set(&mut conn, "school", settings).await.unwrap();
    drop(conn);
    let key = door.key("school").await;
    // Two hundred batches are two groups: what has begun is finished.
    let batches: Vec<_> =
        (0..200).map(|n| made::of_app(&format!("m{n}"), "phone", &[&format!("e{n}")])).collect();
    let listed: Vec<_> = batches.iter().map(|batch| ("listed", batch.as_str())).collect();
    let (status, answer) = door.import(&made::of("", &listed), &key).await;
    assert_eq!((status, &answer["result"]["accepted"]), (200, &json!(200)), "{answer}");
    let other = made::of_app("other", "phone", &["other"]);
    let (status, answer) = door.import(&made::of("", &[("other", &other)]), &key).await;
    assert_eq!((status, &answer["params"]["err"]), (429, &json!("QUOTA_EXCEEDED")));
    let sent = door.client.post(format!("{}/v1/telemetry", door.url)).bearer_auth(&key);
    let refused = sent.body(other).send().await.unwrap();
    let after: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((50..=61).contains(&after), "a hundred events are owed, and one is asked for: {after}");
}

#[tokio::test]
async fn what_is_above_the_level_is_not_imported() {
    let door = Door::open(|builder| builder).await;
    let key = door.key("school").await;
    let mut batch: Value = serde_json::from_str(&made::of_app("m1", "phone", &["a", "b"])).unwrap();
    batch["events"][1]["eid"] = "SEARCH".into();
    let mut all: Value = serde_json::from_str(&made::of_app("m2", "phone", &["c"])).unwrap();
    all["events"][0]["eid"] = "SEARCH".into();
    let (batch, all) = (batch.to_string(), all.to_string());
    let archive = made::of("", &[("m1", &batch), ("m2", &all)]);
    let mut tx = door.world.pool.begin().await.unwrap();
    privacy::set_level(&mut tx, Level::Basic).await.unwrap();
    tx.commit().await.unwrap();
    let empty =
        made::of("", &[("m0", &made::of_app("m0", "phone", &["search"]).replace("LOG", "SEARCH"))]);
    eventually(tidings_tests::SOON, "the relay knows the level", || async {
        (door.import(&empty, &key).await.1["result"]["filtered"] == 1).then_some(())
    })
    .await;
    let before = door.records().await.len();
    let (_, answer) = door.import(&archive, &key).await;
    assert_eq!(
        items(&answer, ["mid", "filtered", "status"]),
        [[json!("m1"), json!(1), json!("accepted")], [json!("m2"), json!(1), json!("filtered")]]
    );
    let records = door.records().await;
    assert_eq!(records.len(), before + 1);
    assert!(
        !records
            .iter()
            .any(|(headers, value)| headers["message_id"] == "m1" && value.contains("SEARCH"))
    );
}
