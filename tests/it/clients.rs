//! The clients of others, as they are: their own SDKs, in Node and in Chromium, before a relay that they do not know.
//!
//! Each sends through the same troubles: the database gone, the relay killed, an answer lost.
//! Needs Node 20 or later with npm, and Chromium; what `tests/clients/package-lock.json` locks is installed under
//! `target/languages`, once.

mod client;
mod posthog;
mod recorder;
mod segment;
mod stage;
mod sunbird;
