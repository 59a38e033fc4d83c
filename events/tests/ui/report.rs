//! What a report is made of has names that services take, counters that only grow, and traits that tell of nobody.

use tidings::{Statistics, Traits};

#[derive(Statistics)]
struct GoesDown {
    open_carts: i64,
}

#[derive(Statistics)]
struct Words {
    name: String,
}

#[derive(Traits)]
struct Owner {
    name: String,
}

#[derive(Statistics)]
struct Nameless(u64);

#[derive(Traits)]
enum OneOf {
    This,
    That,
}

#[derive(Statistics)]
struct Nothing {
    #[report(skip)]
    orders: u64,
}

#[derive(Statistics)]
struct Upper {
    #[report(name = "Orders")]
    orders: u64,
}

#[derive(Statistics)]
struct Twice {
    orders: u64,
    #[report(name = "orders")]
    other: u64,
}

#[derive(Statistics)]
struct Unknown {
    #[report(rename = "orders")]
    orders: u64,
}

#[derive(Traits)]
struct NamedForNothing {
    #[report(skip, name = "orders")]
    orders: u64,
}

#[derive(Statistics)]
struct Any<T> {
    orders: T,
}

fn main() {}
