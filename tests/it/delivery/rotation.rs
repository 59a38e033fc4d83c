//! Rotation: old and new keys sign side by side for the overlap, and the old ones no longer.

use std::time::Duration;

use serde_json::json;
use tidings::{
    Error,
    secret::{KeyPair, Keyring, PublicKey, Secret, SecretError},
    subscriber::{self, NewKey, NewSubscriber, OLD_KEYS_MAX, Rotated, Rotation, SigningKey},
};
use tidings_tests::{Receiver, SOON, eventually};

use super::{
    signing::{is_signed_by, signatures, signing},
    webhook::{Hooks, QUICK, hex, random},
};

const DAY: Duration = Duration::from_hours(24);

async fn try_rotate(hooks: &Hooks, id: i32, rotation: Rotation) -> Result<Rotated, Error> {
    let mut tx = hooks.world.pool.begin().await.unwrap();
    let keyring = Some(&hooks.keyring);
    let rotated = subscriber::rotate(&mut tx, keyring, &mut random(), id, rotation).await;
    // Also after a refusal.
    tx.commit().await.unwrap();
    rotated
}

#[tokio::test(flavor = "multi_thread")]
async fn old_and_new_keys_of_both_kinds_verify_in_the_overlap_and_the_old_ones_not_after_it() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    let old_pair = KeyPair::generate(&mut random());
    let new = signing("both", &receiver, &["v1", "v1a"]);
    let added = hooks.add_new(NewSubscriber { key_pair: Some(old_pair.clone()), ..new }).await;
    let (id, old_secret) = (added.subscriber_id, added.secret.unwrap());
    let _worker = hooks.worker().await;
    assert_eq!(signatures(&hooks.deliver_one(&receiver).await).len(), 2);

    let secret = hooks.rotate(id, Rotation::secret()).await.secret.unwrap();
    let pair = hooks.rotate(id, Rotation::key_pair()).await.public_key.unwrap();
    let pair = PublicKey::parse(&pair).unwrap();
    let request = eventually(SOON, "four keys sign", || async {
        let request = hooks.deliver_one(&receiver).await;
        (signatures(&request).len() == 4).then_some(request)
    })
    .await;
    let versions: Vec<_> = signatures(&request)
        .iter()
        .map(|text| text.split(',').next().unwrap().to_owned())
        .collect();
    assert_eq!(versions, ["v1", "v1", "v1a", "v1a"]);
    request.verify(&old_secret).unwrap();
    request.verify(&secret).unwrap();
    assert!(is_signed_by(&request, old_pair.public_key().as_bytes()));
    assert!(is_signed_by(&request, pair.as_bytes()));

    let past =
        "update tidings.secret set expires_at = clock_timestamp() where expires_at is not null";
    hooks.world.execute(past).await;
    let request = eventually(SOON, "two keys sign", || async {
        let request = hooks.deliver_one(&receiver).await;
        (signatures(&request).len() == 2).then_some(request)
    })
    .await;
    assert!(request.verify(&old_secret).is_err());
    request.verify(&secret).unwrap();
    assert!(!is_signed_by(&request, old_pair.public_key().as_bytes()));
    assert!(is_signed_by(&request, pair.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn key_expires_while_its_lane_stays_open_and_nobody_changes_anything() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    let (id, _) = hooks.add("one", &receiver, QUICK).await;
    let _worker = hooks.worker().await;
    hooks.deliver_one(&receiver).await;
    hooks.rotate(id, Rotation::secret().overlap(Duration::from_secs(3))).await;
    let signing = |count| {
        let (hooks, receiver) = (&hooks, &receiver);
        eventually(SOON, "so many keys sign", move || async move {
            let request = hooks.deliver_one(receiver).await;
            (signatures(&request).len() == count).then_some(())
        })
    };
    signing(2).await;
    let changes = "select max(config_version) from tidings.shard_config";
    let before: i64 = hooks.world.value(changes).await;
    signing(1).await;
    assert_eq!(hooks.world.value::<i64>(changes).await, before);
}

#[tokio::test]
async fn eleventh_rotation_is_refused_with_words_that_say_what_to_do() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    let (id, _) = hooks.add("one", &receiver, QUICK).await;
    for old_keys in 1..=OLD_KEYS_MAX {
        assert_eq!(hooks.rotate(id, Rotation::secret()).await.old_keys, old_keys);
    }
    let error = try_rotate(&hooks, id, Rotation::secret()).await.unwrap_err();
    assert!(matches!(error, Error::TooManyKeys { .. }), "{error}");
    assert!(error.to_string().contains("an overlap of 0"), "{error}");
    let count = "select count(*) from tidings.secret";
    assert_eq!(hooks.world.value::<i64>(count).await, OLD_KEYS_MAX + 1);
    // The other kind is counted for itself.
    hooks.rotate(id, Rotation::key_pair()).await;

    let rotated = hooks.rotate(id, Rotation::secret().overlap(Duration::ZERO)).await;
    assert_eq!(rotated.old_keys, 0);
    let signing = "select count(*) from tidings.secret where purpose = 'signing'";
    assert_eq!(hooks.world.value::<i64>(signing).await, 1, "the old ones are gone at once");
    hooks.rotate(id, Rotation::secret()).await;
}

