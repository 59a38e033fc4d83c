//! A server in a process of its own, which says in JSON where it listens.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use serde_json::{Deserializer, Value};

/// Killed when it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    /// Ends with a slash.
    pub(super) url: String,
}

impl Server {
    pub(super) fn start(program: &Path, arguments: &[impl AsRef<OsStr>]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).env("TIDINGS_LOG", "off").stdin(Stdio::null());
        let child = command.stdout(Stdio::piped()).spawn().with_context(|| {
            format!(
                "start {}: build it with `cargo build --release -p tidings-cli`",
                program.display()
            )
        })?;
        let mut server = Self { child, url: String::new() };
        let stdout = server.child.stdout.take().context("read its output")?;
        let mut values = Deserializer::from_reader(stdout).into_iter::<Value>();
        let started = values.next().context("it has ended")??;
        started["url"]
            .as_str()
            .context("it does not say where it listens")?
            .clone_into(&mut server.url);
        Ok(server)
    }

    /// Returns the most memory that it has had, in megabytes.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub(super) fn peak_mb(&self) -> Result<f64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path)
            .with_context(|| format!("read {path}: this row is measured on Linux"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).context("no VmHWM")?;
        Ok(kib.parse::<u64>()? as f64 / 1000.0 * 1.024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
