#![doc = include_str!("../README.md")]

mod analytics;
pub mod archive;
mod body;
pub mod channel;
mod credential;
mod door;
pub mod error;
mod front;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod gather;
mod identity;
mod incoming;
mod inflate;
mod intake;
mod json;
pub mod key;
mod kind;
mod limits;
mod metrics;
mod moment;
mod openapi;
mod operator;
mod posthog;
mod protocol;
mod quota;
mod raw;
mod raw_log;
mod refusal;
mod relay;
mod route;
mod schema;
mod script;
mod segment;
mod serve;
mod snapshot;
mod store;
mod telemetry;
mod telemetry_batch;
mod watch;

pub use self::{
    error::{Error, Result},
    front::Front,
    limits::Limits,
    openapi::openapi,
    relay::{Builder, Relay},
    serve::serve,
};
