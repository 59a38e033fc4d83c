//! Where the numbers and the traits of a report come from.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use serde::Serialize;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::{
    error::Error,
    render::RESERVED,
    statistics::{Sample, Source},
};
use crate::Anonymous;

/// The most names of a report, so that all of them with the longest numbers fit into one event.
const NAMES_MAX: usize = 250;

/// What a collector is doing.
pub type Collecting<'a> =
    Pin<Box<dyn Future<Output = Result<Collected, CollectError>> + Send + 'a>>;

/// Collects a part of a report.
///
/// What it can tell is declared, so that two collectors with the same name are found at the start of the program, and a
/// name that is declared and never told is found at the first report.
///
/// # Examples
///
/// ```
/// use tidings_analytics::report::{Collected, Collecting, Collector};
///
/// struct Sources;
///
/// impl Collector for Sources {
///     fn name(&self) -> &'static str {
///         "sources"
///     }
///
///     fn traits(&self) -> &[&'static str] {
///         &["active_sources"]
///     }
///
///     fn collect(&self) -> Collecting<'_> {
///         Box::pin(async {
///             let mut collected = Collected::new();
///             collected.trait_value("active_sources", &5_u32);
///             Ok(collected)
///         })
///     }
/// }
/// ```
pub trait Collector: Send + Sync {
    /// Returns what it is called in `collector_errors`.
    fn name(&self) -> &'static str;

    /// Returns the counters that it reads: numbers that only grow.
    fn statistics(&self) -> &[&'static str] {
        &[]
    }

    /// Returns the traits that it tells: what there is now.
    fn traits(&self) -> &[&'static str] {
        &[]
    }

    /// Returns whether its counters outlive this process.
    fn is_durable(&self) -> bool {
        false
    }

    /// Returns how long it may take; the report goes without it then.
    fn timeout(&self) -> Duration {
        Duration::from_secs(10)
    }

    /// Reads the counters and the traits.
    ///
    /// # Cancel safety
    ///
    /// It is dropped when its time is up.
    fn collect(&self) -> Collecting<'_>;
}

/// What a collector has found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collected {
    statistics: BTreeMap<&'static str, u64>,
    others: BTreeMap<Uuid, BTreeMap<&'static str, u64>>,
    traits: BTreeMap<&'static str, Json>,
}

/// Why a collector has found nothing: its words are for logs, and never reported.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct CollectError {
    message: String,
}

/// A collector that had nothing to tell, or not what it had declared.
///
/// A report holds no words of the error, which may name what is private.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct CollectorError {
    /// Which collector.
    pub collector: &'static str,
    /// What went wrong: `failed`, `timeout`, `missing` or `undeclared`.
    pub error: &'static str,
    /// What is for logs.
    #[serde(skip)]
    pub message: String,
}

/// What all collectors of a process have found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gathered {
    /// The counters, by source. Those of other processes are added by whoever reports.
    pub samples: Vec<Sample>,
    /// The traits.
    pub traits: Map<String, Json>,
    /// The collectors that had nothing to tell.
    pub errors: Vec<CollectorError>,
}

/// All collectors of an application.
#[derive(Default)]
pub struct Collectors {
    collectors: Vec<Box<dyn Collector>>,
}

impl Collected {
    /// Returns nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the value of a counter.
    pub fn statistic(&mut self, name: &'static str, value: u64) -> &mut Self {
        self.statistics.insert(name, value);
        self
    }

    /// Adds the value that `source` has of a counter, which begins at zero when the source appears: a partition that is
    /// made each day and dropped in the end, for example. All sources of a counter are added up.
    pub fn statistic_of(&mut self, source: Uuid, name: &'static str, value: u64) -> &mut Self {
        self.others.entry(source).or_default().insert(name, value);
        self
    }

    /// Adds a trait; one that leaves itself out, such as a hash without a key, is told as null.
    pub fn trait_value<A: Anonymous + ?Sized>(
        &mut self,
        name: &'static str,
        value: &A,
    ) -> &mut Self {
        let json = value.to_value().map_or(Json::Null, crate::Value::into_json);
        self.traits.insert(name, json);
        self
    }
}

impl CollectError {
    /// Returns an error with this message for the log.
    pub fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string() }
    }
}

impl Collectors {
    /// Returns these collectors, whose names are all different.
    ///
    /// # Errors
    ///
    /// Two of them declare the same name, or one that a report has for itself; a name has another form; or there are
    /// too many.
    pub fn new(collectors: Vec<Box<dyn Collector>>) -> Result<Self, Error> {
        let mut owners: BTreeMap<&str, &'static str> =
            RESERVED.iter().map(|name| (*name, "the report itself")).collect();
        let mut count = 0;
        for collector in &collectors {
            if !is_name(collector.name()) {
                return Err(Error::Name { name: collector.name(), collector: "a collector" });
            }
            for name in collector.statistics().iter().chain(collector.traits()) {
                let other = collector.name();
                if !is_name(name) {
                    return Err(Error::Name { name, collector: other });
                }
                if let Some(one) = owners.insert(name, other) {
                    return Err(Error::Clash { name, one, other });
                }
                count += 1;
            }
        }
        if count > NAMES_MAX { Err(Error::ManyNames { count }) } else { Ok(Self { collectors }) }
    }

