//! What a report is about: one installation of one organization, somewhere.

use serde::Serialize;
use uuid::Uuid;

use super::error::Error;
use crate::wire::{App, Id, Identity};

/// What a report is about.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Environment {
    #[serde(rename = "environment_id")]
    id: Uuid,
    #[serde(rename = "organization_id")]
    organization: Id,
    cloud_provider: String,
    cloud_provider_region: String,
    application_name: String,
    application_version: String,
}

impl Environment {
    /// Returns the environment `id` of `organization`, of an application with this name and version.
    ///
    /// It is at no provider, `local`, in no region, `local`, until [`Environment::at`] says otherwise.
    ///
    /// # Errors
    ///
    /// The environment is the nil UUID, or the name or the version is no short word.
    pub fn new(
        id: Uuid,
        organization: Id,
        application_name: impl Into<String>,
        application_version: impl Into<String>,
    ) -> Result<Self, Error> {
        Id::new(id.to_string())?;
        Ok(Self {
            id,
            organization,
            cloud_provider: "local".to_owned(),
            cloud_provider_region: "local".to_owned(),
            application_name: word("application name", application_name.into())?,
            application_version: word("application version", application_version.into())?,
        })
    }

    /// Returns the environment as one at a provider, in a region of it: `aws` and `us-east-1` for example.
    ///
    /// The traits of an organization are nested by both, so that several environments do not overwrite each other.
    ///
    /// # Errors
    ///
    /// One of them is no short word.
    pub fn at(
        self,
        cloud_provider: impl Into<String>,
        cloud_provider_region: impl Into<String>,
    ) -> Result<Self, Error> {
        Ok(Self {
            cloud_provider: word("cloud provider", cloud_provider.into())?,
            cloud_provider_region: word("cloud provider region", cloud_provider_region.into())?,
            ..self
        })
    }

    /// Returns its id.
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// Returns the organization that it belongs to.
    pub const fn organization(&self) -> &Id {
        &self.organization
    }

    /// Returns the provider.
    pub fn cloud_provider(&self) -> &str {
        &self.cloud_provider
    }

    /// Returns the region.
    pub fn cloud_provider_region(&self) -> &str {
        &self.cloud_provider_region
    }

    /// Returns the application.
    pub fn app(&self) -> App {
        App { name: self.application_name.clone(), version: self.application_version.clone() }
    }

    /// Returns who a report is about: the organization acts for everything that no person does.
    pub fn identity(&self) -> Identity {
        Identity::user(self.organization.clone()).in_group(self.organization.clone())
    }
}

fn word(what: &'static str, text: String) -> Result<String, Error> {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    let is_word = (1..=64).contains(&text.len()) && text.bytes().all(is_fit);
    if is_word { Ok(text) } else { Err(Error::Word { what }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_is_made_of_short_words() {
        let organization = || Id::new("acme").unwrap();
        let made = |name: &str| Environment::new(Uuid::from_u128(1), organization(), name, "1.2.0");
        for name in ["", "my shop", "shop\n", &"s".repeat(65), "šop"] {
            assert_eq!(made(name), Err(Error::Word { what: "application name" }), "{name}");
        }
        let environment = made("my-shop").unwrap().at("aws", "us-east-1").unwrap();
        assert_eq!(environment.cloud_provider_region(), "us-east-1");
        assert!(environment.at("aws", "somewhere else").is_err());
        assert!(Environment::new(Uuid::nil(), organization(), "shop", "1").is_err());
    }
}
