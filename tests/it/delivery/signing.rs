//! Signatures of both kinds, by keys of the subscriber and of the installation, and what receivers say of them.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::json;
use tidings::{
    Error,
    secret::{Credentials, KeyPair, PublicKey, Secret},
    subscriber::{self, KeyOwner, NewSubscriber, Update},
};
use tidings_tests::{Received, Receiver, Reply, SOON, eventually};

use super::webhook::{Hooks, random};

/// Returns the signatures of a request, each with its version in front.
pub(super) fn signatures(request: &Received) -> Vec<String> {
    request.header("webhook-signature").split(' ').map(str::to_owned).collect()
}

/// Returns whether one of the asymmetric signatures of a request verifies, as a receiver finds out.
pub(super) fn is_signed_by(request: &Received, public_key: &[u8]) -> bool {
    let head = format!("{}.{}.", request.id(), request.header("webhook-timestamp"));
    let signed = [head.as_bytes(), &request.body].concat();
    let key = UnparsedPublicKey::new(&ED25519, public_key);
    signatures(request).iter().any(|signature| {
        let encoded = signature.strip_prefix("v1a,");
        encoded.is_some_and(|text| key.verify(&signed, &STANDARD.decode(text).unwrap()).is_ok())
    })
}

/// Returns a webhook that signs by both kinds, or by the second alone.
pub(super) fn signing(name: &str, receiver: &Receiver, signatures: &[&str]) -> NewSubscriber {
    let config = json!({"url": receiver.url(), "signatures": signatures});
    NewSubscriber::new(name, "webhook", config)
}

async fn rotate_installation(hooks: &Hooks) -> PublicKey {
    let mut tx = hooks.world.pool.begin().await.unwrap();
    let overlap = subscriber::OVERLAP_DEFAULT;
    let keyring = Some(&hooks.keyring);
    let rotated =
        subscriber::rotate_installation(&mut tx, keyring, &mut random(), None, overlap).await;
    let rotated = rotated.unwrap();
    tx.commit().await.unwrap();
    assert!(rotated.secret.is_none(), "nobody but the workers needs the private half");
    PublicKey::parse(&rotated.public_key.unwrap()).unwrap()
}

/// Returns the keys that are published, as bytes.
async fn published(hooks: &Hooks, owner: KeyOwner) -> Vec<Vec<u8>> {
    let mut conn = hooks.world.pool.acquire().await.unwrap();
    let jwks = subscriber::jwks(&mut conn, owner).await.unwrap().unwrap();
    let keys = jwks["keys"].as_array().unwrap();
    keys.iter()
        .map(|key| {
            assert_eq!((&key["kty"], &key["crv"]), (&json!("OKP"), &json!("Ed25519")));
            URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap()).unwrap()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn first_delivery_verifies_by_the_generated_secret_and_by_the_key_pair() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    let pair = KeyPair::generate(&mut random());
    let new = signing("both", &receiver, &["v1", "v1a"]);
    let added = hooks.add_new(NewSubscriber { key_pair: Some(pair.clone()), ..new }).await;
    let _worker = hooks.worker().await;
    let request = hooks.deliver_one(&receiver).await;
    assert_eq!(signatures(&request).len(), 2);
    request.verify(&added.secret.unwrap()).unwrap();
    assert!(is_signed_by(&request, pair.public_key().as_bytes()));
    let tampered = Received { body: [&request.body[..], b" "].concat().into(), ..request };
    assert!(!is_signed_by(&tampered, pair.public_key().as_bytes()));
    let keys = published(&hooks, KeyOwner::Subscriber(added.subscriber_id)).await;
    assert_eq!(keys, [pair.public_key().as_bytes()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn key_pair_of_the_installation_signs_for_those_without_one_and_a_new_one_reaches_them() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    let first = rotate_installation(&hooks).await;
    let added = hooks.add_new(signing("plain", &receiver, &["v1a"])).await;
    assert!(added.secret.is_none(), "there is no secret to hand over");
    let _worker = hooks.worker().await;
    let request = hooks.deliver_one(&receiver).await;
    assert_eq!(signatures(&request).len(), 1);
    assert!(is_signed_by(&request, first.as_bytes()));

    let second = rotate_installation(&hooks).await;
    let request = eventually(SOON, "the new key pair signs beside the old one", || async {
        let request = hooks.deliver_one(&receiver).await;
        (signatures(&request).len() == 2).then_some(request)
    })
    .await;
    let keys = published(&hooks, KeyOwner::Installation).await;
    assert_eq!(keys, [second.as_bytes(), first.as_bytes()]);
    for key in &keys {
        assert!(is_signed_by(&request, key));
    }
    let same = published(&hooks, KeyOwner::Subscriber(added.subscriber_id)).await;
    assert_eq!(same, keys);
}

#[tokio::test]
async fn webhook_that_is_to_sign_by_a_key_pair_needs_one_and_the_transaction_stays_usable() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    let new = || signing("plain", &receiver, &["v1a"]);
    let (policy, keyring) = (&hooks.settings.policy, Some(&hooks.keyring));
    let mut tx = hooks.world.pool.begin().await.unwrap();
    let refused = subscriber::add(&mut tx, keyring, &mut random(), policy, new()).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, Error::NoKeyPair { .. }), "{error}");
    let with_own = NewSubscriber { key_pair: Some(KeyPair::generate(&mut random())), ..new() };
    let added = subscriber::add(&mut tx, keyring, &mut random(), policy, with_own).await.unwrap();
    tx.commit().await.unwrap();
    let mut conn = hooks.world.pool.acquire().await.unwrap();
    for (owner, found) in [
        (KeyOwner::Subscriber(added.subscriber_id), true),
        (KeyOwner::Subscriber(4711), false),
        (KeyOwner::Subscriber(0), false),
    ] {
        assert_eq!(subscriber::jwks(&mut conn, owner).await.unwrap().is_some(), found, "{owner:?}");
    }
}

