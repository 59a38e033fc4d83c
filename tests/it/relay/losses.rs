//! What Sunbird's and DIGIT's collectors lost without a word, or said too much about: one test each.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use tidings_tests::{Database, Moment, SOON, World, eventually};

use super::{Door, OK, durability::behind_proxy, header, read};

const PATH: &str = "/v1/telemetry";

fn event(n: usize) -> Value {
    json!({"eid": "LOG", "ets": 1_586_000_000_000_i64, "mid": format!("LOG:{n}")})
}

fn batch(message_id: &str) -> Value {
    json!({"params": {"msgid": message_id}, "events": [event(1)]})
}

/// Checks that a batch is kept as it came, under the headers that are returned.
async fn is_kept(door: &Door, batch: &Value) -> Value {
    let (status, answer) = door.send(PATH, batch).await;
    assert_eq!((status, &answer["responseCode"]), (OK, &json!("SUCCESS")), "{answer}");
    let records = door.records().await;
    let (_, _, headers, value) = records.last().unwrap();
    assert_eq!(*value, batch.to_string());
    headers.clone()
}

#[tokio::test]
async fn body_without_events_that_was_success_there_is_refused() {
    let door = Door::open().await;
    for body in ["", "{}", "[]", "null", "{\"events\":[]}", "[{\"eid\":\"LOG\"}]"] {
        let (status, answer) = door.send_text(PATH, body).await;
        assert_eq!((status, &answer["responseCode"]), (400, &json!("CLIENT_ERROR")), "{body}");
        assert_eq!(answer["params"]["status"], "failed");
    }
    assert!(door.records().await.is_empty());
}

#[tokio::test]
async fn beacon_that_was_success_there_and_kept_nothing_is_kept() {
    let door = Door::open().await;
    let body = batch("beacon").to_string();
    let sent = door.client.post(door.url(PATH)).header("content-type", "text/plain;charset=UTF-8");
    assert_eq!(read(sent.body(body.clone()).send().await.unwrap()).await.0, OK);
    assert_eq!(door.records().await[0].3, body);
}

#[tokio::test]
async fn refusal_that_was_a_page_with_a_stack_trace_is_the_envelope() {
    let door = Door::open().await;
    let broken = {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(batch("m").to_string().as_bytes()).unwrap();
        let mut whole = encoder.finish().unwrap();
        whole.truncate(30);
        whole
    };
    let gzip = door.post(PATH).header("content-encoding", "gzip").body(broken);
    let encoding = door.post(PATH).header("content-encoding", "zstd").body("{}");
    for (sent, expected) in [
        (door.post(PATH).body("{\"events\": ["), 400),
        (gzip, 400),
        (encoding, 415),
        (door.post(PATH).body(vec![b' '; 5_000_001]), 413),
        (door.client.get(door.url(PATH)), 405),
    ] {
        let response = sent.send().await.unwrap();
        assert_eq!(header(&response, "content-type"), "application/json");
        let (status, answer) = read(response).await;
        assert_eq!((status, &answer["responseCode"]), (expected, &json!("CLIENT_ERROR")));
        let message = answer["params"]["errmsg"].as_str().unwrap();
        assert!(!message.contains(".rs") && !message.contains("src/"), "{message}");
    }
}

#[tokio::test]
async fn header_that_is_absent_takes_nothing_from_the_body() {
    let door = Door::open().await;
    let batch = json!({"did": "d", "channel": "c", "pid": "p", "mid": "m", "events": [event(1)]});
    let headers = is_kept(&door, &batch).await;
    assert_eq!((&headers["message_id"], headers.get("x-device-id")), (&json!("m"), None));
}

#[tokio::test]
async fn batch_of_a_phone_that_has_ts_in_place_of_ets_is_kept() {
    let door = Door::open().await;
    let params = json!({"did": "d", "msgid": "m", "key": "", "requesterId": "u"});
    let events = [event(1), event(2)];
    let batch = json!({"id": "ekstep.telemetry", "ver": "1.0", "ts": "2018-10-12T08:06:05+00:00",
        "params": params, "events": events});
    assert_eq!(is_kept(&door, &batch).await["message_id"], "m");
}