#[tokio::test]
async fn key_that_is_to_expire_sooner_is_left_at_that() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    let (id, _) = hooks.add("one", &receiver, QUICK).await;
    hooks.rotate(id, Rotation::secret().overlap(Duration::from_hours(1))).await;
    hooks.rotate(id, Rotation::secret().overlap(DAY)).await;
    let left: Vec<f64> = sqlx::query_scalar(
        "select extract(epoch from expires_at - clock_timestamp())::float8 from tidings.secret
         where expires_at is not null order by secret_id",
    )
    .fetch_all(&hooks.world.pool)
    .await
    .unwrap();
    let near = |left_s: f64, hours: f64| (hours * 3600.0 - 60.0..=hours * 3600.0).contains(&left_s);
    assert!(left.len() == 2 && near(left[0], 1.0) && near(left[1], 24.0), "{left:?}");
}

#[tokio::test]
async fn what_cannot_be_rotated_is_refused_and_leaves_everything_as_it_was() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    let (id, _) = hooks.add("one", &receiver, QUICK).await;
    let legacy = Rotation::from(Secret::legacy("secret").unwrap());
    for (id, rotation, expected) in [
        (
            id,
            Rotation::secret().overlap(31 * DAY),
            "overlap is 2678400 s, and 0 to 30 days is allowed",
        ),
        (4711, Rotation::secret(), "there is no subscriber 4711"),
        (0, Rotation::key_pair(), "there is no subscriber 0"),
        (id, legacy, "signs in the profile orchest only"),
    ] {
        let error = try_rotate(&hooks, id, rotation).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(Secret::parse("").unwrap_err(), SecretError::Empty);
    assert_eq!(Secret::legacy("").unwrap_err(), SecretError::Empty);
    let mut tx = hooks.world.pool.begin().await.unwrap();
    let rotated = subscriber::rotate(&mut tx, None, &mut random(), id, Rotation::secret()).await;
    let error = rotated.unwrap_err().to_string();
    assert!(error.contains("set TIDINGS_KEY"), "{error}");
    tx.commit().await.unwrap();
    let untouched = "select count(*) from tidings.secret where expires_at is null";
    assert_eq!(hooks.world.value::<i64>(untouched).await, 1);
}

