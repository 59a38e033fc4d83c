#![doc = include_str!("../README.md")]

pub mod dedup;
pub mod error;
mod hop;
pub mod ledger;
pub mod log;
pub mod profile;
pub mod provenance;
pub mod reason;
pub mod record;
mod store;
mod telemetry;
pub mod topic;
pub mod value;

pub use self::{
    error::{Error, Result},
    log::Log,
    profile::Profile,
    record::{Headers, Output, Record},
};
