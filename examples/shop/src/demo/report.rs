//! How things stand, in numbers, and the verdict at the end.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use hdrhistogram::Histogram;

use super::{
    audit::{self, Collected, Gap, Lane},
    customer::Told,
    outage::Conduct,
    phone::Phones,
    recorder::Recorded,
    stage::{Stage, Subscriber},
    telemetry::Telemetry,
};

/// How things stand at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// Since the first customer came.
    pub(crate) elapsed: Duration,
    /// What customers were told.
    pub(crate) told: Told,
    /// How many events are registered, by type.
    pub(crate) events: BTreeMap<String, usize>,
    /// Orders whose events are not those of their changes; counted at the end only.
    pub(crate) mismatched: i64,
    /// How the subscribers are doing; the first one is well all the time.
    pub(crate) subscribers: Vec<Standing>,
    /// What analytics are to get.
    pub(crate) collected: Collected,
    /// How many events the guests in the browser were to tell; `None` where there is no browser.
    pub(crate) guests: Option<usize>,
    /// What analytics have got.
    pub(crate) sinks: Vec<Analytics>,
    /// What became of telemetry.
    pub(crate) telemetry: Telemetry,
    /// From commit to receipt at the first subscriber, in microseconds.
    pub(crate) latency: Histogram<u64>,
}

/// How one subscriber is doing.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) name: &'static str,
    /// Whether it has asked for the events of an order in their order.
    pub(crate) ordered: bool,
    pub(crate) conduct: Conduct,
    /// What the database knows.
    pub(crate) lane: Lane,
    /// Events that its receiver has verified, each counted once.
    pub(crate) verified: usize,
    pub(crate) duplicates: u64,
    pub(crate) out_of_order: u64,
    pub(crate) forged: u64,
    pub(crate) gap: Gap,
}

/// How one sink is doing.
#[derive(Clone, Debug)]
pub(crate) struct Analytics {
    pub(crate) name: &'static str,
    /// What the database knows.
    pub(crate) lane: Lane,
    /// What the recorder has.
    pub(crate) recorded: Recorded,
}

impl Report {
    /// Looks at the database, then at the receivers.
    pub(crate) async fn gather(stage: &Stage, told: Told, elapsed: Duration) -> Result<Self> {
        let Stage { pool, subscribers, .. } = stage;
        let mut lanes = Vec::with_capacity(subscribers.len());
        for subscriber in subscribers {
            lanes.push(audit::lane(pool, subscriber.id).await?);
        }
        let mut sinks = Vec::new();
        for (name, id) in &stage.sinks {
            let lane = audit::lane(pool, *id).await?;
            sinks.push(Analytics { name, lane, recorded: stage.recorder.of(name) });
        }
        let collected = audit::collected(pool).await?;
        let telemetry = Telemetry::read(pool, &stage.pipeline).await?;
        let registered = audit::registered(pool).await?;
        let mut events = BTreeMap::new();
        for event in &registered {
            *events.entry(event.event_type.clone()).or_default() += 1;
        }
        let standing = |(subscriber, lane): (&Subscriber, Lane)| {
            let receipts = subscriber.receiver.receipts();
            Standing {
                name: subscriber.receiver.name(),
                ordered: subscriber.ordered,
                conduct: subscriber.receiver.conduct(),
                lane,
                verified: receipts.count(),
                duplicates: receipts.duplicates(),
                out_of_order: receipts.out_of_order(),
                forged: receipts.forged(),
                gap: audit::gap(&registered, &receipts),
            }
        };
        let latency = audit::latency(&registered, &subscribers[0].receiver.receipts())?;
        let subscribers = subscribers.iter().zip(lanes).map(standing).collect();
        let guests = stage.guests.told();
        let mismatched = 0;
        Ok(Self {
            elapsed,
            told,
            events,
            mismatched,
            subscribers,
            collected,
            guests,
            sinks,
            telemetry,
            latency,
        })
    }

    /// Returns how many events are registered.
    pub(crate) fn registered(&self) -> usize {
        self.events.values().sum()
    }

    /// Returns whether nothing is on its way any more.
    pub(crate) fn is_settled(&self) -> bool {
        let lanes = self.subscribers.iter().map(|standing| &standing.lane);
        lanes.chain(self.sinks.iter().map(|sink| &sink.lane)).all(|lane| lane.waiting == 0)
            && self.telemetry.is_settled()
    }