#[tokio::test]
async fn given_keys_are_used_and_generated_ones_shown_once_and_stored_unreadably() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    let (id, first) = hooks.add("one", &receiver, QUICK).await;
    let generated = hooks.rotate(id, Rotation::secret()).await.secret.unwrap();
    let given = Secret::from_bytes(&[b'g'; 32]).unwrap();
    assert!(hooks.rotate(id, given.clone().into()).await.secret.is_none());
    let pair = KeyPair::from_bytes(&[b'p'; 32]).unwrap();
    let rotation = Rotation { new: NewKey::KeyPair(Some(pair.clone())), overlap: DAY };
    let rotated = hooks.rotate(id, rotation).await;
    assert_eq!(rotated.public_key, Some(pair.public_key().to_text()));
    assert!(!format!("{rotated:?}").contains("whsk_"));

    let mut conn = hooks.world.pool.acquire().await.unwrap();
    let opened = subscriber::open(&mut conn, Some(&hooks.keyring), id).await.unwrap().unwrap();
    let text = |key: &SigningKey| match key.secret() {
        Some(secret) => secret.to_text(),
        None => key.key_pair().unwrap().to_text(),
    };
    let found: Vec<_> = opened.secrets.iter().map(text).collect();
    let expected = [pair.to_text(), given.to_text(), generated.clone(), first.into()];
    assert_eq!(found, expected);

    let rows: String =
        hooks.world.value("select string_agg(k::text, ' ') from tidings.secret k").await;
    let detail = subscriber::find(&mut conn, "", "one").await.unwrap().unwrap();
    let shown = serde_json::to_string(&detail).unwrap();
    let first = Secret::parse(&expected[3]).unwrap();
    for bytes in [&[b'g'; 8][..], &[b'p'; 8], &first.as_bytes()[..8]] {
        assert!(!rows.contains(&hex(bytes)), "{rows}");
    }
    for text in &expected {
        assert!(!rows.contains(&text[6..]) && !shown.contains(&text[6..]), "{shown}");
    }
    let other = Keyring::generate(&mut random());
    let error = subscriber::open(&mut conn, Some(&other), id).await.unwrap_err();
    assert!(matches!(error, Error::Sealed { .. }), "{error}");
    assert_eq!(detail.secrets.len(), 4);
    assert_eq!(json!(detail.secrets[0].purpose), json!("key_pair"));
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_keys_are_removed_by_maintenance_and_that_is_no_change_of_the_subscriber() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    let (id, _) = hooks.add("one", &receiver, QUICK).await;
    hooks.rotate(id, Rotation::secret()).await;
    hooks
        .world
        .execute(
            "update tidings.secret set expires_at = clock_timestamp() where expires_at is not null",
        )
        .await;
    let version = "select max(version) from tidings.subscriber";
    let before: i32 = hooks.world.value(version).await;
    let _worker = hooks.worker().await;
    eventually(SOON, "the expired key is gone", || async {
        let count = "select count(*) from tidings.secret";
        (hooks.world.value::<i64>(count).await == 1).then_some(())
    })
    .await;
    let after: i32 = hooks.world.value(version).await;
    assert_eq!(after, before, "nobody who edits the subscriber is disturbed");
}

#[tokio::test(flavor = "multi_thread")]
async fn rotation_is_told_and_the_keys_that_a_subscriber_begins_with_are_not() {
    let hooks = Hooks::new().await;
    hooks.world.subscriber("operator", "tidings:subscriber:*").await;
    let receiver = Receiver::accepting().await;
    let new = signing("both", &receiver, &["v1", "v1a"]);
    let new = NewSubscriber { key_pair: Some(KeyPair::generate(&mut random())), ..new };
    let id = hooks.add_new(new).await.subscriber_id;
    hooks.rotate(id, Rotation::key_pair()).await;
    hooks.rotate(id, Rotation::secret().overlap(Duration::ZERO)).await;
    let mut tx = hooks.world.pool.begin().await.unwrap();
    let told: Vec<(String, serde_json::Value)> =
        sqlx::query_as("select type, payload::jsonb from tidings.event order by event_id")
            .fetch_all(&mut *tx)
            .await
            .unwrap();
    let told = told.into_iter().map(|(name, payload)| {
        (name, payload["key"]["purpose"].clone(), payload["version"].clone())
    });
    let keys = subscriber::find(&mut tx, "", "both").await.unwrap().unwrap().secrets;
    assert_eq!(keys.len(), 3, "the old secret has ended at once, the old key pair goes on");
    let expected = [
        ("tidings:subscriber:created", json!(null)),
        ("tidings:subscriber:rotated", json!("key_pair")),
        ("tidings:subscriber:rotated", json!("signing")),
    ];
    let mut versions = Vec::new();
    for ((name, purpose, version), (expected, expected_purpose)) in told.zip(expected) {
        assert_eq!((name.as_str(), purpose), (expected, expected_purpose));
        versions.push(version.as_i64().unwrap());
    }
    assert!(versions.len() == 3 && versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}
