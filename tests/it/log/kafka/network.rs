//! A network that lets a member down.

use serde_json::json;
use tidings_pipeline::{
    Error,
    log::{Limits, Log as _, Member as _, Outcome, Turn},
    record::Record,
};
use tidings_tests::{
    Direction,
    kafka::{Kafka as Broker, Ports},
    toxiproxy::Toxiproxy,
};

use super::{
    copying::{
        ASIDE, Copier, FROM, GROUP, PARTITIONS, TO, after, copied, copied_once, output, prepare,
        texts, write,
    },
    log,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_that_was_cut_off_cannot_commit_when_it_is_back() {
    let toxiproxy = Toxiproxy::start().await;
    let mut ports = Ports::find();
    let proxy = toxiproxy.proxy("kafka", ports.proxied).await;
    ports.advertised = proxy.port();
    let broker = Broker::start(ports).await;
    let here = log(&broker.brokers(), "");
    let there = log(&format!("127.0.0.1:{}", proxy.port()), "");
    prepare(&here).await;
    write(&here, 0..10).await;
    let mut member = there.join(GROUP, FROM).await.unwrap();
    let mut taken: Vec<Record> = Vec::new();
    while taken.len() < 60 {
        let limits = Limits { records: 100, bytes: 1 << 20 };
        if let Turn::Records(records) = member.next(limits).await.unwrap() {
            taken.extend(records);
        }
    }
    // Its producer is known to the broker, as that of a member that has worked for a while.
    let aside = vec![output(ASIDE, 0, "known".to_owned())];
    assert_eq!(member.commit(aside, &[]).await.unwrap(), Outcome::Committed);
    proxy.add("timeout", Direction::ToServer, &json!({"timeout": 0})).await;
    let heir = Copier::start(&here, 100);
    heir.holds(6).await;
    copied_once(&here, 10).await;
    proxy.remove("timeout").await;
    let late = member.commit(taken.iter().map(copied).collect(), &after(&taken)).await;
    assert!(matches!(late, Err(Error::Fenced { .. })), "{late:?}");
    for partition in 0..PARTITIONS {
        assert_eq!(texts(&here, TO, partition).await.len(), 10);
    }
    heir.stop().await;
}
