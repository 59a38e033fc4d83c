use proptest::prelude::*;

use super::*;

fn policy(https_only: bool, allow: &str) -> Policy {
    Policy { https_only, allow: allow.parse().unwrap() }
}

fn parse(text: &str) -> Result<Endpoint, EndpointError> {
    Endpoint::parse(text, &Policy::default())
}

#[test]
fn public_https_urls_pass() {
    for text in [
        "https://example.com",
        "https://example.com/hook?token=a%20b",
        "https://example.com:8443/",
        "https://EXAMPLE.com./hook",
        "https://bücher.example/hook",
        "https://8.8.8.8/hook",
        "https://[2606:4700:4700::1111]:8443/hook",
        "https://localhost.example.com/",
        "https://internal.example.com/",
        "https://notlocalhost.com/",
    ] {
        assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
    }
}

#[test]
fn literal_address_is_refused_in_any_spelling() {
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.0.1.",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "2130706433",
        "0",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "10.0.0.1",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::169.254.169.254]",
        "[2002:7f00:1::]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "168.63.129.16",
    ] {
        let error = parse(&format!("https://{host}/hook")).unwrap_err();
        assert!(matches!(error, EndpointError::Address(_)), "{host}: {error:?}");
    }
}

#[test]
fn url_that_cannot_be_called_is_an_error_that_teaches() {
    let table: [(&str, EndpointError); 22] = [
        ("", EndpointError::NotUrl { reason: url::ParseError::RelativeUrlWithoutBase }),
        (
            "example.com/hook",
            EndpointError::NotUrl { reason: url::ParseError::RelativeUrlWithoutBase },
        ),
        ("https://", EndpointError::NoHost),
        ("https:///", EndpointError::NoHost),
        ("https://?a", EndpointError::NoHost),
        ("https://.", EndpointError::NoHost),
        // Names for the URL parser, because what follows the number is empty, and not numbers.
        ("https://127.0.0.1../", EndpointError::EmptyLabel { host: "127.0.0.1..".to_owned() }),
        ("https://.example.com", EndpointError::EmptyLabel { host: ".example.com".to_owned() }),
        ("https://a..example.com", EndpointError::EmptyLabel { host: "a..example.com".to_owned() }),
        (
            "https://example.com:99999/",
            EndpointError::NotUrl { reason: url::ParseError::InvalidPort },
        ),
        ("https://[::1/", EndpointError::NotUrl { reason: url::ParseError::InvalidIpv6Address }),
        (
            "https://1.2.3.256/",
            EndpointError::NotUrl { reason: url::ParseError::InvalidIpv4Address },
        ),
        ("ftp://example.com/", EndpointError::Scheme),
        ("file:///etc/passwd", EndpointError::Scheme),
        ("javascript:alert(1)", EndpointError::Scheme),
        ("http://example.com/", EndpointError::HttpsOnly),
        ("https://user:pass@example.com/", EndpointError::Credentials),
        ("https://user@example.com/", EndpointError::Credentials),
        ("https://example.com/#part", EndpointError::Fragment),
        ("https://example.com:25/", EndpointError::Port { port: 25 }),
        ("https://example.com:0/", EndpointError::Port { port: 0 }),
        (" https://exa\nmple.com/", EndpointError::UrlSpace),
    ];
    for (text, expected) in table {
        let error = parse(text).unwrap_err();
        assert_eq!(error, expected, "{text}");
        let sentence = error.to_string();
        assert!(sentence.len() > 20 && !sentence.ends_with('.'), "{sentence}");
    }
}

#[test]
fn length_is_bounded_as_written_and_as_normalised() {
    let url = |chars: usize| format!("https://example.com/{}", "a".repeat(chars - 20));
    assert!(parse(&url(URL_CHARS_MAX)).is_ok());
    assert_eq!(parse(&url(2_049)), Err(EndpointError::UrlTooLong { chars: 2_049 }));
    let grows = format!("https://example.com/{}", "é".repeat(1_000));
    assert_eq!(parse(&grows), Err(EndpointError::UrlTooLong { chars: 6_020 }));
}

#[test]
fn name_of_a_private_network_is_refused_while_nothing_is_allowed() {
    for host in [
        "backend",
        "metadata.google.internal",
        "printer.local",
        "PRINTER.LOCAL",
        "printer.local.",
        "router.home.arpa",
        "wiki.corp",
        "internal",
    ] {
        let url = format!("https://{host}/");
        let error = parse(&url).unwrap_err();
        assert!(matches!(error, EndpointError::PrivateName { .. }), "{host}: {error:?}");
        // With something allowed, the addresses decide when they are known.
        assert!(Endpoint::parse(&url, &policy(true, "10.0.0.0/8")).is_ok(), "{host}");
    }
}

