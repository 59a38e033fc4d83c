//! A session that is not over yet.

use super::{
    Settings,
    observation::{Observation, Who},
    tally::{Tally, cut},
};
use crate::value::Value;

/// A session that is not over yet.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) who: Who,
    pub(super) device: Box<str>,
    pub(super) channel: Box<str>,
    pub(super) pdata: Box<str>,
    /// The channel of the key that it was sent with.
    pub(super) sender: Box<str>,
    /// The document id of the event that came first, which is in no other session.
    pub(super) first: Box<str>,
    /// Where the last event that came is from.
    pub(super) source: Box<str>,
    /// When the relay took that one.
    pub(super) syncts: i64,
    /// When the relay took the earliest.
    pub(super) since: i64,
    /// Of its first event that has one.
    pub(super) actor: Option<Value<'static>>,
    /// The log's time of the last event that came.
    pub(super) touched_at: i64,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) spent_ms: i64,
    /// Whether nobody is there until the next event.
    away: bool,
    pub(super) pages: Tally<Box<str>>,
    pub(super) environments: Tally<Box<str>>,
    pub(super) kinds: Tally<Box<str>>,
    pub(super) sections: Tally<(Box<str>, Box<str>)>,
}

impl Open {
    pub(super) fn new(observation: &Observation<'_>, touched_at: i64) -> Self {
        Self {
            who: observation.who,
            device: cut(observation.device).into(),
            channel: cut(observation.channel).into(),
            pdata: cut(observation.pdata).into(),
            sender: cut(observation.sender).into(),
            first: cut(observation.id).into(),
            source: cut(observation.source).into(),
            syncts: observation.syncts,
            since: observation.syncts,
            actor: None,
            touched_at,
            start: observation.ets,
            end: observation.ets,
            spent_ms: 0,
            away: false,
            pages: Tally::default(),
            environments: Tally::default(),
            kinds: Tally::default(),
            sections: Tally::default(),
        }
    }

    /// Returns whether an event of this time is part of it.
    pub(super) const fn is_near(&self, ets: i64, pause_ms: i64) -> bool {
        ets >= self.start.saturating_sub(pause_ms) && ets <= self.end.saturating_add(pause_ms)
    }

    /// Takes an event in.
    ///
    /// One that is older than another that came before counts, and adds no time: how that was spent is settled.
    pub(super) fn join(&mut self, observation: &Observation<'_>, settings: &Settings) {
        if *self.source != *observation.source {
            self.source = cut(observation.source).into();
        }
        self.syncts = observation.syncts;
        self.since = self.since.min(observation.syncts);
        let passed = observation.ets.saturating_sub(self.end);
        if passed > 0 && passed <= settings.idle_ms() && !self.away {
            self.spent_ms = self.spent_ms.saturating_add(passed);
            self.pages.spend(passed);
            self.environments.spend(passed);
            self.sections.spend(passed);
        }
        self.start = self.start.min(observation.ets);
        self.end = self.end.max(observation.ets);
        if self.actor.is_none() {
            self.actor = observation.actor.map(actor);
        }
        self.kinds.named(observation.eid).count += 1;
        // What came out of order tells where somebody was, not where they are.
        if passed < 0 {
            return;
        }
        self.away = observation.leaves;
        if let Some(page) = &observation.page {
            self.pages.turn_to(page, observation.eid == "IMPRESSION");
        }
        if let Some(env) = observation.env {
            self.environments.turn_to(env, false);
        }
        if let Some(edge) = &observation.edge {
            if edge.begins {
                let line = self.sections.section(edge.kind, &edge.id);
                line.count += 1;
                line.open = true;
            } else {
                let (kind, id) = (cut(edge.kind), cut(&edge.id));
                let line = self.sections.opened(|name| *name.0 == *kind && *name.1 == *id);
                if let Some(line) = line {
                    line.open = false;
                }
            }
        }
    }

    /// Returns how many events of a kind it has.
    pub(super) fn count(&self, kind: &str) -> u64 {
        let lines = self.kinds.lines().iter().filter(|line| *line.name == *kind);
        lines.map(|line| line.count).sum()
    }
}

/// Returns who it was, and nothing else that stands there.
fn actor(actor: &Value<'_>) -> Value<'static> {
    let text = |name| Some((name, actor.get(name).and_then(Value::as_str)?));
    let members = ["id", "type"].into_iter().filter_map(text);
    let members = members.map(|(name, value)| (name, cut(value).to_owned()));
    Value::Object(members.collect())
}
