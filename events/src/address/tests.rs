use proptest::prelude::*;

use super::*;

/// One address at each edge of every range, and its verdict.
const TABLE: &[(&str, Option<Reason>)] = &[
    ("0.0.0.0", Some(Reason::ThisNetwork)),
    ("0.255.255.255", Some(Reason::ThisNetwork)),
    ("1.0.0.0", None),
    ("1.1.1.1", None),
    ("8.8.8.8", None),
    ("9.255.255.255", None),
    ("10.0.0.0", Some(Reason::Private)),
    ("10.255.255.255", Some(Reason::Private)),
    ("11.0.0.0", None),
    ("100.63.255.255", None),
    ("100.64.0.0", Some(Reason::Shared)),
    ("100.100.100.200", Some(Reason::Shared)),
    ("100.127.255.255", Some(Reason::Shared)),
    ("100.128.0.0", None),
    ("126.255.255.255", None),
    ("127.0.0.1", Some(Reason::Loopback)),
    ("127.255.255.254", Some(Reason::Loopback)),
    ("128.0.0.0", None),
    ("168.63.129.15", None),
    ("168.63.129.16", Some(Reason::CloudHost)),
    ("168.63.129.17", None),
    ("169.253.255.255", None),
    ("169.254.0.0", Some(Reason::LinkLocal)),
    ("169.254.169.254", Some(Reason::LinkLocal)),
    ("169.255.0.0", None),
    ("172.15.255.255", None),
    ("172.16.0.0", Some(Reason::Private)),
    ("172.31.255.255", Some(Reason::Private)),
    ("172.32.0.0", None),
    ("192.0.0.192", Some(Reason::Protocol)),
    ("192.0.1.0", None),
    ("192.0.2.1", Some(Reason::Documentation)),
    ("192.88.99.1", Some(Reason::Relay)),
    ("192.88.100.0", None),
    ("192.167.255.255", None),
    ("192.168.0.0", Some(Reason::Private)),
    ("192.168.255.255", Some(Reason::Private)),
    ("192.169.0.0", None),
    ("198.17.255.255", None),
    ("198.18.0.0", Some(Reason::Benchmark)),
    ("198.19.255.255", Some(Reason::Benchmark)),
    ("198.20.0.0", None),
    ("198.51.100.7", Some(Reason::Documentation)),
    ("203.0.113.255", Some(Reason::Documentation)),
    ("223.255.255.255", None),
    ("224.0.0.1", Some(Reason::Multicast)),
    ("239.255.255.255", Some(Reason::Multicast)),
    ("240.0.0.0", Some(Reason::Reserved)),
    ("255.255.255.254", Some(Reason::Reserved)),
    ("255.255.255.255", Some(Reason::Broadcast)),
    ("::", Some(Reason::ThisNetwork)),
    ("::1", Some(Reason::Loopback)),
    ("::2", Some(Reason::ThisNetwork)),
    ("::127.0.0.1", Some(Reason::Loopback)),
    ("::8.8.8.8", None),
    ("::ffff:8.8.8.8", None),
    ("::ffff:127.0.0.1", Some(Reason::Loopback)),
    ("::ffff:169.254.169.254", Some(Reason::LinkLocal)),
    ("::ffff:255.255.255.255", Some(Reason::Broadcast)),
    ("::ffff:0:10.0.0.1", Some(Reason::Private)),
    ("::ffff:0:8.8.8.8", None),
    ("::fffe:8.8.8.8", Some(Reason::Unallocated)),
    ("64:ff9b::10.0.0.1", Some(Reason::Private)),
    ("64:ff9b::168.63.129.16", Some(Reason::CloudHost)),
    ("64:ff9b::8.8.8.8", None),
    ("64:ff9b::1:8.8.8.8", Some(Reason::Unallocated)),
    ("64:ff9b:1::10.0.0.1", Some(Reason::Private)),
    ("64:ff9b:1::8.8.8.8", None),
    ("64:ff9b:1:a00:0:100::", Some(Reason::LocalTranslation)),
    ("64:ff9b:1:a00:0:100:808:808", Some(Reason::LocalTranslation)),
    ("64:ff9b:2::8.8.8.8", Some(Reason::Unallocated)),
    ("100::1", Some(Reason::Discard)),
    ("100:0:0:1::1", Some(Reason::Unallocated)),
    ("1fff:ffff::1", Some(Reason::Unallocated)),
    ("2000::1", None),
    ("2001::1", Some(Reason::Teredo)),
    ("2001:0:808:808::1", Some(Reason::Teredo)),
    ("2001:1::1", Some(Reason::Protocol)),
    ("2001:2::1", Some(Reason::Protocol)),
    ("2001:20::1", Some(Reason::Protocol)),
    ("2001:1ff:ffff::1", Some(Reason::Protocol)),
    ("2001:200::1", None),
    ("2001:db7:ffff::1", None),
    ("2001:db8::1", Some(Reason::Documentation)),
    ("2001:db9::1", None),
    ("2001:4860:4860::8888", None),
    ("2001:4860::5efe:10.0.0.1", Some(Reason::Private)),
    ("2001:4860::200:5efe:192.168.0.1", Some(Reason::Private)),
    ("2001:4860::300:5efe:127.0.0.1", Some(Reason::Loopback)),
    ("2001:4860::5efe:8.8.8.8", None),
    ("2002:7f00:1::1", Some(Reason::Loopback)),
    ("2002:a9fe:a9fe::1", Some(Reason::LinkLocal)),
    ("2002:808:808::1", None),
    ("2002:808:808::5efe:127.0.0.1", Some(Reason::Loopback)),
    ("2606:4700:4700::1111", None),
    ("3ffe:ffff::1", None),
    ("3fff::1", Some(Reason::Documentation)),
    ("3fff:fff:ffff::1", Some(Reason::Documentation)),
    ("3fff:1000::1", None),
    ("4000::1", Some(Reason::Unallocated)),
    ("5f00::1", Some(Reason::SegmentRouting)),
    ("fbff::1", Some(Reason::Unallocated)),
    ("fc00::1", Some(Reason::UniqueLocal)),
    ("fd00:ec2::254", Some(Reason::UniqueLocal)),
    ("fe00::1", Some(Reason::Unallocated)),
    ("fe80::1", Some(Reason::LinkLocal)),
    ("febf::1", Some(Reason::LinkLocal)),
    ("fec0::1", Some(Reason::SiteLocal)),
    ("feff::1", Some(Reason::SiteLocal)),
    ("ff02::1", Some(Reason::Multicast)),
    ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(Reason::Multicast)),
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn allow(text: &str) -> AllowList {
    text.parse().unwrap()
}

