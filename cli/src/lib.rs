#![doc = include_str!("../README.md")]

mod run;
mod arguments;
mod commands;
mod connection;
mod context;
mod schema;
pub mod keys;
pub mod postgres;
mod output;
mod exit;
mod failure;
mod logging;
mod telemetry;
mod signals;
mod environment;
mod duration;
mod moment;
#[cfg(test)]
mod settings;

pub use self::run::main;
