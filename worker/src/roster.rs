//! Which kinds of subscriber a worker serves, and how a subscriber becomes the terms of a lane.

use std::{
    any::Any,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use tidings::{
    deliverer::{Deliverer, Destination},
    subscriber,
};
use tidings_ownership::{Holdings, ShardId};
use tokio::sync::watch;

use crate::{Error, Result, ladder::Ladder, lane::Terms, session::Database, system};

/// In flight where nobody sets a limit and the destination cannot be opened.
const IN_FLIGHT_CLOSED: usize = 1;

/// An open destination, and what it said of itself then.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) destination: Arc<dyn Destination>,
    pub(crate) batch_max: usize,
    pub(crate) timeout: Duration,
    in_flight_max: usize,
}

impl Opened {
    /// Opens and asks. A deliverer may panic at any of it; then that is why the destination cannot be opened.
    fn by(open: impl FnOnce() -> Result<Arc<dyn Destination>, String>) -> Result<Self, String> {
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let destination = open()?;
            Ok(Self {
                batch_max: destination.batch_max().max(1),
                timeout: destination.timeout(),
                in_flight_max: destination.in_flight_max(),
                destination,
            })
        }));
        opened.unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
    }
}

/// Says what a panic of a deliverer said.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the deliverer panicked: {}", text.unwrap_or_default())
}

/// The deliverers of a worker, by kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster {
    deliverers: BTreeMap<String, Arc<dyn Deliverer>>,
}

impl Roster {
    pub(crate) fn new(deliverers: Vec<Arc<dyn Deliverer>>) -> Result<Self> {
        let mut roster = Self::default();
        for deliverer in deliverers {
            let kind = deliverer.kind().to_owned();
            if kind == system::GROUP || roster.deliverers.insert(kind.clone(), deliverer).is_some()
            {
                return Err(Error::DuplicateKind { kind });
            }
        }
        if roster.deliverers.is_empty() {
            return Err(Error::NoDeliverer);
        }
        Ok(roster)
    }

    /// Returns each kind with the number of its shards.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (&str, u16)> {
        self.deliverers.iter().map(|(kind, deliverer)| (kind.as_str(), deliverer.shards()))
    }

    /// Opens the destination of a subscriber and reads what it asks for.
    pub(crate) fn open(
        &self,
        lane: &subscriber::Lane,
        database: &Database,
        (holdings, shard, term): (&watch::Receiver<Arc<Holdings>>, &ShardId, i64),
    ) -> Terms {
        let ladder = read_ladder(lane.retry.as_ref());
        let destination = Opened::by(|| {
            if shard.group.as_ref() == system::GROUP {
                let (database, holdings) = (database.clone(), holdings.clone());
                return Ok(system::Expander::open(database, holdings, shard.clone(), term));
            }
            self.open_subscriber(lane)
        });
        let (ladder, destination) = match (ladder, destination) {
            (Ok(ladder), destination) => (ladder, destination),
            (Err(reason), _) => (Ladder::default(), Err(reason)),
        };
        let by_kind = destination.as_ref().map_or(IN_FLIGHT_CLOSED, |open| open.in_flight_max);
        Terms {
            destination,
            ladder,
            in_flight_max: lane
                .in_flight_max
                .and_then(|max| usize::try_from(max).ok())
                .unwrap_or(by_kind)
                .max(1),
            rate_per_s: lane.rate_per_s.filter(|rate| *rate > 0.0),
            stopped: lane.stopped,
        }
    }

    fn open_subscriber(&self, lane: &subscriber::Lane) -> Result<Arc<dyn Destination>, String> {
        let subscriber = lane.subscriber.as_ref().map_err(|error| chain(error))?;
        let deliverer = self
            .deliverers
            .get(&lane.kind)
            .ok_or_else(|| format!("this worker has no deliverer of kind `{}`", lane.kind))?;
        deliverer.open(subscriber).map(Arc::from).map_err(|error| error.to_string())
    }
}

fn read_ladder(retry: Option<&serde_json::Value>) -> Result<Ladder, String> {
    let Some(retry) = retry else {
        return Ok(Ladder::default());
    };
    let ladder: Ladder = serde_json::from_value(retry.clone())
        .map_err(|error| format!("read the retry ladder of the subscriber: {error}"))?;
    ladder.check().map_err(|error| format!("read the retry ladder of the subscriber: {error}"))?;
    Ok(ladder)
}

/// Joins an error and its sources into one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
