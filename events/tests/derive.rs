//! What the derives make of a struct, from outside the crate.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "derive/anonymous.rs"]
mod anonymous;
#[path = "derive/catalogue.rs"]
mod catalogue;
#[path = "derive/diff.rs"]
mod diff;
#[path = "derive/join.rs"]
mod join;
#[path = "derive/notification.rs"]
mod notification;
#[path = "derive/report.rs"]
mod report;
#[path = "derive/scope.rs"]
mod scope;
#[path = "derive/shop.rs"]
mod shop;
#[path = "derive/telemetry.rs"]
mod telemetry;

/// Each file in `ui` does not compile, and the `.stderr` beside it is what the compiler says.
#[test]
fn mistakes_are_answered_with_what_would_be_right() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
