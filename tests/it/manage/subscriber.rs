//! Subscribers: added, seen without their secrets, stopped and removed.

use serde_json::{Value, json};
use tidings::{
    Deliverer, Error, Verdict,
    address::AllowList,
    endpoint::Policy,
    register_event,
    secret::{Keyring, Secret},
    subscriber::{self, Filter, NewSubscriber, State},
    testing::drain,
};
use tidings_tests::{Draft, Receiver, world::owner::Owner};
use tidings_worker::webhook::{Settings, Webhook};

use super::{OrderPlaced, add, begin, keyring, memory, random, subscribe, world};

const URL: &str = "https://example.com/s3cr3t?token=s3cr3t";

fn webhook() -> NewSubscriber {
    let config = json!({"url": URL, "headers": {"authorization": "s3cr3t"}, "timeout_ms": 2000});
    NewSubscriber::new("billing", "webhook", config)
}

#[tokio::test]
async fn generated_secret_is_returned_once_and_stored_sealed() {
    let world = world().await;
    let mut tx = begin(&world).await;
    let added = add(&mut tx, webhook()).await.unwrap();
    let text = added.secret.unwrap();
    let secret = Secret::parse(&text).unwrap();

    let sealed: Vec<u8> =
        sqlx::query_scalar("select sealed from tidings.secret").fetch_one(&mut *tx).await.unwrap();
    assert!(!sealed.windows(8).any(|part| secret.as_bytes().windows(8).any(|bytes| bytes == part)));
    let detail = subscriber::find(&mut tx, "", "billing").await.unwrap().unwrap();
    assert_eq!(detail.secrets.len(), 1);
    assert!(!serde_json::to_string(&detail).unwrap().contains(text.as_str()));

    let keyring = keyring();
    let id = added.subscriber_id;
    let opened = subscriber::open(&mut tx, Some(&keyring), id).await.unwrap().unwrap();
    assert_eq!(opened.secrets[0].secret().unwrap().as_bytes(), secret.as_bytes());
    assert_eq!(opened.config["url"], URL);
    let error = subscriber::open(&mut tx, None, id).await.unwrap_err();
    assert!(matches!(error, Error::NoKey { .. }), "{error}");
    let other = Keyring::generate(&mut rand::rng());
    let error = subscriber::open(&mut tx, Some(&other), id).await.unwrap_err();
    assert!(matches!(error, Error::Sealed { .. }), "{error}");
}

#[tokio::test]
async fn generated_secret_verifies_the_first_delivery() {
    let world = world().await;
    let receiver = Receiver::accepting().await;
    let policy = Policy { allow: AllowList::loopback(), ..Policy::default() };
    let settings = Settings { policy: policy.clone(), ..Settings::default() };
    let deliverer = Webhook::builder().settings(settings).build().unwrap();
    let keyring = keyring();

    let mut tx = begin(&world).await;
    let new = NewSubscriber::webhook("billing", receiver.url());
    let added =
        subscriber::add(&mut tx, Some(&keyring), &mut random(), &policy, new).await.unwrap();
    let (id, secret) = (added.subscriber_id, added.secret.unwrap());
    tx.commit().await.unwrap();
    subscribe(&world, id, "order:placed").await;

    let mut tx = begin(&world).await;
    let registered = register_event(&mut tx, &OrderPlaced::number(7)).await.unwrap();
    let opened = subscriber::open(&mut tx, Some(&keyring), id).await.unwrap().unwrap();
    let destination = deliverer.open(&opened).unwrap();
    let drained = drain(&mut tx, &*destination).await.unwrap();
    assert_eq!(drained[0].1.verdict, Verdict::Delivered);
    let received = &receiver.received()[0];
    received.verify(&secret).unwrap();
    assert_eq!(received.id(), registered.event_id.to_string());
}

#[tokio::test]
async fn given_secret_signs_and_is_not_shown() {
    let world = world().await;
    let mut tx = begin(&world).await;
    let secret = Secret::from_bytes(&[7; 24]).unwrap();
    let new = NewSubscriber { secret: Some(secret.clone()), ..webhook() };
    let added = add(&mut tx, new).await.unwrap();
    assert!(added.secret.is_none());
    let keyring = keyring();
    let opened =
        subscriber::open(&mut tx, Some(&keyring), added.subscriber_id).await.unwrap().unwrap();
    assert_eq!(opened.secrets[0].secret().unwrap().as_bytes(), secret.as_bytes());
}

