#![doc = include_str!("../README.md")]

pub mod bundle;
pub mod check;
pub mod error;
pub mod failed;
pub mod identity;
pub mod log;
pub mod profile;
pub mod provenance;
pub mod reason;
pub mod record;
pub mod topic;
pub mod unbundle;
pub mod value;

pub use self::{
    bundle::Bundle,
    error::{Error, Result},
    failed::{Failed, Stage},
    log::Log,
    profile::Profile,
    record::{Headers, Output, Record},
};
