//! The client against a server on this machine that does as it is told.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod failures;
mod heartbeat;
mod queue;
mod server;
mod verdicts;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::DateTime;
use server::{Reply, Request, Server};
use tidings_analytics::{
    Level, TelemetryData,
    client::{Builder, Client, Event, Loss, LossReason, Retry, Sent, Sources},
    wire::{Host, Key, PostHog, Protocol, Settings, Sink},
};
use url::Url;
use uuid::Uuid;

const PLACED: Event = Event::track("order:placed", Level::Basic);

/// Long enough for a busy machine; nothing waits for it that works.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest wait that is granted to the server.
const WAIT_MAX: Duration = Duration::from_millis(20);

/// Losses, as they were told.
type Losses = Arc<Mutex<Vec<Loss>>>;

fn settings(url: &Url) -> Settings {
    let key = Key::new("s3cr3t").unwrap();
    let settings = Settings::new(Host::Custom(url.clone()), key, "test");
    Settings { wait_max: WAIT_MAX, ..settings }
}

fn segment(url: &Url) -> Sink {
    Sink::segment(settings(url)).unwrap()
}

fn posthog(url: &Url, protocol: Protocol) -> Sink {
    Sink::posthog(settings(url), PostHog { protocol, ..PostHog::default() }).unwrap()
}

/// A clock that goes on by a second each time that it is read, and numbers that are all different.
fn sources() -> Sources {
    let seconds = AtomicI64::new(1_795_316_533);
    let numbers = AtomicU64::new(1);
    Sources::new(
        move || DateTime::from_timestamp(seconds.fetch_add(1, Ordering::Relaxed), 0).unwrap(),
        move || numbers.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15),
    )
}

/// A client that is in a hurry, gathers until it is flushed, and gives up only when told to.
fn builder(sink: Sink) -> Builder {
    let retry = Retry {
        base: Duration::from_millis(1),
        cap: Duration::from_millis(5),
        attempts_max: 1_000,
        age_max: PATIENCE,
        pause: Duration::from_millis(5),
    };
    Client::builder(sink, Uuid::from_u128(7), sources())
        .level(Level::Full)
        .linger(PATIENCE)
        .timeouts(Duration::from_secs(5), Duration::from_millis(500))
        .retry(retry)
}

fn watched(builder: Builder) -> (Client, Losses) {
    let losses = Losses::default();
    let told = Arc::clone(&losses);
    let client = builder.on_loss(move |loss| told.lock().unwrap().push(loss)).build().unwrap();
    (client, losses)
}

/// Gives an event up at its `attempts`th failure, whatever its age.
fn impatient(builder: Builder, attempts: u32) -> Builder {
    builder.retry(Retry {
        base: Duration::from_millis(1),
        cap: Duration::from_millis(5),
        attempts_max: attempts,
        age_max: Duration::ZERO,
        pause: Duration::from_millis(5),
    })
}

/// Sends an event and returns its id.
fn send(client: &Client) -> Uuid {
    match client.send_event(&PLACED, &TelemetryData::new()).unwrap() {
        Sent::Queued(id) => id,
        other => panic!("{other:?}"),
    }
}

/// Sends `count` events and waits until they are settled.
async fn send_and_flush(client: &Client, count: usize) -> Vec<Uuid> {
    let ids = (0..count).map(|_| send(client)).collect();
    assert!(client.flush(PATIENCE).await.is_empty(), "{:?}", client.counts());
    ids
}

fn lost(losses: &Losses) -> Vec<(Uuid, LossReason)> {
    losses.lock().unwrap().iter().map(|loss| (loss.id, loss.reason)).collect()
}
