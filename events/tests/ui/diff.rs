//! Every field of a `Diff` says what is told of it, and what is sensitive has no way out.

use tidings::{Changes, Diff};

#[derive(PartialEq)]
struct Password(String);

#[derive(Diff)]
struct Unmarked {
    name: String,
}

#[derive(Diff)]
struct Unknown {
    #[diff(hidden)]
    name: String,
}

#[derive(Diff)]
struct InTwoWays {
    #[diff(value, sensitive)]
    name: String,
}

#[derive(Diff)]
struct MarkedTwice {
    #[diff(value)]
    #[diff(sensitive)]
    name: String,
}

#[derive(Diff)]
struct NamedForNothing {
    #[diff(skip, object = "name")]
    name: String,
}

#[derive(Diff)]
struct Tuple(String);

#[derive(Diff)]
struct ToldByMistake {
    #[diff(value)]
    password: Password,
}

#[derive(Diff)]
struct NoEntries {
    #[diff(entries)]
    password: Password,
}

fn by_hand(old: &Password, new: &Password) -> Option<Changes> {
    Changes::builder().value("password", old, new).build()
}

fn main() {}
