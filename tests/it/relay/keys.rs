//! Channels, keys and quotas.

use serde_json::json;
use tidings_relay::{
    channel::{self, Profile, Settings},
    key,
};
use tidings_tests::eventually;

use super::{Door, OK, header, read};

const BODY: &str = r#"{"event":"cart:opened"}"#;

#[tokio::test]
async fn key_is_taken_in_every_place_where_clients_put_it() {
    let door = Door::with(|builder| builder).await;
    let mut conn = door.world.pool.acquire().await.unwrap();
    let key = key::add(&mut conn, &mut rand::rng(), "portal").await.unwrap().text;
    for (path, body) in [
        ("/v1/telemetry", json!({"events": [{"eid": "LOG"}]})),
        ("/v1/track", json!({"event": "cart:opened", "userId": "u"})),
        ("/capture/", json!({"event": "cart:opened", "distinct_id": "u"})),
        ("/analytics", json!({"event": "cart:opened"})),
    ] {
        let send = async |query: &str, basic: bool, bearer: bool| {
            let sent = door.post(&format!("{path}{query}")).body(body.to_string());
            let sent = if basic { sent.basic_auth(&*key, Some("")) } else { sent };
            let sent = if bearer { sent.bearer_auth(&*key) } else { sent };
            read(sent.send().await.unwrap()).await.0
        };
        assert_eq!(send("", false, false).await, 401, "{path}");
        assert_eq!(send("", true, false).await, OK, "{path}");
        assert_eq!(send("", false, true).await, OK, "{path}");
        assert_eq!(send(&format!("?key={}", *key), false, false).await, OK, "{path}");
    }
    let with = |member: &str, body: serde_json::Value| {
        let mut body = body;
        body[member] = json!(*key);
        body
    };
    let track = json!({"event": "cart:opened", "userId": "u", "distinct_id": "u"});
    assert_eq!(door.send("/v1/t", &with("writeKey", track.clone())).await.0, OK);
    assert_eq!(door.send("/e/", &with("api_key", track.clone())).await.0, OK);
    let bare = json!([{"event": "cart:opened", "properties": {"token": *key, "distinct_id": "u"}}]);
    assert_eq!(door.send("/e/", &bare).await.0, OK);
    assert_eq!(door.send("/e/", &json!([track])).await.0, 401);
    // DIGIT's client sends a token that cannot be changed.
    let path = format!("/v1/telemetry?key={}", *key);
    let sent = door.post(&path).bearer_auth("XXXX").body(r#"{"events":[{"n":1}]}"#);
    assert_eq!(read(sent.send().await.unwrap()).await.0, OK);
}

#[tokio::test]
async fn refusal_for_want_of_a_key_is_in_the_envelope_of_the_caller() {
    let door = Door::with(|builder| builder).await;
    let sent = door.post("/v1/telemetry").bearer_auth("XXXX").body(r#"{"events":[{}]}"#);
    let response = sent.send().await.unwrap();
    assert_eq!(header(&response, "www-authenticate"), "Bearer realm=\"tidings\"");
    let (status, answer) = read(response).await;
    assert_eq!((status, &answer["responseCode"]), (401, &json!("UNAUTHORIZED")));
    assert_eq!(
        (&answer["id"], &answer["params"]["err"]),
        (&json!("api.telemetry"), &json!("UNAUTHORIZED"))
    );
    assert!(door.records().await.is_empty());
}

#[tokio::test]
async fn revoked_key_is_refused_and_stands_in_the_list() {
    let door = Door::with(|builder| builder).await;
    let mut conn = door.world.pool.acquire().await.unwrap();
    let added = key::add(&mut conn, &mut rand::rng(), "portal").await.unwrap();
    let send = async || {
        let sent = door.post("/analytics").bearer_auth(&*added.text).body(BODY);
        read(sent.send().await.unwrap()).await.0
    };
    assert_eq!(send().await, OK);
    key::revoke(&mut conn, added.key_id).await.unwrap();
    eventually(tidings_tests::SOON, "the key is refused", async || {
        (send().await == 401).then_some(())
    })
    .await;
    let keys = key::list(&mut conn).await.unwrap();
    assert_eq!((keys.len(), keys[0].channel.as_str()), (1, "portal"));
    let revoked_at = keys[0].revoked_at;
    assert!(revoked_at.is_some() && added.text.starts_with(&keys[0].hint));
    key::revoke(&mut conn, added.key_id).await.unwrap();
    assert_eq!(key::list(&mut conn).await.unwrap()[0].revoked_at, revoked_at, "revoked once");
    let error = key::revoke(&mut conn, 4711).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no key 4711; list the keys to find its id");
}

#[tokio::test]
async fn key_itself_is_nowhere_in_the_database() {
    let door = Door::with(|builder| builder).await;
    let mut conn = door.world.pool.acquire().await.unwrap();
    let added = key::add(&mut conn, &mut rand::rng(), "portal").await.unwrap();
    assert_eq!(added.text.len(), "tk_".len() + 43);
    let row: String = door.world.value("select k::text from tidings.channel_key k").await;
    assert!(!row.contains(&*added.text), "{row}");
    assert!(!format!("{added:?}").contains("tk_"));
}

#[tokio::test]
async fn quota_of_a_channel_is_kept_and_does_not_touch_the_others() {
    let door = Door::with(|builder| builder).await;
    let mut conn = door.world.pool.acquire().await.unwrap();
    let settings = Settings { profile: Some(Profile::Digit), events_per_minute: Some(3) };
    channel::set(&mut conn, "small", settings).await.unwrap();
    let small = key::add(&mut conn, &mut rand::rng(), "small").await.unwrap().text;
    let large = key::add(&mut conn, &mut rand::rng(), "large").await.unwrap().text;
    let send = async |path: &str, body: &str, key: &str| {
        door.post(path).bearer_auth(key).body(body.to_owned()).send().await.unwrap()
    };
    let three = r#"{"events":[{"n":1},{"n":2},{"n":3}]}"#;
    assert_eq!(send("/v1/telemetry", three, &small).await.status().as_u16(), OK);
    for path in ["/v1/telemetry", "/analytics", "/v1/track", "/e/"] {
        let body = if path == "/v1/telemetry" { three } else { BODY };
        let response = send(path, body, &small).await;
        let seconds: u64 = header(&response, "retry-after").parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert_eq!(response.status().as_u16(), 429, "{path}");
    }
    assert_eq!(send("/analytics", BODY, &large).await.status().as_u16(), OK);
    channel::set(
        &mut conn,
        "small",
        Settings { events_per_minute: Some(0), ..Settings::default() },
    )
    .await
    .unwrap();
    let channels = channel::list(&mut conn).await.unwrap();
    let small = channels.iter().find(|channel| channel.name == "small").unwrap();
    assert_eq!((small.profile.as_str(), small.events_per_minute, small.keys), ("digit", None, 1));
}

#[tokio::test]
async fn open_relay_takes_unknown_keys_for_the_anonymous_channel() {
    let door = Door::open().await;
    let mut conn = door.world.pool.acquire().await.unwrap();
    let key = key::add(&mut conn, &mut rand::rng(), "portal").await.unwrap().text;
    for bearer in ["XXXX", &key] {
        let body = json!({"params": {"msgid": bearer}, "events": [{}]}).to_string();
        let sent = door.post("/v1/telemetry").bearer_auth(bearer).body(body);
        assert_eq!(read(sent.send().await.unwrap()).await.0, OK);
    }
    let mut channels: Vec<_> = door
        .records()
        .await
        .into_iter()
        .map(|(_, _, headers, _)| headers["channel"].clone())
        .collect();
    channels.sort_by_key(ToString::to_string);
    assert_eq!(channels, ["anonymous", "portal"]);
}
