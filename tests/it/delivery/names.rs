//! Names that have other addresses at every question: what a request may go to is decided when it goes.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use futures_util::FutureExt as _;
use serde_json::json;
use tidings::{deliverer::BoxFuture, endpoint::Policy, subscriber::NewSubscriber};
use tidings_tests::{Draft, Receiver, SOON, eventually};
use tidings_worker::{
    Webhook, Worker,
    health::Rules,
    webhook::{LookupError, Resolve, Settings},
};
use tokio::net::TcpListener;

use super::{
    health::RESTLESS,
    webhook::{Hooks, TYPE},
};

const PUBLIC: &str = "8.8.8.8";

/// Gives each answer once, and the last one for ever.
#[derive(Debug)]
struct Fickle(Mutex<VecDeque<Vec<IpAddr>>>);

impl Fickle {
    fn answering(answers: &[&[&str]]) -> Arc<Self> {
        let addresses =
            |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self(Mutex::new(answers.iter().map(addresses).collect())))
    }

    fn left(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Resolve for Fickle {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, LookupError>> {
        let mut answers = self.0.lock().unwrap();
        let next = answers.front().cloned().unwrap();
        if answers.len() > 1 {
            answers.pop_front();
        }
        std::future::ready(Ok(next)).boxed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn name_that_is_public_when_it_is_checked_and_private_when_it_is_called_gets_no_request() {
    let mut hooks = Hooks::new().await;
    hooks.settings.policy = Policy { https_only: false, ..Policy::default() };
    // It answers nobody, because nobody may come.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("http://rebound.test:{port}/hook");
    let names = Fickle::answering(&[
        &[PUBLIC],
        &["127.0.0.1"],
        &[PUBLIC, "127.0.0.1"],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::7f00:1", PUBLIC],
        &["0.0.0.0"],
    ]);
    let resolver: Arc<dyn Resolve> = Arc::<Fickle>::clone(&names);
    let settings = Settings { connect_timeout: SOON, ..hooks.settings.clone() };
    let webhook = Webhook::builder().settings(settings).resolver(resolver).build().unwrap();
    webhook.check(&json!({ "url": &url })).await.unwrap();
    let mut new = NewSubscriber::webhook("rebound", url);
    new.retry = Some(serde_json::from_str(RESTLESS).unwrap());
    let id = hooks.add_new(new).await.subscriber_id;
    let builder = Worker::builder(hooks.world.pool.clone()).deliverer(webhook);
    let builder = builder.keyring(hooks.keyring.clone()).health(Rules::OFF);
    let worker = hooks.world.worker_with(builder).await;
    let event = hooks.world.register(Draft::new(TYPE)).await;
    let attempts = eventually(SOON, "every answer was tried", || async {
        let attempts = hooks.attempts(event, id).await;
        (names.left() == 1 && attempts.len() >= 7).then_some(attempts)
    })
    .await;
    assert!(worker.stop().await);
    for (number, outcome, status, error) in attempts {
        assert_eq!((outcome.as_str(), status), ("retry", None), "attempt {number}");
        let error = error.unwrap();
        let expected = "the name rebound.test is refused as a whole, because its address ";
        assert!(error.starts_with(expected), "attempt {number}: {error}");
    }
    assert!(listener.accept().now_or_never().is_none(), "nobody has come");
}

#[tokio::test(flavor = "multi_thread")]
async fn name_that_is_private_for_a_while_is_called_again_when_it_is_not() {
    let mut hooks = Hooks::new().await;
    hooks.settings.policy.https_only = false;
    let receiver = Receiver::accepting().await;
    // To this worker, loopback is what everything else is to others.
    let names = Fickle::answering(&[&["10.0.0.1"], &["192.168.0.1", "127.0.0.1"], &["127.0.0.1"]]);
    let settings = hooks.settings.clone();
    let webhook = Webhook::builder().settings(settings).resolver(names).build().unwrap();
    let url = format!("http://moving.test:{}/hook", receiver.port());
    let mut new = NewSubscriber::webhook("moving", url);
    new.retry = Some(serde_json::from_str(RESTLESS).unwrap());
    let id = hooks.add_new(new).await.subscriber_id;
    let builder = Worker::builder(hooks.world.pool.clone()).deliverer(webhook);
    let _worker = hooks.world.worker_with(builder.keyring(hooks.keyring.clone())).await;
    let event = hooks.world.register(Draft::new(TYPE)).await;
    hooks.world.drained().await;
    let outcomes: Vec<_> =
        hooks.attempts(event, id).await.into_iter().map(|attempt| attempt.1).collect();
    assert_eq!(outcomes, ["retry", "retry", "delivered"]);
    assert_eq!(receiver.received()[0].header("host"), format!("moving.test:{}", receiver.port()));
}