#[tokio::test]
async fn batch_that_lacks_what_the_format_check_asked_for_is_kept() {
    let door = Door::open().await;
    is_kept(&door, &json!({"events": [event(1)]})).await;
}

#[tokio::test]
async fn event_that_stopped_the_stream_for_ever_is_kept_and_named_and_the_next_is_taken() {
    let door = Door::open().await;
    let poison = json!({"events": [{"eid": "LOG"}, event(1)]});
    let (_, answer) = door.send(PATH, &poison).await;
    assert_eq!(answer["result"]["invalid"], json!([{"index": 0, "code": "missing_ets"}]));
    is_kept(&door, &batch("next")).await;
    assert_eq!(door.records().await.len(), 2);
}

#[tokio::test]
async fn packets_of_one_run_that_share_a_message_id_are_all_kept() {
    let door = Door::open().await;
    for n in 0..3 {
        is_kept(&door, &json!({"params": {"msgid": "run"}, "events": [event(n)]})).await;
    }
    assert_eq!(door.records().await.len(), 3);
}

#[tokio::test]
async fn batch_that_the_gateway_refused_and_the_service_took_has_one_limit() {
    let door = Door::open().await;
    let padded = |bytes: usize| {
        let body = batch("large").to_string();
        let padding = " ".repeat(bytes - body.len());
        body + &padding
    };
    assert_eq!(door.send_text(PATH, padded(5_000_000)).await.0, OK);
    let (status, answer) = door.send_text(PATH, padded(5_000_001)).await;
    assert_eq!((status, &answer["params"]["err"]), (413, &json!("BODY_TOO_LARGE")));
    let message = answer["params"]["errmsg"].as_str().unwrap();
    assert!(message.contains("5000000 bytes") && message.contains("smaller batches"), "{message}");
}

#[tokio::test]
async fn failure_that_told_the_configuration_of_the_store_tells_to_come_again() {
    let database = Database::new().await;
    let port = tidings_cli::postgres::free_port(None).unwrap();
    let url = format!("postgres://somebody:s3cr3t@127.0.0.1:{port}/telemetry-store");
    let pool = PgPoolOptions::new().acquire_timeout(std::time::Duration::from_millis(200));
    let world = World { pool: pool.connect_lazy(&url).unwrap(), database };
    let door = Door::before(world, |builder| builder.anonymous(true)).await;
    let response = door.post(PATH).body(batch("m").to_string()).send().await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "retry-after")), (503, "1"));
    let text = response.text().await.unwrap();
    for secret in ["s3cr3t", "somebody", "telemetry-store", &port.to_string()] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn batch_that_was_remembered_before_it_was_kept_is_no_duplicate_afterwards() {
    let (world, proxy) = behind_proxy().await;
    let door = Door::before(world, |builder| builder.anonymous(true)).await;
    assert_eq!(door.send(PATH, &batch("first")).await.0, OK);
    proxy.cut_at(b"lost-by-dedup", Moment::Before);
    assert_eq!(door.send(PATH, &batch("lost-by-dedup")).await.0, 503);
    proxy.fired(1, SOON).await;
    let answer = eventually(SOON, "the batch is taken", async || {
        let (status, answer) = door.send(PATH, &batch("lost-by-dedup")).await;
        (status == OK).then_some(answer)
    })
    .await;
    assert_eq!(answer["result"], json!({"events": 1, "repeated": false}));
    let records: i64 = sqlx::query_scalar("select count(*) from tidings.log_record")
        .fetch_one(door.world.database.pool())
        .await
        .unwrap();
    assert_eq!(records, 2);
}

#[tokio::test]
async fn events_that_were_too_old_or_ahead_of_the_clock_are_kept_as_they_are() {
    let door = Door::open().await;
    let at = |ets: i64| json!({"eid": "LOG", "ets": ets, "mid": format!("LOG:{ets}")});
    is_kept(&door, &json!({"events": [at(1), at(4_102_444_800_000)]})).await;
}
