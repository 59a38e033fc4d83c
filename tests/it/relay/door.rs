//! What every request meets, whoever sends it.

use std::io::Write;

use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use reqwest::Method;
use serde_json::{Value, json};
use tidings_relay::Limits;
use tidings_tests::World;

use super::{Door, OK, header, read};

fn event() -> Value {
    json!({"event": "view:loaded", "properties": {"name": "/"}})
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn beacons_and_compressed_bodies_are_taken() {
    let door = Door::open().await;
    let text = event().to_string();
    let beacon =
        door.client.post(door.url("/analytics")).header("content-type", "text/plain;charset=UTF-8");
    assert_eq!(read(beacon.body(text.clone()).send().await.unwrap()).await.0, OK);
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(text.as_bytes()).unwrap();
    for (encoding, body) in [("gzip", gzip(text.as_bytes())), ("deflate", zlib.finish().unwrap())] {
        let sent = door.post("/analytics").header("content-encoding", encoding).body(body);
        assert_eq!(read(sent.send().await.unwrap()).await.0, OK, "{encoding}");
    }
    assert_eq!(door.events().await.len(), 3);
}

#[tokio::test]
async fn types_and_encodings_that_are_not_taken_are_named() {
    let door = Door::open().await;
    for path in ["/analytics", "/v1/telemetry", "/v1/batch", "/batch/"] {
        let sent = door.client.post(door.url(path)).header("content-type", "text/html").body("{}");
        assert_eq!(read(sent.send().await.unwrap()).await.0, 415, "{path}");
        let response =
            door.post(path).header("content-encoding", "br").body("{}").send().await.unwrap();
        assert_eq!(header(&response, "accept-encoding"), "gzip, deflate", "{path}");
        assert_eq!(read(response).await.0, 415, "{path}");
    }
}

#[tokio::test]
async fn body_is_bounded_as_it_is_sent_inflated_and_in_depth() {
    let door = Door::open().await;
    let noise = |bytes: u32| -> Vec<u8> {
        (0..bytes).map(|n| b'a' + (n.wrapping_mul(2_654_435_761) >> 28) as u8).collect()
    };
    let (status, answer) = door.send_text("/analytics", noise(5_000_001)).await;
    assert_eq!((status, &answer["error"]["code"]), (413, &json!("body_too_large")));
    for (plain, code) in [
        (noise(5_000_001), "body_too_large"),
        (vec![b' '; 4_000_000], "suspicious_compression"),
        (vec![b'['; 1000], "not_an_object"),
    ] {
        let sent = door.post("/analytics").header("content-encoding", "gzip").body(gzip(&plain));
        let (status, answer) = read(sent.send().await.unwrap()).await;
        assert!((400..500).contains(&status), "{status}");
        assert_eq!(answer["error"]["code"], code);
    }
    let deep = format!("{{\"event\":{}1{}}}", "[".repeat(64), "]".repeat(64));
    let (status, answer) = door.send_text("/analytics", deep).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("too_deep")));
}

#[tokio::test]
async fn refusal_is_written_in_the_protocol_of_the_caller() {
    let door = Door::open().await;
    for (path, pointer) in [
        ("/analytics", "/error/message"),
        ("/v1/track", "/error/message"),
        ("/e/", "/detail"),
        ("/v1/telemetry", "/params/errmsg"),
    ] {
        let (status, answer) = door.send_text(path, "{").await;
        assert_eq!(status, 400, "{path}");
        assert!(answer.pointer(pointer).unwrap().is_string(), "{path} {answer}");
        let response = door.client.get(door.url(path)).send().await.unwrap();
        assert_eq!(header(&response, "allow"), "POST", "{path}");
        let (status, answer) = read(response).await;
        assert_eq!(status, 405, "{path}");
        assert!(answer.pointer(pointer).unwrap().is_string(), "{path} {answer}");
    }
}

#[tokio::test]
async fn pages_of_every_origin_may_send_unless_origins_are_named() {
    let preflight = async |door: &Door, origin: &str| {
        let sent = door.client.request(Method::OPTIONS, door.url("/analytics"));
        let sent = sent.header("origin", origin).header("access-control-request-method", "POST");
        let sent = sent.header("access-control-request-headers", "authorization,x-device-id");
        let response = sent.send().await.unwrap();
        assert_eq!(response.status().as_u16(), OK);
        let allowed = ["access-control-allow-origin", "access-control-allow-headers"];
        allowed.map(|name| header(&response, name).to_owned())
    };
    let open = Door::open().await;
    assert_eq!(preflight(&open, "https://a.example").await, ["*", "authorization,x-device-id"]);
    let named = Door::with(|builder| builder.anonymous(true).origins(["https://a.example"])).await;
    assert_eq!(preflight(&named, "https://a.example").await[0], "https://a.example");
    assert_eq!(preflight(&named, "https://b.example").await[0], "");
}

#[tokio::test]
async fn full_relay_turns_away_and_takes_again_when_there_is_room() {
    let limits = Limits { buffer_bytes_max: 20_000, ..Limits::default() };
    let door = Door::with(|builder| builder.anonymous(true).limits(limits)).await;
    let padded = format!("{}{}", event(), " ".repeat(3000));
    for path in ["/analytics", "/v1/track", "/capture/"] {
        let response = door.post(path).body(padded.clone()).send().await.unwrap();
        assert_eq!(header(&response, "retry-after"), "1", "{path}");
        assert_eq!(read(response).await.0, 503, "{path}");
    }
    assert_eq!(door.send("/analytics", &event()).await.0, OK);
    assert_eq!(door.metric("tidings_relay_buffer_bytes").await, 0);
    let limits = Limits { buffer_requests_max: 0, ..Limits::default() };
    let closed = Door::with(|builder| builder.anonymous(true).limits(limits)).await;
    let (status, answer) = closed.send("/v1/telemetry", &json!({"events": [{}]})).await;
    assert_eq!((status, &answer["responseCode"]), (503, &json!("SERVER_ERROR")));
}

#[tokio::test]
async fn operators_see_health_readiness_metrics_and_the_document() {
    let door = Door::open().await;
    assert_eq!(door.send("/analytics", &event()).await.0, OK);
    for path in ["/health", "/ready", "/openapi.json"] {
        let response = door.client.get(door.url(path)).send().await.unwrap();
        assert_eq!(read(response).await.0, OK, "{path}");
    }
    assert_eq!(
        door.metric("tidings_relay_requests_total{route=\"/analytics\",status=\"200\"}").await,
        1
    );
    assert_eq!(door.metric("tidings_relay_committed_rows_total{writer=\"event\"}").await, 1);
}

#[tokio::test]
async fn relay_without_its_schema_is_alive_not_ready_and_says_come_again() {
    let database = tidings_tests::Database::blank().await;
    let world = World { pool: database.pool().clone(), database };
    let door = Door::before(world, |builder| builder.anonymous(true)).await;
    let get =
        async |path: &str| read(door.client.get(door.url(path)).send().await.unwrap()).await.0;
    assert_eq!((get("/health").await, get("/ready").await), (OK, 503));
    let response = door.post("/analytics").body(event().to_string()).send().await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "retry-after")), (503, "1"));
}
