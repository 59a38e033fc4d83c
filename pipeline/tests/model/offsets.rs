//! Offsets in the order of commits: a reader that goes on from an offset misses nothing.
//!
//! ```text
//! writer   idle ──lock, take an offset──▶ writing ──commit or roll back, unlock──▶ done
//! reader   reads what is committed from its offset on, and goes on behind the last record
//! ```

use stateright::{Model, Property};

use crate::{assert_broken, assert_kept};

const NOTHING_MISSED: &str = "everything below the reader's offset has been read";
const NO_OFFSET_TWICE: &str = "no two records have one offset";
const ALL_READ: &str = "everything is read";
const ROLLED_BACK: &str = "a writer has rolled back, and another one has its offset";

/// As many writers as there are, one record each.
const WRITERS: usize = 4;

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    /// Offsets come from a sequence: they are handed out at once, and stay so after a rollback.
    Sequence,
    /// The lock is given up when the offset is handed out.
    UnlockedEarly,
}

#[derive(Clone, Debug)]
struct Offsets {
    flaw: Option<Flaw>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Writer {
    Idle,
    /// It has an offset, and its record is not visible.
    Writing(u8),
    Committed(u8),
    RolledBack(u8),
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct World {
    writers: [Writer; WRITERS],
    /// Who holds the row of the partition.
    locked_by: Option<u8>,
    /// As the row says it.
    next_offset: u8,
    reader: u8,
    /// Which writers' records have been read.
    read: [bool; WRITERS],
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Take(usize),
    Commit(usize),
    RollBack(usize),
    Read,
}

impl World {
    fn committed(&self) -> impl Iterator<Item = (usize, u8)> {
        self.writers.iter().enumerate().filter_map(|(writer, state)| match state {
            Writer::Committed(offset) => Some((writer, *offset)),
            _ => None,
        })
    }
}

impl Model for Offsets {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let (writers, read) = ([Writer::Idle; WRITERS], [false; WRITERS]);
        vec![World { writers, locked_by: None, next_offset: 0, reader: 0, read }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (writer, state) in world.writers.iter().enumerate() {
            match state {
                Writer::Idle if world.locked_by.is_none() => actions.push(Action::Take(writer)),
                Writer::Writing(_) => {
                    actions.extend([Action::Commit(writer), Action::RollBack(writer)]);
                }
                _ => {}
            }
        }
        actions.push(Action::Read);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Take(writer) => {
                next.writers[writer] = Writer::Writing(world.next_offset);
                // In the lock the new value is seen by nobody else; a sequence shows it at once.
                match self.flaw {
                    None => next.locked_by = Some(u8::try_from(writer).unwrap()),
                    Some(Flaw::Sequence) => next.next_offset += 1,
                    Some(Flaw::UnlockedEarly) => {}
                }
            }
            Action::Commit(writer) => {
                let Writer::Writing(offset) = world.writers[writer] else { return None };
                next.writers[writer] = Writer::Committed(offset);
                next.locked_by = None;
                next.next_offset = world.next_offset.max(offset + 1);
            }
            Action::RollBack(writer) => {
                let Writer::Writing(offset) = world.writers[writer] else { return None };
                next.writers[writer] = Writer::RolledBack(offset);
                next.locked_by = None;
            }
            Action::Read => {
                for (writer, offset) in world.committed() {
                    if offset >= world.reader {
                        next.read[writer] = true;
                        next.reader = next.reader.max(offset + 1);
                    }
                }
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NOTHING_MISSED, |_, world: &World| {
                world
                    .committed()
                    .all(|(writer, offset)| offset >= world.reader || world.read[writer])
            }),
            Property::always(NO_OFFSET_TWICE, |_, world: &World| {
                let mut seen = [false; WRITERS];
                world
                    .committed()
                    .all(|(_, offset)| !std::mem::replace(&mut seen[usize::from(offset)], true))
            }),
            Property::sometimes(ALL_READ, |_, world: &World| world.read == [true; WRITERS]),
            Property::sometimes(ROLLED_BACK, |_, world: &World| {
                world.writers.iter().any(|state| match state {
                    Writer::RolledBack(offset) => {
                        world.committed().any(|(_, other)| other == *offset)
                    }
                    _ => false,
                })
            }),
        ]
    }
}

#[test]
fn reader_misses_nothing_where_offsets_are_handed_out_under_a_lock() {
    assert_kept(Offsets { flaw: None });
}

#[test]
fn offsets_of_a_sequence_are_caught() {
    assert_broken(NOTHING_MISSED, Offsets { flaw: Some(Flaw::Sequence) });
}

#[test]
fn lock_that_is_given_up_before_the_commit_is_caught() {
    assert_broken(NO_OFFSET_TWICE, Offsets { flaw: Some(Flaw::UnlockedEarly) });
}