#[tokio::test]
async fn configuration_is_changed_only_to_what_the_stored_keys_and_credentials_fit() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    let pair = Some(KeyPair::generate(&mut random()));
    let credentials = Some(Credentials::bearer("t0k3n").unwrap());
    let secret = Some(Secret::legacy("secret").unwrap());
    let url = receiver.url();
    let orchest = json!({"url": url, "profile": "orchest"});
    let by_pair = signing("pair", &receiver, &["v1a"]);
    let by_text = NewSubscriber::new("text", "webhook", orchest);
    for (new, config, expected) in [
        (
            NewSubscriber { key_pair: pair, ..by_pair },
            json!({"signatures": null}),
            "rotate its secret first",
        ),
        (NewSubscriber { secret, ..by_text }, json!({"profile": null}), "rotate its secret first"),
        (NewSubscriber::webhook("secret", &url), json!({"signatures": ["v1a"]}), "has a key pair"),
        (
            NewSubscriber { credentials, ..NewSubscriber::webhook("known", &url) },
            json!({"headers": {"authorization": "x"}}),
            "remove one of the two",
        ),
    ] {
        let id = hooks.add_new(new).await.subscriber_id;
        let mut tx = hooks.world.pool.begin().await.unwrap();
        let policy = &hooks.settings.policy;
        let update = Update { config: Some(config), ..Update::default() };
        let error = subscriber::update(&mut tx, policy, id, &update).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        let config = Some(json!({"timeout_ms": 2000}));
        let update = Update { config, ..Update::default() };
        subscriber::update(&mut tx, policy, id, &update).await.unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn key_that_a_receiver_verifies_by_is_noted_once_an_hour_and_changes_nothing_else() {
    let hooks = Hooks::new().await;
    let pair = KeyPair::generate(&mut random());
    let said = pair.public_key().fingerprint();
    let telling = Reply::status(204).header("webhook-verified-by", &said);
    let receiver = Receiver::answering([telling]).await;
    let new = signing("both", &receiver, &["v1", "v1a"]);
    hooks.add_new(NewSubscriber { key_pair: Some(pair), ..new }).await;
    let version = "select max(version) from tidings.subscriber";
    let before: i32 = hooks.world.value(version).await;
    let _worker = hooks.worker().await;
    hooks.deliver_one(&receiver).await;
    let stored = || async {
        let mut conn = hooks.world.pool.acquire().await.unwrap();
        subscriber::find(&mut conn, "", "both").await.unwrap().unwrap().secrets
    };
    let secrets = eventually(SOON, "the key pair is noted", || async {
        let secrets = stored().await;
        secrets.iter().any(|key| key.last_verified_at.is_some()).then_some(secrets)
    })
    .await;
    for key in &secrets {
        let is_said = key.fingerprint.as_ref() == Some(&said);
        assert_eq!(key.last_verified_at.is_some(), is_said, "{key:?}");
    }

    hooks.deliver_one(&receiver).await;
    hooks.world.drained().await;
    assert_eq!(stored().await, secrets);
    // The database refuses it as well, for another worker does not know of the first one's note.
    let noted = secrets.iter().find(|key| key.last_verified_at.is_some()).unwrap();
    let mut conn = hooks.world.pool.acquire().await.unwrap();
    assert!(!subscriber::note_verified(&mut conn, noted.secret_id).await.unwrap());
    hooks
        .world
        .execute(
            "update tidings.secret set last_verified_at = last_verified_at - interval '61 minutes'",
        )
        .await;
    assert!(subscriber::note_verified(&mut conn, noted.secret_id).await.unwrap());
    assert_eq!(hooks.world.value::<i32>(version).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn success_under_the_only_key_counts_as_verified_by_it() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    hooks.add("one", &receiver, super::webhook::QUICK).await;
    let _worker = hooks.worker().await;
    hooks.deliver_one(&receiver).await;
    eventually(SOON, "the key is noted", || async {
        let noted = "select count(*) from tidings.secret where last_verified_at is not null";
        (hooks.world.value::<i64>(noted).await == 1).then_some(())
    })
    .await;
}
