#![doc = include_str!("../README.md")]

mod arguments;
mod commands;
mod connection;
mod context;
mod duration;
mod environment;
mod exit;
mod failure;
mod hash_keys;
pub mod keys;
mod logging;
mod moment;
mod output;
pub mod postgres;
mod run;
mod schema;
#[cfg(test)]
mod settings;
mod signals;
mod telemetry;
mod telemetry_log;

pub use self::run::main;