#[test]
fn every_range_is_judged_at_its_edges() {
    for (text, expected) in TABLE {
        assert_eq!(refusal(ip(text)).map(|refused| refused.reason), *expected, "{text}");
    }
}

#[test]
fn refusal_names_the_address_inside() {
    assert_eq!(
        refusal(ip("::ffff:10.0.0.1")).unwrap().to_string(),
        "::ffff:10.0.0.1 is forbidden, because it carries 10.0.0.1, a private address (RFC 1918)"
    );
    assert_eq!(
        refusal(ip("127.0.0.1")).unwrap().to_string(),
        "127.0.0.1 is forbidden, because it is this machine itself (loopback)"
    );
}

#[test]
fn allowed_range_lifts_only_its_own_addresses() {
    let table = [
        ("10.0.0.0/8", "10.1.2.3", true),
        ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ("10.0.0.0/8", "64:ff9b::10.1.2.3", true),
        ("10.0.0.0/8", "2002:a01:203::1", true),
        ("10.0.0.0/8", "2001:4860::5efe:10.1.2.3", true),
        ("10.0.0.0/8", "11.0.0.1", true),
        ("10.0.0.0/8", "192.168.0.1", false),
        ("10.0.0.0/8", "::1", false),
        // The outer address is as forbidden as before.
        ("10.0.0.0/8", "fd00::5efe:10.1.2.3", false),
        // Two addresses inside, and only one is allowed.
        ("10.0.0.0/8", "2002:a01:203::5efe:127.0.0.1", false),
        ("::ffff:0:0/96", "::ffff:10.1.2.3", true),
        ("::ffff:0:0/96", "10.1.2.3", false),
        ("::1", "::1", true),
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "127.0.0.2", false),
        ("127.0.0.1/8", "127.9.9.9", true),
        ("", "8.8.8.8", true),
        ("", "127.0.0.1", false),
    ];
    for (list, address, expected) in table {
        assert_eq!(allow(list).check(ip(address)).is_ok(), expected, "{list} {address}");
    }
}

