//! Managing through the library: subscribers, subscriptions, the log, dead letters, and the tests of applications.

mod catalogue;
mod contract;
mod dead;
mod drain;
mod log;
mod replay;
mod route;
mod subscriber;
mod subscription;
mod update;

use rand::{SeedableRng, rngs::StdRng};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::PgTransaction;
use tidings::{
    Error, Event, Layer,
    endpoint::Policy,
    pattern::Pattern,
    scope::Scope,
    secret::Keyring,
    subscriber::{Added, NewSubscriber},
};
use tidings_tests::World;

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "project", id = id)]
struct Project {
    id: String,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "job", id = id)]
struct Job {
    id: String,
}

/// A job has failed.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "project:job:failed", version = 1, scope(project, job), layers(Project, Job))]
struct JobFailed {
    project: Project,
    job: Job,
}

/// An order has been placed.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct OrderPlaced {
    order: u64,
    #[telemetry]
    items: u32,
}

/// An order has been paid.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:paid", version = 1)]
struct OrderPaid {
    order: u64,
}

impl OrderPlaced {
    const fn number(order: u64) -> Self {
        Self { order, items: 3 }
    }
}

/// Returns a world that knows the types above.
async fn world() -> World {
    let world = World::new(&[]).await;
    let catalogue = tidings::catalogue![JobFailed, OrderPlaced, OrderPaid].unwrap();
    catalogue.sync(&mut world.pool.acquire().await.unwrap()).await.unwrap();
    world
}

fn random() -> StdRng {
    StdRng::seed_from_u64(1)
}

fn keyring() -> Keyring {
    Keyring::generate(&mut random())
}

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

async fn begin(world: &World) -> PgTransaction<'static> {
    world.pool.begin().await.unwrap()
}

/// Adds a subscriber in a transaction, with the key of [`keyring`].
async fn add(tx: &mut PgTransaction<'_>, new: NewSubscriber) -> Result<Added, Error> {
    let (keyring, policy) = (keyring(), Policy::default());
    tidings::subscriber::add(tx, Some(&keyring), &mut random(), &policy, new).await
}

/// Adds a subscriber of kind `memory`, and commits.
async fn memory(world: &World, name: &str) -> i32 {
    let mut tx = begin(world).await;
    let new = NewSubscriber::new(name, "memory", serde_json::json!({}));
    let added = add(&mut tx, new).await.unwrap();
    tx.commit().await.unwrap();
    added.subscriber_id
}

/// Subscribes to a pattern everywhere, and commits.
async fn subscribe(world: &World, subscriber_id: i32, text: &str) -> i32 {
    let mut tx = begin(world).await;
    let wanted = tidings::subscription::Wanted::new(pattern(text));
    let added = tidings::subscription::add(&mut tx, subscriber_id, &wanted).await;
    tx.commit().await.unwrap();
    added.unwrap().subscription_id
}
