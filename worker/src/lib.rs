#![doc = include_str!("../README.md")]

pub mod analytics;
mod bound;
mod bucket;
pub mod chat;
pub mod error;
mod flight;
pub mod health;
pub mod ladder;
mod lane;
mod listener;
pub mod log;
pub mod maintenance;
mod pump;
pub mod report;
mod roster;
mod scanner;
mod session;
mod settlement;
mod store;
mod system;
pub mod telemetry;
pub mod webhook;
pub mod worker;

pub use tidings_ownership::Session;

pub use self::{
    chat::Chat,
    error::{Error, Result},
    ladder::Ladder,
    log::AttemptLog,
    maintenance::Retention,
    report::Reporter,
    telemetry::Counts,
    webhook::Webhook,
    worker::{Builder, Running, Worker},
};
