//! A relay: its router, and the tasks behind it.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderValue, Method, header},
};
use sqlx::PgPool;
use tidings_analytics::Level;
use tidings_pipeline::log::Appender;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::{
    Error, Front, Limits, Result,
    door::State,
    front,
    gate::Gate,
    gather::{Gatherer, Writers},
    metrics::Metrics,
    quota::Quotas,
    raw_log::{Elsewhere, RawLog},
    route, store, telemetry,
    watch::Watcher,
};

/// How many groups are written at a time: while one waits for its commit, the next is at work.
const WRITERS: u16 = 2;

/// How long a request is known.
const REQUESTS_KEPT: Duration = Duration::from_hours(24);

/// How long the raw log is kept.
const LOG_KEPT: Duration = Duration::from_hours(24 * 7);

/// How often old requests and partitions are looked for.
const KEEP_EVERY: Duration = Duration::from_mins(1);

/// How long a browser remembers the answer to a preflight.
const PREFLIGHT_AGE: Duration = Duration::from_hours(2);

/// A relay that is being set up.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    pool: PgPool,
    limits: Limits,
    anonymous: bool,
    level: Level,
    origins: Option<Vec<String>>,
    writers: u16,
    requests_kept: Duration,
    log_kept: Duration,
    front: Option<Front>,
    log: Option<Arc<dyn Appender>>,
}

/// A running relay.
#[derive(Debug)]
pub struct Relay {
    router: Router,
    tasks: TaskTracker,
}

impl Relay {
    /// Returns a builder of a relay on this database, which has the schema of `tidings migrate`.
    pub fn builder(pool: PgPool) -> Builder {
        Builder {
            pool,
            limits: Limits::default(),
            anonymous: false,
            level: Level::Full,
            origins: None,
            writers: WRITERS,
            requests_kept: REQUESTS_KEPT,
            log_kept: LOG_KEPT,
            front: None,
            log: None,
        }
    }

    /// Returns the router, to serve by itself or to nest.
    ///
    /// It has no fallback: what it does not know is answered by the application, unless there is a site behind it.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Waits until the shutdown has been asked for, everything that was taken is written and answered, and the tasks
    /// have ended.
    ///
    /// # Cancel safety
    ///
    /// The tasks go on.
    pub async fn finished(&self) {
        self.tasks.wait().await;
    }
}

impl Builder {
    /// Sets the limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Takes requests without a key too, and those with an unknown one, for the channel `anonymous`.
    ///
    /// Without this every request needs a key.
    pub fn anonymous(mut self, anonymous: bool) -> Self {
        self.anonymous = anonymous;
        self
    }

