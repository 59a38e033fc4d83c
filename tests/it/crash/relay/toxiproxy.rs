//! A bad network, by toxiproxy: between the relay and Postgres, and between clients and the relay.
//!
//! Needs Go, which builds toxiproxy once.

use std::time::Duration;

use serde_json::{Value, json};
use tidings_tests::{Database, Direction, SOON, toxiproxy::Toxiproxy};

use super::{Relay, Stage, load::Load};

use Direction::{ToClient, ToServer};

const CLIENTS: usize = 4;

/// How many requests are taken before a fault and behind it, and during one that lets any through.
const REQUESTS: u64 = 20;

/// How long a fault lasts that is noticed at once.
const FAULT: Duration = Duration::from_secs(2);

/// How long what was in doubt may take: as long as a relay waits for a commit, and somewhat more.
const RECOVERY: Duration = Duration::from_secs(40);

/// A fault of the network.
struct Fault {
    kind: &'static str,
    direction: Direction,
    attributes: Value,
    /// Whether requests are taken while it lasts.
    passes: bool,
}

fn faults() -> Vec<Fault> {
    let fault = |kind, direction, attributes, passes| Fault { kind, direction, attributes, passes };
    vec![
        fault("latency", ToClient, json!({"latency": 150, "jitter": 100}), true),
        fault("bandwidth", ToServer, json!({"rate": 40}), true),
        fault(
            "slicer",
            ToClient,
            json!({"average_size": 20, "size_variation": 15, "delay": 200}),
            true,
        ),
        fault("limit_data", ToServer, json!({"bytes": 3000}), false),
        fault("limit_data", ToClient, json!({"bytes": 700}), false),
        fault("reset_peer", ToClient, json!({"timeout": 50}), false),
        // Half-open: what is sent is swallowed, and nobody hangs up.
        fault("timeout", ToServer, json!({"timeout": 0}), false),
        fault("timeout", ToClient, json!({"timeout": 0}), false),
    ]
}

/// On which cable the fault is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cable {
    Database,
    Clients,
}

impl Cable {
    /// Returns how long a client waits: longer than the relay for its commit, or not as long where the database is well.
    const fn patience(self) -> Duration {
        match self {
            Self::Database => Duration::from_secs(15),
            Self::Clients => Duration::from_secs(3),
        }
    }
}

/// Has clients send through a network that is well, then has the fault, and then is well again; everything is counted.
async fn endure(toxiproxy: &Toxiproxy, cable: Cable, fault: &Fault) {
    let name = format!("{cable:?}-{}-{:?}", fault.kind, fault.direction);
    let stage = Stage::on(Database::new().await).await;
    let (url, server_port) = (stage.database.url(), stage.database.server().address().port);
    let (relay, proxy, url) = if cable == Cable::Database {
        let proxy = toxiproxy.proxy(&name, server_port).await;
        let relay = Relay::start(&proxy.url(&url)).await;
        let url = relay.url.clone();
        (relay, proxy, url)
    } else {
        let relay = Relay::start(&url).await;
        let proxy = toxiproxy.proxy(&name, relay.port()).await;
        let url = proxy.url(&relay.url);
        (relay, proxy, url)
    };
    let load = Load::with_patience(&url, CLIENTS, cable.patience());
    load.more(REQUESTS, SOON).await;

    let before = load.tally();
    proxy.add(fault.kind, fault.direction, &fault.attributes).await;
    if fault.passes {
        load.more(REQUESTS, RECOVERY).await;
    } else {
        load.until(RECOVERY, &format!("{name} is noticed"), |tally| {
            tally.unavailable + tally.broken > before.unavailable + before.broken
        })
        .await;
        tokio::time::sleep(FAULT).await;
    }
    proxy.remove(fault.kind).await;
    load.more(REQUESTS, RECOVERY).await;

    let tally = load.tally();
    let ledger = load.finish().await;
    stage.check(&ledger).await;
    if cable == Cable::Database {
        assert_eq!(tally.broken, 0, "{name}: the relay itself was always there: {tally:?}");
    }
    assert!(relay.process.is_running(), "{name}");
}

/// Endures each fault on a cable of its own, all at the same time.
async fn endure_all(cable: Cable) {
    let toxiproxy = Toxiproxy::start().await;
    let faults = faults();
    futures_util::future::join_all(faults.iter().map(|fault| endure(&toxiproxy, cable, fault)))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_network_between_relay_and_postgres_loses_nothing_that_was_answered_and_doubles_nothing()
 {
    endure_all(Cable::Database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_network_between_clients_and_relay_loses_nothing_that_was_answered_and_doubles_nothing()
{
    endure_all(Cable::Clients).await;
}
