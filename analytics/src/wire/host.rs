//! Where a sink is: in the region where the data have to stay, or at an address of one's own.

use url::Url;

use super::{error::Error, limits::Limits};

/// Whose protocol it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Vendor {
    /// Segment, and what speaks its protocol.
    Segment,
    /// PostHog.
    PostHog,
}

impl Vendor {
    /// All services.
    pub const ALL: [Self; 2] = [Self::Segment, Self::PostHog];

    /// Returns the word that stands in ids and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::PostHog => "posthog",
        }
    }

    /// Returns the name that people know.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Segment => "Segment",
            Self::PostHog => "PostHog",
        }
    }

    /// Returns how much it takes.
    pub const fn limits(self) -> Limits {
        match self {
            Self::Segment => Limits::SEGMENT,
            Self::PostHog => Limits::POSTHOG,
        }
    }
}

/// Where a sink is.
///
/// A project of one region is unknown in the other, and Segment says nothing about it: the events are gone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Host {
    /// The service's own in the United States.
    #[default]
    Us,
    /// The service's own in the European Union.
    Eu,
    /// Another address, that of a self-hosted server for example; what its URL has as a path is kept.
    Custom(Url),
}

impl Host {
    /// Reads `us`, `eu` or an address, `https://telemetry.example.com` for example.
    ///
    /// # Errors
    ///
    /// The address is no absolute `http` or `https` URL, or has credentials, a query or a fragment.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text {
            "us" => Ok(Self::Us),
            "eu" => Ok(Self::Eu),
            _ => Url::parse(text).map_or_else(
                |_| {
                    Err(refused(
                        text,
                        "write us, eu or a URL, https://telemetry.example.com for example",
                    ))
                },
                |url| {
                    let host = Self::Custom(url);
                    host.check().map(|()| host)
                },
            ),
        }
    }

    /// Returns what a person should know about this address, if there is something.
    ///
    /// The addresses at which people look at their data take no events, or take them only by redirecting.
    pub fn warning(&self, vendor: Vendor) -> Option<String> {
        let Self::Custom(url) = self else { return None };
        let host = url.host_str()?;
        let better = match (vendor, host) {
            (Vendor::PostHog, "app.posthog.com" | "us.posthog.com" | "posthog.com") => "us",
            (Vendor::PostHog, "eu.posthog.com") => "eu",
            (Vendor::Segment, "app.segment.com" | "segment.com" | "segment.io") => "us",
            (Vendor::Segment, "eu1.app.segment.com") => "eu",
            _ => return None,
        };
        let place = if better == "us" { Self::Us } else { Self::Eu };
        let address = place.address(vendor);
        Some(format!(
            "{host} is where people look at their data, not where events are sent: write `{better}`, which is {address}"
        ))
    }

    /// Checks that an address can be sent to.
    pub(super) fn check(&self) -> Result<(), Error> {
        let Self::Custom(url) = self else { return Ok(()) };
        let mut shown = url.clone();
        // Fails only for addresses without a host, which are refused below.
        let bare = shown.set_username("").and_then(|()| shown.set_password(None)).is_ok();
        let reason = if !matches!(url.scheme(), "http" | "https") || !bare || !url.has_host() {
            "it begins with https:// or http://"
        } else if shown != *url {
            "it holds credentials: the key is given by itself"
        } else if url.query().is_some() || url.fragment().is_some() {
            "it ends with its path, without a query or a fragment"
        } else {
            return Ok(());
        };
        shown.set_query(None);
        shown.set_fragment(None);
        Err(refused(shown.as_str(), reason))
    }

    /// Returns the URL of `path` (which begins with a slash) at this address.
    pub(super) fn url(&self, vendor: Vendor, path: &str) -> Result<Url, Error> {
        self.check()?;
        let address = self.address(vendor);
        let text = format!("{}{path}", address.trim_end_matches('/'));
        Url::parse(&text).map_err(|_| refused(&address, "write a URL without a path"))
    }

    /// Returns the address as text.
    pub(super) fn address(&self, vendor: Vendor) -> String {
        match (self, vendor) {
            (Self::Us, Vendor::Segment) => "https://api.segment.io".to_owned(),
            (Self::Eu, Vendor::Segment) => "https://events.eu1.segmentapis.com".to_owned(),
            (Self::Us, Vendor::PostHog) => "https://us.i.posthog.com".to_owned(),
            (Self::Eu, Vendor::PostHog) => "https://eu.i.posthog.com".to_owned(),
            (Self::Custom(url), _) => url.as_str().trim_end_matches('/').to_owned(),
        }
    }
}

fn refused(host: &str, reason: &'static str) -> Error {
    Error::Host { host: host.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_or_address_becomes_the_url_of_a_path() {
        let table = [
            ("us", Vendor::Segment, "https://api.segment.io/v1/batch"),
            ("eu", Vendor::Segment, "https://events.eu1.segmentapis.com/v1/batch"),
            ("us", Vendor::PostHog, "https://us.i.posthog.com/v1/batch"),
            ("eu", Vendor::PostHog, "https://eu.i.posthog.com/v1/batch"),
            ("http://[::1]:8000", Vendor::PostHog, "http://[::1]:8000/v1/batch"),
            ("https://t.example/ingest//", Vendor::Segment, "https://t.example/ingest/v1/batch"),
        ];
        for (host, vendor, url) in table {
            assert_eq!(Host::parse(host).unwrap().url(vendor, "/v1/batch").unwrap().as_str(), url);
        }
    }

    #[test]
    fn address_that_is_no_place_to_send_to_is_refused_without_its_secrets() {
        for text in ["", "EU", "t.example", "ftp://t.example", "mailto:a@t.example", "data:,x"] {
            assert!(Host::parse(text).is_err(), "{text}");
        }
        for text in [
            "https://u:s3cr3t@t.example",
            "https://t.example/?k=s3cr3t",
            "https://t.example/#s3cr3t",
        ] {
            let error = Host::parse(text).unwrap_err().to_string();
            assert!(error.contains("t.example") && !error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn address_of_the_app_is_warned_of() {
        let table = [
            ("https://app.posthog.com", Vendor::PostHog, Some("https://us.i.posthog.com")),
            ("https://eu.posthog.com/", Vendor::PostHog, Some("https://eu.i.posthog.com")),
            ("https://app.segment.com", Vendor::Segment, Some("https://api.segment.io")),
            ("https://us.i.posthog.com", Vendor::PostHog, None),
            ("https://telemetry.example.com", Vendor::Segment, None),
            ("us", Vendor::PostHog, None),
        ];
        for (host, vendor, better) in table {
            let warning = Host::parse(host).unwrap().warning(vendor);
            assert_eq!(warning.is_some(), better.is_some(), "{host}");
            assert!(warning.unwrap_or_default().ends_with(better.unwrap_or_default()), "{host}");
        }
    }
}
