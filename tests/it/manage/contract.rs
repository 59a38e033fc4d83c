//! The webhooks of the worker keep the contract that every deliverer keeps.

use serde_json::json;
use tidings::{
    address::AllowList,
    conformance::{self, Fixtures},
    endpoint::Policy,
    secret::Secret,
};
use tidings_tests::{Receiver, Reply};
use tidings_worker::webhook::{Settings, Webhook};

#[tokio::test]
async fn webhook_keeps_the_contract_of_a_deliverer() {
    let receiver = Receiver::start(|received| match received.json()["data"].as_str() {
        Some("refused") => Reply::status(400),
        _ => Reply::status(204),
    })
    .await;
    let policy = Policy { allow: AllowList::loopback(), ..Policy::default() };
    let settings = Settings { policy, ..Settings::default() };
    let webhook = Webhook::builder().settings(settings).build().unwrap();
    let secret = Secret::generate(&mut rand::rng());
    let text = secret.to_text();
    let config = json!({"url": receiver.url()});
    let fixtures = Fixtures::new(config).secret(secret).refused(r#""refused""#);
    conformance::deliverer(&webhook, &fixtures).await.unwrap();
    let received = receiver.received();
    assert!(received.len() > 10, "{}", received.len());
    assert!(received.iter().all(|received| received.verify(&text).is_ok()));
}
