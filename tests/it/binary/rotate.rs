//! Keys that are replaced, and published.

use serde_json::json;
use tidings_tests::{Database, Launch, Receiver};

use super::{PATIENCE, add, on, run, sync_types};

fn rotate(database: &Database, words: &[&str]) -> Launch {
    on(database).args(["subscriber", "rotate", "hook"]).args(words)
}

#[tokio::test]
async fn both_secrets_sign_within_the_overlap_and_only_the_new_one_without_it() {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    let receiver = Receiver::accepting().await;
    let old = add(&on(&database), "hook", &receiver.url()).await;
    let rotated = run(&rotate(&database, &["--json"])).await.json();
    let new = rotated["secret"].as_str().unwrap();
    assert_eq!((&rotated["old_keys"], &rotated["overlap_s"]), (&json!(1), &json!(86_400)));
    run(&on(&database).args(["subscriber", "ping", "hook", "--json"])).await.json();
    let received = receiver.wait_for(1, PATIENCE).await;
    received[0].verify(&old).unwrap();
    received[0].verify(new).unwrap();

    let said = run(&rotate(&database, &["--overlap", "0s"])).await;
    assert!(said.stdout.contains("none signs any more"), "{said:?}");
    assert!(said.stdout.contains("it is not shown again"), "{said:?}");
    run(&on(&database).args(["subscriber", "ping", "hook", "--json"])).await.json();
    let received = receiver.wait_for(2, PATIENCE).await;
    received[1].verify(&old).unwrap_err();
    received[1].verify(new).unwrap_err();
}

#[tokio::test]
async fn key_pairs_are_published_and_their_private_half_is_not_shown() {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    add(&on(&database), "hook", "https://example.com/").await;
    let jwks = async |words: &[&str]| run(&on(&database).args(words)).await.json();
    assert_eq!(jwks(&["keys", "jwks"]).await, json!({"keys": []}));
    let own = run(&rotate(&database, &["--key-pair", "--json"])).await.json();
    assert!(own["public_key"].as_str().unwrap().starts_with("whpk_"), "{own}");
    assert_eq!(own["secret"], json!(null));
    let of_hook = jwks(&["subscriber", "jwks", "hook"]).await;
    assert_eq!(
        (&of_hook["keys"][0]["kty"], &of_hook["keys"][0]["crv"]),
        (&json!("OKP"), &json!("Ed25519"))
    );
    assert_eq!(of_hook["keys"][0]["d"], json!(null), "the private half stays here");
    assert_eq!(jwks(&["keys", "jwks"]).await, json!({"keys": []}));
    run(&on(&database).args(["keys", "rotate", "--json"])).await.json();
    assert_eq!(jwks(&["keys", "jwks", "--json"]).await["keys"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn rotation_that_makes_no_sense_is_refused() {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    add(&on(&database), "hook", "https://example.com/").await;
    run(&rotate(&database, &["--overlap", "31d"])).await.refused(2, "outside the range");
    run(&rotate(&database, &["--secret", "whsec_x"])).await.refused(4, "rotate the keys of `hook`");
    let ran = run(&rotate(&database, &["--key-pair", "--secret", "-"])).await;
    ran.refused(2, "cannot be used with");
    run(&rotate(&database, &[]).env("TIDINGS_KEY", "")).await.refused(4, "no key to seal it with");
    run(&on(&database).args(["subscriber", "jwks", "nobody"])).await.refused(3, "no subscriber");
}
