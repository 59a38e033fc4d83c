//! Who a message is about.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{error::Error, text::Id};

/// Who a message is about, and what they have agreed to.
///
/// It is stored with the event as the member `analytics` of its headers: `{"user": …, "anonymous": …, "group": …,
/// "previous": …, "consent": {"Analytics": true}}`, each of them optional.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Who they are, a keyed hash by rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Id>,
    /// Who they were before anybody knew: the id of a device or a browser, hashed as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<Id>,
    /// The organization that they belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Id>,
    /// The id that `user` takes the place of, in a call `alias`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Id>,
    /// Which categories of use were agreed to. Absent means that nobody was asked; empty means no to all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<BTreeMap<String, bool>>,
}

impl Identity {
    /// Returns the identity of a known user.
    pub fn user(id: Id) -> Self {
        Self { user: Some(id), ..Self::default() }
    }

    /// Returns the identity of a device or a browser of which nobody knows whose it is.
    pub fn anonymous(id: Id) -> Self {
        Self { anonymous: Some(id), ..Self::default() }
    }

    /// Returns the identity of the installation, which is who acts where no person does.
    ///
    /// # Errors
    ///
    /// It is the nil UUID, which PostHog refuses.
    pub fn installation(id: Uuid) -> Result<Self, Error> {
        Ok(Self::user(Id::new(id.to_string())?))
    }

    /// Returns the identity with `installation` as the user, if it has neither a user nor an anonymous id.
    ///
    /// # Errors
    ///
    /// It falls back on the nil UUID.
    pub fn or_installation(mut self, installation: Uuid) -> Result<Self, Error> {
        if self.user.is_none() && self.anonymous.is_none() {
            self.user = Self::installation(installation)?.user;
        }
        Ok(self)
    }

    /// Returns the identity as a member of `group`.
    #[must_use]
    pub fn in_group(mut self, group: Id) -> Self {
        self.group = Some(group);
        self
    }

    /// Returns the one id by which services that know only one tell people apart: the user, or else the anonymous id.
    pub fn distinct_id(&self) -> Option<&Id> {
        self.user.as_ref().or(self.anonymous.as_ref())
    }

    /// Returns a category of `needed` that was not agreed to; who was not asked has not refused.
    pub fn refused<'a>(&self, needed: &'a BTreeSet<String>) -> Option<&'a str> {
        let given = self.consent.as_ref()?;
        let refused = |category: &&String| given.get(*category) != Some(&true);
        needed.iter().find(refused).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn identity_is_read_as_it_is_stored() {
        let stored = json!({
            "user": "k:1", "anonymous": "k:2", "group": "k:3", "previous": "k:4",
            "consent": {"Analytics": true, "Advertising": false},
        });
        let identity: Identity = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(serde_json::to_value(&identity).unwrap(), stored);
        assert_eq!(serde_json::from_value::<Identity>(json!({})).unwrap(), Identity::default());
        assert_eq!(serde_json::to_value(Identity::default()).unwrap(), json!({}));
        assert!(serde_json::from_value::<Identity>(json!({"user": ""})).is_err());
        assert!(serde_json::from_value::<Identity>(json!({"usr": "k:1"})).is_err());
    }

    #[test]
    fn who_was_asked_has_refused_what_they_have_not_agreed_to() {
        let needed = ["Analytics", "Research"].map(str::to_owned).into();
        let given = |consent: &[(&str, bool)]| {
            let consent = consent.iter().map(|(category, yes)| ((*category).to_owned(), *yes));
            let identity = Identity { consent: Some(consent.collect()), ..Identity::default() };
            identity.refused(&needed)
        };
        assert_eq!(Identity::default().refused(&needed), None);
        assert_eq!(given(&[("Analytics", true), ("Research", true)]), None);
        assert_eq!(given(&[("Analytics", true), ("Research", false)]), Some("Research"));
        assert_eq!(given(&[]), Some("Analytics"));
    }

    #[test]
    fn installation_stands_in_where_no_person_is_known() {
        let installation = Uuid::from_u128(7);
        let nobody = Identity::default().or_installation(installation).unwrap();
        assert_eq!(nobody.distinct_id().unwrap().as_str(), installation.to_string());

        let device = Identity::anonymous(Id::new("k:2").unwrap());
        assert_eq!(device.clone().or_installation(installation).unwrap(), device);
        assert!(Identity::default().or_installation(Uuid::nil()).is_err());
    }
}
