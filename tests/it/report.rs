//! Reports: what an installation has done and has, at each interval, whoever leads and whatever fails.

mod failure;
mod leader;
mod level;
mod own;
mod wire;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::{SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tidings::{
    address::AllowList,
    analytics::{
        report::{CollectError, Collected, Collecting, Collector, Environment},
        wire::{Id, Vendor},
    },
    endpoint::Policy,
    pattern::Pattern,
    privacy,
    secret::{Credentials, Keyring},
    subscriber::{self, NewSubscriber},
    subscription::{self, Wanted},
};
use tidings_tests::{
    Receiver, Reply, SOON, World, clock::advance_reports, eventually, world::Guard,
};
use tidings_worker::{
    Reporter, Webhook, Worker,
    analytics::Analytics,
    report::{Builder, Running},
    webhook::Settings,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const HOUR: Duration = Duration::from_hours(1);

/// Who reports.
const ORGANIZATION: &str = "0192-acme";

/// An installation with a sink that is told of everything.
struct Stage {
    world: World,
    receiver: Receiver,
    keyring: Keyring,
    settings: Settings,
    sink: i32,
    vendor: Vendor,
}

/// What an application counts in a process, and what it has.
#[derive(Clone, Default)]
struct Shop {
    orders: Arc<AtomicU64>,
    fails: Arc<std::sync::atomic::AtomicBool>,
}

/// What an application counts in a database.
#[derive(Clone, Default)]
struct Stock {
    items: Arc<AtomicU64>,
}

/// A reporter that stops when the journey ends.
struct Guarded {
    running: Running,
    shutdown: CancellationToken,
}

impl Stage {
    async fn new(vendor: Vendor) -> Self {
        let world = World::new(&[]).await;
        let body =
            if vendor == Vendor::Segment { r#"{"success":true}"# } else { r#"{"status":"Ok"}"# };
        let receiver = Receiver::start(move |_| Reply::status(200).body(body)).await;
        let keyring = Keyring::generate(&mut rand::rng());
        let policy = Policy { allow: AllowList::loopback(), ..Policy::default() };
        let settings = Settings { policy, ..Settings::default() };
        world
            .execute("select tidings.make_group('segment', 4), tidings.make_group('posthog', 4)")
            .await;
        let config = json!({"host": receiver.url()});
        let new = NewSubscriber {
            credentials: Some(Credentials::bearer("k3y").unwrap()),
            ..NewSubscriber::sink("analytics", vendor.as_str(), config)
        };
        let mut tx = world.pool.begin().await.unwrap();
        let mut random = StdRng::seed_from_u64(1);
        let added =
            subscriber::add(&mut tx, Some(&keyring), &mut random, &settings.policy, new).await;
        let sink = added.unwrap().subscriber_id;
        let everything = Wanted::new(Pattern::parse("**").unwrap());
        subscription::add(&mut tx, sink, &everything).await.unwrap();
        tx.commit().await.unwrap();
        Self { world, receiver, keyring, settings, sink, vendor }
    }

    /// Starts a worker that sends to the sink.
    async fn worker(&self) -> Guard {
        let webhook = Webhook::builder().settings(self.settings.clone()).build().unwrap();
        let mut conn = self.world.pool.acquire().await.unwrap();
        let installation = privacy::installation(&mut conn).await.unwrap();
        let sink = Analytics::new(self.vendor, &webhook, installation);
        let builder = Worker::builder(self.world.pool.clone()).deliverer(sink);
        self.world.worker_with(builder.keyring(self.keyring.clone())).await
    }

    fn builder(&self) -> Builder {
        builder(self.world.pool.clone())
    }

    /// Starts a process of the application.
    async fn process(&self, shop: &Shop) -> Guarded {
        start(self.builder().collector(shop.clone())).await
    }

    /// Returns the payloads of the events of a type, as they were registered.
    async fn registered(&self, event_type: &str) -> Vec<Value> {
        sqlx::query_scalar("select payload from tidings.event where type = $1 order by event_id")
            .bind(event_type)
            .fetch_all(&self.world.pool)
            .await
            .unwrap()
    }

    /// Returns the roll-ups, once there are so many.
    async fn rolled_up(&self, count: usize) -> Vec<Value> {
        self.events("tidings:environment:rolled-up", count).await
    }

    async fn described(&self, count: usize) -> Vec<Value> {
        self.events("tidings:environment:described", count).await
    }

    async fn events(&self, event_type: &str, count: usize) -> Vec<Value> {
        eventually(SOON, &format!("{count} of {event_type}"), || async {
            let registered = self.registered(event_type).await;
            (registered.len() >= count).then_some(registered)
        })
        .await
    }

    /// Lets so much time pass since the last report.
    async fn pass(&self, by: Duration) {
        advance_reports(&self.world.pool, by).await;
    }

    /// Returns what the service was sent.
    fn sent(&self) -> Vec<Value> {
        let requests = self.receiver.received();
        requests.iter().flat_map(|it| it.json()["batch"].as_array().unwrap().clone()).collect()
    }

    /// Waits until the leader has looked twice more, so that whatever it would do is done.
    async fn looked(&self) {
        let look = "select coalesce(max(read_at), '-infinity') from tidings.reporter_process";
        for _ in 0..2 {
            let before: chrono::DateTime<chrono::Utc> =
                self.world.value("select clock_timestamp()").await;
            eventually(SOON, "the processes look", || async {
                (self.world.value::<chrono::DateTime<chrono::Utc>>(look).await > before)
                    .then_some(())
            })
            .await;
        }
    }
}

/// Returns a reporter that looks all the time.
fn builder(pool: sqlx::PgPool) -> Builder {
    let organization = Id::new(ORGANIZATION).unwrap();
    let environment = Environment::new(Uuid::from_u128(1), organization, "shop", "1.2.0").unwrap();
    Reporter::builder(pool, environment.at("aws", "us-east-1").unwrap())
        .look_every(Duration::from_millis(20))
        .lease(Duration::from_secs(1))
}

async fn start(builder: Builder) -> Guarded {
    let shutdown = CancellationToken::new();
    Guarded { running: builder.spawn(shutdown.clone()).await.unwrap(), shutdown }
}

impl Guarded {
    /// Asks it to stop, and answers whether it gave the lead back.
    async fn stop(mut self) -> bool {
        self.shutdown.cancel();
        self.running.finished().await
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Shop {
    fn order(&self, count: u64) {
        self.orders.fetch_add(count, Ordering::Relaxed);
    }
}

impl Collector for Shop {
    fn name(&self) -> &'static str {
        "shop"
    }

    fn statistics(&self) -> &[&'static str] {
        &["orders"]
    }

    fn traits(&self) -> &[&'static str] {
        &["active_sources"]
    }

    fn collect(&self) -> Collecting<'_> {
        Box::pin(async {
            if self.fails.load(Ordering::Relaxed) {
                return Err(CollectError::new("no table `ada_secret_project`"));
            }
            let mut collected = Collected::new();
            collected.statistic("orders", self.orders.load(Ordering::Relaxed));
            collected.trait_value("active_sources", &5_u32);
            Ok(collected)
        })
    }
}

impl Collector for Stock {
    fn name(&self) -> &'static str {
        "stock"
    }

    fn statistics(&self) -> &[&'static str] {
        &["items"]
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn collect(&self) -> Collecting<'_> {
        Box::pin(async {
            let mut collected = Collected::new();
            collected.statistic("items", self.items.load(Ordering::Relaxed));
            Ok(collected)
        })
    }
}

/// Adds up a statistic.
fn total(reports: &[Value], name: &str) -> u64 {
    reports.iter().map(|report| report["statistics"][name].as_u64().unwrap_or_default()).sum()
}

/// Returns the bounds of each window.
fn windows(reports: &[Value]) -> Vec<(String, String)> {
    let bound = |report: &Value, name: &str| report[name].as_str().unwrap().to_owned();
    reports.iter().map(|it| (bound(it, "window_start"), bound(it, "window_end"))).collect()
}

/// Returns what was sent, by its message id.
fn by_id<'a>(sent: &'a [Value], id: &str) -> BTreeMap<String, Vec<&'a Value>> {
    let mut by_id = BTreeMap::<_, Vec<_>>::new();
    for message in sent {
        by_id.entry(message[id].as_str().unwrap().to_owned()).or_default().push(message);
    }
    by_id
}
