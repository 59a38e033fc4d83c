//! What is counted of both hops.

use super::*;
use crate::metrics::Metrics;

fn refine(log: &Memory, bytes_max: usize, metrics: &Arc<Metrics>) -> Refine<Memory> {
    let gear = Gear::new(Arc::new(steps()), None);
    let refine = Refine::new(log.clone(), gear, (WINDOW, bytes_max), clock);
    refine.counted(Arc::clone(metrics), 0)
}

fn shows(metrics: &Metrics, lines: &[&str]) {
    let page = metrics.render();
    for line in lines {
        let line = format!("tidings_pipeline_{line}");
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
}

#[tokio::test]
async fn what_is_aborted_and_done_again_counts_once() {
    let (log, metrics) = (log().await, Arc::new(Metrics::default()));
    let (a, b) = (event("a", "d1", 1), event("b", "d2", 1));
    log.append(vec![
        batch(&[a.clone(), b, a, "7".to_owned()]),
        raw(Bytes::from_static(b"{no json")),
        batch(&[event("a", "d1", 2)]),
    ])
    .await
    .unwrap();
    log.abort_next(2);
    let unbundle = Unbundle::new(PARTITIONS).counted(Arc::clone(&metrics));
    Hand::new(&log, "unbundle", topic::RAW, unbundle).await.drain().await;
    log.abort_next(2);
    let refine = refine(&log, usize::MAX, &metrics);
    Hand::new(&log, "refine", topic::EVENTS, refine).await.drain().await;
    shows(
        &metrics,
        &[
            r#"batches_total{outcome="read"} 2"#,
            r#"batches_total{outcome="failed"} 1"#,
            r#"events_taken_total{step="unbundle"} 5"#,
            r#"events_total{step="unbundle",outcome="passed"} 4"#,
            r#"events_total{step="unbundle",outcome="failed"} 1"#,
            r#"events_taken_total{step="refine"} 4"#,
            r#"events_total{step="refine",outcome="unique"} 3"#,
            r#"events_total{step="refine",outcome="duplicate"} 1"#,
            "collisions_total 1",
            r#"dedup_keys{member="0"} 3"#,
            &format!(r#"dedup_reach_seconds{{member="0"}} {}"#, WINDOW.as_secs()),
        ],
    );
}

#[tokio::test]
async fn keys_that_went_before_their_time_stand_in_the_ledger() {
    let (log, metrics) = (log().await, Arc::new(Metrics::default()));
    log.append(vec![batch(&[event("a", "d1", 1)])]).await.unwrap();
    // Not even one table fits.
    let mut hand = Hand::new(&log, "refine", topic::EVENTS, refine(&log, 1, &metrics)).await;
    Hand::new(&log, "unbundle", topic::RAW, Unbundle::new(PARTITIONS)).await.drain().await;
    hand.drain().await;
    let evicted = |log: &Memory| {
        let entries = log.records(topic::LEDGER);
        let keys = |record: &Record| match Entry::read(&record.value).unwrap() {
            Entry::Refine { evicted, .. } => evicted.map(|evicted| evicted.keys),
            _ => None,
        };
        entries.iter().filter_map(keys).collect::<Vec<_>>()
    };
    assert!(evicted(&log).is_empty());
    log.append(vec![batch(&[event("b", "d1", 1)])]).await.unwrap();
    Hand::new(&log, "unbundle", topic::RAW, Unbundle::new(PARTITIONS)).await.drain().await;
    // What is said in a transaction that is aborted is said again.
    log.abort_next(1);
    hand.drain().await;
    assert_eq!(evicted(&log), [1]);
    shows(&metrics, &["dedup_evicted_keys_total 2", r#"dedup_keys{member="0"} 0"#]);
}
