//! The shop: an ordinary web application that keeps its orders in Postgres and tells others about them.
//!
//! What makes it an example stands in two files: [`event`] says what can happen, and [`http`] registers it in the
//! transaction that makes it so.

pub(crate) mod event;
pub(crate) mod http;
pub(crate) mod order;
mod page;
pub(crate) mod problem;
pub(crate) mod store;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use sqlx::PgPool;
use tidings::Layer;

/// What every handler needs.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    /// The database, with the shop's tables and the outbox.
    pub(crate) pool: PgPool,
    /// What events say about the shop.
    pub(crate) branch: Arc<Branch>,
}

/// One of the chain's shops: the outer layer of every event.
#[derive(Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "shop", id = id)]
pub(crate) struct Branch {
    pub(crate) id: String,
    pub(crate) name: String,
}
