//! A relay that is killed.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};
use tidings_tests::{Database, SOON};

use super::{Stage, load::Load};

const KILLS: usize = 12;

const CLIENTS: usize = 16;

/// How many requests each relay answers before it is killed, at least.
const REQUESTS: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn relay_killed_again_and_again_under_load_has_once_whatever_it_answered_and_nothing_twice() {
    let stage = Stage::on(Database::durable().await).await;
    let mut relay = stage.relay().await;
    let load = Load::start(&relay.url, CLIENTS);
    let mut random = StdRng::seed_from_u64(7);
    for _ in 0..KILLS {
        load.more(REQUESTS, SOON).await;
        // At any moment of whatever it is doing.
        tokio::time::sleep(Duration::from_micros(random.next_u64() % 300_000)).await;
        relay.process.kill().await;
        relay = stage.relay().await;
        load.redirect(&relay.url);
    }
    load.more(REQUESTS, SOON).await;
    let tally = load.tally();
    let ledger = load.finish().await;
    stage.check(&ledger).await;
    assert!(tally.broken >= KILLS as u64, "nobody noticed: {tally:?}");
    assert!(tally.repeated > 0, "no answer was lost behind its commit: {tally:?}");
}
