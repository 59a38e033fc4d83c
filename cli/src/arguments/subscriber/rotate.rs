//! What `subscriber rotate` and `keys` understand.

use std::{ops::RangeInclusive, time::Duration};

use clap::{Args, Subcommand};
use tidings::subscriber::OVERLAP_MAX;

use super::Named;
use crate::duration;

const OVERLAP: RangeInclusive<Duration> = Duration::ZERO..=OVERLAP_MAX;

/// Whose key is replaced, and by what.
#[derive(Args, Debug)]
pub(crate) struct Rotate {
    #[command(flatten)]
    pub(crate) subscriber: Named,

    #[command(flatten)]
    pub(crate) overlap: Overlap,

    /// The new secret, `whsec_…`, in place of a fresh one; `-` reads it from standard input
    #[arg(long, value_name = "SECRET", conflicts_with = "key_pair")]
    pub(crate) secret: Option<String>,

    /// Replace the key pair, which signs by v1a, and not the secret; the first one makes v1a begin
    #[arg(long)]
    pub(crate) key_pair: bool,
}

/// What a subscriber asks for.
#[derive(Args, Debug)]
pub(crate) struct SetCredentials {
    #[command(flatten)]
    pub(crate) subscriber: Named,

    #[command(flatten)]
    pub(crate) given: Given,
}

/// Credentials, of one kind.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Given {
    /// A bearer token, or the key of a sink; `-` reads it from standard input
    #[arg(long, value_name = "TOKEN")]
    pub(crate) bearer: Option<String>,

    /// A name and a password with a colon between; `-` reads them from standard input
    #[arg(long, value_name = "NAME:PASSWORD")]
    pub(crate) basic: Option<String>,

    /// None any more
    #[arg(long)]
    pub(crate) none: bool,
}

/// How long old keys sign.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Overlap {
    /// How long the old ones go on signing beside the new one, at most 30d; 0s ends them at once
    #[arg(long, default_value = "1d", value_name = "DURATION", value_parser = duration::within(OVERLAP))]
    pub(crate) overlap: Duration,
}

/// What `keys` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make the key pair of the installation, or replace it
    ///
    /// It signs by v1a for every subscriber that asks for that and has no key pair of its own.
    Rotate(Overlap),
    /// Print the public keys of the installation, as a JSON Web Key Set
    ///
    /// Serve it under /.well-known/jwks.json, and receivers find every key in time.
    Jwks,
}
