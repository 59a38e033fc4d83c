//! The grammar of names, as `const` functions.

use super::tense::past_tense;
use crate::private::Message;

/// A path has a subject and a verb.
pub(crate) const PARTS_MIN: usize = 2;
/// The deepest hierarchy that was met has six; a wildcard search stays short.
pub(crate) const PARTS_MAX: usize = 8;
/// As long as a DNS label, more or less; a part is a word or a few.
pub(crate) const PART_BYTES_MAX: usize = 64;
/// It stands in an index, in each log line, and in a header of each webhook.
pub(crate) const BYTES_MAX: usize = 200;

/// What is wrong with a name or with a part of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// The name is longer than [`BYTES_MAX`].
    NameLength,
    /// The name has less than [`PARTS_MIN`] parts.
    TooFewParts,
    /// The name has more than [`PARTS_MAX`] parts.
    TooManyParts,
    /// The part is empty.
    Empty,
    /// The part is longer than [`PART_BYTES_MAX`].
    PartLength,
    /// The part does not begin with a letter.
    Start,
    /// The part has a character that is none of a-z, 0-9 and hyphen.
    Character,
    /// A hyphen stands at an end or beside another.
    Hyphen,
    /// The last part is not in the past tense.
    Tense,
}

impl Fault {
    /// Returns the fault in words that follow "the part".
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::NameLength => "has more than 200 bytes",
            Self::TooFewParts => "has one part, and a subject and a verb are two",
            Self::TooManyParts => "has more than 8 parts",
            Self::Empty => "is empty",
            Self::PartLength => "has more than 64 bytes",
            Self::Start => "does not begin with a lower-case letter",
            Self::Character => "has a character other than a-z, 0-9 and hyphen",
            Self::Hyphen => "has a hyphen at its end or beside another",
            Self::Tense => "is not a verb in the past tense",
        }
    }
}

/// Checks `name`, and returns its first fault with the number of the part that has it, from one.
///
/// The number is zero where the fault is the whole name's.
pub(super) const fn check(name: &str) -> Result<(), (Fault, usize)> {
    let name = name.as_bytes();
    if name.len() > BYTES_MAX {
        return Err((Fault::NameLength, 0));
    }
    let (mut start, mut part) = (0, 1);
    loop {
        let end = end_of_part(name, start);
        let is_last = end == name.len();
        let bytes = name.split_at(end).0.split_at(start).1;
        if let Some(fault) = part_fault(bytes) {
            return Err((fault, part));
        }
        if is_last && part < PARTS_MIN {
            return Err((Fault::TooFewParts, 0));
        }
        if is_last {
            return if past_tense(bytes) { Ok(()) } else { Err((Fault::Tense, part)) };
        }
        if part == PARTS_MAX {
            return Err((Fault::TooManyParts, 0));
        }
        (start, part) = (end + 1, part + 1);
    }
}

/// Returns the fault of one part, whose tense is not looked at.
pub(crate) const fn part_fault(part: &[u8]) -> Option<Fault> {
    let [first, ..] = part else { return Some(Fault::Empty) };
    if part.len() > PART_BYTES_MAX {
        return Some(Fault::PartLength);
    }
    let mut at = 0;
    while at < part.len() {
        if !matches!(part[at], b'a'..=b'z' | b'0'..=b'9' | b'-') {
            return Some(Fault::Character);
        }
        let is_end = at + 1 == part.len();
        if part[at] == b'-' && (is_end || part[at + 1] == b'-') {
            return Some(Fault::Hyphen);
        }
        at += 1;
    }
    if first.is_ascii_lowercase() { None } else { Some(Fault::Start) }
}

const fn end_of_part(name: &[u8], start: usize) -> usize {
    let mut end = start;
    while end < name.len() && name[end] != b':' {
        end += 1;
    }
    end
}

/// Says what is wrong with `name`, where, and how it is done right.
pub(super) const fn explain(name: &str, fault: Fault, part: usize) -> Message {
    let quoted = Message::new().with("`").with(name).with("` is not an event name: ");
    // A name without end has no place in a message.
    let mut message = if matches!(fault, Fault::NameLength) {
        Message::new().with("the event name ")
    } else {
        quoted
    };
    if part > 0 {
        message = message.with("part ").with_digit(part);
        let part = nth_part(name, part);
        if !part.is_empty() {
            message = message.with(", `").with(part).with("`,");
        }
        message = message.with(" ");
    } else if !matches!(fault, Fault::NameLength) {
        message = message.with("it ");
    }
    message = message.with(fault.words());
    match fault {
        Fault::Tense => {
            message.with("; say what has happened, as in `order:placed` or `job:started`")
        }
        _ => message.with("; write it like `project:job:failed`"),
    }
}

const fn nth_part(name: &str, part: usize) -> &str {
    let bytes = name.as_bytes();
    let (mut start, mut number) = (0, 1);
    while number < part {
        start = end_of_part(bytes, start) + 1;
        number += 1;
    }
    // Both ends are at a colon or at an end of the text, so the slice is text.
    match std::str::from_utf8(bytes.split_at(end_of_part(bytes, start)).0.split_at(start).1) {
        Ok(part) => part,
        Err(_) => "",
    }
}
