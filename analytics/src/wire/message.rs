//! One call: what is said about whom, and when it happened.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    call::Call,
    error::Error,
    identity::Identity,
    properties::Properties,
    text::{Id, Name},
    time,
};

/// One call that a service takes, whichever it is.
///
/// What a service would refuse or lose cannot be made, apart from what is too large; that is told by encoding it.
/// As JSON it can be stored, and it is checked when it is read.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Message {
    id: Uuid,
    call: Call,
    name: Name,
    identity: Identity,
    occurred_at: DateTime<Utc>,
    properties: Properties,
    integrations: BTreeMap<String, bool>,
    app: Option<App>,
}

/// The application that a message comes from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct App {
    /// What it is called.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A message as it is stored.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    id: Uuid,
    call: Call,
    name: String,
    identity: Identity,
    occurred_at: DateTime<Utc>,
    properties: Properties,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    integrations: BTreeMap<String, bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    app: Option<App>,
}

impl Message {
    /// Returns the call for the event `id`, named `name`, that happened at `occurred_at`.
    ///
    /// Calls that take no name on the wire (`identify`, `group`, `alias`) go without it.
    ///
    /// # Errors
    ///
    /// The identity has nobody; a `group` call has no group; an `alias` call lacks the user or another previous id;
    /// or the time lies outside of the years 1970 to 9999.
    pub fn new(
        id: Uuid,
        call: Call,
        name: Name,
        identity: Identity,
        occurred_at: DateTime<Utc>,
    ) -> Result<Self, Error> {
        if identity.distinct_id().is_none() {
            return Err(Error::Nobody);
        }
        if call == Call::Group && identity.group.is_none() {
            return Err(Error::NoGroup);
        }
        let Identity { user, previous, .. } = &identity;
        if call == Call::Alias && (user.is_none() || previous.is_none() || user == previous) {
            return Err(Error::Alias);
        }
        if !time::is_fit(occurred_at) {
            return Err(Error::Time);
        }
        Ok(Self {
            id,
            call,
            name,
            identity,
            occurred_at,
            properties: Properties::new(),
            integrations: BTreeMap::new(),
            app: None,
        })
    }

    /// Returns the message with these properties; for `identify` and `group` they are the traits.
    #[must_use]
    pub fn with_properties(mut self, properties: Properties) -> Self {
        self.properties = properties;
        self
    }

    /// Returns the message with a switch for a destination behind Segment; `All` stands for those without one.
    #[must_use]
    pub fn with_integration(mut self, destination: impl Into<String>, on: bool) -> Self {
        self.integrations.insert(destination.into(), on);
        self
    }

    /// Returns the message as one of the application `app`.
    #[must_use]
    pub fn with_app(mut self, app: App) -> Self {
        self.app = Some(app);
        self
    }

    /// Returns the id of the event.
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// Returns the call.
    pub const fn call(&self) -> Call {
        self.call
    }

    /// Returns the name of the event.
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Returns who it is about.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns when it happened.
    pub const fn occurred_at(&self) -> DateTime<Utc> {
        self.occurred_at
    }

    /// Returns the properties, or the traits.
    pub const fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Returns the switches of the destinations behind Segment.
    pub const fn integrations(&self) -> &BTreeMap<String, bool> {
        &self.integrations
    }

    /// Returns the application that it comes from.
    pub const fn app(&self) -> Option<&App> {
        self.app.as_ref()
    }

    /// Returns the one id of who it is about; [`Message::new`] made sure that there is one.
    pub(super) fn distinct_id(&self) -> &str {
        self.identity.distinct_id().map_or("", Id::as_str)
    }
}

impl TryFrom<Stored> for Message {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self, Error> {
        let Stored { id, call, name, identity, occurred_at, properties, integrations, app } =
            stored;
        let message = Self::new(id, call, Name::new(name)?, identity, occurred_at)?;
        Ok(Self { properties, integrations, app, ..message })
    }
}

impl From<Message> for Stored {
    fn from(message: Message) -> Self {
        let Message { id, call, name, identity, occurred_at, properties, integrations, app } =
            message;
        let name = name.as_str().to_owned();
        Self { id, call, name, identity, occurred_at, properties, integrations, app }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(text: &str) -> Id {
        Id::new(text).unwrap()
    }

    fn built(call: Call, identity: Identity) -> Result<Message, Error> {
        let name = Name::new("order:placed").unwrap();
        Message::new(Uuid::from_u128(1), call, name, identity, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn call_that_lacks_whom_it_is_about_is_refused() {
        let user = || Identity::user(id("ada"));
        let previous = |text| Identity { previous: Some(id(text)), ..user() };
        for call in Call::ALL {
            assert_eq!(built(call, Identity::default()), Err(Error::Nobody), "{call}");
        }
        assert_eq!(built(Call::Group, user()), Err(Error::NoGroup));
        assert!(built(Call::Group, user().in_group(id("acme"))).is_ok());
        assert_eq!(built(Call::Alias, user()), Err(Error::Alias));
        assert_eq!(built(Call::Alias, previous("ada")), Err(Error::Alias));
        let device = Identity { previous: Some(id("d1")), ..Identity::anonymous(id("d2")) };
        assert_eq!(built(Call::Alias, device), Err(Error::Alias));
        assert!(built(Call::Alias, previous("d1")).is_ok());
    }

    #[test]
    fn message_is_read_as_it_is_stored_and_checked_again() {
        let app = App { name: "shop".to_owned(), version: "1.2.0".to_owned() };
        let message = built(Call::Group, Identity::user(id("ada")).in_group(id("acme")))
            .unwrap()
            .with_properties(json!({"n": 1}).try_into().unwrap())
            .with_integration("All", true)
            .with_app(app);
        let mut stored = serde_json::to_value(&message).unwrap();
        assert_eq!(serde_json::from_value::<Message>(stored.clone()).unwrap(), message);

        stored["identity"] = json!({"user": "ada"});
        let error = serde_json::from_value::<Message>(stored).unwrap_err();
        assert_eq!(error.to_string(), Error::NoGroup.to_string());
    }

    #[test]
    fn time_without_four_digits_of_a_year_is_refused() {
        let name = || Name::new("order:placed").unwrap();
        for time in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            let identity = Identity::user(id("ada"));
            let message = Message::new(Uuid::from_u128(1), Call::Track, name(), identity, time);
            assert_eq!(message, Err(Error::Time));
        }
    }
}