#[test]
fn localhost_is_this_machine_and_needs_both_of_its_addresses_allowed() {
    for host in ["localhost", "LOCALHOST", "localhost.", "api.localhost"] {
        let url = format!("http://{host}:3000/");
        for refusing in
            [policy(false, ""), policy(false, "127.0.0.0/8"), policy(false, "10.0.0.0/8")]
        {
            let error = Endpoint::parse(&url, &refusing).unwrap_err();
            assert!(matches!(error, EndpointError::Name { .. }), "{host}: {error:?}");
        }
        let allowing = Policy { https_only: true, allow: AllowList::loopback() };
        assert!(Endpoint::parse(&url, &allowing).is_ok(), "{host}");
    }
}

#[test]
fn plain_http_is_for_allowed_addresses_or_permissive_policies() {
    let table = [
        ("http://example.com/", policy(false, ""), true),
        ("http://example.com/", policy(true, "10.0.0.0/8"), false),
        ("http://backend/", policy(true, "10.0.0.0/8"), false),
        ("http://backend/", policy(false, "10.0.0.0/8"), true),
        ("http://10.0.0.1/", policy(true, "10.0.0.0/8"), true),
        ("http://[::ffff:10.0.0.1]/", policy(true, "10.0.0.0/8"), true),
        ("http://8.8.8.8/", policy(true, "10.0.0.0/8"), false),
        ("http://127.0.0.1:3000/", policy(true, "127.0.0.0/8"), true),
        ("http://127.0.0.1:3000/", policy(false, ""), false),
    ];
    for (text, policy, expected) in table {
        assert_eq!(Endpoint::parse(text, &policy).is_ok(), expected, "{text} {policy:?}");
    }
}

#[test]
fn redacted_form_shows_scheme_host_and_port_only() {
    for (text, expected) in [
        ("https://example.com/s3cr3t?s3cr3t=1", "https://example.com/…"),
        ("https://example.com:8443/s3cr3t", "https://example.com:8443/…"),
        ("https://example.com:443/s3cr3t", "https://example.com/…"),
        ("https://[2606:4700:4700::1111]/s3cr3t", "https://[2606:4700:4700::1111]/…"),
    ] {
        let endpoint = parse(text).unwrap();
        assert_eq!(endpoint.redacted(), expected);
        assert_eq!(endpoint.to_string(), expected);
        assert!(!format!("{endpoint:?}").contains("s3cr3t"));
        assert!(endpoint.url().as_str().contains("s3cr3t"));
    }
    let url = Url::parse("https://user:s3cr3t@example.com/s3cr3t#s3cr3t").unwrap();
    assert_eq!(redacted(&url), "https://example.com/…");
}

#[test]
fn host_and_literal_are_what_was_parsed() {
    let endpoint = parse("https://8.8.2056/").unwrap();
    assert_eq!(endpoint.host(), "8.8.8.8");
    assert_eq!(endpoint.literal(), Some(IpAddr::from([8, 8, 8, 8])));
    let endpoint = parse("https://[2606:4700:4700::1111]/").unwrap();
    assert_eq!(endpoint.host(), "2606:4700:4700::1111");
    assert_eq!(parse("https://Example.com/").unwrap().host(), "example.com");
    assert_eq!(parse("https://example.com/").unwrap().literal(), None);
}

#[test]
fn one_forbidden_address_refuses_the_whole_name() {
    let public = IpAddr::from([8, 8, 8, 8]);
    let private = IpAddr::from([10, 0, 0, 1]);
    let none = AllowList::default();
    assert_eq!(check_resolved("example.com", &[public], &none), Ok(()));
    for addresses in [&[private][..], &[public, private], &[private, public]] {
        let error = check_resolved("example.com", addresses, &none).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the name example.com is refused as a whole, because its address 10.0.0.1 is forbidden, because it is a \
             private address (RFC 1918); ask the operator to allow it if it is meant"
        );
        assert_eq!(
            check_resolved("example.com", addresses, &"10.0.0.0/8".parse().unwrap()),
            Ok(())
        );
    }
    let error = check_resolved("example.com", &[], &none).unwrap_err();
    assert_eq!(error, EndpointError::NoAddress { host: "example.com".into() });
}

proptest! {
    #[test]
    fn any_text_gets_a_verdict(text in ".{0,200}", tail in "[a-z0-9.:@/?#\\[\\]%-]{0,60}") {
        for text in [text, format!("https://{tail}")] {
            if let Ok(endpoint) = parse(&text) {
                prop_assert_eq!(endpoint.url().scheme(), "https");
                prop_assert!(endpoint.literal().is_none_or(|address| AllowList::default().check(address).is_ok()));
                prop_assert_eq!(Endpoint::parse(endpoint.url().as_str(), &Policy::default()), Ok(endpoint));
            }
        }
    }

    #[test]
    fn literal_has_the_verdict_of_its_address(bits in any::<u32>()) {
        let address = Ipv4Addr::from_bits(bits);
        let expected = AllowList::default().check(address.into()).is_ok();
        for host in [address.to_string(), bits.to_string(), format!("{bits:#x}"), format!("[::ffff:{address}]")] {
            prop_assert_eq!(parse(&format!("https://{host}/")).is_ok(), expected, "{}", host);
        }
    }
}
