//! A database that is gone for a while.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use reqwest::Client;
use serde_json::json;
use tidings_tests::{Database, Kind, SOON, Server, eventually};
use tokio_util::sync::CancellationToken;

use super::{Stage, ledger::Sent, load::Load};

/// How long the database is gone: longer than a relay waits for a commit, and than it calls itself ready.
///
/// It was run by hand with 30 s as well, which nobody wants to wait for every time.
const OUTAGE: Duration = Duration::from_secs(11);

/// How long a client waits for its 503, at most: as long as the relay waits for a commit, and as long again, because it
/// shares the machine with a crowd.
const ANSWER_MAX: Duration = Duration::from_secs(20);

const CLIENTS: usize = 16;

/// Clients with a large batch each, which come while nothing can be written: together five times what a relay holds.
const CROWD: usize = 150;
const CROWD_BYTES: usize = 1_200_000;

/// What a relay may take of the machine.
const MEMORY_BYTES_MAX: u64 = 150_000_000;

/// Sends one large batch again and again, and returns what became of it.
async fn insist(url: String, n: usize, over: CancellationToken) -> Sent {
    let client = Client::builder().no_proxy().build().unwrap();
    let event = json!({"eid": "LOG", "ets": 1, "mid": format!("crowd-{n}"), "context": {"did": "d"},
        "edata": {"text": "x".repeat(CROWD_BYTES)}});
    let body = json!({"params": {"msgid": n.to_string()}, "events": [event]}).to_string();
    let mut sent = Sent { names: vec![format!("crowd-{n}@d")], taken: false };
    while !over.is_cancelled() {
        let request = client.post(format!("{url}/v1/telemetry")).body(body.clone());
        let response = request.header("content-type", "application/json").send().await.unwrap();
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after").is_some_and(|value| value == "1");
        assert!(status == 200 || (status == 503 && retry_after), "{status}");
        sent.taken |= status == 200;
        response.bytes().await.unwrap();
        // Later than it was told, because all of them together would keep the machine busy.
        tokio::select! {
            () = over.cancelled() => {}
            () = tokio::time::sleep(Duration::from_secs(3)) => {}
        }
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_that_is_gone_for_a_while_is_answered_with_503_within_bounds_and_nothing_is_lost_or_doubled()
 {
    let server = Arc::new(Server::start(Kind::Durable).await);
    let stage = Stage::on(Database::on(&server).await).await;
    let relay = stage.relay().await;
    let load = Load::with_patience(&relay.url, CLIENTS, ANSWER_MAX);
    load.more(100, SOON).await;
    let ready = async || {
        let url = format!("{}/ready", relay.url);
        Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap().status()
    };
    assert_eq!(ready().await, 200);

    server.crash().await;
    let gone = Instant::now();
    let over = CancellationToken::new();
    let crowd: Vec<_> =
        (0..CROWD).map(|n| tokio::spawn(insist(relay.url.clone(), n, over.clone()))).collect();
    eventually(SOON, "the relay does not call itself ready", || async {
        (ready().await == 503).then_some(())
    })
    .await;
    eventually(2 * OUTAGE, "the outage is over", || async {
        (gone.elapsed() >= OUTAGE).then_some(())
    })
    .await;
    let during = load.tally();
    over.cancel();
    server.start_again().await;
    eventually(SOON, "the relay calls itself ready", || async {
        (ready().await == 200).then_some(())
    })
    .await;
    load.more(100, SOON).await;

    let (after, memory) = (load.tally(), relay.memory_bytes_max());
    let mut ledger = load.finish().await;
    ledger.0.extend(join_all(crowd).await.into_iter().map(Result::unwrap));
    stage.check(&ledger).await;
    assert!(during.unavailable > 0, "nobody was told to come back: {during:?}");
    assert_eq!(after.broken, 0, "somebody had no answer in time: {after:?}");
    assert!(memory.is_none_or(|bytes| bytes <= MEMORY_BYTES_MAX), "{memory:?}");
}