    /// Asks all collectors at once, each within its time; one that fails costs its own part and nothing else.
    ///
    /// `sleep` is the timer of the caller's runtime, `tokio::time::sleep` for example.
    ///
    /// # Cancel safety
    ///
    /// It may be dropped at any time; nothing was changed.
    pub async fn collect<S: Future<Output = ()>>(
        &self,
        boot_id: Uuid,
        sleep: impl Fn(Duration) -> S,
    ) -> Gathered {
        self.collect_of(boot_id, sleep, |_| true).await
    }

    /// Asks those collectors that count in the memory of this process, as [`Collectors::collect`] asks all.
    ///
    /// Every process writes down what it has counted, so that the one that reports can add them up.
    ///
    /// # Cancel safety
    ///
    /// It may be dropped at any time; nothing was changed.
    pub async fn collect_counters<S: Future<Output = ()>>(
        &self,
        boot_id: Uuid,
        sleep: impl Fn(Duration) -> S,
    ) -> Gathered {
        self.collect_of(boot_id, sleep, |collector| {
            !collector.is_durable() && !collector.statistics().is_empty()
        })
        .await
    }

    async fn collect_of<S: Future<Output = ()>>(
        &self,
        boot_id: Uuid,
        sleep: impl Fn(Duration) -> S,
        is_asked: fn(&dyn Collector) -> bool,
    ) -> Gathered {
        let asked = || self.collectors.iter().filter(|collector| is_asked(&***collector));
        let answers = asked().map(|collector| {
            let timer = sleep(collector.timeout());
            async move { within(collector.collect(), timer).await }
        });
        let answers = all(answers.map(Box::pin).collect()).await;
        let mut gathered = Gathered::default();
        for (collector, answer) in asked().zip(answers) {
            match answer {
                Some(Ok(collected)) => gathered.add(&**collector, boot_id, collected),
                Some(Err(error)) => gathered.fail(collector.name(), "failed", error.message),
                None => {
                    let message = format!("no answer in {:?}", collector.timeout());
                    gathered.fail(collector.name(), "timeout", message);
                }
            }
        }
        gathered
    }
}

impl Gathered {
    /// Adds what a collector has found and had declared.
    fn add(&mut self, collector: &dyn Collector, boot_id: Uuid, collected: Collected) {
        let of_others = collected.others.values().flat_map(BTreeMap::keys);
        let found = collected.statistics.keys().chain(collected.traits.keys()).chain(of_others);
        let found: BTreeSet<_> = found.copied().collect();
        let declared: BTreeSet<_> =
            collector.statistics().iter().chain(collector.traits()).copied().collect();
        for (error, odd) in [("missing", &declared - &found), ("undeclared", &found - &declared)] {
            if !odd.is_empty() {
                let names: Vec<_> = odd.into_iter().collect();
                self.fail(collector.name(), error, names.join(", "));
            }
        }
        let source =
            if collector.is_durable() { Source::Durable } else { Source::Process(boot_id) };
        let others = collected.others.into_iter();
        let others = others.map(|(id, counters)| (Source::Process(id), counters));
        for (source, counters) in [(source, collected.statistics)].into_iter().chain(others) {
            let counters: BTreeMap<_, _> = counters
                .into_iter()
                .filter(|(name, _)| collector.statistics().contains(name))
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            if !counters.is_empty() {
                self.samples.push(Sample { source, counters });
            }
        }
        let traits = collected.traits.into_iter();
        let traits = traits.filter(|(name, _)| collector.traits().contains(name));
        self.traits.extend(traits.map(|(name, json)| (name.to_owned(), json)));
    }

    fn fail(&mut self, collector: &'static str, error: &'static str, message: String) {
        self.errors.push(CollectorError { collector, error, message });
    }
}

impl fmt::Debug for Collectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.collectors.iter().map(|collector| collector.name())).finish()
    }
}

fn is_name(name: &str) -> bool {
    let is_fit = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(is_fit)
}

/// Returns what `work` comes to, or `None` if the timer is done first.
async fn within<T>(
    mut work: Pin<Box<dyn Future<Output = T> + Send + '_>>,
    timer: impl Future<Output = ()>,
) -> Option<T> {
    let mut timer = pin!(timer);
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => timer.as_mut().poll(context).map(|()| None),
    })
    .await
}

/// Returns what all of `works` come to, in their order.
async fn all<F: Future>(mut works: Vec<Pin<Box<F>>>) -> Vec<F::Output> {
    let mut done: Vec<Option<F::Output>> = works.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (work, done) in works.iter_mut().zip(&mut done) {
            if done.is_none()
                && let Poll::Ready(value) = work.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
