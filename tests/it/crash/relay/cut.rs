//! A cable between clients and the relay that is cut, most often in the middle of an answer.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tidings_tests::{Database, Direction, Proxy, SOON};

use super::{Stage, load::Load};

const CUTS: u64 = 80;

const CLIENTS: usize = 8;

/// The cable is cut at any of so many bytes: of an answer, or of one of the next.
const BYTES: usize = 2000;

#[tokio::test(flavor = "multi_thread")]
async fn answer_that_is_cut_off_is_asked_for_again_and_its_events_are_there_once() {
    let stage = Stage::on(Database::new().await).await;
    let relay = stage.relay().await;
    let proxy = Proxy::start(relay.port()).await;
    let load = Load::start(&format!("http://127.0.0.1:{}", proxy.port()), CLIENTS);
    let mut random = StdRng::seed_from_u64(7);
    for cut in 1..=CUTS {
        // One in four cuts a request instead.
        let direction = if cut % 4 == 0 { Direction::ToServer } else { Direction::ToClient };
        proxy.cut_after_bytes(direction, random.random_range(1..=BYTES));
        proxy.fired(cut, SOON).await;
    }
    load.more(20, SOON).await;
    let tally = load.tally();
    let ledger = load.finish().await;
    stage.check(&ledger).await;
    assert!(tally.repeated >= CUTS / 4, "few answers were cut off: {tally:?}");
    assert_eq!(tally.unavailable, 0, "{tally:?}");
}