#[tokio::test]
async fn subscriber_of_another_kind_has_no_secret() {
    let world = world().await;
    let mut tx = begin(&world).await;
    let new = NewSubscriber::new("kept", "memory", json!({}));
    let policy = Policy::default();
    let added = subscriber::add(&mut tx, None, &mut random(), &policy, new).await.unwrap();
    assert!(added.secret.is_none());
    let opened = subscriber::open(&mut tx, None, added.subscriber_id).await.unwrap().unwrap();
    assert!(opened.secrets.is_empty());
}

#[tokio::test]
async fn what_is_refused_leaves_the_transaction_usable_and_nothing_behind() {
    let world = world().await;
    memory(&world, "taken").await;
    let mut tx = begin(&world).await;
    let new = |name: &str, kind: &str| NewSubscriber::new(name, kind, json!({}));

    let policy = Policy::default();
    let added = subscriber::add(&mut tx, None, &mut random(), &policy, webhook()).await;
    let error = added.unwrap_err();
    assert!(error.to_string().contains("set TIDINGS_KEY to the base64 of 32"), "{error}");
    let error = add(&mut tx, new("taken", "memory")).await.unwrap_err();
    assert!(matches!(error, Error::SubscriberExists { .. }), "{error}");
    for kind in ["pigeon", "system", "maintenance"] {
        let error = add(&mut tx, new("new", kind)).await.unwrap_err();
        let expected = format!(
            "no worker has announced the kind `{kind}`; known are: discord, memory, slack, teams, webhook"
        );
        assert_eq!(error.to_string(), expected);
    }
    let error = add(&mut tx, NewSubscriber::webhook("new", "http://10.0.0.1")).await.unwrap_err();
    assert!(matches!(error, Error::Endpoint(_)), "{error}");

    let listed = subscriber::list(&mut tx, &Filter::default()).await.unwrap();
    assert_eq!(listed.len(), 1);
    add(&mut tx, new("new", "memory")).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn name_is_unique_within_its_tenant_until_its_subscriber_is_removed() {
    let world = world().await;
    let mut tx = begin(&world).await;
    let new = |tenant: &str| NewSubscriber { tenant: tenant.to_owned(), ..webhook() };
    let first = add(&mut tx, new("")).await.unwrap().subscriber_id;
    let other = add(&mut tx, new("acme")).await.unwrap().subscriber_id;
    assert_ne!(first, other);
    add(&mut tx, new("")).await.unwrap_err();
    assert!(subscriber::remove(&mut tx, first).await.unwrap());
    let again = add(&mut tx, new("")).await.unwrap().subscriber_id;
    let found = subscriber::find(&mut tx, "", "billing").await.unwrap().unwrap();
    assert_eq!(found.summary.subscriber_id, again);
}

#[tokio::test]
async fn shard_follows_from_the_id() {
    let world = world().await;
    let mut tx = begin(&world).await;
    for number in 0..20 {
        let name = format!("hook-{number}");
        let id = add(&mut tx, NewSubscriber::webhook(&name, URL)).await.unwrap().subscriber_id;
        let found = subscriber::find(&mut tx, "", &name).await.unwrap().unwrap();
        assert_eq!(i32::from(found.shard), id % 64);
    }
}

#[tokio::test]
async fn neither_path_nor_headers_are_in_any_representation() {
    let world = world().await;
    let mut tx = begin(&world).await;
    add(&mut tx, webhook()).await.unwrap();
    let summary = subscriber::list(&mut tx, &Filter::default()).await.unwrap().remove(0);
    let detail = subscriber::find(&mut tx, "", "billing").await.unwrap().unwrap();
    assert_eq!(summary.endpoint.as_deref(), Some("https://example.com/…"));
    assert_eq!(
        detail.config,
        json!({"url": "https://example.com/…", "headers": {"authorization": "…"}, "timeout_ms": 2000})
    );
    let shown = [
        serde_json::to_string(&summary).unwrap(),
        serde_json::to_string(&detail).unwrap(),
        format!("{summary:?} {detail:?} {:?}", webhook()),
    ];
    for shown in shown {
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
    let json: Value = serde_json::to_value(&detail).unwrap();
    assert_eq!((&json["name"], &json["state"]), (&json!("billing"), &json!("active")));
}

#[tokio::test]
async fn subscriber_is_found_by_name_or_id_within_its_tenant() {
    let world = world().await;
    let mut tx = begin(&world).await;
    let new = NewSubscriber { tenant: "acme".to_owned(), ..webhook() };
    let id = add(&mut tx, new).await.unwrap().subscriber_id;
    for (tenant, name_or_id, found) in [
        ("acme", "billing".to_owned(), true),
        ("acme", id.to_string(), true),
        ("", "billing".to_owned(), false),
        ("", id.to_string(), false),
        ("acme", "nobody".to_owned(), false),
        ("acme", (id + 1).to_string(), false),
        ("acme", "99999999999".to_owned(), false),
    ] {
        let detail = subscriber::find(&mut tx, tenant, &name_or_id).await.unwrap();
        assert_eq!(detail.is_some(), found, "{tenant:?} {name_or_id}");
    }
}

#[tokio::test]
async fn our_own_lane_is_neither_listed_nor_found_nor_changed() {
    let world = world().await;
    let mut conn = world.pool.acquire().await.unwrap();
    assert!(subscriber::list(&mut conn, &Filter::default()).await.unwrap().is_empty());
    for name in ["0", "system"] {
        assert!(subscriber::find(&mut conn, "", name).await.unwrap().is_none());
    }
    // An unknown one is answered alike.
    for id in [0, 4711] {
        assert!(!subscriber::pause(&mut conn, id).await.unwrap());
        assert!(!subscriber::resume(&mut conn, id).await.unwrap());
        assert!(!subscriber::remove(&mut conn, id).await.unwrap());
        assert!(subscriber::open(&mut conn, None, id).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn list_goes_page_by_page_and_by_kind_and_tenant() {
    let world = world().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(memory(&world, &format!("kept-{number}")).await);
    }
    let mut tx = begin(&world).await;
    let new = NewSubscriber { tenant: "acme".to_owned(), ..webhook() };
    ids.push(add(&mut tx, new).await.unwrap().subscriber_id);

    let (mut filter, mut seen) = (Filter { limit: 2, ..Filter::default() }, Vec::new());
    loop {
        let page = subscriber::list(&mut tx, &filter).await.unwrap();
        let Some(last) = page.last() else { break };
        filter.after = Some(last.subscriber_id);
        seen.extend(page.iter().map(|summary| summary.subscriber_id));
    }
    assert_eq!(seen, ids);
    for filter in [
        Filter { tenant: Some("acme".to_owned()), ..Filter::default() },
        Filter { kind: Some("webhook".to_owned()), ..Filter::default() },
    ] {
        let page = subscriber::list(&mut tx, &filter).await.unwrap();
        assert_eq!(page.len(), 1);
    }
    for limit in [0, 1001] {
        let filter = Filter { limit, ..Filter::default() };
        let error = subscriber::list(&mut tx, &filter).await.unwrap_err();
        assert_eq!(error.to_string(), format!("limit is {limit}, and 1 to 1000 is allowed"));
    }
}

#[tokio::test]
async fn pause_is_a_persons_and_resume_ends_what_the_system_has_decided_too() {
    let world = world().await;
    let id = memory(&world, "kept").await;
    let mut conn = world.pool.acquire().await.unwrap();
    let mut states = Vec::new();
    for step in 0..5 {
        match step {
            0 => {}
            1 => {
                let floor = std::time::Duration::from_mins(1);
                subscriber::hold_back(&mut conn, id, floor).await.unwrap();
            }
            2 => assert!(subscriber::pause(&mut conn, id).await.unwrap()),
            3 => {
                let owner = Owner::take(&world.pool).await.of_lane(&world.pool, id).await;
                assert!(subscriber::disable(&mut conn, id, owner, "it is gone").await.unwrap());
            }
            _ => assert!(subscriber::resume(&mut conn, id).await.unwrap()),
        }
        let found = subscriber::find(&mut conn, "", "kept").await.unwrap().unwrap();
        states.push(found.summary.state);
        let reason = found.summary.disabled_reason;
        assert_eq!(reason.as_deref(), (step == 3).then_some("it is gone"));
    }
    let expected = [State::Active, State::HeldBack, State::Paused, State::Disabled, State::Active];
    assert_eq!(states, expected);
}

#[tokio::test]
async fn removing_a_subscriber_removes_what_was_to_be_delivered_to_it_and_nothing_else() {
    let world = world().await;
    let (gone, stays) = (memory(&world, "gone").await, memory(&world, "stays").await);
    for id in [gone, stays] {
        subscribe(&world, id, "order:placed").await;
    }
    world.register(Draft::new("order:placed")).await;
    assert_eq!(world.pending().await, 2);

    let mut conn = world.pool.acquire().await.unwrap();
    assert!(subscriber::remove(&mut conn, gone).await.unwrap());
    assert!(!subscriber::remove(&mut conn, gone).await.unwrap());
    assert_eq!(world.pending().await, 1);
    assert!(subscriber::find(&mut conn, "", "gone").await.unwrap().is_none());
    assert!(subscriber::open(&mut conn, None, gone).await.unwrap().is_none());
    world.register(Draft::new("order:placed")).await;
    assert_eq!(world.pending().await, 2, "only the other one is notified");
}