    /// Returns everything that is wrong; nothing if every registered event reached every subscriber and no other did,
    /// and telemetry is where it belongs.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.registered() == 0 {
            complaints.push("no event was registered, so nothing was shown".to_owned());
        }
        if self.mismatched > 0 {
            let count = self.mismatched;
            complaints.push(format!("orders without one event for each of their changes: {count}"));
        }
        if let Some(failure) = &self.told.failure {
            let count = self.told.failed;
            complaints.push(format!("customers who were let down: {count}, the first: {failure}"));
        }
        complaints.extend(self.subscribers.iter().flat_map(Standing::complaints));
        let of_page = self.collected.of_page;
        if let Some(told) = self.guests.filter(|told| *told != of_page) {
            complaints.push(format!("the guests' pages told {told} events, registered: {of_page}"));
        }
        complaints.extend(self.sinks.iter().flat_map(|sink| sink.complaints(&self.collected)));
        complaints.extend(self.telemetry.complaints(Phones::told()));
        complaints
    }
}

impl Analytics {
    fn complaints(&self, collected: &Collected) -> Vec<String> {
        let Self { name, lane, recorded } = self;
        let counts = [
            (lane.waiting, "deliveries still waiting"),
            (lane.dead, "deliveries given up"),
            (recorded.discarded as u64, "messages that the service would not keep"),
            (collected.events.abs_diff(recorded.messages) as u64, "events too few or too many"),
        ];
        let wrong = counts.iter().filter(|(count, _)| *count > 0);
        wrong.map(|(count, what)| format!("{name}: {what}: {count}")).collect()
    }
}

impl Standing {
    fn complaints(&self) -> Vec<String> {
        let name = self.name;
        let mut complaints = self.gap.complaints(name);
        let out_of_order = if self.ordered { self.out_of_order } else { 0 };
        let counts = [
            (self.lane.waiting, "deliveries still waiting"),
            (self.lane.dead, "deliveries given up"),
            (self.forged, "webhooks with a wrong signature"),
            (out_of_order, "events out of the order of their order"),
        ];
        let wrong = counts.iter().filter(|(count, _)| *count > 0);
        complaints.extend(wrong.map(|(count, what)| format!("{name}: {what}: {count}")));
        complaints
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::demo::telemetry;

    /// A report of a run in which everything went well.
    pub(crate) fn good() -> Report {
        let standing = |name, ordered| Standing {
            name,
            ordered,
            conduct: Conduct::Well,
            lane: Lane { delivered: 6_123, retried: 0, waiting: 0, dead: 0 },
            verified: 6_123,
            duplicates: 0,
            out_of_order: 0,
            forged: 0,
            gap: Gap::default(),
        };
        let sink = |name| Analytics {
            name,
            lane: Lane { delivered: 6_135, retried: 0, waiting: 0, dead: 0 },
            recorded: Recorded { messages: 6_135, ..Recorded::default() },
        };
        let mut latency = Histogram::new_with_max(1_000_000, 3).unwrap();
        for us in 1..=100 {
            latency.saturating_record(us * 100);
        }
        let mut accounting = standing("accounting", false);
        accounting.lane.retried = 1_042;
        (accounting.duplicates, accounting.out_of_order) = (17, 5);
        Report {
            elapsed: Duration::from_millis(12_340),
            told: Told { taken: 2_140, refused: 260, failed: 0, failure: None },
            events: [("shop:order:placed", 2_140), ("shop:order:paid", 3_983)]
                .map(|(name, count)| (name.to_owned(), count))
                .into(),
            mismatched: 0,
            subscribers: vec![standing("warehouse", true), accounting],
            collected: Collected { events: 6_135, of_page: 12 },
            guests: Some(12),
            sinks: vec![sink("segment"), sink("posthog")],
            telemetry: telemetry::tests::good(),
            latency,
        }
    }

    #[test]
    fn nothing_is_wrong_with_retries_duplicates_and_disorder_that_nobody_minds() {
        assert!(good().complaints().is_empty());
    }

    #[test]
    fn whatever_is_missing_or_wrong_is_said() {
        let mut report = good();
        report.mismatched = 1;
        report.told.failed = 2;
        report.told.failure = Some("POST /orders was answered with 500".to_owned());
        report.subscribers[0].out_of_order = 3;
        report.subscribers[0].forged = 4;
        report.subscribers[1].lane.waiting = 5;
        report.subscribers[1].lane.dead = 6;
        report.subscribers[1].gap.missing.push(Uuid::nil());
        assert_eq!(
            report.complaints(),
            [
                "orders without one event for each of their changes: 1",
                "customers who were let down: 2, the first: POST /orders was answered with 500",
                "warehouse: webhooks with a wrong signature: 4",
                "warehouse: events out of the order of their order: 3",
                "accounting: registered events that never came: 1 (00000000-0000-0000-0000-000000000000)",
                "accounting: deliveries still waiting: 5",
                "accounting: deliveries given up: 6",
            ]
        );
        assert!(!report.is_settled());
    }

    #[test]
    fn run_without_events_shows_nothing() {
        let mut report = good();
        report.events.clear();
        assert_eq!(report.complaints(), ["no event was registered, so nothing was shown"]);
    }
}
