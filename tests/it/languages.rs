//! Other languages: their libraries verify what we sign, and their programs register what we deliver.
//!
//! Needs Python 3 with venv, Node 18 or later with npm, and Go 1.24 or later; what a program depends on is installed under
//! `target/languages`, once.

mod signatures;
mod sql;
pub(crate) mod toolchain;
