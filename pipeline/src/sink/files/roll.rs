//! When the open files of a partition are closed and go up.

use std::time::Duration;

/// The bounds of what lies in files together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Roll {
    /// Compressed bytes of all files of a partition. One file can be larger by what one batch of rows makes (a few MiB),
    /// which leaves it far below the 5 GB of a single put.
    pub bytes: u64,
    /// The age of the oldest record: however slowly records trickle in, they do not wait longer.
    pub age: Duration,
    /// Days, each of which has a file of its own: an import of old batches does not open hundreds.
    pub days: usize,
}

/// Where the open files of a partition stand.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Standing {
    /// Compressed bytes.
    pub(super) bytes: u64,
    /// Files, one for each day.
    pub(super) days: usize,
    /// From the oldest record to the newest, by the log's clock.
    pub(super) span: Duration,
    /// For how long the oldest record has been held here.
    pub(super) held: Duration,
}

impl Default for Roll {
    /// 64 MB, a quarter of an hour, 32 days.
    fn default() -> Self {
        Self { bytes: 64_000_000, age: Duration::from_mins(15), days: 32 }
    }
}

impl Roll {
    /// Returns whether the files are to be closed.
    ///
    /// While there is a backlog the log's clock runs in it: compared with the time of day every record of a backlog is
    /// old, and each would make a file of its own.
    pub(super) fn is_due(&self, standing: &Standing) -> bool {
        standing.bytes >= self.bytes
            || standing.days >= self.days
            || standing.span.max(standing.held) >= self.age
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn files_roll_by_size_by_days_and_by_the_age_of_the_oldest_record() {
        let roll = Roll { bytes: 100, age: 15 * MINUTE, days: 3 };
        for (bytes, days, span, held, is_due) in [
            (99, 2, 14 * MINUTE, 14 * MINUTE, false),
            (100, 1, MINUTE, MINUTE, true),
            (1, 3, MINUTE, MINUTE, true),
            (1, 1, 15 * MINUTE, MINUTE, true),
            (1, 1, MINUTE, 15 * MINUTE, true),
            (1, 1, Duration::ZERO, 15 * MINUTE, true),
        ] {
            let standing = Standing { bytes, days, span, held };
            assert_eq!(roll.is_due(&standing), is_due, "{standing:?}");
        }
    }

    /// Secor took the age of the youngest file, which a steady trickle keeps young (issue 86).
    #[test]
    fn steady_trickle_does_not_keep_a_file_open_for_ever() {
        let roll = Roll { age: 15 * MINUTE, ..Roll::default() };
        let rolled = (0..=60).find(|minute| {
            // A record each minute: the newest is always fresh.
            roll.is_due(&Standing { span: *minute * MINUTE, days: 1, ..Standing::default() })
        });
        assert_eq!(rolled, Some(15));
    }
}
