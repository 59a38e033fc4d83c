//! A bad network between the sink and the engine.

use std::{sync::atomic::Ordering, time::Duration};

use reqwest::Url;
use serde_json::json;
use tidings_tests::{Direction, toxiproxy::Toxiproxy};

use super::{RECOVERY, Stage, all, event, events};

#[tokio::test]
async fn network_that_is_slow_cut_or_half_open_loses_nothing_and_doubles_nothing() {
    let toxiproxy = Toxiproxy::start().await;
    let faults = [
        ("latency", Direction::ToServer, json!({"latency": 300}), true),
        ("slicer", Direction::ToClient, json!({"average_size": 64, "delay": 100}), true),
        ("limit_data", Direction::ToServer, json!({"bytes": 3_000}), false),
        ("limit_data", Direction::ToClient, json!({"bytes": 700}), false),
        ("reset_peer", Direction::ToClient, json!({"timeout": 20}), false),
        ("timeout", Direction::ToClient, json!({"timeout": 0}), false),
    ];
    for (kind, direction, attributes, passes) in faults {
        let mut stage = Stage::new().await;
        let name = format!("{kind}-{direction:?}");
        let proxy = toxiproxy.proxy(&name, stage.node.port()).await;
        stage.options.url = Url::parse(&proxy.url(&stage.node.url())).unwrap();
        stage.options.timeout = Duration::from_secs(2);
        stage.options.bulk_documents_max = 20;
        let running = stage.start();
        stage.append(events(20)).await;
        stage.committed(RECOVERY).await;
        proxy.add(kind, direction, &attributes).await;
        stage.append((20..100).map(event)).await;
        if !passes {
            let unanswered = |metrics: &tidings_pipeline::sink::Metrics| {
                metrics.unanswered.load(Ordering::Relaxed)
            };
            running.counted(&format!("{name} is noticed"), unanswered, 2).await;
        }
        proxy.remove(kind).await;
        stage.committed(RECOVERY).await;
        running.stop().await;
        assert_eq!((stage.ids().await, stage.failed()), (all(100), Vec::new()), "{name}");
    }
}
