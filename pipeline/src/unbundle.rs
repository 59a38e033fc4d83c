//! The first hop: a batch is checked, taken apart, and put together again by device.
//!
//! Nothing is written anew: events are slices of the batch, and an array that is of one device is passed on as it is.
//! What cannot be read is kept with its reason, and the rest goes on.

mod envelope;

use std::{borrow::Cow, collections::HashMap};

use bytes::Bytes;
use serde_json::value::RawValue;

use self::envelope::{Envelope, Listing};
use crate::{
    Bundle, Failed, Stage,
    identity::{self, Scratch, Unreadable},
    profile::Profile,
    provenance::{Format, Provenance},
    reason::Reason,
    record::Record,
};

/// How many events a batch may have.
///
/// The relay takes 2,500 at most; whoever writes to the topic by other ways must not fill the memory.
pub const EVENTS_MAX: usize = 20_000;

/// A batch, taken apart.
#[derive(Debug)]
pub struct Unbundled<'a> {
    /// Where it comes from.
    pub provenance: Provenance,
    /// Its events by device, in the order in which the devices appear.
    pub bundles: Vec<Bundle<'a>>,
    /// What cannot go on: one item each, or the whole batch.
    pub failed: Vec<Failed>,
    /// How many items it has; a batch that failed as a whole is one.
    pub events: usize,
}

/// Takes a raw record apart.
///
/// Each of its events is in a bundle or failed, in [`Unbundled::events`] once; or the whole of it failed.
#[must_use]
pub fn unbundle(raw: &Record) -> Unbundled<'_> {
    let mut provenance = Provenance::of_raw(raw);
    match read(raw, &mut provenance) {
        Ok(list) => take_apart(raw, provenance, &list),
        Err(reason) => {
            let failed = vec![Failed::batch(provenance.clone(), reason, raw.value.clone())];
            Unbundled { provenance, bundles: Vec::new(), failed, events: 1 }
        }
    }
}

/// Reads the batch, notes its device, and returns what is in it.
fn read<'a>(raw: &'a Record, provenance: &mut Provenance) -> Result<Vec<&'a RawValue>, Reason> {
    let text = std::str::from_utf8(&raw.value).map_err(|error| {
        let message = format!("write the batch in UTF-8; byte {} is none", error.valid_up_to());
        Reason::new("$", "not_utf8", message)
    })?;
    let envelope = Envelope::read(text, provenance.format).map_err(|error| {
        Reason::new("$", "malformed_json", format!("write the batch as a JSON object: {error}"))
    })?;
    if matches!(provenance.profile, Profile::Strict30 | Profile::Strict31)
        && provenance.format == Format::Sunbird
    {
        envelope.check()?;
    }
    provenance.batch_ets = envelope.sent_at();
    if provenance.did.is_none() {
        provenance.did = envelope.did.map(Cow::into_owned);
    }
    let name = envelope::list_name(provenance.format);
    let path = format!("$.{name}");
    match envelope.list {
        Some(Listing::List(list)) if list.is_empty() => {
            Err(Reason::new(path, "no_events", format!("put events into `{name}`")))
        }
        Some(Listing::List(list)) => Ok(list),
        Some(Listing::TooMany) => {
            let message = format!("send at most {EVENTS_MAX} events in a batch");
            Err(Reason::new(path, "too_many_events", message))
        }
        Some(Listing::Other) => {
            Err(Reason::new(path, "wrong_type", format!("write `{name}` as an array of events")))
        }
        None => Err(Reason::new(path, "missing", format!("put the events into `{name}`"))),
    }
}

fn take_apart<'a>(raw: &'a Record, provenance: Provenance, list: &[&'a RawValue]) -> Unbundled<'a> {
    let mut scratch = Scratch::default();
    let mut failed = Vec::new();
    let mut bundles: Vec<Bundle<'a>> = Vec::new();
    let mut places: HashMap<Cow<'a, str>, usize> = HashMap::new();
    for (index, event) in (0..).zip(list) {
        let device = match whose(event, &mut scratch) {
            Ok(device) => device,
            Err(reason) => {
                let bytes = raw.value.slice_ref(event.get().as_bytes());
                let (provenance, reasons) = (provenance.clone(), vec![reason]);
                failed.push(Failed::event(provenance, Stage::Unbundle, index, reasons, bytes));
                continue;
            }
        };
        // Most batches are of one device, and nothing is looked up for them.
        let place = match bundles.last() {
            Some(last) if last.device == device => bundles.len() - 1,
            Some(_) => *places.entry(device.clone()).or_insert(bundles.len()),
            None => *places.entry(device.clone()).or_default(),
        };
        if place == bundles.len() {
            let (indexes, events) = (Vec::new(), Vec::new());
            bundles.push(Bundle { device, indexes, events, array: None });
        }
        bundles[place].indexes.push(index);
        bundles[place].events.push(event);
    }
    if let [only] = bundles.as_mut_slice()
        && only.events.len() == list.len()
    {
        only.array = array(&raw.value, list);
    }
    Unbundled { provenance, bundles, failed, events: list.len() }
}

/// Returns the device of an event.
fn whose<'a>(event: &'a RawValue, scratch: &mut Scratch) -> Result<Cow<'a, str>, Reason> {
    if !event.get().starts_with('{') {
        return Err(Reason::new("$", "not_an_object", "write an event as a JSON object"));
    }
    identity::device_of_text(event, scratch).map_err(|Unreadable(error)| {
        Reason::new("$", "malformed_json", format!("write the event as JSON: {error}"))
    })
}

/// Returns the array that these items are in, as it stands in the batch.
fn array(batch: &Bytes, list: &[&RawValue]) -> Option<Bytes> {
    let place = |text: &str| text.as_ptr().addr() - batch.as_ptr().addr();
    let (first, last) = (list.first()?.get(), list.last()?.get());
    // There is nothing but space between the items at the ends and the brackets.
    let before = batch[..place(first)].iter().rposition(|byte| *byte == b'[')?;
    let end = place(last) + last.len();
    let after = batch[end..].iter().position(|byte| *byte == b']')?;
    Some(batch.slice(before..=end + after))
}

#[cfg(test)]
mod tests;
