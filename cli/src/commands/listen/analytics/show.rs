//! What is shown of a message, and of a request that was not taken.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Serialize;
use serde_json::value::RawValue;

use super::read::Message;
use crate::output::{json, sheet::Sheet, style::Tone, text};

/// What people see of a message, which may be long.
const SHOWN_MAX: usize = 20_000;

/// How much of an id a line has room for.
const ID_CHARS_MAX: usize = 24;

/// A message that has arrived.
#[derive(Debug, Serialize)]
pub(super) struct Recorded {
    pub(super) received_at: DateTime<Utc>,
    /// The number of its request, from one.
    pub(super) request: u64,
    pub(super) service: &'static str,
    pub(super) call: &'static str,
    pub(super) event: Option<String>,
    pub(super) user: Option<String>,
    pub(super) anonymous: Option<String>,
    pub(super) group: Option<String>,
    pub(super) message_id: Option<String>,
    pub(super) size_bytes: usize,
    /// How long ago it happened when it arrived.
    pub(super) age_ms: Option<i64>,
    /// How often it has arrived, this time included.
    pub(super) times: u64,
    /// Why the service does not keep it.
    pub(super) discarded: Option<String>,
    /// The key, as far as it is shown.
    pub(super) key: String,
    /// What the request was answered with; absent where the connection was closed.
    pub(super) status: Option<u16>,
    pub(super) message: Box<RawValue>,
}

/// A request that was not taken.
#[derive(Debug, Serialize)]
pub(super) struct Refused {
    pub(super) received_at: DateTime<Utc>,
    pub(super) request: u64,
    pub(super) service: Option<&'static str>,
    pub(super) target: String,
    pub(super) status: u16,
    /// Why.
    pub(super) reason: String,
}

/// When, by whom and as what a message has arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) at: DateTime<Utc>,
    pub(super) request: u64,
    pub(super) service: &'static str,
    pub(super) key: &'a str,
    pub(super) status: Option<u16>,
}

impl Recorded {
    /// Returns what is shown of a message that has arrived `times` times now.
    pub(super) fn new(message: Message, arrival: &Arrival<'_>, times: u64) -> Self {
        let age = message.occurred_at.map(|at| arrival.at - at);
        Self {
            received_at: arrival.at,
            request: arrival.request,
            service: arrival.service,
            call: message.call,
            event: message.event,
            user: message.user,
            anonymous: message.anonymous,
            group: message.group,
            message_id: message.id,
            size_bytes: message.size_bytes,
            age_ms: age.map(|age| age.num_milliseconds()),
            times,
            discarded: message.discarded,
            key: arrival.key.to_owned(),
            status: arrival.status,
            message: message.raw,
        }
    }

    /// Returns its line for people.
    pub(super) fn line(&self) -> String {
        let identity = [("user", &self.user), ("anonymous", &self.anonymous)];
        let identity = identity.into_iter().find_map(|(kind, id)| Some((kind, id.as_ref()?)));
        let identity = identity.map_or_else(
            || "nobody".to_owned(),
            |(kind, id)| format!("{kind} {}", text::cut(id, ID_CHARS_MAX)),
        );
        let mut parts = vec![format!(
            "{}  {:<7}  {:<8}  {:<24}  {identity}  {} B",
            clock(self.received_at),
            self.service,
            self.call,
            self.event.as_deref().unwrap_or("-"),
            self.size_bytes,
        )];
        parts.extend(self.age_ms.map(age));
        parts.extend((self.times > 1).then(|| format!("again ({})", self.times)));
        parts.extend(self.discarded.as_ref().map(|reason| format!("discarded: {reason}")));
        parts.extend(self.status.is_none().then(|| "connection closed".to_owned()));
        parts.join("  ")
    }

    /// Returns all of it for people.
    pub(super) fn sheet(&self) -> Sheet {
        let sheet = Sheet::new()
            .heading(self.line())
            .maybe("message id", self.message_id.as_ref())
            .maybe("user", self.user.as_ref())
            .maybe("anonymous", self.anonymous.as_ref())
            .maybe("group", self.group.as_ref())
            .field("key", &self.key);
        let sheet = match &self.discarded {
            Some(reason) => sheet.toned("discarded", reason, Tone::Bad),
            None => sheet,
        };
        sheet.block("Message", &text::cut(&json::indent(self.message.get()), SHOWN_MAX))
    }
}

impl Refused {
    /// Returns its line for people.
    pub(super) fn line(&self) -> String {
        format!(
            "{}  {:<7}  {} answered {}: {}",
            clock(self.received_at),
            self.service.unwrap_or("-"),
            self.target,
            self.status,
            self.reason
        )
    }
}

fn clock(at: DateTime<Utc>) -> String {
    let text = at.to_rfc3339_opts(SecondsFormat::Millis, true);
    text.split_once('T').map_or(text.clone(), |(_, time)| time.to_owned())
}

/// Says how long ago something happened; a sender whose clock is fast is from the future.
fn age(age_ms: i64) -> String {
    let seconds = TimeDelta::milliseconds(age_ms).as_seconds_f64();
    if seconds < 0.0 { format!("{:.1}s ahead", -seconds) } else { format!("{seconds:.1}s old") }
}
