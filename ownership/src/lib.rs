#![doc = include_str!("../README.md")]

pub mod error;
pub mod holder;
pub mod rule;
pub mod shard;
mod store;

pub use error::{Error, Result, is_of_shared_session};
pub use holder::{BEGIN_POOLED, Held, Holder, Options, Session};
pub use shard::{Holdings, ShardId, ShardState};
