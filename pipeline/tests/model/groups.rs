//! Members that take over from each other: the output of each input is written once.
//!
//! ```text
//! member ──adopt──▶ database        raises the term of the offset row, and reads where it stands
//! member ──commit─▶ database        carried out at once, late, or never; answered or not
//! ```
//!
//! Who holds a shard is not asked: a member that believes in its term adopts under it, however late.

use stateright::{Model, Property};

use crate::{assert_broken, assert_kept};

const ONCE: &str =
    "what lies behind the committed position has its output once, and nothing else has";
const HANDED_OVER: &str = "a later owner goes on from where it was left";
const ASKED_AGAIN: &str = "a commit that was not answered is known to have taken effect";
const FENCED: &str = "a member that was stopped for long is fenced";

/// Records of the one partition.
const INPUTS: usize = 2;
const MEMBERS: usize = 2;

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    /// A commit is carried out under any term.
    TermIgnored,
    /// A commit is not recognised when it is repeated.
    CommitsIgnored,
    /// The position is read first, and the term raised later.
    AdoptedInTwoSteps,
}

#[derive(Clone, Debug)]
struct Groups {
    /// How often a shard may change hands.
    takes: u8,
    /// How many commits may go unanswered.
    losses: u8,
    flaw: Option<Flaw>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct World {
    /// The term of the shard: grows with every owner.
    term: u8,
    row: Row,
    /// How often the output of each input has been written.
    outputs: [u8; INPUTS],
    members: [Member; MEMBERS],
    /// Commits on their way, in no order.
    requests: Vec<Request>,
    losses: u8,
    handed_over: bool,
    asked_again: bool,
    fenced: bool,
}

/// The row of the group's offset.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Row {
    term: u8,
    commits: u8,
    committed: u8,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Member {
    /// It holds nothing.
    Out,
    /// It holds the shard under this term, or believes so.
    Holds(u8),
    /// It has read the row and not raised its term: only where that takes two steps.
    HasRead(Row),
    Adopted(Row),
    /// It waits for what becomes of a commit.
    Waits(Request),
}

/// A commit: up to where, from where, and what it is matched by.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Request {
    member: usize,
    term: u8,
    commits: u8,
    from: u8,
    to: u8,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Take(usize),
    Adopt(usize),
    Raise(usize),
    Send(usize, u8),
    Answer(Request),
    LoseAnswer(Request),
    Repeat(usize),
}

/// What the database says of a commit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Said {
    Committed,
    Repeated,
    Fenced,
}

impl Groups {
    /// Carries a commit out, as `tidings.commit_log_v1` does.
    fn execute(&self, world: &mut World, request: Request) -> Said {
        let row = &mut world.row;
        if row.term != request.term && self.flaw != Some(Flaw::TermIgnored) {
            return Said::Fenced;
        }
        if row.term == request.term && self.flaw != Some(Flaw::CommitsIgnored) {
            if row.commits == request.commits + 1 {
                return Said::Repeated;
            } else if row.commits != request.commits {
                return Said::Fenced;
            }
        }
        row.commits += 1;
        row.committed = request.to;
        for input in request.from..request.to {
            world.outputs[usize::from(input)] += 1;
        }
        Said::Committed
    }

    /// What a member does that hears what became of its commit; it hears of its latest one only.
    fn hear(world: &mut World, request: Request, said: Said) {
        if world.members[request.member] != Member::Waits(request) {
            return;
        }
        world.asked_again |= said == Said::Repeated;
        world.fenced |= said == Said::Fenced;
        world.handed_over |= said == Said::Committed && request.from > 0 && request.term > 1;
        let Request { term, commits, to: committed, .. } = request;
        world.members[request.member] = match said {
            Said::Fenced => Member::Out,
            _ => Member::Adopted(Row { term, commits: commits + 1, committed }),
        };
    }
}

