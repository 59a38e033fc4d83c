#![doc = include_str!("../README.md")]

pub mod condition;
pub mod enrich;
pub mod error;
pub mod log;
pub mod lookup;
pub mod path;
pub mod profile;
pub mod provenance;
pub mod reason;
pub mod record;
pub mod redact;
pub mod route;
pub mod session;
pub mod settings;
pub mod steps;
pub mod topic;
pub mod value;

pub use self::{
    error::{Error, Result},
    log::Log,
    profile::Profile,
    record::{Headers, Output, Record},
};
