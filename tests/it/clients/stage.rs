//! A relay of the binary before a database, with a cable on either side of it that can be cut.
//!
//! ```text
//! client ──front──▶ relay ──back──▶ Postgres
//! ```

use std::{collections::BTreeMap, ops::Range, time::Duration};

use serde_json::{Value, json};
use tidings_tests::{Database, Launch, Moment, Process, Proxy, eventually};

use super::client::{Client, Settings, http};
use crate::binary::{on, run};

/// As long as the slowest client waits before it tries again, several times over.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many events a client sends before and in each of the troubles.
const WAVE: u64 = 10;

/// What stands between a client and the database.
#[derive(Debug)]
pub(super) struct Stage {
    database: Database,
    key: String,
    back: Proxy,
    front: Proxy,
    relay: Process,
    port: u16,
    arguments: &'static [&'static str],
}

impl Stage {
    /// Starts a relay that takes what has a key.
    pub(super) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// Starts a relay with these arguments.
    pub(super) async fn with(arguments: &'static [&'static str]) -> Self {
        let database = Database::new().await;
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
        let types = json!([
            {"type": "cart:opened", "version": 1, "audience": ["client"], "scopes": [],
             "level": "basic", "schema": schema, "documentation": ""},
        ]);
        sqlx::query("select tidings.sync_catalogue_v3($1::text::json, '[]')")
            .bind(types.to_string())
            .execute(database.pool())
            .await
            .unwrap();
        let added = run(&on(&database).args(["key", "add", "shop", "--json"])).await.json();
        let key = added["key"].as_str().unwrap().to_owned();
        let back = Proxy::start(database.server().address().port).await;
        let (relay, port) = start(&database, &back, 0, arguments).await;
        let front = Proxy::start(port).await;
        Self { database, key, back, front, relay, port, arguments }
    }

    /// Returns what a client is told at its start.
    pub(super) fn settings(&self, client: &'static str) -> Settings {
        let url = format!("http://127.0.0.1:{}", self.front.port());
        Settings { client, url, key: self.key.clone(), more: Value::Null }
    }

    /// Does something while the database is gone; the relay has refused something with 503 before it is back.
    pub(super) async fn without_database(&self, work: impl Future) {
        self.back.refuse();
        let before = self.refused().await;
        work.await;
        self.refusal_after(before).await;
        self.back.accept();
    }

    /// Waits until more requests were refused with 503 than `before`.
    async fn refusal_after(&self, before: u64) {
        eventually(PATIENCE, "the relay refuses a request", async || {
            (self.refused().await > before).then_some(())
        })
        .await;
    }

    /// Kills the relay while it holds a request that something makes, and starts it again.
    pub(super) async fn killed(&mut self, work: impl Future) {
        self.back.stall();
        work.await;
        eventually(PATIENCE, "the relay has a request in hand", async || {
            let page = self.metrics().await;
            let held =
                page.lines().find_map(|it| it.strip_prefix("tidings_relay_buffer_requests "));
            (held != Some("0")).then_some(())
        })
        .await;
        self.relay.kill().await;
        self.back.resume();
        let (relay, _) = start(&self.database, &self.back, self.port, self.arguments).await;
        self.relay = relay;
    }

    /// Does something of which the first answer is lost on its way.
    pub(super) async fn unanswered(&self, times: u64, work: impl Future) {
        self.front.cut_at(b"POST /", Moment::After);
        work.await;
        self.front.fired(times, PATIENCE).await;
    }

    /// Lets the client send in good times and in bad ones, and returns the numbers of all that it has sent.
    pub(super) async fn troubles(&mut self, client: &mut Client, arrived: Arrived) -> u64 {
        let wave = |n: u64| n * WAVE..(n + 1) * WAVE;
        client.send(wave(0)).await;
        self.all(0..WAVE, arrived).await;
        self.without_database(client.send(wave(1))).await;
        self.all(0..2 * WAVE, arrived).await;
        let taken = self.taken().await;
        self.unanswered(1, client.send(wave(2))).await;
        self.all(0..3 * WAVE, arrived).await;
        eventually(PATIENCE, "what was not answered is sent again", async || {
            (self.taken().await > taken + WAVE).then_some(())
        })
        .await;
        self.killed(client.send(wave(3))).await;
        self.all(0..4 * WAVE, arrived).await;
        4 * WAVE
    }

    /// Waits until the events with these numbers have arrived.
    pub(super) async fn all(&self, numbers: Range<u64>, arrived: Arrived) {
        eventually(PATIENCE, "everything has arrived", async || {
            self.has(numbers.clone(), arrived).await.then_some(())
        })
        .await;
    }

    /// Says whether the events with these numbers have arrived.
    pub(super) async fn has(&self, mut numbers: Range<u64>, arrived: Arrived) -> bool {
        let found = self.counts(arrived).await;
        numbers.all(|n| found.contains_key(&n))
    }

    /// Waits until the relay has found its database again.
    pub(super) async fn ready(&self) {
        let url = format!("http://127.0.0.1:{}/ready", self.port);
        eventually(PATIENCE, "the relay is ready", async || {
            let answer = http().get(&url).send().await.unwrap();
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// Returns how often the event with each number has arrived.
    pub(super) async fn counts(&self, arrived: Arrived) -> BTreeMap<u64, u64> {
        let mut counts = BTreeMap::new();
        for n in match arrived {
            Arrived::Events => self.events().await,
            Arrived::Touches => self.touches().await,
            Arrived::Pages => self.pages().await,
        } {
            *counts.entry(n).or_default() += 1;
        }
        counts
    }

    /// Returns the numbers of the events that were registered.
    async fn events(&self) -> Vec<u64> {
        let query = "select (payload ->> 'n')::bigint from tidings.event";
        let numbers: Vec<i64> =
            sqlx::query_scalar(query).fetch_all(self.database.pool()).await.unwrap();
        numbers.into_iter().map(i64::cast_unsigned).collect()
    }

    /// Returns the numbers of the touches in the raw log.
    async fn touches(&self) -> Vec<u64> {
        let events = self.logged().await;
        let ids = events.iter().filter_map(|(_, event)| event["edata"]["id"].as_str());
        ids.map(|id| id.trim_start_matches('n').parse().unwrap()).collect()
    }

    /// Returns the numbers of the pages that began in the raw log.
    async fn pages(&self) -> Vec<u64> {
        let events = self.logged().await;
        let begun = events.iter().filter(|(_, event)| event["eid"] == "START");
        let urls = begun.filter_map(|(_, event)| event["edata"]["url"].as_str());
        urls.filter_map(|url| url.rsplit_once("/page/")?.1.parse().ok()).collect()
    }

    /// Returns the events of the raw log, with the headers of their batches.
    pub(super) async fn logged(&self) -> Vec<(Value, Value)> {
        let query = "select headers, convert_from(value, 'UTF8')::json from tidings.log_record order by appended_at";
        let batches: Vec<(Value, Value)> =
            sqlx::query_as(query).fetch_all(self.database.pool()).await.unwrap();
        let events = batches.into_iter().flat_map(|(headers, batch)| {
            let events = batch["events"].as_array().unwrap().clone();
            events.into_iter().map(move |event| (headers.clone(), event))
        });
        events.collect()
    }

    /// Returns how many requests this relay has answered with 503.
    async fn refused(&self) -> u64 {
        self.sum("tidings_relay_requests_total{", &["status=\"503\""]).await
    }

    /// Returns how many events this relay has taken, those that it knew already included.
    async fn taken(&self) -> u64 {
        let outcomes = ["outcome=\"accepted\"", "outcome=\"repeated\""];
        self.sum("tidings_relay_events_total{", &outcomes).await
    }

    /// Adds up the lines of a metric that have one of these labels.
    async fn sum(&self, metric: &str, labels: &[&str]) -> u64 {
        let page = self.metrics().await;
        let has = |line: &&str| labels.iter().any(|label| line.contains(label));
        let lines = page.lines().filter(|line| line.starts_with(metric)).filter(has);
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    async fn metrics(&self) -> String {
        let url = format!("http://127.0.0.1:{}/metrics", self.port);
        http().get(url).send().await.unwrap().text().await.unwrap()
    }
}

/// Where the events of a client arrive, and what their number is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Arrived {
    /// Registered, with the number as a property.
    Events,
    /// In the raw log, with the number in the id of what was touched.
    Touches,
    /// In the raw log, with the number in the address of a page.
    Pages,
}

/// Starts a relay on a port, 0 for a free one, and returns it with the port.
async fn start(database: &Database, back: &Proxy, port: u16, arguments: &[&str]) -> (Process, u16) {
    let launch: Launch = on(database).env("DATABASE_URL", back.url(&database.url()));
    let listen = format!("127.0.0.1:{port}");
    let relay = launch.args(["relay", "--listen", &listen]).args(arguments).start();
    let line = relay.line("listening", PATIENCE).await;
    let port = line.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
    (relay, port)
}
