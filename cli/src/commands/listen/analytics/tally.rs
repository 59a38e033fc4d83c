//! How much has arrived, and what of it more than once.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tidings::analytics::wire::Vendor;

use super::read::Message;
use crate::output::sheet::Sheet;

/// How many repeated ids people are shown; programs read all.
const SHOWN_MAX: usize = 10;

/// What has arrived.
#[derive(Debug, Default)]
pub(super) struct Tally {
    requests: u64,
    refused: u64,
    messages: u64,
    discarded: u64,
    unnamed: u64,
    /// How often each message has arrived. Ids of two services do not meet.
    times: BTreeMap<(&'static str, String), u64>,
    events: BTreeMap<String, u64>,
    keys: BTreeSet<String>,
}

/// What all that has arrived comes to.
#[derive(Debug, Eq, PartialEq, Serialize)]
pub(super) struct Summary {
    pub(super) requests: u64,
    /// Requests that were not taken.
    pub(super) refused: u64,
    pub(super) messages: u64,
    /// Different message ids.
    pub(super) distinct: u64,
    /// Messages without an id, which nobody recognises.
    pub(super) without_id: u64,
    /// Messages that the service would not keep.
    pub(super) discarded: u64,
    /// Messages by event, or by call where it has no name.
    pub(super) events: BTreeMap<String, u64>,
    /// The keys of those who have sent, as far as they are shown.
    pub(super) keys: BTreeSet<String>,
    /// Messages that have arrived more than once.
    pub(super) repeated: Vec<Repeated>,
}

/// A message that has arrived more than once.
#[derive(Debug, Eq, PartialEq, Serialize)]
pub(super) struct Repeated {
    pub(super) service: &'static str,
    pub(super) message_id: String,
    pub(super) times: u64,
}

impl Tally {
    /// Counts a request, and returns its number, from one.
    pub(super) const fn request(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    /// Counts a request that was not taken.
    pub(super) const fn refuse(&mut self) {
        self.refused += 1;
    }

    /// Notes the key of a request that was taken.
    pub(super) fn key(&mut self, key: &str) {
        self.keys.insert(key.to_owned());
    }

    /// Counts a message, and returns how often it has arrived, itself included.
    pub(super) fn message(&mut self, vendor: Vendor, message: &Message) -> u64 {
        self.messages += 1;
        self.discarded += u64::from(message.discarded.is_some());
        let name = message.event.clone().unwrap_or_else(|| message.call.to_owned());
        *self.events.entry(name).or_default() += 1;
        let Some(id) = &message.id else {
            self.unnamed += 1;
            return 1;
        };
        let times = self.times.entry((vendor.as_str(), id.clone())).or_default();
        *times += 1;
        *times
    }

    /// Returns what it comes to.
    pub(super) fn summary(&self) -> Summary {
        let repeated = self.times.iter().filter(|(_, times)| **times > 1);
        let repeated = repeated.map(|((service, message_id), times)| Repeated {
            service,
            message_id: message_id.clone(),
            times: *times,
        });
        Summary {
            requests: self.requests,
            refused: self.refused,
            messages: self.messages,
            distinct: self.times.len() as u64,
            without_id: self.unnamed,
            discarded: self.discarded,
            events: self.events.clone(),
            keys: self.keys.clone(),
            repeated: repeated.collect(),
        }
    }
}

impl Summary {
    /// Says whether a service would have kept everything.
    pub(super) const fn is_whole(&self) -> bool {
        self.refused == 0 && self.discarded == 0
    }

    /// Returns the sheet for people.
    pub(super) fn sheet(&self) -> Sheet {
        let some = |count: u64| (count > 0).then_some(count);
        let sheet = Sheet::new()
            .heading("Recorded")
            .field("requests", self.requests.to_string())
            .maybe("refused", some(self.refused))
            .field("messages", self.messages.to_string())
            .field("distinct", self.distinct.to_string())
            .maybe("without id", some(self.without_id))
            .maybe("discarded", some(self.discarded));
        let keys = self.keys.iter().map(String::as_str).collect::<Vec<_>>().join("  ");
        let sheet = if keys.is_empty() { sheet } else { sheet.field("keys", keys) };
        let sheet = if self.repeated.is_empty() {
            sheet.field("repeated", "nothing")
        } else {
            sheet.field("repeated", format!("{} messages", self.repeated.len()))
        };
        let events = self.events.iter().map(|(name, count)| format!("{count:>6}  {name}"));
        let events = events.collect::<Vec<_>>().join("\n");
        let sheet = if events.is_empty() { sheet } else { sheet.block("Events", &events) };
        if self.repeated.is_empty() {
            return sheet;
        }
        let mut lines: Vec<_> = self.repeated.iter().take(SHOWN_MAX).map(Repeated::line).collect();
        if let Some(more) = self.repeated.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            lines.push(format!("and {more} more"));
        }
        sheet.block("Repeated", &lines.join("\n"))
    }
}

impl Repeated {
    fn line(&self) -> String {
        format!("{:>6}  {} {}", self.times, self.service, self.message_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: Option<&str>) -> Message {
        Message { call: "track", id: id.map(str::to_owned), ..Message::default() }
    }

    #[test]
    fn message_that_comes_again_is_counted_and_not_distinct() {
        let mut tally = Tally::default();
        assert_eq!(tally.request(), 1);
        let mut times = |vendor, id| tally.message(vendor, &message(id));
        assert_eq!(times(Vendor::Segment, Some("a")), 1);
        assert_eq!(times(Vendor::Segment, Some("a")), 2);
        assert_eq!(times(Vendor::PostHog, Some("a")), 1, "another service has ids of its own");
        assert_eq!((times(Vendor::Segment, None), times(Vendor::Segment, None)), (1, 1));
        let summary = tally.summary();
        assert_eq!((summary.messages, summary.distinct, summary.without_id), (5, 2, 2));
        let repeated = Repeated { service: "segment", message_id: "a".to_owned(), times: 2 };
        assert_eq!(summary.repeated, [repeated]);
        assert!(summary.is_whole());
        tally.refuse();
        assert!(!tally.summary().is_whole());
    }
}
