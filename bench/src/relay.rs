//! What the relay takes, against the limit of the machine: a route that reads the same bodies and keeps nothing, and
//! plain inserts of the same bytes. The relay and the load are processes of their own.

pub(crate) mod bare;
pub(crate) mod kafka;
mod plain;
mod server;
mod wrk;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use rand::{SeedableRng, rngs::StdRng};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tidings::{
    Event, catalogue,
    endpoint::Policy,
    pattern::Pattern,
    subscriber::{self, NewSubscriber},
    subscription::{self, Wanted},
};
use uuid::Uuid;

use self::{
    server::Server,
    wrk::{Load, Outcome},
};
use crate::{
    fixture::{Database, Fixture},
    report::{Report, progress},
};

/// The rows that are measured together.
pub(crate) const ROWS: [&str; 4] =
    ["relay.sunbird_vs_limit", "relay.single_vs_limit", "relay.p99_ms", "relay.rss_mb"];

const CONNECTIONS: usize = 64;
const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(3);

/// More bytes than a relay takes in hand, while it can write none of them.
const CROWD: usize = 512;
const CROWD_BATCHES: u64 = 4;

const CLEAR: &[&str] = &[
    "truncate tidings.delivery, tidings.event, tidings.log_record, tidings.relay_request",
    "truncate plain_record, plain_event, plain_delivery",
    "checkpoint",
];

/// What a page reports, as Orchest's front end does.
#[derive(Clone, Debug, Event, JsonSchema, Serialize)]
#[event(name = "page:seen", version = 1, audience(client, telemetry))]
struct PageSeen {
    name: String,
    referrer: String,
    width: u32,
    height: u32,
    seconds: f64,
}

/// One kind of request.
#[derive(Debug)]
struct Kind {
    row: &'static str,
    path: &'static str,
    /// The file with the body.
    body: PathBuf,
    text: String,
    what: &'static str,
}

/// What all rows share.
struct Stage<'a> {
    fixture: &'a Fixture,
    database: Database,
    relay: Server,
    bare: Server,
    kinds: [Kind; 2],
}

/// Measures what is taken in a second, how long it takes at half of that, and the memory of a crowd.
pub(crate) async fn rows(fixture: &Fixture, report: &mut Report) -> Result<()> {
    let stage = Stage::new(fixture).await?;
    let mut p99s = Vec::new();
    for kind in &stage.kinds {
        let taken = stage.vs_limit(kind, report).await.context(kind.row)?;
        p99s.push((kind, taken / 2.0, stage.at_half_load(kind, taken / 2.0).await?));
    }
    let [(_, batches, of_batches), (_, events, of_events)] = &p99s[..] else { return Ok(()) };
    let singles = of_events.get(of_events.len() / 2).copied().unwrap_or_default();
    let note = format!(
        "Sunbird batches of 20 events at half of what is taken, {batches:.0}/s, {CONNECTIONS} connections; single events at \
         {events:.0}/s: {singles:.1} ms"
    );
    report.add("relay.p99_ms", "ms", of_batches, note);
    stage.memory(report).await.context("measure relay.rss_mb")?;
    let Stage { database, relay, bare, .. } = stage;
    drop((relay, bare));
    database.discard(fixture).await
}

impl<'a> Stage<'a> {
    async fn new(fixture: &'a Fixture) -> Result<Self> {
        let database = Database::create(fixture, "relay").await?;
        let mut conn = database.pool.acquire().await?;
        catalogue![PageSeen]?.sync(&mut conn).await?;
        drop(conn);
        let mut tx = database.pool.begin().await?;
        let sink = NewSubscriber::sink("sink", "memory", json!({}));
        let random = &mut StdRng::seed_from_u64(1);
        let sink = subscriber::add(&mut tx, None, random, &Policy::default(), sink).await?;
        subscription::add(&mut tx, sink.subscriber_id, &Wanted::new(Pattern::parse("**")?)).await?;
        tx.commit().await?;
        database.run(plain::TABLES).await?;
        let program = std::env::current_exe()?;
        let arguments = ["--json", "relay", "--anonymous", "--listen", "127.0.0.1:0"];
        let mut arguments: Vec<_> = arguments.map(str::to_owned).into();
        arguments.extend(["--database-url".to_owned(), fixture.url_of(database.name())]);
        let relay = Server::start(&program.with_file_name("tidings"), &arguments)?;
        let bare = Server::start(&program, &[bare::WORD])?;
        let (batch, single) = (batch(20)?, single()?);
        let kinds = [
            Kind {
                row: "relay.sunbird_vs_limit",
                path: "v1/telemetry",
                body: wrk::prepare(fixture, "batch.json", &batch)?,
                text: batch,
                what: "batches of 20 events",
            },
            Kind {
                row: "relay.single_vs_limit",
                path: "analytics",
                body: wrk::prepare(fixture, "single.json", &single)?,
                text: single,
                what: "single events, each for one sink",
            },
        ];
        Ok(Self { fixture, database, relay, bare, kinds })
    }

