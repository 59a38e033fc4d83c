//! The journeys.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod archive;
mod atomicity;
mod binary;
mod book;
mod browser;
mod clients;
mod crash;
mod delivery;
mod embedded;
mod export;
mod faults;
mod files;
mod floors;
mod guide;
mod kafka;
mod languages;
mod log;
mod manage;
mod operate;
mod orchest;
mod outbox;
mod ownership;
mod pipeline;
mod pooler;
mod reading;
mod receiving;
mod relay;
mod report;
mod retention;
mod routing;
mod search;
mod sinks;
mod table;
