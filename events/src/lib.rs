#![doc = include_str!("../README.md")]

pub mod address;
pub mod catalogue;
pub mod change;
pub mod conformance;
pub mod dead;
pub mod deliverer;
pub mod delivery;
pub mod doctor;
pub mod endpoint;
pub mod error;
pub mod event;
pub mod filter;
pub mod format;
pub mod layer;
pub mod log;
pub mod name;
pub mod options;
pub mod pattern;
pub mod privacy;
#[doc(hidden)]
pub mod private;
pub mod register;
pub mod replay;
pub mod scope;
pub mod secret;
mod store;
pub mod subscriber;
pub mod subscription;
pub mod testing;
pub mod trace;
pub mod wake;

pub use tidings_analytics as analytics;
pub use tidings_analytics::{
    Anonymous, Level, TelemetryData,
    report::{Statistics, Traits},
};
pub use tidings_derive::{Anonymous, Diff, Event, Layer, Statistics, Traits};

pub use self::{
    catalogue::Catalogue,
    change::{Changes, Diff},
    deliverer::{Answer, Deliverer, Destination, Verdict},
    error::{Error, Result},
    event::Event,
    layer::Layer,
    options::Options,
    register::{Registered, commit, register_event, register_event_with, register_events},
    scope::Scope,
};
