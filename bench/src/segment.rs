//! How fast the telemetry of a backlog reaches a service, against what its two halves could do: the same bodies sent by
//! a bare client, and the same deliveries drained into memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use axum::{Router, body::Bytes, extract::State, routing::post};
use rand::{SeedableRng, rngs::StdRng};
use serde_json::json;
use tidings::{
    address::AllowList,
    analytics::wire::{
        Attempt, Batch, Call, Context, Host, Id, Identity, Key, Message, Name, Properties,
        Settings, Sink, Vendor,
    },
    catalogue,
    deliverer::Memory,
    endpoint::Policy,
    pattern::Pattern,
    secret::{Credentials, Keyring},
    subscriber::{self, NewSubscriber},
    subscription::{self, Wanted},
};
use tidings_worker::{AttemptLog, Builder, Webhook, Worker, analytics::Analytics, webhook};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    fixture::Fixture,
    register::OrderPlaced,
    report::{Report, progress},
};

const EVENTS: i64 = 100_000;
const TURNS: usize = 7;

/// As many requests at a time as the sink has by itself.
const REQUESTS: usize = 2;

const TELEMETRY: &str = r#"{"event_properties": {"items": 3, "express": true, "status": "placed"}, "derived_properties": {"total_bucket": "100..1000", "note_count": 2}}"#;

const CLEAR: &[&str] =
    &["truncate tidings.delivery, tidings.attempt, tidings.event, tidings.expansion"];

const SETTLE_DOWN: &[&str] =
    &["vacuum analyze tidings.delivery", "vacuum analyze tidings.event", "checkpoint"];

/// A service that says yes.
struct Recorder {
    host: Host,
    received: Arc<AtomicU64>,
}

/// What all turns share.
struct Stage<'a> {
    fixture: &'a Fixture,
    recorder: Recorder,
    keyring: Keyring,
    policy: Policy,
    /// The sink, and a lane of notifications that ends in memory.
    lanes: (i32, i32),
}

