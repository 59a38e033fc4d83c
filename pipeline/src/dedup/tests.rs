//! The window against a map that knows everything.

use std::collections::HashSet;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

const WINDOW: Duration = Duration::from_hours(72);
const ALL: usize = usize::MAX;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn mark(key: u32, content: u32) -> Mark {
    let (key, content) = (Sha256::digest(key.to_be_bytes()), Sha256::digest(content.to_be_bytes()));
    Mark { key: key[..16].try_into().unwrap(), fingerprint: content[..8].try_into().unwrap() }
}

fn dedup(partitions: i32, bytes_max: usize) -> Dedup {
    let mut dedup = Dedup::new(WINDOW, bytes_max);
    (0..partitions).for_each(|partition| dedup.gain(partition));
    dedup
}

/// Judges an event, and notes it if it goes on.
fn meet(dedup: &mut Dedup, partition: i32, mark: Mark, now: DateTime<Utc>) -> Verdict {
    let verdict = dedup.judge(partition, mark, now);
    if verdict != Duplicate {
        dedup.note(partition, mark);
    }
    verdict
}

#[test]
fn event_is_new_once_and_its_id_with_other_content_is_a_collision() {
    let mut dedup = dedup(1, ALL);
    let verdicts: Vec<_> = [(1, 1), (1, 1), (1, 2), (1, 2), (1, 1), (2, 1)]
        .map(|(key, content)| meet(&mut dedup, 0, mark(key, content), at(0)))
        .into();
    let expected = [New, Duplicate, Collision, Duplicate, Duplicate, New];
    assert_eq!(verdicts, expected);
    dedup.committed(at(0));
    let verdicts = [(1, 1), (1, 2), (1, 3), (2, 1), (3, 1)]
        .map(|(key, content)| meet(&mut dedup, 0, mark(key, content), at(1)));
    assert_eq!(verdicts, [Duplicate, Duplicate, Collision, Duplicate, New]);
}

#[test]
fn aborted_batch_is_no_duplicate_of_itself() {
    let mut dedup = dedup(1, ALL);
    assert_eq!(meet(&mut dedup, 0, mark(1, 1), at(0)), New);
    dedup.aborted();
    assert!(dedup.added().is_empty());
    assert_eq!(meet(&mut dedup, 0, mark(1, 1), at(0)), New);
    dedup.committed(at(0));
    assert_eq!(meet(&mut dedup, 0, mark(1, 1), at(0)), Duplicate);
}

#[test]
fn keys_of_one_partition_are_none_of_another() {
    let mut dedup = dedup(2, ALL);
    meet(&mut dedup, 0, mark(1, 1), at(0));
    dedup.committed(at(0));
    assert_eq!(meet(&mut dedup, 1, mark(1, 1), at(0)), New);
    dedup.aborted();
    dedup.lose(0);
    dedup.gain(0);
    assert_eq!(meet(&mut dedup, 0, mark(1, 1), at(0)), New);
}

#[test]
fn what_was_written_restores_the_state_within_the_window() {
    let mut first = dedup(2, ALL);
    let mut blobs = Vec::new();
    for hour in 0..100 {
        let now = at(hour * 3600);
        for n in 0..20 {
            let key = u32::try_from(hour).unwrap() * 20 + n;
            meet(&mut first, i32::from(n % 2 == 1), mark(key, n / 5), now);
            meet(&mut first, i32::from(n % 2 == 1), mark(key, 77), now);
        }
        blobs.extend(first.added().into_iter().map(|(partition, blob)| (partition, blob, now)));
        first.committed(now);
    }
    let now = at(100 * 3600);
    let mut second = dedup(2, ALL);
    for (partition, blob, seen_at) in &blobs {
        second.restore(*partition, blob, (*seen_at, now)).unwrap();
    }
    for key in 0..2100 {
        for content in [key % 20 / 5, 77, 78] {
            let partition = i32::from(key % 2 == 1);
            let (a, b) = (
                meet(&mut first, partition, mark(key, content), now),
                meet(&mut second, partition, mark(key, content), now),
            );
            assert_eq!(a == Duplicate, b == Duplicate, "{key} {content}");
            assert_eq!(a == Duplicate, (560..2000).contains(&key) && content != 78);
            first.aborted();
            second.aborted();
        }
    }
    let bad = second.restore(0, &[0; 25], (now, now)).unwrap_err();
    assert_eq!(bad.to_string(), "25 bytes are no whole number of keys of 24 bytes");
}

