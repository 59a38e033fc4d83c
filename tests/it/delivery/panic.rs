//! Deliverers that panic where nobody expects it.

use std::time::Duration;

use tidings::{
    Deliverer, Destination,
    deliverer::{Answer, BoxFuture, OpenError},
    delivery::Delivery,
    subscriber::Subscriber,
};
use tidings_tests::{Draft, SOON, World, eventually};
use tidings_worker::Worker;

/// A method of a destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Method {
    Open,
    InFlightMax,
    BatchMax,
    Timeout,
    Deliver,
}

/// A deliverer of the kind `memory` that panics in one method, for the subscriber `clumsy`.
#[derive(Clone, Copy, Debug)]
struct Clumsy {
    panics_in: Method,
    is_clumsy: bool,
}

impl Clumsy {
    fn pass(self, method: Method) {
        assert!(!self.is_clumsy || self.panics_in != method, "dropped it");
    }
}

impl Deliverer for Clumsy {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn open(&self, subscriber: &Subscriber) -> Result<Box<dyn Destination>, OpenError> {
        let opened = Self { is_clumsy: subscriber.name == "clumsy", ..*self };
        opened.pass(Method::Open);
        Ok(Box::new(opened))
    }
}

impl Destination for Clumsy {
    fn in_flight_max(&self) -> usize {
        self.pass(Method::InFlightMax);
        16
    }

    fn batch_max(&self) -> usize {
        self.pass(Method::BatchMax);
        1
    }

    fn timeout(&self) -> Duration {
        self.pass(Method::Timeout);
        Duration::from_secs(10)
    }

    fn deliver<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Answer>> {
        self.pass(Method::Deliver);
        Box::pin(async move { deliveries.iter().map(|_| Answer::delivered()).collect() })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn panic_is_a_failed_attempt_whichever_method_of_a_destination_it_comes_from() {
    for method in [Method::Deliver, Method::Timeout, Method::BatchMax, Method::InFlightMax] {
        fails_and_stops_nobody(method).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn panic_while_a_destination_is_opened_is_a_failed_attempt_too() {
    fails_and_stops_nobody(Method::Open).await;
}

async fn fails_and_stops_nobody(panics_in: Method) {
    let world = World::new(&["order:placed"]).await;
    let clumsy = world.subscriber("clumsy", "order:placed").await;
    world.set_retry(clumsy, r#"{"delays_s": [0, 0.05]}"#).await;
    world.subscriber("well", "order:placed").await;
    let deliverer = Clumsy { panics_in, is_clumsy: false };
    // They share the only pump.
    let builder = Worker::builder(world.pool.clone()).deliverer(deliverer).pumps(1);
    let worker = world.worker_with(builder).await;
    world.register(Draft::new("order:placed")).await;
    let what = format!("a panic in {panics_in:?} is a failed attempt, again and again");
    eventually(SOON, &what, || async {
        let failed = "select count(*) from tidings.attempt where outcome = 'retry' and error like '%panicked: dropped it'";
        (world.value::<i64>(failed).await >= 2).then_some(())
    })
    .await;
    world.register(Draft::new("order:placed").number(2)).await;
    let what = format!("another lane goes on after a panic in {panics_in:?}");
    eventually(SOON, &what, || async { (worker.running.counts().delivered == 2).then_some(()) })
        .await;
    assert!(worker.stop().await, "it drained");
}
