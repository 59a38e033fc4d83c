//! PostHog's protocols: `/batch/`, which answers for a request as a whole, and `/i/v1/analytics/events`, which answers for
//! each event.
//!
//! Both correct the times of events by when the request was sent, and both recognise an event that comes again by its
//! id *and its time*. So no time of sending is told where it can be left out, and the correction is declined elsewhere.

mod answer;

use http::HeaderValue;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::{
    call::Call,
    error::Error,
    key::Key,
    message::{App, Message},
    request::{Attempt, LIBRARY, LIBRARY_AND_VERSION, Request, VERSION},
    text::Id,
    time,
};

pub(super) use answer::{Answer, read};

/// The longest id that PostHog takes, in characters.
const DISTINCT_ID_CHARS_MAX: usize = 200;

/// Which of PostHog's two protocols is spoken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Protocol {
    /// `/batch/`, which every PostHog has: one bad event refuses the request.
    #[default]
    V0,
    /// `/i/v1/analytics/events`, which newer ones have: a verdict for each event.
    V1,
}

/// How PostHog is spoken to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PostHog {
    /// Which protocol.
    pub protocol: Protocol,
    /// What kind of group the group of an identity is: one of the project's up to five group types.
    pub group_type: String,
    /// Whether the events are old ones that are imported, which PostHog handles apart from the live ones.
    pub historical_migration: bool,
}

impl Default for PostHog {
    fn default() -> Self {
        Self {
            protocol: Protocol::V0,
            group_type: "company".to_owned(),
            historical_migration: false,
        }
    }
}

/// One event as PostHog has it.
#[derive(Serialize)]
struct Item<'a> {
    uuid: Uuid,
    event: &'a str,
    distinct_id: &'a str,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Options>,
    properties: Merged<'a>,
}

/// Told beside the properties in the newer protocol.
#[derive(Serialize)]
struct Options {
    disable_skew_correction: bool,
    process_person_profile: bool,
}

/// The properties of the message, and those that are PostHog's own, which win.
struct Merged<'a> {
    theirs: Option<&'a Map<String, Json>>,
    ours: Vec<(&'static str, Field<'a>)>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Field<'a> {
    Json(Json),
    Map(&'a Map<String, Json>),
}

impl PostHog {
    /// Checks the name of the group type.
    pub(super) fn check(&self) -> Result<(), Error> {
        let is_fit = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        let is_named = (1..=64).contains(&self.group_type.len());
        if is_named && self.group_type.bytes().all(is_fit) { Ok(()) } else { Err(Error::GroupType) }
    }

