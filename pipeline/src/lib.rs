#![doc = include_str!("../README.md")]

pub mod archive;
pub mod bundle;
pub mod check;
pub mod condition;
pub mod dedup;
pub mod deliver;
pub mod enrich;
pub mod erase;
pub mod error;
pub mod failed;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod gate;
mod hop;
pub mod identity;
pub mod inspect;
pub mod lag;
pub mod ledger;
pub mod level;
pub mod log;
pub mod lookup;
pub mod metrics;
pub mod path;
mod pipeline;
pub mod profile;
pub mod provenance;
pub mod reason;
pub mod record;
pub mod redact;
pub mod route;
pub mod session;
pub mod settings;
pub mod sink;
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
