//! What the members of one group do with the log.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::page::{Histogram, Page};
use crate::log::Change;

/// What the members of one group have done, in this process.
#[derive(Debug, Default)]
pub(crate) struct Group {
    records: AtomicU64,
    commits: AtomicU64,
    aborts: AtomicU64,
    rebalances: AtomicU64,
    restarts: AtomicU64,
    gained: AtomicU64,
    lost: AtomicU64,
    commit: Histogram,
}

impl Group {
    /// Counts a commit of so many records.
    pub(crate) fn committed(&self, records: u64, elapsed: Duration) {
        self.records.fetch_add(records, Relaxed);
        self.commits.fetch_add(1, Relaxed);
        self.commit.add(elapsed);
    }

    /// Counts a commit that did not take effect.
    pub(crate) fn aborted(&self) {
        self.aborts.fetch_add(1, Relaxed);
    }

    /// Returns what counts the partitions of one member, until it is dropped with the member.
    pub(crate) fn seat(self: &Arc<Self>) -> Seat {
        Seat { group: Arc::clone(self), held: 0 }
    }

    /// Counts a member that was thrown back and begins again.
    pub(crate) fn restarted(&self) {
        self.restarts.fetch_add(1, Relaxed);
    }

    /// Returns how many commits there were.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Relaxed)
    }
}

/// The partitions of one member.
#[derive(Debug)]
pub(crate) struct Seat {
    group: Arc<Group>,
    held: u64,
}

impl Seat {
    /// Counts partitions that have come and gone.
    pub(crate) fn changed(&mut self, change: &Change) {
        self.group.rebalances.fetch_add(1, Relaxed);
        let (gained, lost) = (change.gained.len() as u64, change.lost.len() as u64);
        self.held = (self.held + gained).saturating_sub(lost);
        self.group.gained.fetch_add(gained, Relaxed);
        self.group.lost.fetch_add(lost, Relaxed);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.group.lost.fetch_add(self.held, Relaxed);
    }
}

/// A name, what it is, and where it is read.
type Counter = (&'static str, &'static str, fn(&Group) -> u64);

/// Writes what groups count.
pub(super) fn render(groups: &[(String, Arc<Group>)], page: &mut Page) {
    let counters: [Counter; 5] = [
        ("records_total", "Records of the log whose position was committed.", |group| {
            group.records.load(Relaxed)
        }),
        ("commits_total", "Commits that took effect.", Group::commits),
        ("aborts_total", "Commits that did not, and were done again.", |group| {
            group.aborts.load(Relaxed)
        }),
        ("rebalances_total", "Changes of the partitions that are held.", |group| {
            group.rebalances.load(Relaxed)
        }),
        ("restarts_total", "Members that were thrown back and have begun again.", |group| {
            group.restarts.load(Relaxed)
        }),
    ];
    for (name, help, read) in counters {
        page.counter(name, help);
        for (group, counted) in groups {
            page.line(name, &[("group", group)], read(counted));
        }
    }
    page.gauge("partitions_held", "Partitions that this process holds.");
    for (group, counted) in groups {
        let held = counted.gained.load(Relaxed).saturating_sub(counted.lost.load(Relaxed));
        page.line("partitions_held", &[("group", group)], held);
    }
    page.histogram("commit_duration_seconds", "Time that a commit takes.");
    for (group, counted) in groups {
        page.times("commit_duration_seconds", ("group", group), &counted.commit);
    }
}
