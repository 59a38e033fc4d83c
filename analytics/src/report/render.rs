//! A report in the forms in which it leaves.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{EVENT_NAME, ROLLED_UP, Report, truncate::truncate, window::Window};
use crate::wire::{Call, Error, Message, Name, Properties};

/// The properties that a report has for itself.
pub(super) const RESERVED: [&str; 15] = [
    "_truncated",
    "application_name",
    "application_version",
    "boot_id",
    "cloud_provider",
    "cloud_provider_region",
    "collector_errors",
    "counter_reset",
    "environment_id",
    "event_source",
    "interval_seconds",
    "partial",
    "sequence",
    "window_end",
    "window_start",
];

/// The namespace of the ids of reports. It is fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x2f2d_00fb_1da4_426f_ac46_0acd_eec0_fc0e);

/// What traits may take, so that a report fits into the 32,000 bytes of Segment with the most statistics beside them:
/// 250 names of 64 characters and numbers of 20 digits take 22,000.
const TRAITS_BYTES_MAX: usize = 26_000;
const TRACK_BYTES_MAX: usize = 27_000;

/// How many failing collectors are named.
const ERRORS_MAX: usize = 20;

impl Report {
    /// Returns the calls of this report for Segment and for PostHog: `group`, and from the second report on `track`.
    ///
    /// A sink turns them into its own: at PostHog they are `$groupidentify` and an event of the group.
    ///
    /// # Errors
    ///
    /// The window lies outside of the years 1970 to 9999.
    pub fn messages(&self) -> Result<Vec<Message>, Error> {
        let mut messages = vec![self.group()?];
        messages.extend(self.track()?);
        Ok(messages)
    }

    /// Returns the call `group`: the traits as the latest state of the organization, nested by provider and region.
    ///
    /// # Errors
    ///
    /// The window lies outside of the years 1970 to 9999.
    pub fn group(&self) -> Result<Message, Error> {
        let environment = &self.environment;
        let mut traits = self.traits.clone();
        truncate(&mut traits, TRAITS_BYTES_MAX);
        let nested = json!({
            environment.cloud_provider(): {environment.cloud_provider_region(): traits}
        });
        self.message(Call::Group, Properties::try_from(nested)?)
    }

    /// Returns the call `track`, flat: what has happened in the window, and what there was at its end; none for the first
    /// report.
    ///
    /// # Errors
    ///
    /// The window lies outside of the years 1970 to 9999.
    pub fn track(&self) -> Result<Option<Message>, Error> {
        let Some(statistics) = &self.statistics else { return Ok(None) };
        let mut flat = self.frame();
        flat.insert("counter_reset".to_owned(), json!(statistics.counter_reset));
        for (name, value) in &statistics.values {
            flat.entry(name).or_insert_with(|| json!(value));
        }
        let taken = Json::Object(flat.clone()).to_string().len();
        let mut traits = self.traits.clone();
        truncate(&mut traits, TRACK_BYTES_MAX.saturating_sub(taken));
        for (name, value) in traits {
            flat.entry(name).or_insert(value);
        }
        self.message(Call::Track, Properties::from(flat)).map(Some)
    }

    /// Returns the body of a webhook: statistics and traits side by side, whole. It is sent from the second report on.
    pub fn webhook(&self) -> Json {
        let mut data = self.frame();
        data.insert("organization_id".to_owned(), json!(self.environment.organization()));
        let statistics = self.statistics.as_ref();
        let values = statistics.map(|statistics| &statistics.values);
        let counter_reset = statistics.is_some_and(|statistics| statistics.counter_reset);
        data.insert("statistics".to_owned(), json!(values));
        data.insert("counter_reset".to_owned(), json!(counter_reset));
        data.insert("traits".to_owned(), json!(self.traits));
        json!({
            "type": ROLLED_UP,
            "timestamp": time(self.window.end),
            "data": data,
        })
    }

    /// Returns everything that would leave, for a person to read.
    ///
    /// # Errors
    ///
    /// The window lies outside of the years 1970 to 9999.
    pub fn dry_run(&self) -> Result<String, Error> {
        let mut parts = Vec::new();
        for message in self.messages()? {
            let (call, name) = (message.call(), message.name());
            let properties = json!(message.properties());
            parts.push(format!("{call} \"{name}\" {}\n{properties:#}\n", message.id()));
        }
        if self.statistics.is_some() {
            parts.push(format!("webhook\n{:#}\n", self.webhook()));
        }
        Ok(parts.join("\n"))
    }

    /// Returns a hash of the traits: the same for as long as nothing has changed.
    pub fn traits_hash(&self) -> String {
        let environment = &self.environment;
        let place = [environment.cloud_provider(), environment.cloud_provider_region()];
        let text = json!([environment.organization(), place, self.traits]).to_string();
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(text))
    }

    /// Returns the id of a part of this report: the same whenever it is made from the same baseline.
    pub fn id(&self, call: Call) -> Uuid {
        // The number as well: where a clock was set back, windows of no length have the same beginning.
        let Window { start, sequence, .. } = self.window;
        let name = format!("{}:{call}:{}:{sequence}", self.environment.id(), time(start));
        Uuid::new_v5(&NAMESPACE, name.as_bytes())
    }

    /// Returns what stands in every `track` beside the statistics and the traits.
    fn frame(&self) -> Map<String, Json> {
        let mut flat = Map::new();
        for part in [json!(self.environment), json!(self.window)] {
            if let Json::Object(map) = part {
                flat.extend(map);
            }
        }
        // The user and the group of the call.
        flat.remove("organization_id");
        flat.insert("event_source".to_owned(), json!("environment"));
        for name in ["window_start", "window_end"] {
            let time = if name == "window_start" { self.window.start } else { self.window.end };
            flat.insert(name.to_owned(), json!(self::time(time)));
        }
        if !self.collector_errors.is_empty() {
            flat.insert("collector_errors".to_owned(), self.errors());
        }
        flat
    }

    fn errors(&self) -> Json {
        json!(self.collector_errors.get(..ERRORS_MAX).unwrap_or(&self.collector_errors))
    }

    fn message(&self, call: Call, properties: Properties) -> Result<Message, Error> {
        let (name, identity) = (Name::new(EVENT_NAME)?, self.environment.identity());
        let message = Message::new(self.id(call), call, name, identity, self.window.end)?;
        Ok(message.with_properties(properties).with_app(self.environment.app()))
    }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
