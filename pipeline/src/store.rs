//! The queries of this crate, one function each.

pub(crate) mod plan;
