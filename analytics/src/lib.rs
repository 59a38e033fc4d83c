#![doc = include_str!("../README.md")]

mod anonymous;
mod bucket;
mod count;
mod extension;
mod hash;
mod hashed;
mod level;
mod value;
mod view;
pub mod wire;

pub use crate::{
    anonymous::Anonymous,
    bucket::{Bucket, Measured},
    count::{Count, Countable},
    extension::Extension,
    hash::{HashKey, HashKeyError, HashKeys},
    hashed::Hashed,
    level::{Level, ParseLevelError},
    value::Value,
    view::TelemetryData,
};