    /// Returns where batches go.
    pub(super) const fn path(&self) -> &'static str {
        match self.protocol {
            Protocol::V0 => "/batch/",
            Protocol::V1 => "/i/v1/analytics/events",
        }
    }

    /// Returns the bytes of one event.
    pub(super) fn item(&self, message: &Message, uuid: Uuid) -> Result<Vec<u8>, Error> {
        let call = message.call();
        let group = self.group_id(message);
        // PostHog refuses these calls where the person is not processed, and they mean nothing otherwise.
        let is_about_someone = matches!(call, Call::Identify | Call::Group | Call::Alias);
        let process_person_profile = is_about_someone || message.identity().user.is_some();
        let has_properties = matches!(call, Call::Track | Call::Page | Call::Screen);
        let mut ours = self.of_call(message);
        self.of_sender(message, process_person_profile, &mut ours);
        let v1 = self.protocol == Protocol::V1;
        super::json(&Item {
            uuid,
            event: match call {
                Call::Track => message.name().as_str(),
                Call::Identify => "$identify",
                Call::Group => "$groupidentify",
                Call::Page => "$pageview",
                Call::Screen => "$screen",
                Call::Alias => "$create_alias",
            },
            distinct_id: group.as_deref().unwrap_or_else(|| message.distinct_id()),
            timestamp: time::text(message.occurred_at()),
            options: v1
                .then_some(Options { disable_skew_correction: true, process_person_profile }),
            properties: Merged {
                theirs: has_properties.then(|| message.properties().as_map()),
                ours,
            },
        })
    }

    /// Returns the id that stands for a group where an id of a person is asked for, in a call `group`.
    fn group_id(&self, message: &Message) -> Option<String> {
        let key = message.identity().group.as_ref().filter(|_| message.call() == Call::Group)?;
        let id = format!("${}_{key}", self.group_type);
        if id.chars().count() <= DISTINCT_ID_CHARS_MAX {
            return Some(id);
        }
        let short = Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_str().as_bytes());
        Some(format!("${}_{short}", self.group_type))
    }

    /// Returns the properties that make up the call.
    fn of_call<'a>(&self, message: &'a Message) -> Vec<(&'static str, Field<'a>)> {
        let (identity, map) = (message.identity(), message.properties().as_map());
        let text = |id: &Option<Id>| Field::Json(Json::from(id.as_ref().map(Id::as_str)));
        let name = || Field::Json(Json::from(message.name().as_str()));
        match message.call() {
            Call::Track => Vec::new(),
            Call::Identify => {
                let mut fields = vec![("$set", Field::Map(map))];
                if identity.user.is_some() && identity.anonymous.is_some() {
                    fields.push(("$anon_distinct_id", text(&identity.anonymous)));
                }
                fields
            }
            Call::Group => vec![
                ("$group_type", Field::Json(Json::from(self.group_type.as_str()))),
                ("$group_key", text(&identity.group)),
                ("$group_set", Field::Map(map)),
            ],
            Call::Page if map.contains_key("name") => Vec::new(),
            Call::Page => vec![("name", name())],
            Call::Screen => vec![("$screen_name", name())],
            Call::Alias => {
                vec![("distinct_id", text(&identity.user)), ("alias", text(&identity.previous))]
            }
        }
    }

    /// Adds the properties that say who sends, and what PostHog is not to find out about them.
    fn of_sender<'a>(
        &self,
        message: &'a Message,
        process_person_profile: bool,
        ours: &mut Vec<(&'static str, Field<'a>)>,
    ) {
        let mut add = |name, json| ours.push((name, Field::Json(json)));
        if self.protocol == Protocol::V0 {
            add("$lib", json!(LIBRARY));
            add("$lib_version", json!(VERSION));
            if !process_person_profile {
                add("$process_person_profile", json!(false));
            }
        }
        add("$is_server", json!(true));
        add("$geoip_disable", json!(true));
        add("$ip", json!("0.0.0.0"));
        if let Some(App { name, version }) = message.app() {
            add("$app_name", json!(name));
            add("$app_version", json!(version));
        }
        let group = message.identity().group.as_ref().filter(|_| message.call() != Call::Group);
        if let Some(key) = group {
            add("$groups", json!({self.group_type.as_str(): key.as_str()}));
        }
    }

    /// Returns what stands before and after the events of a body; it is as long for every attempt.
    pub(super) fn envelope(&self, key: &Key, attempt: &Attempt) -> (String, String) {
        let before = match (self.protocol, self.historical_migration) {
            (Protocol::V0, historical) => {
                let key = Json::from(key.expose());
                format!(r#"{{"api_key":{key},"historical_migration":{historical},"batch":["#)
            }
            (Protocol::V1, historical) => {
                let created_at = time::text(attempt.created_at);
                let historical = if historical { r#""historical_migration":true,"# } else { "" };
                format!(r#"{{"created_at":"{created_at}",{historical}"batch":["#)
            }
        };
        (before, "]}".to_owned())
    }

    /// Returns the request with what the protocol adds.
    pub(super) fn complete(
        &self,
        request: Request,
        authorization: &HeaderValue,
        attempt: &Attempt,
    ) -> Request {
        if self.protocol == Protocol::V0 {
            return request;
        }
        let mut request = request
            .with_header("posthog-sdk-info", LIBRARY_AND_VERSION)
            .with_header("posthog-attempt", &attempt.number.to_string())
            .with_header("posthog-request-id", &attempt.request_id.to_string())
            .with_header("posthog-request-timestamp", &time::text(attempt.sent_at));
        request.headers.insert(http::header::AUTHORIZATION, authorization.clone());
        request
    }
}

impl Serialize for Merged<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.theirs.into_iter().flatten() {
            if !self.ours.iter().any(|(ours, _)| ours == key) {
                map.serialize_entry(key, value)?;
            }
        }
        for (key, value) in &self.ours {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}
