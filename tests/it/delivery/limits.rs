//! A subscriber's own rate: never exceeded, and nobody's attempt is used up by waiting for it.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tidings::deliverer::{Answer, Memory};
use tidings_tests::{Draft, SOON, World, eventually};

pub(super) const RATE_PER_S: f64 = 20.0;

/// A tenth of a second's worth may be saved up.
const BURST: f64 = 2.0;

const ROWS: usize = 60;

/// How long a delivery that has started may be under way to its destination on a busy machine, so that those behind it
/// seem closer than they started.
const DELAY_MAX: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn rate_of_a_subscriber_is_not_exceeded_after_idling_either_and_waiting_is_no_attempt() {
    let world = World::new(&["order:placed"]).await;
    let id = world.subscriber("one", "order:placed").await;
    sqlx::query("update tidings.subscriber set rate_per_s = $2 where subscriber_id = $1")
        .bind(id)
        .bind(RATE_PER_S)
        .execute(&world.pool)
        .await
        .unwrap();
    let receipts: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let noted = Arc::clone(&receipts);
    let memory = Memory::scripted(move |_| {
        noted.lock().unwrap().push(Instant::now());
        Answer::delivered()
    });
    let worker = world.worker(memory.clone()).await;
    world.register(Draft::new("order:placed")).await;
    world.drained().await;
    // A second and more in which nothing may be saved up beyond the burst.
    let mut holdings = worker.running.holdings();
    holdings.mark_unchanged();
    for _ in 0..3 {
        holdings.changed().await.unwrap();
    }

    let began = Instant::now();
    let mut tx = world.pool.begin().await.unwrap();
    for n in (0..).take(ROWS) {
        Draft::new("order:placed").number(n).register(&mut tx).await;
    }
    tx.commit().await.unwrap();
    world.wake(&[id]);
    eventually(SOON, "every delivery is settled", || async {
        let query = "select count(*), count(*) filter (where attempt > 0) from tidings.delivery";
        let (left, tried): (i64, i64) = sqlx::query_as(query).fetch_one(&world.pool).await.unwrap();
        assert_eq!(tried, 0, "waiting is no attempt");
        (left == 0).then_some(())
    })
    .await;
    let attempts = "select array[count(*), count(distinct event_id), max(attempt)] from tidings.attempt where outcome = 'delivered'";
    let rows = i64::try_from(ROWS).unwrap() + 1;
    assert_eq!(world.value::<Vec<i64>>(attempts).await, [rows, rows, 1]);
    let receipts = receipts.lock().unwrap();
    assert_eq!(receipts.len(), ROWS + 1);
    keeps_to_the_rate(began, &receipts[1..]);
}

/// Checks the window from the beginning to each receipt, and with some patience the one between any two.
pub(super) fn keeps_to_the_rate(began: Instant, receipts: &[Instant]) {
    let mut so_far = 0.0;
    for (n, to) in receipts.iter().enumerate() {
        so_far += 1.0;
        let most = RATE_PER_S * (*to - began).as_secs_f64() + BURST;
        assert!(so_far <= most + 0.01, "{so_far} after {:?}", *to - began);
        let mut between = 0.0;
        for from in receipts[..=n].iter().rev() {
            between += 1.0;
            let window = to.saturating_duration_since(*from) + DELAY_MAX;
            let most = RATE_PER_S * window.as_secs_f64() + BURST;
            assert!(between <= most, "{between} within {window:?}");
        }
    }
}
