//! What is shown of a request.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::verdict::Verdict;
use crate::output::{json, sheet::Sheet, style::Tone, text};

/// What people see of a body, which may be long.
const SHOWN_MAX: usize = 20_000;

/// A request that has arrived, and what it was answered with.
#[derive(Debug, Serialize)]
pub(super) struct Received {
    /// Its number, from one.
    pub(super) number: u64,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: BTreeMap<String, String>,
    /// Whether it verified; absent where there is no key here.
    pub(super) verified: Option<bool>,
    /// The fingerprint of the key that has signed it.
    pub(super) key: Option<String>,
    /// Why it did not verify.
    pub(super) refused: Option<String>,
    /// What it was answered with; absent where the connection was closed.
    pub(super) status: Option<u16>,
    /// The body as JSON, if it is.
    pub(super) body: Option<Box<RawValue>>,
    /// The body as text, if it is no JSON.
    pub(super) text: Option<String>,
}

impl Received {
    /// Takes over what verifying came to.
    pub(super) fn judged(mut self, verdict: Verdict) -> Self {
        self.verified = verdict.verified();
        match verdict {
            Verdict::Unchecked => {}
            Verdict::Verified(key) => self.key = Some(key),
            Verdict::Refused(why) => self.refused = Some(why),
        }
        self
    }

    /// Takes over the body, as what it is.
    pub(super) fn with_body(mut self, body: &[u8]) -> Self {
        match serde_json::from_slice(body) {
            Ok(json) => self.body = Some(json),
            Err(_) => self.text = Some(String::from_utf8_lossy(body).into_owned()),
        }
        self
    }

    /// Returns the sheet for people.
    pub(super) fn sheet(&self) -> Sheet {
        let (verified, tone) = match (self.verified, &self.key, &self.refused) {
            (Some(true), Some(key), _) => (format!("yes, by the key {key}"), Tone::Good),
            (Some(false), _, Some(why)) => (format!("no: {why}"), Tone::Bad),
            _ => ("not tried: there is no --secret".to_owned(), Tone::Warning),
        };
        let answer = match self.status {
            None => ("connection closed".to_owned(), Tone::Warning),
            Some(status @ 200..=299) => (status.to_string(), Tone::Good),
            Some(status) => (status.to_string(), Tone::Warning),
        };
        let header = |name: &str| self.headers.get(name);
        let sheet = Sheet::new()
            .heading(format!("{} {} {}", self.number, self.method, self.target))
            .toned("verified", verified, tone)
            .maybe("webhook-id", header("webhook-id"))
            .maybe("webhook-timestamp", header("webhook-timestamp"));
        // What explains a refusal is shown with it.
        let sheet = match self.refused {
            None => sheet,
            Some(_) => sheet.maybe("webhook-signature", header("webhook-signature")),
        };
        let sheet = sheet.toned("answered", answer.0, answer.1);
        match (&self.body, &self.text) {
            (Some(body), _) => {
                sheet.block("Body", &text::cut(&json::indent(body.get()), SHOWN_MAX))
            }
            (None, Some(body)) if !body.is_empty() => {
                sheet.block("Body", &text::cut(body, SHOWN_MAX))
            }
            _ => sheet.field("body", "empty"),
        }
    }
}