    /// Returns how many requests of a kind are taken in a second.
    async fn vs_limit(&self, kind: &Kind, report: &mut Report) -> Result<f64> {
        let bar = progress(kind.row, TURNS);
        let (mut ratios, mut rates) = (Vec::new(), Vec::new());
        let mut notes = [0.0; 2];
        // One more goes before, which warms up and does not count.
        for turn in 0..=TURNS {
            let read = self.send(kind, &self.bare, TURN, None).await?.per_second;
            let taken = self.send(kind, &self.relay, TURN, None).await?.per_second;
            let pool = &self.database.pool;
            let inserted = match kind.path {
                "analytics" => plain::events(pool, TURN, &properties().to_string()).await?,
                _ => plain::records(pool, TURN, &kind.text).await?,
            };
            self.database.run(CLEAR).await?;
            if turn > 0 {
                ratios.push(taken / (1.0 / (1.0 / read + 1.0 / inserted)));
                rates.push(taken);
                notes = [read, inserted];
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        rates.sort_by(f64::total_cmp);
        let taken = rates.get(rates.len() / 2).copied().unwrap_or_default();
        let [read, inserted] = notes;
        let note = format!(
            "{}, {CONNECTIONS} connections, {} bytes, {TURNS} turns of {} s; {taken:.0}/s; in the last, the bare route {read:.0}/s, \
             plain inserts of 32 rows {inserted:.0}/s",
            kind.what,
            kind.text.len(),
            TURN.as_secs(),
        );
        report.add(kind.row, "ratio", &ratios, note);
        Ok(taken)
    }

    /// Returns the slowest hundredth of each turn, in milliseconds.
    async fn at_half_load(&self, kind: &Kind, rate: f64) -> Result<Vec<f64>> {
        let mut p99s = Vec::new();
        for _ in 0..TURNS {
            p99s.push(self.send(kind, &self.relay, TURN, Some(rate)).await?.p99_ms);
            self.database.run(CLEAR).await?;
        }
        p99s.sort_by(f64::total_cmp);
        Ok(p99s)
    }

    async fn send(
        &self,
        kind: &Kind,
        server: &Server,
        time: Duration,
        rate: Option<f64>,
    ) -> Result<Outcome> {
        let url = format!("{}{}", server.url, kind.path);
        let load = Load { url, body: kind.body.clone(), connections: CONNECTIONS, time, rate };
        let outcome = load.send(self.fixture).await?;
        ensure!(outcome.refused == 0, "{} requests were refused", outcome.refused);
        Ok(outcome)
    }

    /// Sends more than the relay may hold while the log is locked, and after it.
    async fn memory(&self, report: &mut Report) -> Result<()> {
        let body = wrk::prepare(self.fixture, "crowd.json", &batch(20 * CROWD_BATCHES)?)?;
        let url = format!("{}v1/telemetry", self.relay.url);
        let load = Load { url, body, connections: CROWD, time: 2 * TURN, rate: None };
        let mut lock = self.database.pool.begin().await?;
        sqlx::query("lock table tidings.log_record in exclusive mode").execute(&mut *lock).await?;
        let unlocked = async {
            tokio::time::sleep(TURN).await;
            lock.rollback().await.context("unlock the log")
        };
        let (outcome, ()) = tokio::try_join!(load.send(self.fixture), unlocked)?;
        ensure!(outcome.refused > 0, "nobody was turned away");
        let note = format!(
            "the most that the relay has had, after {CROWD} connections with batches of {} bytes while the log was locked; {} \
             requests were answered with 503",
            batch(20 * CROWD_BATCHES)?.len(),
            outcome.refused
        );
        report.add("relay.rss_mb", "MB", &[self.relay.peak_mb()?], note);
        Ok(())
    }
}

fn properties() -> serde_json::Value {
    json!({"name": "/projects/7/pipelines", "referrer": "/projects", "width": 1280, "height": 800, "seconds": 12.5})
}

fn single() -> Result<String> {
    let mut properties = properties();
    properties["name"] = "/projects/@@".into();
    Ok(serde_json::to_string(&json!({"event": "page:seen", "properties": properties}))?)
}

/// Returns a batch as a Sunbird player sends it.
fn batch(events: u64) -> Result<String> {
    let events: Vec<_> = (0..events).map(event).collect();
    let batch = json!({
        "id": "api.sunbird.telemetry", "ver": "3.0", "ets": 1_700_000_000_000_i64, "params": {"msgid": "@@"},
        "events": events,
    });
    Ok(serde_json::to_string(&batch)?)
}

fn event(n: u64) -> serde_json::Value {
    let id = |k: u128| Uuid::from_u128(0x0192_f0c1_7c1e_7000_8000_0000_0000_0000 + k);
    json!({
        "eid": "INTERACT", "ets": 1_700_000_000_000 + n, "ver": "3.0", "mid": format!("INTERACT:{}", id(n.into())),
        "actor": {"id": id(7).to_string(), "type": "User"},
        "context": {
            "channel": "0126796199493140480", "pdata": {"id": "staging.sunbird.portal", "ver": "4.10.1", "pid": "sunbird-portal"},
            "env": "explore-course", "sid": id(8).to_string(), "did": "7f6d2d3d95a5a0a0f2a0a6be4f9d7f0e",
            "cdata": [{"id": "do_2131277644284641281206", "type": "course"}, {"id": "desktop", "type": "Device"}],
            "rollup": {"l1": "0126796199493140480"},
        },
        "object": {"id": "do_2131277644284641281206", "type": "Content"},
        "edata": {
            "type": "CLICK", "subtype": "toc", "id": "play-button", "pageid": "content-player",
            "extra": {"pos": [{"x": 512, "y": 384}], "values": ["next", n]},
        },
        "tags": ["0126796199493140480"],
    })
}
