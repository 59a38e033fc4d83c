//! Where a webhook goes: a URL that has been checked, and what is sent along.
//!
//! The same checks run when a subscriber is created and again when its destination is opened, because an operator
//! may have changed the rules in between.
//! A literal address is judged in its parsed form, never as text: `127.1`, `0x7f.1` and `[::ffff:127.0.0.1]` are all
//! this machine.
//! A name is judged here only where its text is enough; what it resolves to is for [`check_resolved`].
//!
//! A URL is a secret: its path or query often holds a token.
//! No error of this module contains more of it than the host, and `Debug` and `Display` print
//! [`Endpoint::redacted`].

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use url::{Host, Url};

use crate::address::AllowList;

mod authority;
mod config;
mod error;
mod format;
mod header;

pub(crate) use self::format::is_word;
pub use self::{
    authority::{CA_BYTES_MAX, CA_COUNT_MAX, read_authorities},
    config::{Config, TIMEOUT_DEFAULT, TIMEOUT_MAX, TIMEOUT_MIN},
    error::EndpointError,
    format::{ContentType, Profile, Scheme},
    header::{HEADER_BYTES_MAX, HEADER_COUNT_MAX, check_headers},
};

/// The longest URL, in characters, as written and as normalised; more does not survive common servers and proxies.
pub const URL_CHARS_MAX: usize = 2_048;

/// The ports that browsers refuse as well (Fetch standard, section 2.9): what listens there speaks another protocol
/// and could take a request for commands.
#[rustfmt::skip]
const FORBIDDEN_PORTS: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// Endings of names that exist inside private networks only.
const PRIVATE_SUFFIXES: [&str; 9] =
    ["corp", "home", "home.arpa", "internal", "intranet", "lan", "local", "localdomain", "private"];

/// What an operator permits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// Whether plain `http` is refused. Addresses that `allow` covers may be spoken to in plain `http` anyway.
    pub https_only: bool,
    /// The forbidden addresses that are allowed.
    pub allow: AllowList,
}

/// A URL that may be called, as far as its text can say.
#[derive(Clone, Eq, PartialEq)]
pub struct Endpoint {
    url: Url,
}

impl Default for Policy {
    /// Returns the policy for the Internet: `https` only, and no forbidden address.
    fn default() -> Self {
        Self { https_only: true, allow: AllowList::default() }
    }
}

impl Endpoint {
    /// Reads a URL and checks it against `policy`.
    ///
    /// `localhost` means `127.0.0.1` and `::1`, and is refused unless both are allowed.
    /// Other names that exist in private networks only (one label, `.internal`, `.local` and the like) are refused
    /// while the allow list is empty; when it is not, the addresses decide at the time of the request.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL, and what to do about it.
    pub fn parse(text: &str, policy: &Policy) -> Result<Self, EndpointError> {
        let chars = text.chars().count();
        if chars > URL_CHARS_MAX {
            return Err(EndpointError::UrlTooLong { chars });
        }
        // The parser would drop these in silence, and the stored text would not be what is called.
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(EndpointError::UrlSpace);
        }
        let url = Url::parse(text).map_err(EndpointError::from)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EndpointError::Scheme);
        }
        let chars = url.as_str().len();
        if chars > URL_CHARS_MAX {
            return Err(EndpointError::UrlTooLong { chars });
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::Credentials);
        }
        if url.fragment().is_some() {
            return Err(EndpointError::Fragment);
        }
        if let Some(port) = url.port().filter(|port| FORBIDDEN_PORTS.contains(port)) {
            return Err(EndpointError::Port { port });
        }
        let endpoint = Self { url };
        endpoint.check_host(policy)?;
        Ok(endpoint)
    }

    /// Returns the URL as it is called.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the host as people write it, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> String {
        match self.url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => String::new(),
        }
    }

    /// Returns the address if the host is one, rather than a name.
    ///
    /// A resolver never sees it, so who sends a request has to check it.
    #[must_use]
    pub fn literal(&self) -> Option<IpAddr> {
        match self.url.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }

    /// Returns the scheme, host and port, with `…` for what may be secret.
    #[must_use]
    pub fn redacted(&self) -> String {
        redacted(&self.url)
    }

    fn check_host(&self, policy: &Policy) -> Result<(), EndpointError> {
        let inside = match (self.literal(), self.url.host()) {
            (Some(address), _) => {
                policy.allow.check(address).map_err(EndpointError::Address)?;
                policy.allow.covers(address)
            }
            (None, Some(Host::Domain(name))) => check_name(name, &policy.allow)?,
            (None, _) => return Err(EndpointError::NoHost),
        };
        if policy.https_only && self.url.scheme() == "http" && !inside {
            return Err(EndpointError::HttpsOnly);
        }
        Ok(())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.redacted()).finish()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

/// Returns the scheme, host and port of `url`, with `…` for what may be secret.
#[must_use]
pub fn redacted(url: &Url) -> String {
    let (scheme, host) = (url.scheme(), url.host_str().unwrap_or_default());
    match url.port() {
        Some(port) => format!("{scheme}://{host}:{port}/…"),
        None => format!("{scheme}://{host}/…"),
    }
}

/// Checks what the name `host` has resolved to: one forbidden address refuses the whole name.
///
/// Using the other addresses would let the owner of the name choose, answer by answer, when we meet the bad one.
///
/// # Errors
///
/// The first address that `allow` does not permit, or that there is none.
pub fn check_resolved(
    host: &str,
    addresses: &[IpAddr],
    allow: &AllowList,
) -> Result<(), EndpointError> {
    if addresses.is_empty() {
        return Err(EndpointError::NoAddress { host: host.to_owned() });
    }
    let refused = addresses.iter().find_map(|address| allow.check(*address).err());
    match refused {
        Some(refused) => Err(EndpointError::Name { host: host.to_owned(), refused }),
        None => Ok(()),
    }
}

/// Returns whether `host` is `localhost` or below it, which means this machine whatever a resolver says.
#[must_use]
pub fn is_localhost(host: &str) -> bool {
    is_below(host.trim_end_matches('.'), "localhost")
}

/// Checks a name as far as its text can say; returns whether it means this machine.
fn check_name(host: &str, allow: &AllowList) -> Result<bool, EndpointError> {
    // One full stop at the end is the root; what else is empty has no address, and hides a number from the URL parser.
    let name = host.strip_suffix('.').unwrap_or(host);
    if !name.is_empty() && name.split('.').any(str::is_empty) {
        return Err(EndpointError::EmptyLabel { host: host.to_owned() });
    }
    if is_localhost(host) {
        let this_machine = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return check_resolved(host, &this_machine, allow).map(|()| true);
    }
    if name.is_empty() {
        return Err(EndpointError::NoHost);
    }
    let private =
        !name.contains('.') || PRIVATE_SUFFIXES.iter().any(|suffix| is_below(name, suffix));
    if private && allow.is_empty() {
        return Err(EndpointError::PrivateName { host: host.to_owned() });
    }
    Ok(false)
}

/// Returns whether `name` is `parent` or ends in it at a dot; the URL parser has made it lower case.
fn is_below(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests;