#[test]
fn keys_go_when_the_window_has_passed_and_their_memory_with_them() {
    let mut dedup = dedup(1, ALL);
    for key in 0..10_000 {
        meet(&mut dedup, 0, mark(key, 1), at(0));
    }
    dedup.committed(at(0));
    let full = dedup.bytes();
    let later = at(73 * 3600);
    assert_eq!(meet(&mut dedup, 0, mark(1, 1), later), New);
    for _ in 0..TABLES {
        dedup.committed(later);
    }
    assert_eq!(dedup.keys(), 1);
    assert!(dedup.bytes() < full / 2, "{} of {full}", dedup.bytes());
}

#[test]
fn oldest_keys_go_when_memory_is_full_and_are_counted() {
    let mut dedup = dedup(2, 400_000);
    let mut evicted = 0;
    for hour in 0..50_u32 {
        let now = at(i64::from(hour) * 3600);
        for n in 0..1000 {
            meet(&mut dedup, i32::from(n % 2 == 1), mark(hour * 1000 + n, 1), now);
        }
        let gone = dedup.committed(now);
        evicted += gone.keys;
        assert!(dedup.bytes() <= 400_000, "{}", dedup.bytes());
        assert!(gone.keys == 0 || gone.reaches_s > 5 * 3600, "{gone:?}");
    }
    assert_eq!(evicted + dedup.keys() as u64, 50_000);
    assert!(dedup.keys() > 10_000, "{}", dedup.keys());
    assert_eq!(meet(&mut dedup, 1, mark(49_999, 1), at(50 * 3600)), Duplicate);
    assert_eq!(meet(&mut dedup, 0, mark(0, 1), at(50 * 3600)), New);
}

#[test]
fn id_that_is_used_for_everything_costs_no_more_than_others() {
    let mut dedup = dedup(1, ALL);
    for content in 0..3000 {
        let expected = if content == 0 { New } else { Collision };
        assert_eq!(meet(&mut dedup, 0, mark(1, content), at(0)), expected);
        dedup.committed(at(0));
    }
    assert!((0..3000).all(|content| meet(&mut dedup, 0, mark(1, content), at(0)) == Duplicate));
    let slot = mark(1, 1).slot(1);
    let table = &dedup.partitions[&0].tables[mark(1, 1).table()];
    assert_eq!(table.get(slot.key).count(), CONTENTS_MAX);
}

proptest! {
    /// Commits, aborts and rebuilds in any order: an event gets through once, and again only after an abort.
    #[test]
    fn event_gets_through_exactly_once(
        steps in proptest::collection::vec((0_u32..12, 0_u32..3, 0_u8..8), 1..200),
    ) {
        let mut dedup = dedup(1, ALL);
        let (mut committed, mut open) = (HashSet::new(), HashSet::new());
        let mut seen: Vec<Vec<u8>> = Vec::new();
        for (key, content, action) in steps {
            let now = at(0);
            match action {
                0 => {
                    dedup.aborted();
                    open.clear();
                }
                1 => {
                    seen.extend(dedup.added().into_values());
                    dedup.committed(now);
                    committed.extend(open.drain());
                }
                // Somebody else takes over in the middle of a batch.
                2 => {
                    dedup = self::dedup(1, ALL);
                    for blob in &seen {
                        dedup.restore(0, blob, (now, now)).unwrap();
                    }
                    open.clear();
                }
                _ => {
                    let through = meet(&mut dedup, 0, mark(key, content), now) != Duplicate;
                    let known = committed.contains(&(key, content)) || open.contains(&(key, content));
                    prop_assert_eq!(through, !known);
                    open.insert((key, content));
                }
            }
        }
    }
}
