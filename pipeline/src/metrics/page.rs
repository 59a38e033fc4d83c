//! The text format of Prometheus.

use std::{
    fmt::{self, Write as _},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The upper bounds of the histograms, in seconds: from a commit on a fast disk to an upload that is tried again.
const BOUNDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// How long something takes.
#[derive(Debug, Default)]
pub(crate) struct Histogram(Mutex<Times>);

#[derive(Clone, Copy, Debug, Default)]
struct Times {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

/// A page that is being written.
#[derive(Debug)]
pub(super) struct Page(String);

impl Histogram {
    /// Counts one more.
    pub(crate) fn add(&self, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times.count += 1;
        times.sum += seconds;
        for (bucket, bound) in times.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(seconds <= bound);
        }
    }
}

impl Page {
    pub(super) const fn new() -> Self {
        Self(String::new())
    }

    /// Begins the lines of a counter.
    pub(super) fn counter(&mut self, name: &str, help: &str) {
        self.head(name, "counter", help);
    }

    /// Begins the lines of a gauge.
    pub(super) fn gauge(&mut self, name: &str, help: &str) {
        self.head(name, "gauge", help);
    }

    /// Begins the lines of a histogram.
    pub(super) fn histogram(&mut self, name: &str, help: &str) {
        self.head(name, "histogram", help);
    }

    /// Writes one line. What stands in labels has no quotes and no line ends.
    pub(super) fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl fmt::Display) {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let labels = labels.join(",");
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        self.write(format_args!("tidings_pipeline_{name}{labels} {value}\n"));
    }

    /// Writes the lines of one histogram.
    pub(super) fn times(&mut self, name: &str, label: (&str, &str), histogram: &Histogram) {
        let times = *histogram.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bounds = BOUNDS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        let counts = times.buckets.iter().chain([&times.count]);
        for (bound, count) in bounds.zip(counts) {
            self.line(&format!("{name}_bucket"), &[label, ("le", &bound)], count);
        }
        self.line(&format!("{name}_sum"), &[label], times.sum);
        self.line(&format!("{name}_count"), &[label], times.count);
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.write(format_args!(
            "# HELP tidings_pipeline_{name} {help}\n# TYPE tidings_pipeline_{name} {kind}\n"
        ));
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        self.0.write_fmt(text).ok();
    }
}
