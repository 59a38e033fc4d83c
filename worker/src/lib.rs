#![doc = include_str!("../README.md")]

pub mod worker;
pub mod error;
pub mod ladder;
pub mod log;
pub mod maintenance;
pub mod telemetry;
pub mod webhook;
mod bound;
mod bucket;
mod flight;
mod lane;
mod listener;
mod pump;
mod roster;
mod scanner;
mod session;
mod settlement;
mod store;
mod system;

pub use tidings_ownership::Session;

pub use self::{
    error::{Error, Result},
    ladder::Ladder,
    log::AttemptLog,
    maintenance::Retention,
    telemetry::Counts,
    webhook::Webhook,
    worker::{Builder, Running, Worker},
};
