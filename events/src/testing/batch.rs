//! Which deliveries of a drain go together, and which have to wait for the next one.

use std::collections::HashSet;

use crate::{Verdict, store::testing::Pending};

/// What is to be delivered, by subscriber and in the order of registering.
#[derive(Debug)]
pub(super) struct Queue<D> {
    rows: Vec<(Pending, D)>,
    /// Subscribers to whom nothing more is sent.
    stopped: HashSet<i32>,
    /// Ordering keys whose head has failed.
    blocked: HashSet<(i32, i32)>,
}

impl<D> Queue<D> {
    pub(super) fn new(rows: Vec<(Pending, D)>) -> Self {
        Self { rows, stopped: HashSet::new(), blocked: HashSet::new() }
    }

    /// Takes the next deliveries to one subscriber, at most `batch_max` and at most one of each ordering key; `None`
    /// if nothing is left that does not have to wait.
    pub(super) fn next_batch(&mut self, batch_max: usize) -> Option<Vec<(Pending, D)>> {
        let Self { rows, stopped, blocked } = self;
        let is_blocked = |row: &Pending| row.lane_key().is_some_and(|key| blocked.contains(&key));
        rows.retain(|(row, _)| !stopped.contains(&row.subscriber_id) && !is_blocked(row));
        let lane = rows.first()?.0.subscriber_id;
        let (mut room, mut keys) = (batch_max.max(1), HashSet::new());
        let batch = rows.extract_if(.., |(row, _)| {
            let fits = room > 0
                && row.subscriber_id == lane
                && row.lane_key().is_none_or(|key| keys.insert(key));
            room -= usize::from(fits);
            fits
        });
        Some(batch.collect())
    }

    /// Notes what was answered.
    pub(super) fn answered(&mut self, row: &Pending, verdict: Verdict) {
        match verdict {
            Verdict::Delivered | Verdict::Refused | Verdict::Filtered => {}
            Verdict::Retry => self.blocked.extend(row.lane_key()),
            Verdict::RetryAfter(_) | Verdict::Throttled(_) | Verdict::Gone => {
                self.stopped.insert(row.subscriber_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;

    use super::*;

    fn row(subscriber_id: i32, key_hash: Option<i32>, id: i64) -> (Pending, i64) {
        let due_at = DateTime::UNIX_EPOCH;
        (Pending { subscriber_id, due_at, delivery_id: id, key_hash }, id)
    }

    fn ids(batch: Option<Vec<(Pending, i64)>>) -> Vec<i64> {
        batch.unwrap_or_default().into_iter().map(|(_, id)| id).collect()
    }

    #[test]
    fn batch_is_of_one_subscriber_and_has_one_of_each_key() {
        let rows = [
            row(1, Some(7), 1),
            row(1, Some(7), 2),
            row(1, None, 3),
            row(1, Some(8), 4),
            row(1, None, 5),
            row(2, Some(7), 6),
        ];
        let mut queue = Queue::new(rows.into());
        assert_eq!(ids(queue.next_batch(3)), [1, 3, 4]);
        assert_eq!(ids(queue.next_batch(3)), [2, 5]);
        assert_eq!(ids(queue.next_batch(3)), [6]);
        assert!(queue.next_batch(3).is_none());
    }

    #[test]
    fn failure_blocks_its_key_and_a_slow_down_its_subscriber() {
        let rows = [
            row(1, Some(7), 1),
            row(1, Some(7), 2),
            row(1, Some(8), 3),
            row(2, None, 4),
            row(2, None, 5),
            row(3, Some(7), 6),
        ];
        let mut queue = Queue::new(rows.into());
        let mut seen = Vec::new();
        while let Some(batch) = queue.next_batch(1) {
            let verdict = match batch[0].1 {
                1 => Verdict::Retry,
                4 => Verdict::RetryAfter(Duration::from_secs(1)),
                _ => Verdict::Delivered,
            };
            queue.answered(&batch[0].0, verdict);
            seen.extend(ids(Some(batch)));
        }
        assert_eq!(seen, [1, 3, 4, 6]);
    }
}
