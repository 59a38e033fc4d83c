//! Where analytics arrive: `tidings listen --analytics`, a process of its own, and what it tells.

use std::{
    collections::{BTreeMap, HashSet},
    io::BufReader,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Deserializer;

/// A recorder that is running; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Recorder {
    child: Child,
    records: Arc<Mutex<Records>>,
    /// The command line tool, which it is one command of.
    pub(crate) program: PathBuf,
    pub(crate) url: String,
}

/// What one service has got.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorded {
    /// Each message counted once.
    pub(crate) messages: usize,
    pub(crate) repeated: usize,
    /// Messages that the service would not keep.
    pub(crate) discarded: usize,
    /// By event, each message counted once.
    pub(crate) events: BTreeMap<String, usize>,
}

/// What has arrived.
#[derive(Debug, Default)]
struct Records {
    known: HashSet<(String, String)>,
    services: BTreeMap<String, Recorded>,
    /// In the order in which they came, as people are told.
    lines: Vec<String>,
}

/// What the recorder says.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Message {
        service: String,
        message_id: Option<String>,
        call: String,
        event: Option<String>,
        discarded: Option<String>,
    },
    Listening {
        url: String,
    },
    /// A request that was not taken, and the summary.
    Other {},
}

impl Recorder {
    /// Starts the program `tidings`, which stands beside this one.
    ///
    /// # Errors
    ///
    /// It is not there, or does not say where it listens.
    pub(crate) fn start() -> Result<Self> {
        let program = tidings()?;
        let mut child = Command::new(&program)
            .args(["--json", "listen", "--analytics", "--port", "0"])
            .env("TIDINGS_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let stdout = child.stdout.take().context("read what the recorder says")?;
        let mut recorder = Self { child, records: Arc::default(), program, url: String::new() };
        let mut said = Deserializer::from_reader(BufReader::new(stdout)).into_iter();
        match said.next() {
            Some(Ok(Said::Listening { url })) => {
                url.trim_end_matches('/').clone_into(&mut recorder.url);
            }
            _ => bail!("the recorder does not say where it listens"),
        }
        let records = Arc::clone(&recorder.records);
        thread::spawn(move || listen(said, &records));
        Ok(recorder)
    }

    /// Returns what a service has got so far.
    pub(crate) fn of(&self, service: &str) -> Recorded {
        lock(&self.records).services.get(service).cloned().unwrap_or_default()
    }

    /// Returns what has come after the first `known` messages, as people are told.
    pub(crate) fn after(&self, known: usize) -> Vec<String> {
        lock(&self.records).lines.get(known..).unwrap_or_default().to_vec()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // It may have ended by itself, or with Ctrl-C as we have.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Records {
    fn take(&mut self, said: Said) {
        let Said::Message { service, message_id, call, event, discarded } = said else { return };
        let name = event.unwrap_or(call);
        let fresh = message_id.is_none_or(|id| self.known.insert((service.clone(), id)));
        self.lines.push(format!("{service:<12}{name}"));
        let recorded = self.services.entry(service).or_default();
        recorded.discarded += usize::from(discarded.is_some());
        if fresh {
            recorded.messages += 1;
            *recorded.events.entry(name).or_default() += 1;
        } else {
            recorded.repeated += 1;
        }
    }
}

type Sayings =
    serde_json::StreamDeserializer<'static, serde_json::de::IoRead<BufReader<ChildStdout>>, Said>;

/// Takes everything down until the recorder ends.
fn listen(said: Sayings, records: &Mutex<Records>) {
    for said in said.map_while(Result::ok) {
        lock(records).take(said);
    }
}

fn lock(records: &Mutex<Records>) -> MutexGuard<'_, Records> {
    records.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns where the command line tool is.
fn tidings() -> Result<PathBuf> {
    let us = std::env::current_exe().context("look where this program is")?;
    let tidings = us.with_file_name("tidings");
    if !tidings.is_file() {
        bail!(
            "{} is missing; `make demo` builds it, or `cargo build -p tidings-cli`",
            tidings.display()
        );
    }
    Ok(tidings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Said {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn message_that_comes_again_is_counted_once_for_each_service() {
        let mut records = Records::default();
        let message = |service: &str, id: &str| {
            said(&format!(
                r#"{{"service": "{service}", "message_id": "{id}", "call": "track", "event": "shop:basket:filled",
                    "discarded": null, "request": 1, "message": {{}}}}"#
            ))
        };
        for (service, id) in
            [("segment", "a"), ("segment", "a"), ("posthog", "a"), ("segment", "b")]
        {
            records.take(message(service, id));
        }
        records.take(said(r#"{"received_at": "now", "request": 2, "service": "segment", "status": 400, "reason": "x"}"#));
        let segment = &records.services["segment"];
        assert_eq!((segment.messages, segment.repeated), (2, 1));
        assert_eq!(segment.events["shop:basket:filled"], 2);
        assert_eq!(records.services["posthog"].messages, 1);
        assert_eq!(records.lines.len(), 4);
    }
}