    /// Sets the highest level at which this relay collects; the installation's may be lower.
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Lets only pages of these origins send, `https://shop.example` for example; without this, all.
    ///
    /// It binds browsers alone. An origin that no header can hold matches no page.
    pub fn origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.origins = Some(origins.into_iter().map(Into::into).collect());
        self
    }

    /// Sets how many connections write at a time, for events and for the raw log each; at least one, and two by
    /// default.
    pub fn writers(mut self, writers: u16) -> Self {
        self.writers = writers.max(1);
        self
    }

    /// Sets how long a repeated request is recognised; a day by default.
    pub fn requests_kept(mut self, age: Duration) -> Self {
        self.requests_kept = age;
        self
    }

    /// Sets how long the raw log is kept; seven days by default, and in whole days.
    pub fn log_kept(mut self, age: Duration) -> Self {
        self.log_kept = age;
        self
    }

    /// Writes raw telemetry to this log, Kafka for example, and no longer to the database.
    ///
    /// The log has the topics of the pipeline, which [`Log::prepare`](tidings_pipeline::Log::prepare) makes.
    /// A telemetry batch that is sent again is then written again; the pipeline keeps its events from being there
    /// twice.
    pub fn log(mut self, log: Arc<dyn Appender>) -> Self {
        self.log = Some(log);
        self
    }

    /// Stands before a web site, which gets what the relay has no route for.
    pub fn front(mut self, front: Front) -> Self {
        self.front = Some(front);
        self
    }

    /// Starts the tasks of the relay on the runtime of the caller; they end after `shutdown`.
    ///
    /// From then on requests are answered with 503, and those that were taken are written and answered; see
    /// [`Relay::finished`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn build(self, shutdown: CancellationToken) -> Relay {
        let tasks = TaskTracker::new();
        let ended = CancellationToken::new();
        let metrics = Arc::new(Metrics::default());
        let gate = Gate::new(self.limits.buffer_requests_max, self.limits.buffer_bytes_max);
        let watcher = Arc::new(Watcher::new(self.pool.clone()));
        let writers = Writers {
            pool: self.pool.clone(),
            metrics: Arc::clone(&metrics),
            count: self.writers,
            timeout: self.limits.commit_timeout,
            ended: ended.clone(),
        };
        let raw_log = match &self.log {
            None => RawLog::Database(Gatherer::start(&writers, &tasks)),
            Some(log) => {
                let (metrics, timeout) = (Arc::clone(&metrics), self.limits.commit_timeout);
                RawLog::Elsewhere(Elsewhere::new(Arc::clone(log), metrics, timeout))
            }
        };
        let router_layer = self.cors();
        let state = Arc::new(State {
            limits: self.limits,
            gate: Arc::clone(&gate),
            metrics: Arc::clone(&metrics),
            watcher: Arc::clone(&watcher),
            entries: Gatherer::start(&writers, &tasks),
            raw_log,
            quotas: Quotas::default(),
            anonymous: self.anonymous,
            level_max: self.level,
        });
        let mut router = route::router(&state).layer(router_layer);
        if let Some(front) = self.front {
            // Outermost, because nothing of ours is for the pages of the site.
            router = front::before(router, front, metrics, shutdown.clone());
        }
        let watching = ended.clone();
        tasks.spawn(async move { watcher.run(watching).await });
        tasks.spawn(keep(self.pool, self.requests_kept, self.log_kept, ended.clone()));
        tasks.spawn(async move {
            shutdown.cancelled().await;
            gate.close();
            telemetry::closing(gate.requests());
            gate.emptied().await;
            ended.cancel();
        });
        tasks.close();
        Relay { router, tasks }
    }

    fn cors(&self) -> CorsLayer {
        let origin = match &self.origins {
            None => AllowOrigin::any(),
            Some(origins) => AllowOrigin::list(
                origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()),
            ),
        };
        CorsLayer::new()
            .allow_origin(origin)
            .allow_methods([Method::GET, Method::POST])
            // SDKs set headers of their own, and none of them gives a page more rights.
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers([header::RETRY_AFTER])
            .max_age(PREFLIGHT_AGE)
    }
}

/// Makes partitions ahead, forgets old requests and drops old partitions, again and again until the relay has ended.
async fn keep(pool: PgPool, requests: Duration, log: Duration, ended: CancellationToken) {
    loop {
        let mut again = false;
        match keep_once(&pool, requests, log).await {
            Ok(kept) => {
                telemetry::kept(kept.forgotten, kept.dropped);
                // One call does a part of what there may be to do.
                again = kept.forgotten > 0 || kept.dropped > 0;
            }
            Err(error) => telemetry::unkept(&error),
        }
        tokio::select! {
            () = tokio::time::sleep(KEEP_EVERY), if !again => {}
            () = ended.cancelled() => return,
            () = std::future::ready(()), if again => {}
        }
    }
}

async fn keep_once(pool: &PgPool, requests: Duration, log: Duration) -> Result<store::Kept> {
    let mut conn = pool.acquire().await.map_err(Error::unanswered("connect to the database"))?;
    store::keep(&mut conn, requests, log).await
}
