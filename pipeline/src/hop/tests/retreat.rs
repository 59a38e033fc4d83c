//! The pauses of what is thrown back.

use super::*;

#[test]
fn pause_doubles_up_to_its_bound_and_is_short_again_after_a_commit() {
    let mut retreat = Retreat::default();
    let mut pauses = Vec::new();
    for _ in 0..9 {
        retreat.note(0);
        pauses.push(retreat.pause.as_millis());
    }
    assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    // The loop of sinks never did this: one that had run for weeks waited for seconds at every rebalance.
    retreat.note(1);
    assert_eq!(retreat.pause, PAUSE_MIN);
    retreat.note(0);
    assert_eq!(retreat.pause, PAUSE_MIN * 2);
}

#[test]
fn what_is_thrown_back_again_and_again_is_said_every_tenth_time() {
    let mut retreat = Retreat::default();
    let said: Vec<_> = (1..=30).filter(|_| retreat.note(0)).collect();
    assert_eq!(said, [1, 11, 21]);
    assert!(retreat.note(5), "it got somewhere, and this is news");
}