/// Events per second to a service on this machine, over the limit of the two halves.
pub(crate) async fn vs_limit(fixture: &Fixture, report: &mut Report) -> Result<()> {
    let row = "segment.vs_limit";
    let stage = Stage::new(fixture).await?;
    let batches = stage.batches()?;
    let bar = progress(row, TURNS);
    let (mut ratios, mut notes) = (Vec::new(), [0.0; 3]);
    // One more goes before, which warms up and does not count.
    for turn in 0..=TURNS {
        let bare = stage.bare(&batches).await?;
        let ours = stage.ours().await?;
        let memory = stage.memory().await?;
        if turn > 0 {
            ratios.push(ours / (1.0 / (1.0 / bare + 1.0 / memory)));
            notes = [ours, bare, memory];
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let [ours, bare, memory] = notes;
    let note = format!(
        "{EVENTS} events to a recorder on this machine, {REQUESTS} requests at a time, attempt log all, {TURNS} turns; in the \
         last: {ours:.0} events/s, bare client {bare:.0}, drained into memory {memory:.0}"
    );
    report.add(row, "ratio", &ratios, note);
    Ok(())
}

impl Recorder {
    async fn start() -> Result<Self> {
        let received = Arc::new(AtomicU64::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let answer = async |State(received): State<Arc<AtomicU64>>, body: Bytes| {
            received.fetch_add(body.len() as u64, Ordering::Relaxed);
            r#"{"success":true}"#
        };
        let router =
            Router::new().route("/v1/batch", post(answer)).with_state(Arc::clone(&received));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { host: Host::parse(&url)?, received })
    }

    fn url(&self) -> String {
        match &self.host {
            Host::Custom(url) => url.to_string(),
            Host::Us | Host::Eu => String::new(),
        }
    }
}

impl<'a> Stage<'a> {
    async fn new(fixture: &'a Fixture) -> Result<Self> {
        let recorder = Recorder::start().await?;
        let keyring = Keyring::generate(&mut StdRng::seed_from_u64(1));
        let policy = Policy { allow: AllowList::loopback(), ..Policy::default() };
        catalogue![OrderPlaced]?.sync(&mut *fixture.pool.acquire().await?).await?;
        fixture
            .run(&[
                "update tidings.event_type set audience = '{notification,telemetry}' where type = 'order:placed'",
                "select tidings.make_group('segment', 4)",
            ])
            .await?;
        let mut tx = fixture.pool.begin().await?;
        let mut segment =
            NewSubscriber::sink("segment", "segment", json!({"host": recorder.url()}));
        segment.credentials = Some(Credentials::bearer("key")?);
        let memory = NewSubscriber::new("in-memory", "memory", json!({}));
        let mut lanes = Vec::new();
        for new in [segment, memory] {
            let random = &mut StdRng::seed_from_u64(1);
            let added = subscriber::add(&mut tx, Some(&keyring), random, &policy, new).await?;
            let wanted = Wanted::new(Pattern::parse("**")?);
            subscription::add(&mut tx, added.subscriber_id, &wanted).await?;
            lanes.push(added.subscriber_id);
        }
        tx.commit().await?;
        let lanes = (lanes[0], lanes[1]);
        Ok(Self { fixture, recorder, keyring, policy, lanes })
    }

    /// Returns the bodies that the sink will send, or nearly so.
    fn batches(&self) -> Result<Vec<(Sink, Batch)>> {
        let settings = Settings::new(self.recorder.host.clone(), Key::new("key")?, "bench");
        let sink = Sink::segment(settings)?;
        let identity = Identity::user(Id::new(Uuid::max().to_string())?);
        let encoded = (0..EVENTS.unsigned_abs())
            .map(|n| {
                let name = Name::new("order:placed")?;
                let properties = Properties::of_stored("order:placed", TELEMETRY, &Context::new())?;
                let at = chrono::DateTime::UNIX_EPOCH;
                let id = Uuid::from_u128(u128::from(n) + 1);
                let message = Message::new(id, Call::Track, name, identity.clone(), at)?;
                Ok(sink.encode(&message.with_properties(properties))?)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(sink.batches(encoded).into_iter().map(|batch| (sink.clone(), batch)).collect())
    }

    /// Sends the bodies, and nothing else.
    async fn bare(&self, batches: &[(Sink, Batch)]) -> Result<f64> {
        let client = reqwest::Client::builder()
            .use_preconfigured_tls(no_tls()?)
            .no_proxy()
            .build()
            .context("build a client")?;
        let began = Instant::now();
        let mut turns = Vec::new();
        for first in 0..REQUESTS {
            let requests: Vec<_> = batches
                .iter()
                .skip(first)
                .step_by(REQUESTS)
                .map(|(sink, batch)| {
                    sink.request(batch, &Attempt::first(Uuid::nil(), chrono::DateTime::UNIX_EPOCH))
                })
                .collect();
            let client = client.clone();
            turns.push(tokio::spawn(async move {
                for request in requests {
                    let sent = client.post(request.url).headers(request.headers);
                    sent.body(request.body).send().await?.bytes().await?;
                }
                anyhow::Ok(())
            }));
        }
        for turn in turns {
            turn.await??;
        }
        Ok(rate(began))
    }

    /// Delivers by the sink.
    async fn ours(&self) -> Result<f64> {
        let settings = webhook::Settings { policy: self.policy.clone(), ..Default::default() };
        let webhook = Webhook::builder().settings(settings).build()?;
        let sink = Analytics::new(Vendor::Segment, &webhook, Uuid::max());
        let before = self.recorder.received.load(Ordering::Relaxed);
        let rate = self.drain(self.lanes.0, |builder| builder.deliverer(sink)).await?;
        let bytes = self.recorder.received.load(Ordering::Relaxed) - before;
        ensure!(bytes > EVENTS.unsigned_abs() * 200, "only {bytes} bytes have arrived");
        Ok(rate)
    }

    /// Drains as many notifications into memory: what reading and settling costs with nothing behind it.
    async fn memory(&self) -> Result<f64> {
        let memory = Memory::counting(2_000);
        self.drain(self.lanes.1, |builder| builder.deliverer(memory)).await
    }

    async fn drain(&self, lane: i32, deliverer: impl FnOnce(Builder) -> Builder) -> Result<f64> {
        self.fixture.run(CLEAR).await?;
        sqlx::query(
            "with e as (
               insert into tidings.event (event_id, created_at, occurred_at, type, version, tenant, scope, payload_bytes, payload, telemetry)
               select (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
                   || substr(md5(n::text), 1, 3) || '-' || substr(gen_random_uuid()::text, 20))::uuid,
                 clock_timestamp(), clock_timestamp(), 'order:placed', 1, '', '', 200,
                 json_build_object('note', repeat('x', 189)), $3::json
               from generate_series(1, $1) n
               returning event_id
             )
             insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id)
             select e.event_id, clock_timestamp(), clock_timestamp(), $2 from e",
        )
        .bind(EVENTS)
        .bind(lane)
        .bind(TELEMETRY)
        .execute(&self.fixture.pool)
        .await?;
        self.fixture.run(SETTLE_DOWN).await?;
        let shutdown = CancellationToken::new();
        let began = Instant::now();
        let builder = Worker::builder(self.fixture.pool.clone())
            .attempt_log(AttemptLog::All)
            .keyring(self.keyring.clone());
        let mut worker = deliverer(builder).spawn(shutdown.clone()).await?;
        let pending = "select exists (select from tidings.delivery)";
        while sqlx::query_scalar::<_, bool>(pending).fetch_one(&self.fixture.pool).await? {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let rate = rate(began);
        shutdown.cancel();
        ensure!(worker.finished().await, "the worker did not drain");
        let delivered = "select count(*) from tidings.attempt where outcome = 'delivered'";
        let delivered: i64 = sqlx::query_scalar(delivered).fetch_one(&self.fixture.pool).await?;
        ensure!(delivered == EVENTS, "{delivered} were delivered of {EVENTS}");
        Ok(rate)
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn rate(began: Instant) -> f64 {
    EVENTS as f64 / began.elapsed().as_secs_f64()
}

/// Returns the TLS that reqwest asks for; nothing here uses it.
fn no_tls() -> Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Ok(config)
}
