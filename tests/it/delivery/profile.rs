//! Requests as receivers expect them that were written for another system, and forms in place of JSON.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tidings::{
    Verdict,
    secret::Secret,
    subscriber::{self, NewSubscriber, Rotation},
};
use tidings_tests::{Draft, Received, Receiver, Reply, SOON};
use url::form_urlencoded;
use uuid::Uuid;

use super::webhook::{Hooks, QUICK, TYPE, hex, random};

const FORM: &str = "application/x-www-form-urlencoded";

fn orchest(receiver: &Receiver, content_type: &str) -> NewSubscriber {
    let config = json!({"url": receiver.url(), "profile": "orchest", "content_type": content_type});
    NewSubscriber::new("shop", "webhook", config)
}

/// Returns the secret of the original's own example.
fn legacy() -> Secret {
    Secret::legacy("secret").unwrap()
}

/// Checks a request as a receiver of the original does: the body's bytes, under the text of the secret.
fn verify(request: &Received, secret: &str) {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(&request.body);
    assert_eq!(request.header("x-hub-signature"), hex(&mac.finalize().into_bytes()));
}

/// Returns the two fields of a body in either content type.
fn fields(request: &Received) -> (Value, Value) {
    if request.header("content-type") != FORM {
        let body = request.json();
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
        return (body["delivered_for"].clone(), body["event"].clone());
    }
    let fields: Vec<_> = form_urlencoded::parse(&request.body).into_owned().collect();
    let [(first, for_whom), (second, event)] = &fields[..] else { panic!("{fields:?}") };
    assert_eq!((first.as_str(), second.as_str()), ("delivered_for", "event"));
    (serde_json::from_str(for_whom).unwrap(), serde_json::from_str(event).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn receiver_written_for_orchest_gets_its_envelope_headers_and_signature_on_every_attempt() {
    for content_type in ["application/json", FORM] {
        let hooks = Hooks::new().await;
        let receiver = Receiver::answering([Reply::status(500), Reply::status(204)]).await;
        let retry = Some(serde_json::from_str(QUICK).unwrap());
        let new =
            NewSubscriber { secret: Some(legacy()), retry, ..orchest(&receiver, content_type) };
        hooks.add_new(new).await;
        let _worker = hooks.worker().await;
        let mut draft = Draft::new(TYPE);
        draft.payload = json!({"project": {"uuid": "p1"}, "uuid": "not the event's"});
        let event_id = hooks.world.register(draft).await;
        let requests = receiver.wait_for(2, SOON).await;
        hooks.world.drained().await;

        for request in &requests {
            verify(request, "secret");
            for (name, expected) in [
                ("x-orchest-event", TYPE),
                ("user-agent", "Orchest"),
                ("content-type", content_type),
                ("webhook-signature", ""),
            ] {
                assert_eq!(request.header(name), expected, "{name}");
            }
        }
        let delivery: Uuid = requests[0].header("x-orchest-delivery").parse().unwrap();
        assert_eq!((delivery.get_version_num(), delivery == event_id), (5, false));
        assert_eq!(requests[1].header("x-orchest-delivery"), delivery.to_string());
        assert_eq!(requests[0].body, requests[1].body);

        let (for_whom, event) = fields(&requests[0]);
        let uuid = &for_whom["uuid"];
        assert!(uuid.as_str().unwrap().parse::<Uuid>().is_ok(), "{for_whom}");
        assert_eq!(
            for_whom,
            json!({"uuid": uuid, "type": "webhook", "name": "shop", "verify_ssl": true, "content_type": content_type})
        );
        let timestamp = event["timestamp"].as_str().unwrap();
        assert!(timestamp.len() == 32 && timestamp.ends_with("+00:00"), "{timestamp}");
        assert_eq!(
            event,
            json!({"uuid": event_id, "type": TYPE, "timestamp": timestamp, "project": {"uuid": "p1"}})
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_secret_signs_for_orchest_as_the_text_that_was_shown_and_a_new_one_at_once() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    let added = hooks.add_new(orchest(&receiver, "application/json")).await;
    let id = added.subscriber_id;
    hooks.ping(id).await;
    let secret = hooks.rotate(id, Rotation::secret()).await.secret.unwrap();
    hooks.ping(id).await;
    let requests = receiver.wait_for(2, SOON).await;
    verify(&requests[0], &added.secret.unwrap());
    verify(&requests[1], &secret);
    hooks.rotate(id, legacy().into()).await;
    hooks.ping(id).await;
    verify(&receiver.wait_for(3, SOON).await[2], "secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn secret_of_another_system_is_refused_where_standard_webhooks_is_spoken() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    let new =
        NewSubscriber { secret: Some(legacy()), ..NewSubscriber::webhook("shop", receiver.url()) };
    let error = new.check(&hooks.settings.policy).unwrap_err().to_string();
    assert!(error.contains("signs in the profile orchest only"), "{error}");
    let mut tx = hooks.world.pool.begin().await.unwrap();
    let keyring = Some(&hooks.keyring);
    let added = subscriber::add(&mut tx, keyring, &mut random(), &hooks.settings.policy, new).await;
    assert!(added.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn ping_is_what_each_profile_calls_it_and_says_what_became_of_it() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::answering([Reply::status(204), Reply::status(500)]).await;
    let new = NewSubscriber { secret: Some(legacy()), ..orchest(&receiver, FORM) };
    let orchest = hooks.add_new(new).await.subscriber_id;
    let (standard, secret) = hooks.add("standard", &receiver, QUICK).await;
    let events = "select count(*) from tidings.event";
    let pings = [hooks.ping(orchest).await, hooks.ping(standard).await];
    assert_eq!(pings.map(|ping| ping.verdict), [Verdict::Delivered, Verdict::Retry]);

    let requests = receiver.received();
    let (_, event) = fields(&requests[0]);
    let timestamp = &event["timestamp"];
    assert_eq!(event, json!({"uuid": Uuid::from_u128(5), "type": "ping", "timestamp": timestamp}));
    assert_eq!(requests[0].header("x-orchest-event"), "ping");
    verify(&requests[0], "secret");
    assert_eq!(requests[1].json()["type"], "tidings:subscriber:pinged");
    requests[1].verify(&secret).unwrap();
    assert_eq!(hooks.world.value::<i64>(events).await + hooks.world.pending().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn form_of_standard_webhooks_has_the_same_fields_and_is_signed_as_it_stands_on_the_wire() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    let config = json!({"url": receiver.url(), "content_type": FORM});
    let added = hooks.add_new(NewSubscriber::new("form", "webhook", config)).await;
    let _worker = hooks.worker().await;
    let request = hooks.deliver_one(&receiver).await;
    request.verify(&added.secret.unwrap()).unwrap();
    assert_eq!(request.header("content-type"), FORM);
    let fields: Vec<_> = form_urlencoded::parse(&request.body).into_owned().collect();
    let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["type", "timestamp", "data"]);
    assert_eq!((fields[0].1.as_str(), fields[2].1.as_str()), (TYPE, r#"{"n":1}"#));
}

#[tokio::test]
async fn headers_of_a_subscriber_cannot_take_the_place_of_ours() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    for (profile, name) in [
        ("standard", "Webhook-Signature"),
        ("standard", "webhook-id"),
        ("orchest", "X-Hub-Signature"),
        ("orchest", "x-orchest-delivery"),
        ("orchest", "user-agent"),
    ] {
        let config = json!({"url": receiver.url(), "profile": profile, "headers": {name: "x"}});
        let new = NewSubscriber::new("shop", "webhook", config);
        let error = new.check(&hooks.settings.policy).unwrap_err().to_string();
        assert!(error.contains("choose another name"), "{error}");
    }
}
