//! The logs of the pipeline, each against its real server.

mod kafka;
mod postgres;
