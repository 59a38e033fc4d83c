#![doc = include_str!("../README.md")]

mod anonymous;
mod bucket;
#[cfg(feature = "client")]
pub mod client;
mod count;
mod do_not_track;
mod extension;
mod hash;
mod hashed;
pub mod heartbeat;
mod level;
mod memory;
pub mod report;
mod value;
mod view;
pub mod wire;

pub use crate::{
    anonymous::Anonymous,
    bucket::{Bucket, Measured},
    count::{Count, Countable},
    do_not_track::do_not_track,
    extension::Extension,
    hash::{HashKey, HashKeyError, HashKeys},
    hashed::Hashed,
    level::{Level, ParseLevelError},
    memory::Memory,
    value::Value,
    view::TelemetryData,
};
