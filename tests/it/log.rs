//! The logs of the pipeline, on their servers.

mod kafka;
