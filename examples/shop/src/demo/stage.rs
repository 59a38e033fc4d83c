//! Everything that runs during the demo: in one process the database, the two receivers, the worker, the relay, the
//! telemetry pipeline and the shop, and beside it the recorder.
//!
//! The database is a server of our own in a folder for temporary files; `DATABASE_URL` is not looked at, because the
//! demo writes what nobody wants to keep.

use std::{
    env, fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rand::rngs::StdRng;
use serde_json::json;
use sqlx::{PgPool, postgres::PgPoolOptions};
use tidings::{
    address::AllowList,
    analytics::wire::Vendor,
    endpoint::Policy,
    pattern::Pattern,
    privacy,
    secret::{Credentials, Keyring},
    subscriber::{self, NewSubscriber},
    subscription::{self, Wanted},
};
use tidings_cli::postgres::{Embedded, Location, Options, locate};
use tidings_relay::Relay;
use tidings_worker::{
    Builder, Running, Worker, analytics,
    webhook::{Settings, Webhook},
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    guest::Guests, outage::Outage, pipeline::Pipeline, receiver::Receiver, recorder::Recorder,
};
use crate::shop::{self, Branch, Shop};

/// Sixteen customers, the worker and the audit.
const CONNECTIONS: u32 = 24;

/// At the end of a good run nothing is in flight; after Ctrl-C nobody wants to wait.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// What runs.
pub(crate) struct Stage {
    /// The database of the shop and of the outbox.
    pub(crate) pool: PgPool,
    /// The two subscribers; the first is well all the time.
    pub(crate) subscribers: Vec<Subscriber>,
    /// The sinks: which service, and the number of its lane.
    pub(crate) sinks: [(&'static str, i32); 2],
    /// Where both sinks send to.
    pub(crate) recorder: Recorder,
    /// Who clicks around in the shop's page.
    pub(crate) guests: Guests,
    /// What makes files and rows of telemetry.
    pub(crate) pipeline: Pipeline,
    /// Where the shop is.
    pub(crate) shop_url: String,
    relay: Relay,
    worker: Running,
    worker_stop: CancellationToken,
    servers: JoinSet<Result<()>>,
    servers_stop: CancellationToken,
    embedded: Embedded,
    // After the server in this order, so that it is gone before its folder.
    folder: Scratch,
}

/// A subscriber and its receiver.
pub(crate) struct Subscriber {
    /// The number of its lane.
    pub(crate) id: i32,
    /// Whether it gets the events of an order in their order.
    pub(crate) ordered: bool,
    /// Where its webhooks arrive.
    pub(crate) receiver: Receiver,
}

/// What a subscriber asks for.
struct Wish {
    name: &'static str,
    pattern: &'static str,
    ordered: bool,
    outage: Outage,
}

/// A folder that is deleted when it is dropped.
struct Scratch(PathBuf);

impl Stage {
    /// Starts everything.
    ///
    /// # Errors
    ///
    /// No PostgreSQL is installed, with what to install; or anything that does not start.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends what it has started.
    pub(crate) async fn set() -> Result<Self> {
        let folder = Scratch::new()?;
        let embedded = database(&folder.0).await?;
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS);
        let pool = pool.connect(&embedded.url()).await.context("connect to the database")?;
        tidings_migrations::migrate(&pool).await?;
        shop::store::migrate(&pool).await.context("make the shop's tables")?;
        let mut conn = pool.acquire().await?;
        shop::event::catalogue()?.sync(&mut conn).await?;
        drop(conn);

        let (mut servers, servers_stop) = (JoinSet::new(), CancellationToken::new());
        // The receivers are on loopback, where no webhook goes unless an operator says so.
        let policy = Policy { allow: AllowList::loopback(), ..Policy::default() };
        let keyring = Keyring::generate(&mut rand::rng());
        let mut subscribers = Vec::new();
        for wish in wishes() {
            let (subscriber, listener) = subscribe(&pool, &keyring, &policy, wish).await?;
            servers.spawn(subscriber.receiver.clone().serve(listener, servers_stop.clone()));
            subscribers.push(subscriber);
        }

        let worker_stop = CancellationToken::new();
        let settings = Settings { policy: policy.clone(), ..Settings::default() };
        let webhook = Webhook::builder().settings(settings).build()?;
        let worker = Worker::builder(pool.clone())
            .keyring(keyring.clone())
            .host("demo")
            .drain_max(DRAIN_MAX);
        let worker = analytics::all(&webhook, installation(&pool).await?)
            .into_iter()
            .fold(worker, Builder::deliverer)
            .deliverer(webhook)
            .spawn(worker_stop.clone())
            .await?;
        let recorder = Recorder::start()?;
        let adding = async |vendor: Vendor| {
            collect(&pool, &keyring, &policy, vendor.as_str(), &recorder.url).await
        };
        let sinks = [adding(Vendor::Segment).await?, adding(Vendor::PostHog).await?];

        let pipeline = Pipeline::start(&pool, &folder.0).await?;
        let branch = Branch { id: "tea".to_owned(), name: "The Tea Shop".to_owned() };
        let relay = Relay::builder(pool.clone()).anonymous(true).build(servers_stop.clone());
        let guests = Guests::find();
        // One address for the page and for what it reports, as behind any proxy.
        let router = shop::http::router(Shop { pool: pool.clone(), branch: Arc::new(branch) })
            .merge(relay.router())
            .merge(guests.router());
        let listener = TcpListener::bind("127.0.0.1:0").await.context("open the shop")?;
        let shop_url = format!("http://{}", listener.local_addr()?);
        let closed = servers_stop.clone().cancelled_owned();
        servers.spawn(async move {
            let serving = axum::serve(listener, router).with_graceful_shutdown(closed);
            serving.await.context("serve the shop")
        });
        Ok(Self {
            pool,
            subscribers,
            sinks,
            recorder,
            guests,
            pipeline,
            shop_url,
            relay,
            worker,
            worker_stop,
            servers,
            servers_stop,
            embedded,
            folder,
        })
    }

    /// Begins the time by which the receivers behave.
    pub(crate) fn begin(&self) {
        self.subscribers.iter().for_each(|subscriber| subscriber.receiver.begin());
    }

    /// Returns a folder for what nobody wants to keep.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// Returns the URL of the database, password included.
    pub(crate) fn database_url(&self) -> String {
        self.embedded.url()
    }

    /// Stops everything, in the order in which nothing is missed: the worker first, then those it talks to.
    ///
    /// # Errors
    ///
    /// Something did not stop, or had failed meanwhile.
    pub(crate) async fn strike(mut self) -> Result<()> {
        self.worker_stop.cancel();
        self.worker.finished().await;
        self.servers_stop.cancel();
        self.relay.finished().await;
        // After the relay, so that what it has taken is in files too.
        let finished = self.pipeline.finish().await;
        while let Some(ended) = self.servers.join_next().await {
            ended.context("a server has panicked")??;
        }
        self.pool.close().await;
        self.embedded.stop().await.context("stop the database")?;
        finished
    }
}

impl Scratch {
    fn new() -> Result<Self> {
        let path = env::temp_dir().join(format!("tidings-demo-{}", process::id()));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("make the folder {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be deleted stays in the folder for temporary files.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// The warehouse is well and wants each order's events in order; accounting has an outage and does not care.
fn wishes() -> [Wish; 2] {
    [
        Wish { name: "warehouse", pattern: "shop:order:*", ordered: true, outage: Outage::never() },
        Wish {
            name: "accounting",
            pattern: "shop:**",
            ordered: false,
            outage: Outage::of_five_seconds(),
        },
    ]
}

async fn database(folder: &Path) -> Result<Embedded> {
    let Location::Embedded(search) =
        locate(|name| env::var_os(name).filter(|_| name != "DATABASE_URL"))?
    else {
        bail!("the demo runs a database of its own");
    };
    let mut options = Options::new(folder)
        // The audit measures from the commit as the database saw it.
        .setting("track_commit_timestamp", "on");
    options.removed_with_process = true;
    Embedded::start(&search, options).await
}

/// Returns the name under which events of nobody in particular are sent.
async fn installation(pool: &PgPool) -> Result<Uuid> {
    let mut conn = pool.acquire().await?;
    Ok(privacy::installation(&mut conn).await?)
}

/// Adds a sink that is told of everything, and returns it with the number of its lane.
async fn collect(
    pool: &PgPool,
    keyring: &Keyring,
    policy: &Policy,
    sink: &'static str,
    host: &str,
) -> Result<(&'static str, i32)> {
    let mut new = NewSubscriber::sink(sink, sink, json!({"host": host}));
    new.credentials = Some(Credentials::bearer("key-of-the-demo")?);
    let mut rng: StdRng = rand::make_rng();
    let mut tx = pool.begin().await?;
    let added = subscriber::add(&mut tx, Some(keyring), &mut rng, policy, new).await?;
    subscription::add(&mut tx, added.subscriber_id, &Wanted::new(Pattern::parse("**")?)).await?;
    tx.commit().await?;
    Ok((sink, added.subscriber_id))
}

/// Adds a subscriber with its subscription, and its receiver, which is to be served on the listener.
async fn subscribe(
    pool: &PgPool,
    keyring: &Keyring,
    policy: &Policy,
    wish: Wish,
) -> Result<(Subscriber, TcpListener)> {
    let Wish { name, pattern, ordered, outage } = wish;
    let listener = TcpListener::bind("127.0.0.1:0").await.context("open a receiver")?;
    let url = format!("http://{}/", listener.local_addr()?);
    let mut new = NewSubscriber::webhook(name, url);
    // A real subscriber gets minutes and hours; the demo has seconds.
    new.retry = Some(json!({"delays_s": [0, 0.5, 1, 2]}));
    let mut rng: StdRng = rand::make_rng();
    let mut tx = pool.begin().await?;
    let added = subscriber::add(&mut tx, Some(keyring), &mut rng, policy, new).await?;
    let id = added.subscriber_id;
    let wanted = Wanted::new(Pattern::parse(pattern)?).ordered(ordered);
    subscription::add(&mut tx, id, &wanted).await?;
    tx.commit().await?;
    let secret = added.secret.context("the secret of a new webhook is shown once")?;
    Ok((Subscriber { id, ordered, receiver: Receiver::new(name, &secret, outage)? }, listener))
}
