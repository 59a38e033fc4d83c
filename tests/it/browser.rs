//! The browser client in browsers: `web/` builds to what the relay serves, passes its own tests, and loses nothing
//! before a real relay.
//!
//! Needs Node 20.19 or later with npm, and Chromium; packages are installed under `target`, once for each lock file.

mod client;
mod live;
mod npm;
mod stage;
