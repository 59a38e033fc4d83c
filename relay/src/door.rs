//! What every request goes through before its protocol is looked at: room, the key, the quota.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use tidings_analytics::{HashKeys, Level};

use crate::{
    Limits, analytics, archive, credential,
    gate::{Gate, Room},
    gather::{Entry, Gatherer},
    incoming::Incoming,
    intake::{self, Intake, Outcome},
    key,
    metrics::Metrics,
    operator, posthog,
    quota::Quotas,
    raw_log::RawLog,
    refusal::Refusal,
    route::{Operation, Route},
    segment,
    snapshot::{Channel, Snapshot},
    telemetry_batch,
    watch::Watcher,
};

/// What a request takes besides its body: the buffers of its connection, its headers and its task.
const REQUEST_BYTES: usize = 16 * 1024;

/// What the routes of a relay share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) limits: Limits,
    pub(crate) gate: Arc<Gate>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) watcher: Arc<Watcher>,
    pub(crate) entries: Gatherer<Entry>,
    pub(crate) raw_log: RawLog,
    pub(crate) quotas: Quotas,
    /// Whether requests without a key are taken.
    pub(crate) anonymous: bool,
    /// The highest level of this relay.
    pub(crate) level_max: Level,
}

impl State {
    /// Returns the level in force: the lower of the relay's own and the installation's.
    pub(crate) fn level(&self) -> Level {
        self.level_max.min(self.watcher.level())
    }
}

/// One request inside the relay.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) state: Arc<State>,
    pub(crate) route: &'static Route,
    pub(crate) headers: HeaderMap,
    pub(crate) query: String,
    pub(crate) room: Arc<Room>,
    pub(crate) snapshot: Arc<Snapshot>,
    /// Whether the snapshot has been read for this request.
    latest: bool,
}

/// Answers a request of a route.
pub(crate) async fn answer(state: Arc<State>, route: &'static Route, request: Request) -> Response {
    let begun = Instant::now();
    let response = visit(&state, route, request)
        .await
        .unwrap_or_else(|refusal| route.protocol.refuse(&refusal, state.watcher.now()));
    state.metrics.answered(route.path, response.status().as_u16(), begun.elapsed());
    response
}

async fn visit(
    state: &Arc<State>,
    route: &'static Route,
    request: Request,
) -> Result<Response, Refusal> {
    if let Some(answer) = operator::answer(state, route.operation, request.headers()) {
        return Ok(answer);
    }
    let (parts, body) = request.into_parts();
    let body = Incoming::from(body);
    let room = Arc::new(state.gate.enter()?);
    room.grow(REQUEST_BYTES)?;
    let snapshot = state.watcher.snapshot().await?;
    let visit = Visit {
        state: Arc::clone(state),
        route,
        headers: parts.headers,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        room,
        snapshot,
        latest: false,
    };
    visit.go(body).await
}

impl Visit {
    async fn go(mut self, body: Incoming) -> Result<Response, Refusal> {
        match self.route.operation {
            Operation::Analytics => analytics::take(&mut self, body).await,
            Operation::Segment(call) => segment::take(&mut self, call, body).await,
            Operation::PostHog => posthog::take(&mut self, body).await,
            Operation::Archive => archive::take(&mut self, body).await,
            Operation::Telemetry => telemetry_batch::take(&mut self, body).await,
            // Answered before anything is looked at.
            Operation::Operator(_) => {
                Err(Refusal::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here"))
            }
        }
    }

    /// Returns whose request it is: by a key in the header, the query or the body.
    ///
    /// A relay that takes requests without a key takes those with an unknown one in the same way, because many clients
    /// cannot be told to send none.
    pub(crate) async fn channel(&mut self, of_body: Option<&str>) -> Result<Arc<Channel>, Refusal> {
        let mut keys = credential::of_header(&self.headers);
        keys.extend(credential::of_query(&self.query, "key"));
        keys.extend(of_body.map(str::to_owned));
        // Some clients cannot be told to send no token, so any of them may be the key.
        let known = |snapshot: &Snapshot| keys.iter().find_map(|key| snapshot.channel(key));
        if let Some(channel) = known(&self.snapshot) {
            return Ok(channel);
        }
        if keys.iter().any(|key| key.starts_with(key::PREFIX)) {
            // It may have been added a moment ago.
            self.look_again().await?;
            if let Some(channel) = known(&self.snapshot) {
                return Ok(channel);
            }
        }
        match self.snapshot.anonymous().filter(|_| self.state.anonymous) {
            Some(channel) => Ok(channel),
            None if !keys.is_empty() => Err(Refusal::unauthorized("the key is unknown or revoked")),
            None => Err(Refusal::unauthorized(
                "there is no key; send it as a bearer token, or as the user name of Basic",
            )),
        }
    }

    /// Reads the snapshot anew, once for a request: what was not found may be there since a moment.
    pub(crate) async fn look_again(&mut self) -> Result<(), Refusal> {
        if !std::mem::replace(&mut self.latest, true) {
            self.snapshot = self.state.watcher.latest().await?;
        }
        Ok(())
    }

    /// Takes `events` out of the channel's quota.
    pub(crate) fn charge(&self, channel: &Channel, events: usize) -> Result<(), Refusal> {
        let Some(quota) = channel.events_per_minute else {
            return Ok(());
        };
        let taken = self.state.quotas.take(channel.id, quota, events.max(1), Instant::now());
        taken.map_err(|delay: Duration| {
            let message =
                format!("channel `{}` sends {quota} events a minute at most", channel.name);
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", message)
                .retry_after(delay)
        })
    }

    /// Takes `events` out of the channel's quota, for a request that has passed already.
    pub(crate) fn owe(&self, channel: &Channel, events: usize) {
        if let Some(quota) = channel.events_per_minute {
            self.state.quotas.owe(channel.id, quota, events, Instant::now());
        }
    }

    /// Returns the beginning of the key by which this request was let in, as it is listed; nothing without one.
    pub(crate) fn key_hint(&self) -> Option<String> {
        let mut keys = credential::of_header(&self.headers);
        keys.extend(credential::of_query(&self.query, "key"));
        let key = keys.iter().find(|key| self.snapshot.channel(key).is_some())?;
        Some(key::hint(key).to_owned())
    }

    /// Returns the level at which this request may be collected: none at all where the browser says that its person does
    /// not want it.
    pub(crate) fn level(&self) -> Level {
        if credential::objects(&self.headers) { Level::Off } else { self.state.level() }
    }

    /// Makes room for what is made of a body: properties, payloads and telemetry views, about three times its size.
    pub(crate) fn unfold(&self, body: &[u8]) -> Result<(), Refusal> {
        self.room.grow(body.len().saturating_mul(3))
    }

    /// Starts taking events of a channel in.
    pub(crate) fn intake(&self, channel: &Channel) -> Intake {
        Intake::new(channel.id, self.level(), HashKeys::installed())
    }

    /// Registers what was taken in, and counts it.
    pub(crate) async fn register(&self, mut intake: Intake) -> Result<Vec<Outcome>, Refusal> {
        let entries = intake.entries();
        let written = self.state.entries.write(entries, &self.room).await?;
        let outcomes = intake.finish(written)?;
        for (outcome, count) in intake::count(&outcomes) {
            self.state.metrics.events(self.route.path, outcome, count);
        }
        Ok(outcomes)
    }
}
