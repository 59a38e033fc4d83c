#![doc = include_str!("../README.md")]

pub mod archive;
pub mod bundle;
pub mod check;
pub mod dedup;
pub mod error;
pub mod failed;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod hop;
pub mod identity;
pub mod inspect;
pub mod ledger;
pub mod log;
mod pipeline;
pub mod profile;
pub mod provenance;
pub mod reason;
pub mod record;
pub mod steps;
mod store;
mod telemetry;
pub mod topic;
pub mod unbundle;
pub mod value;

pub use self::{
    bundle::Bundle,
    error::{Error, Result},
    failed::{Failed, Stage},
    log::Log,
    pipeline::{Builder, Running},
    profile::Profile,
    record::{Headers, Output, Record},
};