#[test]
fn cover_of_a_range_includes_the_address_inside_but_not_public_addresses() {
    let allow = allow("10.0.0.0/8");
    assert!(allow.covers(ip("10.0.0.1")));
    assert!(allow.covers(ip("::ffff:10.0.0.1")));
    assert!(!allow.covers(ip("8.8.8.8")));
    assert!(!AllowList::default().covers(ip("10.0.0.1")));
}

#[test]
fn loopback_list_allows_this_machine_only() {
    let allow = AllowList::loopback();
    for address in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
        assert_eq!(allow.check(ip(address)), Ok(()), "{address}");
    }
    for address in ["10.0.0.1", "::2", "169.254.169.254"] {
        assert!(allow.check(ip(address)).is_err(), "{address}");
    }
}

#[test]
fn list_is_read_from_text_and_written_back() {
    assert_eq!(
        allow(" 10.1.2.3/8,\n::1 192.168.0.7 ,").to_string(),
        "10.0.0.0/8,::1/128,192.168.0.7/32"
    );
    assert_eq!(allow("").to_string(), "");
    assert!(allow(" , ").is_empty());
}

#[test]
fn bad_range_is_named_in_the_error() {
    for text in ["10.0.0.0/33", "10.0.0", "localhost", "::1/129", "1.2.3.4/-1"] {
        let error = format!("10.0.0.0/8,{text}").parse::<AllowList>().unwrap_err();
        assert_eq!(error.text, text);
        assert!(error.to_string().contains("CIDR"), "{error}");
    }
}

/// Returns every IPv6 address that carries `inner`, under prefixes that are free themselves.
fn embeddings(inner: Ipv4Addr) -> [Ipv6Addr; 8] {
    let [a, b, c, d] = inner.octets();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    [
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
        Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0x2606, 0x4700, 0, 1, 0, 0x5efe, high, low),
        Ipv6Addr::new(0x2606, 0x4700, 0, 1, 0x200, 0x5efe, high, low),
    ]
}

/// Addresses of every range as often as of the rest, which chance alone would hardly find.
fn any_v4() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![
        any::<u32>().prop_map(Ipv4Addr::from_bits),
        (0..FORBIDDEN_V4.len(), any::<u32>()).prop_map(|(index, bits)| {
            let range = FORBIDDEN_V4[index].0;
            Ipv4Addr::from_bits(range.addr().to_bits() | bits & range.hostmask().to_bits())
        }),
    ]
}

proptest! {
    #[test]
    fn embedded_address_has_the_verdict_of_the_bare_one(inner in any_v4(), allowed in any_v4(), length in 0_u8..=32) {
        let lists = [
            AllowList::default(),
            AllowList::new([IpNet::new_assert(allowed.into(), length)]),
        ];
        for list in lists {
            let bare = list.check(inner.into()).is_ok();
            for outer in embeddings(inner) {
                // These two are addresses of their own before they are embeddings.
                if !outer.is_unspecified() && !outer.is_loopback() {
                    prop_assert_eq!(list.check(outer.into()).is_ok(), bare, "{} in {}", inner, outer);
                }
            }
        }
    }

    #[test]
    fn any_address_gets_a_verdict(bits in any::<u128>(), text in ".{0,60}") {
        let address = IpAddr::V6(Ipv6Addr::from_bits(bits));
        let refused = refusal(address);
        prop_assert_eq!(refused, AllowList::default().check(address).err());
        prop_assert!(AllowList::new([IpNet::from(address)]).check(address).is_ok());
        if !GLOBAL_UNICAST.contains(&Ipv6Addr::from_bits(bits)) && carried(Ipv6Addr::from_bits(bits)).is_none() {
            prop_assert!(refused.is_some());
        }
        let _never_panics = text.parse::<AllowList>();
    }

    #[test]
    fn standard_library_knows_no_bad_address_that_we_allow(inner in any_v4()) {
        let bad = inner.is_loopback()
            || inner.is_private()
            || inner.is_link_local()
            || inner.is_broadcast()
            || inner.is_documentation()
            || inner.is_multicast()
            || inner.is_unspecified();
        prop_assert!(!bad || refusal(inner.into()).is_some());
    }
}
