//! Erasure in an index: documents are deleted by what they say, until none is found.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Sink, options::Storage, sender::Sender};
use crate::{Error, Result, erase::Subjects};

/// How many documents one request deletes: a part of what a request may take.
const DOCUMENTS: u32 = 2_000;

/// How often it is tried where nothing could be deleted of what is found.
const TRIES: u32 = 10;

/// The pause before such a try.
const PAUSE: Duration = Duration::from_secs(1);

/// Indices that are gone, or not there yet, have nothing.
const LENIENT: &str = "ignore_unavailable=true&allow_no_indices=true";

impl Sink {
    /// Deletes the documents of these; returns how many. `progress` is told how many so far.
    ///
    /// # Errors
    ///
    /// The engine does not answer, or refuses; what was deleted is.
    pub async fn erase(
        &self,
        subjects: &Subjects,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<u64> {
        let sender = &*self.sender;
        let says = |reason| Error::Engine { sink: sender.options.name.clone(), reason };
        let query = json!({"query": query(subjects)});
        let (mut erased, mut vain) = (0, 0);
        // What was stored a moment ago is not found before that.
        sender.ask("_refresh", LENIENT, None).await.map_err(says)?;
        loop {
            let options = format!(
                "{LENIENT}&conflicts=proceed&refresh=true&max_docs={DOCUMENTS}&wait_for_completion=true"
            );
            let said =
                sender.ask("_delete_by_query", &options, Some(&query)).await.map_err(says)?;
            let deleted = said["deleted"].as_u64().unwrap_or_default();
            erased += deleted;
            progress(erased);
            let left = sender.ask("_count", LENIENT, Some(&query)).await.map_err(says)?;
            let left =
                left["count"].as_u64().ok_or_else(|| says("it does not count".to_owned()))?;
            if left == 0 {
                return Ok(erased);
            }
            vain = if deleted == 0 { vain + 1 } else { 0 };
            if vain >= TRIES {
                let failure = &said["failures"][0]["cause"]["type"];
                let reason = failure.as_str().unwrap_or("no reason given");
                return Err(says(format!("{left} documents cannot be deleted: {reason}")));
            }
            if vain > 0 {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

impl Sender {
    /// Asks for something of all indices.
    async fn ask(&self, what: &str, options: &str, body: Option<&Value>) -> Result<Value, String> {
        let stem = self.options.stem();
        let indices = match self.options.storage {
            Storage::Daily => format!("{stem}-*"),
            Storage::DataStream => stem,
        };
        let mut url = self.url(&[&indices, what]);
        url.set_query(Some(options));
        self.call_url(Method::POST, url, body).await
    }
}

/// Returns what finds the documents of these.
fn query(subjects: &Subjects) -> Value {
    let Subjects { actors, devices, hashes } = subjects;
    let actors: Vec<_> = actors.iter().chain(hashes).collect();
    let devices: Vec<_> = devices.iter().chain(hashes).collect();
    json!({"bool": {"minimum_should_match": 1, "should": [
        {"terms": {"actor.id": actors}},
        {"terms": {"context.did": devices}},
        // Without a device an event is of its actor.
        {"bool": {
            "filter": [{"terms": {"actor.id": devices}}],
            "must_not": [{"exists": {"field": "context.did"}}],
        }},
    ]}})
}
