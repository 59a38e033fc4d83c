//! What sinks count.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{Group, page::Page};
use crate::sink::{self, files};

/// What a sink counts.
#[derive(Clone, Debug)]
pub enum SinkMeter {
    /// One that sends requests, or writes to a table.
    Service(Arc<sink::Metrics>),
    /// One of files.
    Files(Arc<files::Metrics>),
}

type Counter<T> = (&'static str, &'static str, fn(&T) -> &AtomicU64);

/// Beside what becomes of events.
const OF_SERVICES: [Counter<sink::Metrics>; 5] = [
    ("sink_requests_total", "Requests that have sent events.", |of| &of.requests),
    ("sink_request_bytes_total", "Bytes of their bodies, before they are compressed.", |of| {
        &of.request_bytes
    }),
    ("sink_throttled_total", "Requests answered with \"too many\" (429).", |of| &of.throttled),
    ("sink_unanswered_total", "Requests that got no answer, and were sent again.", |of| {
        &of.unanswered
    }),
    ("sink_split_total", "Requests that were sent again in halves.", |of| &of.split),
];

/// Beside what becomes of events.
const OF_FILES: [Counter<files::Metrics>; 4] = [
    ("files_rolled_total", "Files that were closed to go up.", |of| &of.rolled),
    ("files_uploaded_total", "Files put into the store.", |of| &of.files),
    ("files_uploaded_bytes_total", "Bytes of these.", |of| &of.bytes_out),
    ("files_found_total", "Files that were in the store already, the same.", |of| &of.files_found),
];

impl SinkMeter {
    pub(super) fn group(&self) -> Arc<Group> {
        match self {
            Self::Service(of) => Arc::clone(&of.group),
            Self::Files(of) => Arc::clone(&of.group),
        }
    }

    /// Returns what became of events, by its name.
    fn outcomes(&self) -> Vec<(&'static str, u64)> {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        match self {
            Self::Service(of) => vec![
                ("stored", read(&of.stored)),
                ("already_there", read(&of.already_there)),
                ("rejected", read(&of.rejected)),
                ("filtered", read(&of.filtered)),
            ],
            Self::Files(of) => vec![("stored", read(&of.stored)), ("rejected", read(&of.rejected))],
        }
    }
}

/// Writes what sinks count.
pub(super) fn render(sinks: &[(String, SinkMeter)], page: &mut Page) {
    page.counter("sink_events_total", "Events by sink and what became of them.");
    for (sink, meter) in sinks {
        for (outcome, count) in meter.outcomes() {
            page.line("sink_events_total", &[("sink", sink), ("outcome", outcome)], count);
        }
    }
    page.histogram("sink_flush_duration_seconds", "Time until all events of a flush are decided.");
    for (sink, meter) in sinks {
        let flush = match meter {
            SinkMeter::Service(of) => &of.flush,
            SinkMeter::Files(of) => &of.flush,
        };
        page.times("sink_flush_duration_seconds", ("sink", sink), flush);
    }
    let services = || {
        sinks.iter().filter_map(|(sink, meter)| match meter {
            SinkMeter::Service(of) => Some((sink, of)),
            SinkMeter::Files(_) => None,
        })
    };
    for (name, help, counter) in OF_SERVICES {
        page.counter(name, help);
        for (sink, of) in services() {
            page.line(name, &[("sink", sink)], counter(of).load(Relaxed));
        }
    }
    page.gauge("sink_waiting", "Pauses that a sink is in, because its service takes nothing.");
    for (sink, of) in services() {
        page.line("sink_waiting", &[("sink", sink)], of.waiting());
    }
    let files = || {
        sinks.iter().filter_map(|(sink, meter)| match meter {
            SinkMeter::Files(of) => Some((sink, of)),
            SinkMeter::Service(_) => None,
        })
    };
    for (name, help, counter) in OF_FILES {
        page.counter(name, help);
        for (sink, of) in files() {
            page.line(name, &[("sink", sink)], counter(of).load(Relaxed));
        }
    }
    page.gauge("files_open", "Files that are open.");
    for (sink, of) in files() {
        page.line("files_open", &[("sink", sink)], of.open.load(Relaxed));
    }
}
