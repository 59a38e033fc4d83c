//! How an embedded server is run.

use std::{path::PathBuf, time::Duration};

/// How an embedded server is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder that holds everything, `.tidings` by default; made if it is missing.
    pub folder: PathBuf,
    /// Settings of the server as `(name, value)`; they win over `postgresql.conf`.
    pub settings: Vec<(String, String)>,
    /// Whether commits wait for the disk. `false` is for throw-away data: a crash of the machine destroys it.
    pub fsync: bool,
    /// How a client proves who it is. Decided when the data are made; later changes have no effect.
    pub auth: Auth,
    /// Whether the guard deletes the folder when this process ends without having stopped the server.
    pub removed_with_process: bool,
    /// How long the server may take until it accepts connections, recovery after a crash included.
    pub start_timeout: Duration,
    /// How long an orderly stop may take before the server is stopped at once.
    pub stop_timeout: Duration,
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Auth {
    /// The password never crosses the wire.
    Scram,
    /// The password crosses the wire, which is the loopback device. For tests: an unoptimised client computes for a tenth
    /// of a second to prove itself the other way.
    Password,
}

impl Options {
    /// Returns what suits data that matter: everything is flushed to disk, and a stop may take half a minute.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let settings = [
            // An eighth of what a small machine has; the default of 128 MB is for a Raspberry Pi.
            ("shared_buffers", "256MB"),
            // Fewer checkpoints under load: the queue rewrites its few pages all the time.
            ("max_wal_size", "2GB"),
            // Halves the full-page images, for a little computing.
            ("wal_compression", "on"),
            // Disks that seek are gone from the machines that run this.
            ("random_page_cost", "1.1"),
            // Short statements with pessimistic estimates: compiling them costs more than running them.
            ("jit", "off"),
        ];
        Self {
            folder: folder.into(),
            settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            fsync: true,
            auth: Auth::Scram,
            removed_with_process: false,
            start_timeout: Duration::from_mins(2),
            stop_timeout: Duration::from_secs(30),
        }
    }

    /// Sets one setting of the server, over an earlier value of the same name.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}
