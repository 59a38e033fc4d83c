//! The page as Prometheus reads it.

use std::{collections::BTreeSet, time::Duration};

use super::*;
use crate::{
    lag::{Lag, Partition},
    log::{Change, Position},
    sink::{self, files},
};

/// Returns metrics in which everything has been counted once at least.
fn full() -> Metrics {
    let metrics = Metrics::default();
    let (search, files) = (Arc::<sink::Metrics>::default(), Arc::<files::Metrics>::default());
    search.stored.store(5, Relaxed);
    search.throttled.store(2, Relaxed);
    search.paused.store(3, Relaxed);
    search.resumed.store(2, Relaxed);
    search.flush.add(Duration::from_millis(70));
    files.open.store(4, Relaxed);
    files.bytes_out.store(900, Relaxed);
    metrics.add_sink("search", SinkMeter::Service(search));
    metrics.add_sink("files", SinkMeter::Files(files));
    metrics.refine.committed(7, Duration::from_millis(4));
    metrics.refine.committed(1, Duration::from_mins(1));
    metrics.refine.aborted();
    metrics.refine.restarted();
    let counts =
        Counts { batches: 3, batches_failed: 1, unique: 9, derived: 2, ..Counts::default() };
    metrics.count(&counts);
    metrics.count(&counts);
    metrics.keep(1, Keys { count: 10, bytes: 160, bytes_max: 1024, reach_s: 3600 });
    metrics.evict(Evicted { keys: 6, reaches_s: 3600 });
    let of = |partition, oldest_age_s| Partition {
        partition,
        position: Some(3),
        end: 10,
        records: 7,
        oldest_at: None,
        oldest_age_s,
    };
    metrics.measured(vec![Lag {
        group: "sink.search".to_owned(),
        topic: "telemetry.unique".to_owned(),
        members: Some(1),
        partitions: vec![of(0, Some(12)), of(1, None)],
    }]);
    metrics
}

#[test]
fn page_is_what_prometheus_reads() {
    let metrics = full();
    let mut seat = metrics.refine.seat();
    let at = |partition| Position { partition, offset: 0 };
    seat.changed(&Change { lost: Vec::new(), gained: vec![at(0), at(1), at(2)] });
    seat.changed(&Change { lost: vec![1], gained: Vec::new() });
    let page = metrics.render();
    for line in [
        "# TYPE tidings_pipeline_commits_total counter",
        r#"tidings_pipeline_commits_total{group="refine"} 2"#,
        r#"tidings_pipeline_records_total{group="refine"} 8"#,
        r#"tidings_pipeline_aborts_total{group="refine"} 1"#,
        r#"tidings_pipeline_restarts_total{group="refine"} 1"#,
        r#"tidings_pipeline_rebalances_total{group="refine"} 2"#,
        r#"tidings_pipeline_partitions_held{group="refine"} 2"#,
        r#"tidings_pipeline_commit_duration_seconds_bucket{group="refine",le="0.005"} 1"#,
        r#"tidings_pipeline_commit_duration_seconds_bucket{group="refine",le="30"} 1"#,
        r#"tidings_pipeline_commit_duration_seconds_bucket{group="refine",le="+Inf"} 2"#,
        r#"tidings_pipeline_commit_duration_seconds_count{group="sink.files"} 0"#,
        r#"tidings_pipeline_batches_total{outcome="read"} 4"#,
        r#"tidings_pipeline_batches_total{outcome="failed"} 2"#,
        r#"tidings_pipeline_events_total{step="refine",outcome="unique"} 18"#,
        "tidings_pipeline_derived_events_total 4",
        r#"tidings_pipeline_dedup_reach_seconds{member="1"} 3600"#,
        "tidings_pipeline_dedup_evicted_keys_total 6",
        r#"tidings_pipeline_sink_events_total{sink="search",outcome="stored"} 5"#,
        r#"tidings_pipeline_sink_throttled_total{sink="search"} 2"#,
        r#"tidings_pipeline_sink_waiting{sink="search"} 1"#,
        r#"tidings_pipeline_sink_flush_duration_seconds_bucket{sink="search",le="0.1"} 1"#,
        r#"tidings_pipeline_files_open{sink="files"} 4"#,
        r#"tidings_pipeline_files_uploaded_bytes_total{sink="files"} 900"#,
        r#"tidings_pipeline_lag_records{group="sink.search",topic="telemetry.unique",partition="0"} 7"#,
        r#"tidings_pipeline_lag_seconds{group="sink.search",topic="telemetry.unique",partition="0"} 12"#,
        r#"tidings_pipeline_lag_seconds{group="sink.search",topic="telemetry.unique",partition="1"} 0"#,
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    drop(seat);
    let page = metrics.render();
    assert!(page.contains("tidings_pipeline_partitions_held{group=\"refine\"} 0"), "{page}");
}

#[test]
fn each_name_is_described_once_and_before_its_lines() {
    let page = full().render();
    let mut described = BTreeSet::new();
    let mut current = "";
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            current = rest.split(' ').next().unwrap();
            assert!(described.insert(current), "{current} is described twice");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let stems = ["", "_bucket", "_sum", "_count"].map(|end| format!("{current}{end}"));
            assert!(stems.iter().any(|stem| stem == name), "{name} stands below {current}");
        }
    }
    assert!(described.len() > 30, "{described:?}");
}

#[test]
fn numbers_that_are_not_known_are_not_shown() {
    let metrics = full();
    metrics.measured(Vec::new());
    assert!(!metrics.render().contains("lag_seconds{"));
}
