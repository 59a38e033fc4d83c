//! Credentials that a receiver asks for: sent, replaced, removed, and never to be read again.

use serde_json::json;
use tidings::{
    Error,
    secret::{Credentials, CredentialsError},
    subscriber::{self, NewSubscriber, Purpose},
};
use tidings_tests::{Receiver, SOON, eventually};

use super::webhook::{Hooks, hex, random};

async fn set(hooks: &Hooks, id: i32, credentials: Option<&Credentials>) -> Result<(), Error> {
    let mut tx = hooks.world.pool.begin().await.unwrap();
    let keyring = Some(&hooks.keyring);
    let done = subscriber::set_credentials(&mut tx, keyring, &mut random(), id, credentials).await;
    // Also after a refusal.
    tx.commit().await.unwrap();
    done
}

fn basic() -> Credentials {
    Credentials::basic("shop", "open s3same").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_sent_until_others_take_their_place_or_none() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    let new = NewSubscriber::webhook("shop", receiver.url());
    let id = hooks.add_new(NewSubscriber { credentials: Some(basic()), ..new }).await.subscriber_id;
    let _worker = hooks.worker().await;
    let request = hooks.deliver_one(&receiver).await;
    assert_eq!(request.header("authorization"), basic().as_header());

    let bearer = Credentials::bearer("t0k3n").unwrap();
    for (credentials, expected) in [(Some(&bearer), "Bearer t0k3n"), (None, "")] {
        set(&hooks, id, credentials).await.unwrap();
        eventually(SOON, "the others are sent", || async {
            let request = hooks.deliver_one(&receiver).await;
            (request.header("authorization") == expected).then_some(())
        })
        .await;
    }
    let left = "select count(*) from tidings.secret where purpose = 'credentials'";
    assert_eq!(hooks.world.value::<i64>(left).await, 0);
}

#[tokio::test]
async fn credentials_cannot_be_read_where_they_are_stored_or_shown() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    let new = NewSubscriber::webhook("shop", receiver.url());
    let new = NewSubscriber { credentials: Some(basic()), ..new };
    let debug = format!("{new:?}");
    hooks.add_new(new).await;
    let rows: String =
        hooks.world.value("select string_agg(k::text, ' ') from tidings.secret k").await;
    let mut conn = hooks.world.pool.acquire().await.unwrap();
    let detail = subscriber::find(&mut conn, "", "shop").await.unwrap().unwrap();
    let shown = format!("{debug} {rows} {} {detail:?}", serde_json::to_string(&detail).unwrap());
    let encoded = basic().as_header().split_once(' ').unwrap().1.to_owned();
    let hex = hex(&encoded.as_bytes()[..8]);
    for secret in ["s3same", &encoded, &hex] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let purposes: Vec<_> = detail.secrets.iter().map(|secret| secret.purpose).collect();
    assert_eq!(purposes, [Purpose::Credentials, Purpose::Signing]);
}

#[tokio::test]
async fn credentials_and_a_header_for_them_exclude_each_other() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::accepting().await;
    let config = json!({"url": receiver.url(), "headers": {"Authorization": "Bearer x"}});
    let new = NewSubscriber::new("shop", "webhook", config);
    let both = NewSubscriber { credentials: Some(basic()), ..new.clone() };
    let error = both.check(&hooks.settings.policy).unwrap_err();
    assert!(matches!(error, Error::Credentials(CredentialsError::Twice)), "{error}");
    let id = hooks.add_new(new).await.subscriber_id;
    let error = set(&hooks, id, Some(&basic())).await.unwrap_err();
    assert!(error.to_string().contains("remove one of the two"), "{error}");
    set(&hooks, id, None).await.unwrap();
    for id in [0, 4711] {
        let error = set(&hooks, id, Some(&basic())).await.unwrap_err();
        assert!(matches!(error, Error::NoSuchSubscriber { .. }), "{error}");
    }
}
