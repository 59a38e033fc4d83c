#![doc = include_str!("../README.md")]

pub mod error;
pub mod log;
pub mod profile;
pub mod provenance;
pub mod reason;
pub mod record;
pub mod sink;
mod telemetry;
pub mod topic;
pub mod value;

pub use self::{
    error::{Error, Result},
    log::Log,
    profile::Profile,
    record::{Headers, Output, Record},
};
