//! Sinks: where unique events go. Each is a group of its own on `telemetry.unique`.

pub mod files;
