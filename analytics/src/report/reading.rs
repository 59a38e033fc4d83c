//! Structs of an application as parts of a report: what it counts, and what it has.

use std::{fmt, time::Duration};

use super::collector::{CollectError, Collected, Collecting, Collector};

/// Counters as one struct: numbers that only grow.
///
/// `#[derive(Statistics)]` of the crate `tidings` implements it: each field is a statistic under its name.
pub trait Statistics {
    /// The names of the statistics.
    const NAMES: &'static [&'static str];

    /// Tells the value of each.
    fn tell(&self, collected: &mut Collected);
}

/// What there is now, as one struct of anonymous values.
///
/// `#[derive(Traits)]` of the crate `tidings` implements it: each field is a trait under its name.
pub trait Traits {
    /// The names of the traits.
    const NAMES: &'static [&'static str];

    /// Tells the value of each.
    fn tell(&self, collected: &mut Collected);
}

/// A collector that reads one struct.
pub struct Reading {
    name: &'static str,
    statistics: &'static [&'static str],
    traits: &'static [&'static str],
    is_durable: bool,
    timeout: Duration,
    read: Read,
}

/// Returns the collector `name` of the counters that `read` reads.
///
/// They are those of this process, unless [`Reading::durable`] says otherwise.
///
/// # Examples
///
/// ```
/// use tidings_analytics::report::{self, Collected, Statistics};
///
/// struct Orders {
///     placed: u64,
/// }
///
/// // What `#[derive(Statistics)]` writes.
/// impl Statistics for Orders {
///     const NAMES: &'static [&'static str] = &["placed"];
///
///     fn tell(&self, collected: &mut Collected) {
///         collected.statistic("placed", self.placed);
///     }
/// }
///
/// let orders = report::statistics("orders", async || Ok(Orders { placed: 7 }));
/// ```
pub fn statistics<S, F, R>(name: &'static str, read: R) -> Reading
where
    S: Statistics + 'static,
    F: Future<Output = Result<S, CollectError>> + Send + 'static,
    R: Fn() -> F + Send + Sync + 'static,
{
    let read = told(read, S::tell);
    Reading { statistics: S::NAMES, ..Reading::new(name, read) }
}

/// Returns the collector `name` of the traits that `read` reads.
pub fn traits<T, F, R>(name: &'static str, read: R) -> Reading
where
    T: Traits + 'static,
    F: Future<Output = Result<T, CollectError>> + Send + 'static,
    R: Fn() -> F + Send + Sync + 'static,
{
    let read = told(read, T::tell);
    Reading { traits: T::NAMES, ..Reading::new(name, read) }
}

/// Reads, and tells what was read.
type Read = Box<dyn Fn() -> Collecting<'static> + Send + Sync>;

fn told<V, F, R>(read: R, tell: fn(&V, &mut Collected)) -> Read
where
    V: 'static,
    F: Future<Output = Result<V, CollectError>> + Send + 'static,
    R: Fn() -> F + Send + Sync + 'static,
{
    Box::new(move || {
        let reading = read();
        Box::pin(async move {
            let mut collected = Collected::new();
            tell(&reading.await?, &mut collected);
            Ok(collected)
        })
    })
}

impl Reading {
    fn new(name: &'static str, read: Read) -> Self {
        let timeout = Duration::from_secs(10);
        Self { name, statistics: &[], traits: &[], is_durable: false, timeout, read }
    }

    /// Says that the counters outlive the process, in a database for example; the process that reports reads them, and
    /// no other.
    #[must_use]
    pub fn durable(self) -> Self {
        Self { is_durable: true, ..self }
    }

    /// Sets how long reading may take; the default is 10 s.
    #[must_use]
    pub fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }
}

impl Collector for Reading {
    fn name(&self) -> &'static str {
        self.name
    }

    fn statistics(&self) -> &[&'static str] {
        self.statistics
    }

    fn traits(&self) -> &[&'static str] {
        self.traits
    }

    fn is_durable(&self) -> bool {
        self.is_durable
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn collect(&self) -> Collecting<'_> {
        (self.read)()
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("name", &self.name)
            .field("statistics", &self.statistics)
            .field("traits", &self.traits)
            .field("is_durable", &self.is_durable)
            .finish_non_exhaustive()
    }
}
