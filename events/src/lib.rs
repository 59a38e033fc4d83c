#![doc = include_str!("../README.md")]

pub mod error;
pub mod name;
pub mod pattern;
pub mod scope;
pub mod layer;
pub mod event;
pub mod catalogue;
pub mod options;
pub mod register;
pub mod trace;
pub mod wake;
pub mod address;
pub mod endpoint;
pub mod secret;
pub mod subscriber;
pub mod subscription;
pub mod delivery;
pub mod deliverer;
pub mod conformance;
pub mod dead;
pub mod log;
pub mod testing;
mod store;
#[doc(hidden)]
pub mod private;

pub use tidings_analytics as analytics;
pub use tidings_analytics::{Anonymous, Level, TelemetryData};
pub use tidings_derive::{Anonymous, Event, Layer};

pub use self::{
    catalogue::Catalogue,
    deliverer::{Answer, Deliverer, Destination, Verdict},
    error::{Error, Result},
    event::Event,
    layer::Layer,
    options::Options,
    register::{Registered, commit, register_event, register_event_with, register_events},
    scope::Scope,
};
