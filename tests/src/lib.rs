//! The harness: real servers for tests, made in milliseconds, gone with the test process.
//!
//! * [`Server`] and [`Database`]: one Postgres per test binary, one database per test.
//! * [`Pooler`]: `PgBouncer` in transaction mode before a database.
//! * [`OpenSearch`](opensearch::OpenSearch): one node per test binary, and others with small limits.
//! * [`Receiver`]: a webhook endpoint that answers by a script and remembers everything.
//! * [`Kafka`](kafka::Kafka): a broker that can be killed and started again.
//! * [`Proxy`]: a cable to a server that can be cut at the worst moment.
//! * [`Toxiproxy`](toxiproxy::Toxiproxy): a network that is slow, narrow, chopped or half-open.
//! * [`s3`]: an object store, and a proxy before it that answers in its stead.
//! * [`Process`]: a program under test that can be killed, stopped and continued.
//! * [`signal`]: waiting for a condition instead of sleeping; [`clock`]: moving time instead of waiting for it.
//!
//! Everything panics with what it knows when a test cannot go on.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test that cannot go on should stop"
)]

#[cfg(doctest)]
mod book;
pub mod clock;
mod database;
pub mod kafka;
pub mod opensearch;
mod pooler;
mod process;
mod proxy;
pub mod receiver;
pub mod s3;
mod server;
pub mod signal;
mod temporary;
mod tool;
pub mod toxiproxy;
pub mod world;

pub use clock::advance;
pub use database::Database;
pub use pooler::{Pooler, find_pgbouncer};
pub use process::{Launch, Process};
pub use proxy::{Direction, Moment, Proxy};
pub use receiver::{Gate, Received, Receiver, Reply};
pub use server::{Kind, Server, search};
pub use signal::{Signal, eventually};
pub use temporary::Temporary;
pub use world::{Draft, SOON, World};
