#![doc = include_str!("../README.md")]

mod declare;
pub mod definition;
pub mod event;
pub mod layer;
pub mod life;
pub mod record;
pub mod sample;
pub mod status;

pub use self::event::{catalogue, samples};
