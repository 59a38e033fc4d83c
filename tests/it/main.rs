//! The journeys.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod atomicity;
mod binary;
mod crash;
mod delivery;
mod embedded;
mod faults;
mod floors;
mod guide;
mod manage;
mod orchest;
mod outbox;
mod ownership;
mod pooler;
mod reading;
mod retention;
mod routing;
