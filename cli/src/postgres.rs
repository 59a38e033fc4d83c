//! The embedded Postgres: a server of our own, as a child process with its data in one folder.
//!
//! `DATABASE_URL` comes first ([`locate`]); where it is not set, the binaries of an installed PostgreSQL are found
//! ([`Search`]) and run ([`Embedded`]).
//! The server listens on loopback only, under a random password that is kept beside the data, and neither a crash nor
//! `kill -9` of this process leaves it behind ([`guard`]).
//! Nothing here prints or reads the environment: it comes in as an argument.
//!
//! ```text
//! .tidings/
//!   lock               the process that uses the folder; its pid stands inside
//!   postgres/          the data, kept between runs
//!   postgres.lock      held by every process of the server, so that a new start waits for an old end
//!   postgres.log       what the server said since its last start; the run before that is postgres.log.old
//!   postgres.password  of the one role; mode 0600
//!   postgres.port      the port of the last run, taken again if it is free
//! ```
//!
//! # Why TCP and not a socket
//!
//! A socket's path may have about a hundred bytes, which a project deep in a home folder exceeds, and a process that
//! runs as root while the server does not would need a folder that both may enter and nobody else.
//! A loopback port with a random password has neither limit, gives a URL that every client understands, and keeps other
//! users of the machine out.

mod data;
mod embedded;
mod folder;
pub mod guard;
mod launch;
mod options;
mod runner;
mod search;

#[cfg(feature = "embedded-download")]
mod download;

pub use embedded::{Embedded, Ending};
pub use launch::free_port;
pub use options::{Auth, Options};
pub use search::{Binaries, Family, Location, Search, Version, locate};