impl Model for Groups {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            term: 0,
            row: Row { term: 0, commits: 0, committed: 0 },
            outputs: [0; INPUTS],
            members: [Member::Out; MEMBERS],
            requests: Vec::new(),
            losses: self.losses,
            handed_over: false,
            asked_again: false,
            fenced: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (member, state) in world.members.iter().enumerate() {
            // A member that is believed dead is not asked; one that is, and comes back, begins with nothing.
            if world.term < self.takes {
                actions.push(Action::Take(member));
            }
            match state {
                Member::Holds(_) => actions.push(Action::Adopt(member)),
                Member::HasRead(_) => actions.push(Action::Raise(member)),
                Member::Adopted(row) => {
                    let ends = row.committed + 1..=u8::try_from(INPUTS).unwrap();
                    actions.extend(ends.map(|to| Action::Send(member, to)));
                }
                Member::Waits(request) if !world.requests.contains(request) => {
                    actions.push(Action::Repeat(member));
                }
                _ => {}
            }
        }
        for request in &world.requests {
            actions.push(Action::Answer(*request));
            if world.losses > 0 {
                actions.push(Action::LoseAnswer(*request));
            }
        }
        // Nobody waits for an answer that is late: it is asked again beside the first.
        if world.losses > 0 {
            let waiting = world.members.iter().enumerate();
            actions.extend(waiting.filter_map(|(member, state)| match state {
                Member::Waits(_) => Some(Action::Repeat(member)),
                _ => None,
            }));
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Take(member) => {
                next.term += 1;
                next.members[member] = Member::Holds(next.term);
            }
            Action::Adopt(member) => {
                let Member::Holds(term) = world.members[member] else { return None };
                if world.row.term > term {
                    next.members[member] = Member::Out;
                } else if self.flaw == Some(Flaw::AdoptedInTwoSteps) {
                    next.members[member] = Member::HasRead(Row { term, ..world.row });
                } else {
                    next.row.term = term;
                    next.members[member] = Member::Adopted(next.row);
                }
            }
            Action::Raise(member) => {
                let Member::HasRead(row) = world.members[member] else { return None };
                next.row.term = row.term;
                // It knows how many commits there are, and not where they have led to.
                next.members[member] = Member::Adopted(Row { commits: world.row.commits, ..row });
            }
            Action::Send(member, to) => {
                let Member::Adopted(Row { term, commits, committed: from }) = world.members[member]
                else {
                    return None;
                };
                let request = Request { member, term, commits, from, to };
                next.members[member] = Member::Waits(request);
                next.requests.push(request);
            }
            Action::Answer(request) | Action::LoseAnswer(request) => {
                let place = world.requests.iter().position(|other| *other == request)?;
                next.requests.remove(place);
                let said = self.execute(&mut next, request);
                if matches!(action, Action::Answer(_)) {
                    Self::hear(&mut next, request, said);
                } else {
                    next.losses -= 1;
                }
            }
            Action::Repeat(member) => {
                let Member::Waits(request) = world.members[member] else { return None };
                if world.requests.contains(&request) {
                    next.losses -= 1;
                }
                next.requests.push(request);
            }
        }
        next.requests.sort_unstable();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_, world: &World| {
                let behind = usize::from(world.row.committed);
                let outputs = world.outputs.iter().enumerate();
                outputs.into_iter().all(|(input, count)| *count == u8::from(input < behind))
            }),
            Property::sometimes(HANDED_OVER, |_, world: &World| world.handed_over),
            Property::sometimes(ASKED_AGAIN, |_, world: &World| world.asked_again),
            Property::sometimes(FENCED, |_, world: &World| world.fenced),
        ]
    }
}

#[test]
fn output_of_each_input_is_written_once_through_takeovers_and_lost_answers() {
    assert_kept(Groups { takes: 3, losses: 2, flaw: None });
}

#[test]
fn commit_under_any_term_is_caught() {
    assert_broken(ONCE, Groups { takes: 2, losses: 0, flaw: Some(Flaw::TermIgnored) });
}

#[test]
fn commit_that_is_not_recognised_when_repeated_is_caught() {
    assert_broken(ONCE, Groups { takes: 1, losses: 1, flaw: Some(Flaw::CommitsIgnored) });
}

#[test]
fn position_that_is_read_before_the_term_is_raised_is_caught() {
    assert_broken(ONCE, Groups { takes: 2, losses: 0, flaw: Some(Flaw::AdoptedInTwoSteps) });
}
