//! A URL that is accepted leads to nothing that is forbidden, and nothing that is said of one tells its secrets.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libfuzzer_sys::fuzz_target;
use tidings::{
    address::{AllowList, refusal},
    endpoint::{Endpoint, Policy, is_localhost},
};
use tidings_fuzz::assert_useful;
use url::{Host, Url};

fuzz_target!(|text: &str| {
    let internet = Policy::default();
    let home = Policy { https_only: false, allow: AllowList::loopback() };
    if let Some(endpoint) = read(text, &internet) {
        assert_eq!(endpoint.url().scheme(), "https");
        assert!(endpoint.literal().is_none_or(|address| refusal(address).is_none()));
        assert!(
            endpoint.literal().is_none_or(|address| !is_inside(address)),
            "{}",
            endpoint.host()
        );
        // A name of one label is one of a private network.
        assert!(
            endpoint.literal().is_some() || endpoint.host().trim_end_matches('.').contains('.')
        );
        assert!(!is_localhost(&endpoint.host()));
        assert_eq!(read(text, &home), Some(endpoint), "allowing more refuses nothing");
    } else if let Some(endpoint) = read(text, &home) {
        let refused = endpoint.literal().filter(|address| home.allow.check(*address).is_err());
        assert_eq!(refused, None);
    }
    keeps_secrets(text, &internet);
});

/// Reads a URL, and checks what holds for every one.
fn read(text: &str, policy: &Policy) -> Option<Endpoint> {
    let endpoint = match Endpoint::parse(text, policy) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            assert_useful(&error.to_string(), text);
            return None;
        }
    };
    let url = endpoint.url();
    assert!(matches!(url.scheme(), "http" | "https") && url.as_str().len() <= 2_048);
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    assert!(![Some(22), Some(25), Some(6_667)].contains(&url.port()));
    assert!(!url.as_str().contains(|c: char| c.is_whitespace() || c.is_control()));
    // What is called is what was checked: read again, it is the same.
    assert_eq!(Endpoint::parse(url.as_str(), policy).as_ref(), Ok(&endpoint));
    if let Some(Host::Domain(name)) = url.host() {
        // A resolver that is laxer than the standard would take such a name for an address.
        let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        assert!(!last.bytes().all(|byte| byte.is_ascii_digit()), "{name}");
        assert!(name.parse::<IpAddr>().is_err(), "{name}");
    }
    Some(endpoint)
}

/// Says whether an address is not one of the Internet, by what the standard library knows of it.
fn is_inside(address: IpAddr) -> bool {
    let is_inside_v4 = |address: Ipv4Addr| {
        address.is_unspecified()
            || address.is_loopback()
            || address.is_private()
            || address.is_link_local()
            || address.is_broadcast()
            || address.is_documentation()
            || address.is_multicast()
    };
    let is_inside_v6 = |address: Ipv6Addr| {
        address.is_unspecified()
            || address.is_loopback()
            || address.is_unique_local()
            || address.is_unicast_link_local()
            || address.is_multicast()
            || address.to_ipv4().is_some_and(is_inside_v4)
    };
    match address {
        IpAddr::V4(address) => is_inside_v4(address),
        IpAddr::V6(address) => is_inside_v6(address),
    }
}

/// Checks that neither an error nor what is shown of an endpoint has anything of the path and query.
fn keeps_secrets(text: &str, policy: &Policy) {
    // Where a host is there, what is added is no part of it.
    if text.contains("s3cr3t") || !Url::parse(text).is_ok_and(|url| url.has_host()) {
        return;
    }
    let shown = match Endpoint::parse(&format!("{text}/s3cr3t?token=s3cr3t"), policy) {
        Ok(endpoint) => format!("{endpoint} {endpoint:?}"),
        Err(error) => format!("{error} {error:?}"),
    };
    assert!(!shown.contains("s3cr3t"), "{shown}");
}
