//! What a relay counts, as Prometheus reads it.
//!
//! Labels are routes, statuses and outcomes, which are few; nothing that a client says becomes a label.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::gate::Gate;

/// The upper bounds of the histograms, in seconds.
const BOUNDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The counters of one relay.
#[derive(Debug, Default)]
pub(crate) struct Metrics(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    requests: BTreeMap<(&'static str, u16), u64>,
    events: BTreeMap<(&'static str, &'static str), u64>,
    seconds: BTreeMap<&'static str, Histogram>,
    commits: BTreeMap<&'static str, Histogram>,
    committed: BTreeMap<&'static str, u64>,
    failed: BTreeMap<&'static str, u64>,
    passed: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Histogram {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

impl Metrics {
    /// Counts a request that was answered.
    pub(crate) fn answered(&self, route: &'static str, status: u16, elapsed: Duration) {
        let mut counts = self.lock();
        *counts.requests.entry((route, status)).or_default() += 1;
        counts.seconds.entry(route).or_default().add(elapsed);
    }

    /// Counts events by what became of them.
    pub(crate) fn events(&self, route: &'static str, outcome: &'static str, events: usize) {
        if events > 0 {
            *self.lock().events.entry((route, outcome)).or_default() += events as u64;
        }
    }

    /// Counts a commit, and what was written in it.
    pub(crate) fn committed(&self, writer: &'static str, rows: usize, elapsed: Duration) {
        let mut counts = self.lock();
        counts.commits.entry(writer).or_default().add(elapsed);
        *counts.committed.entry(writer).or_default() += rows as u64;
    }

    /// Counts a commit that failed.
    pub(crate) fn uncommitted(&self, writer: &'static str) {
        *self.lock().failed.entry(writer).or_default() += 1;
    }

    /// Counts an answer of the site behind the relay by what became of it.
    pub(crate) fn passed(&self, outcome: &'static str) {
        *self.lock().passed.entry(outcome).or_default() += 1;
    }

    /// Returns everything in the text format of Prometheus.
    pub(crate) fn render(&self, gate: &Gate) -> String {
        let counts = self.lock();
        let mut page = Page(String::new());
        page.head("requests_total", "counter", "Requests by route and status.");
        for ((route, status), count) in &counts.requests {
            page.line(
                "requests_total",
                &[("route", route), ("status", &status.to_string())],
                *count,
            );
        }
        page.head("events_total", "counter", "Events by route and what became of them.");
        for ((route, outcome), count) in &counts.events {
            page.line("events_total", &[("route", route), ("outcome", outcome)], *count);
        }
        page.histogram("request_duration_seconds", "route", "Time to answer.", &counts.seconds);
        page.histogram(
            "commit_duration_seconds",
            "writer",
            "Time to write a group.",
            &counts.commits,
        );
        page.head("committed_rows_total", "counter", "Rows written, in groups.");
        for (writer, count) in &counts.committed {
            page.line("committed_rows_total", &[("writer", writer)], *count);
        }
        page.head("commit_failures_total", "counter", "Groups that could not be written.");
        for (writer, count) in &counts.failed {
            page.line("commit_failures_total", &[("writer", writer)], *count);
        }
        page.head("site_answers_total", "counter", "Answers of the site, by what became of them.");
        for (outcome, count) in &counts.passed {
            page.line("site_answers_total", &[("outcome", outcome)], *count);
        }
        page.head("buffer_requests", "gauge", "Requests in hand.");
        page.line("buffer_requests", &[], gate.requests() as u64);
        page.head("buffer_bytes", "gauge", "Bytes that they take.");
        page.line("buffer_bytes", &[], gate.bytes() as u64);
        page.0
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Histogram {
    fn add(&mut self, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        self.count += 1;
        self.sum += seconds;
        for (bucket, bound) in self.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(seconds <= bound);
        }
    }
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.write(format_args!(
            "# HELP tidings_relay_{name} {help}\n# TYPE tidings_relay_{name} {kind}\n"
        ));
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let labels = labels.join(",");
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        self.write(format_args!("tidings_relay_{name}{labels} {value}\n"));
    }

    fn histogram(
        &mut self,
        name: &str,
        label: &str,
        help: &str,
        histograms: &BTreeMap<&'static str, Histogram>,
    ) {
        self.head(name, "histogram", help);
        for (value, histogram) in histograms {
            let bounds = BOUNDS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
            let counts = histogram.buckets.iter().chain([&histogram.count]);
            for (bound, count) in bounds.zip(counts) {
                self.line(&format!("{name}_bucket"), &[(label, value), ("le", &bound)], count);
            }
            self.line(&format!("{name}_sum"), &[(label, value)], histogram.sum);
            self.line(&format!("{name}_count"), &[(label, value)], histogram.count);
        }
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        self.0.write_fmt(text).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_what_prometheus_reads() {
        let (metrics, gate) = (Metrics::default(), Gate::new(2, 10));
        let _room = gate.enter().unwrap();
        metrics.answered("/analytics", 200, Duration::from_millis(4));
        metrics.answered("/analytics", 200, Duration::from_secs(9));
        metrics.events("/analytics", "accepted", 3);
        metrics.events("/analytics", "rejected", 0);
        let page = metrics.render(&gate);
        for line in [
            "# TYPE tidings_relay_requests_total counter",
            r#"tidings_relay_requests_total{route="/analytics",status="200"} 2"#,
            r#"tidings_relay_events_total{route="/analytics",outcome="accepted"} 3"#,
            r#"tidings_relay_request_duration_seconds_bucket{route="/analytics",le="0.005"} 1"#,
            r#"tidings_relay_request_duration_seconds_bucket{route="/analytics",le="+Inf"} 2"#,
            r#"tidings_relay_request_duration_seconds_sum{route="/analytics"} 9.004"#,
            "tidings_relay_buffer_requests 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
        assert!(!page.contains("rejected"));
    }
}
