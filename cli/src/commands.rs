//! The commands, one module each.

pub(crate) mod catalogue;
pub(crate) mod completions;
pub(crate) mod dead;
pub(crate) mod delivery;
pub(crate) mod doctor;
pub(crate) mod event;
pub(crate) mod explain_route;
pub(crate) mod key;
pub(crate) mod keys;
pub(crate) mod level;
pub(crate) mod listen;
pub(crate) mod man;
pub(crate) mod migrate;
pub(crate) mod pipeline;
pub(crate) mod relay;
pub(crate) mod replay;
pub(crate) mod report;
mod serve;
pub(crate) mod sink;
pub(crate) mod subject;
pub(crate) mod subscriber;
pub(crate) mod subscription;
pub(crate) mod telemetry;
pub(crate) mod template;
pub(crate) mod up;
pub(crate) mod worker;
