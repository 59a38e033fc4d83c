//! The trace of who registers goes on in the request to who is told.

use tidings::{
    Options,
    address::AllowList,
    endpoint::Policy,
    register_event, register_event_with,
    secret::Keyring,
    subscriber::{self, NewSubscriber},
    trace::{self, TraceContext},
};
use tidings_tests::{Receiver, SOON};
use tidings_worker::{Webhook, Worker, webhook::Settings};

use super::{placed, world};

const SCOPED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OPTION: &str = "00-11111111111111111111111111111111-2222222222222222-00";
const SQL: &str = "00-33333333333333333333333333333333-4444444444444444-01";

#[tokio::test(flavor = "multi_thread")]
async fn trace_of_the_caller_reaches_the_webhook() {
    let world = world().await;
    let receiver = Receiver::accepting().await;
    let policy = Policy { https_only: false, allow: AllowList::loopback() };
    let keyring = Keyring::generate(&mut rand::rng());
    let mut tx = world.pool.begin().await.unwrap();
    let hook = NewSubscriber::webhook("hook", receiver.url());
    let added =
        subscriber::add(&mut tx, Some(&keyring), &mut rand::rng(), &policy, hook).await.unwrap();
    tx.commit().await.unwrap();
    world.subscribe(added.subscriber_id, "order:placed", "", false).await;
    let webhook =
        Webhook::builder().settings(Settings { policy, ..Settings::default() }).build().unwrap();
    let _worker = world
        .worker_with(Worker::builder(world.pool.clone()).deliverer(webhook).keyring(keyring))
        .await;

    let scoped = TraceContext::parse(SCOPED, Some("vendor=1")).unwrap();
    let option = TraceContext::parse(OPTION, None).unwrap();
    let mut tx = world.pool.begin().await.unwrap();
    trace::scope(scoped, async {
        register_event(&mut tx, &placed(1)).await.unwrap();
        register_event_with(&mut tx, &placed(2), Options::default().trace(option)).await.unwrap();
    })
    .await;
    register_event(&mut tx, &placed(3)).await.unwrap();
    sqlx::query(
        "select tidings.register_event('order:placed', '{\"body\":4}', headers => $1::text::json)",
    )
    .bind(format!(r#"{{"traceparent": "{SQL}", "x": 1}}"#))
    .execute(&mut *tx)
    .await
    .unwrap();
    tidings::commit(tx).await.unwrap();

    let mut traces: Vec<(String, String, String)> = receiver
        .wait_for(4, SOON)
        .await
        .iter()
        .map(|request| {
            let body = request.json()["data"]["body"].to_string();
            (
                body,
                request.header("traceparent").to_owned(),
                request.header("tracestate").to_owned(),
            )
        })
        .collect();
    traces.sort();
    let expected = [("1", SCOPED, "vendor=1"), ("2", OPTION, ""), ("3", "", ""), ("4", SQL, "")];
    assert_eq!(
        traces,
        expected.map(|(body, parent, state)| (body.into(), parent.into(), state.into()))
    );
}
