//! Load from another process, by `wrk`.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;
use uuid::Uuid;

use crate::fixture::Fixture;

/// What is sent, and how.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) url: String,
    pub(super) body: PathBuf,
    pub(super) connections: usize,
    pub(super) time: Duration,
    /// How many requests a second there are to be; as many as are answered where it is not given.
    pub(super) rate: Option<f64>,
}

/// What `wrk` says of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) per_second: f64,
    pub(super) p99_ms: f64,
    /// Answers other than 2xx and 3xx.
    pub(super) refused: u64,
}

/// Writes the script of `wrk`, and a body for it.
pub(super) fn prepare(fixture: &Fixture, name: &str, body: &str) -> Result<PathBuf> {
    ensure!(body.contains("@@"), "the body has no place for a number");
    std::fs::write(fixture.file("load.lua"), include_str!("load.lua"))?;
    let path = fixture.file(name);
    std::fs::write(&path, body)?;
    Ok(path)
}

impl Load {
    /// Sends it.
    pub(super) async fn send(&self, fixture: &Fixture) -> Result<Outcome> {
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let pause_ms = self.rate.map_or(0.0, |rate| self.connections as f64 / rate * 1000.0);
        let mut wrk = Command::new("wrk");
        wrk.args(["-t1", "--latency", "--timeout", "30s"])
            .arg(format!("-c{}", self.connections))
            .arg(format!("-d{}s", self.time.as_secs()))
            .arg("-s")
            .arg(fixture.file("load.lua"))
            .arg(&self.url)
            .arg("--")
            .arg(&self.body)
            .arg(Uuid::new_v4().to_string())
            .arg(pause_ms.to_string());
        let output = wrk.kill_on_drop(true).output().await;
        let output = output.context("run wrk: install it with `apt-get install wrk`")?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "wrk failed: {}", String::from_utf8_lossy(&output.stderr));
        let outcome = read(&text).with_context(|| format!("read what wrk says:\n{text}"))?;
        ensure!(!text.contains("Socket errors"), "connections broke: {text}");
        Ok(outcome)
    }
}

fn read(text: &str) -> Result<Outcome> {
    let after = |label: &str| {
        let line = text.lines().map(str::trim).find(|line| line.starts_with(label));
        line.and_then(|line| line.split_whitespace().last())
    };
    let per_second = after("Requests/sec:").context("no rate")?.parse()?;
    let p99_ms = milliseconds(after("99%").context("no p99")?)?;
    let refused = after("Non-2xx or 3xx responses:").map_or(Ok(0), str::parse)?;
    Ok(Outcome { per_second, p99_ms, refused })
}

fn milliseconds(text: &str) -> Result<f64> {
    for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("s", 1000.0), ("m", 60_000.0)] {
        if let Some(number) = text.strip_suffix(unit)
            && let Ok(number) = number.parse::<f64>()
        {
            return Ok(number * factor);
        }
    }
    bail!("{text:?} is no time")
}
