//! Which IP addresses a request may go to.
//!
//! A destination is a stranger's choice, and our network is not: an address that belongs to this machine, to its
//! network or to its cloud is forbidden, and so is every IPv6 address that carries such an IPv4 address inside.
//! IPv6 is judged by what is allowed, the global unicast space, rather than by what is known to be bad.
//! An operator lifts single refusals with an [`AllowList`] of CIDR ranges.
//!
//! The rules are pure; who resolves a name and who connects applies them (`tidings-worker`, module `webhook`).
//! A NAT64 prefix of a network's own cannot be told from any other address; such a network needs an outer filter.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The IPv4 ranges that nobody outside may make us talk to.
const FORBIDDEN_V4: [(Ipv4Net, Reason); 16] = [
    (net4(0, 0, 0, 0, 8), Reason::ThisNetwork),
    (net4(10, 0, 0, 0, 8), Reason::Private),
    (net4(100, 64, 0, 0, 10), Reason::Shared),
    (net4(127, 0, 0, 0, 8), Reason::Loopback),
    // Public by registration, but inside every Azure machine it is the host's own service.
    (net4(168, 63, 129, 16, 32), Reason::CloudHost),
    (net4(169, 254, 0, 0, 16), Reason::LinkLocal),
    (net4(172, 16, 0, 0, 12), Reason::Private),
    (net4(192, 0, 0, 0, 24), Reason::Protocol),
    (net4(192, 0, 2, 0, 24), Reason::Documentation),
    (net4(192, 88, 99, 0, 24), Reason::Relay),
    (net4(192, 168, 0, 0, 16), Reason::Private),
    (net4(198, 18, 0, 0, 15), Reason::Benchmark),
    (net4(198, 51, 100, 0, 24), Reason::Documentation),
    (net4(203, 0, 113, 0, 24), Reason::Documentation),
    (net4(224, 0, 0, 0, 4), Reason::Multicast),
    (net4(240, 0, 0, 0, 4), Reason::Reserved),
];

/// The forbidden IPv6 ranges that have a name; what lies outside [`GLOBAL_UNICAST`] is forbidden without one.
const FORBIDDEN_V6: [(Ipv6Net, Reason); 11] = [
    (net6([0x64, 0xff9b, 1, 0], 48), Reason::LocalTranslation),
    (net6([0x100, 0, 0, 0], 64), Reason::Discard),
    (net6([0x2001, 0, 0, 0], 32), Reason::Teredo),
    // ORCHID, benchmarks, anycast services and what else the protocols keep for themselves.
    (net6([0x2001, 0, 0, 0], 23), Reason::Protocol),
    (net6([0x2001, 0xdb8, 0, 0], 32), Reason::Documentation),
    (net6([0x3fff, 0, 0, 0], 20), Reason::Documentation),
    (net6([0x5f00, 0, 0, 0], 16), Reason::SegmentRouting),
    (net6([0xfc00, 0, 0, 0], 7), Reason::UniqueLocal),
    (net6([0xfe80, 0, 0, 0], 10), Reason::LinkLocal),
    (net6([0xfec0, 0, 0, 0], 10), Reason::SiteLocal),
    (net6([0xff00, 0, 0, 0], 8), Reason::Multicast),
];

/// All that the registries hand out for hosts on the Internet.
const GLOBAL_UNICAST: Ipv6Net = net6([0x2000, 0, 0, 0], 3);

/// Why an address is forbidden.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// `0.0.0.0/8` and `::`, which many systems take for themselves.
    ThisNetwork,
    /// RFC 1918.
    Private,
    /// `100.64.0.0/10`, between a carrier and its customers; some clouds keep their metadata service there.
    Shared,
    /// This machine.
    Loopback,
    /// The host service of a cloud under a public address.
    CloudHost,
    /// The local link, with the metadata services of most clouds.
    LinkLocal,
    /// Kept by IANA for protocols.
    Protocol,
    /// Kept for examples.
    Documentation,
    /// The old anycast relays from IPv6 to IPv4.
    Relay,
    /// Kept for benchmarks of networks.
    Benchmark,
    /// A group rather than a host.
    Multicast,
    /// `240.0.0.0/4`, never given out.
    Reserved,
    /// `255.255.255.255`.
    Broadcast,
    /// NAT64 under a prefix of the local network, in a form that does not tell the address inside.
    LocalTranslation,
    /// `100::/64`, a black hole.
    Discard,
    /// A tunnel whose far end hides in the address.
    Teredo,
    /// Segment routing identifiers, `5f00::/16`.
    SegmentRouting,
    /// The private space of IPv6.
    UniqueLocal,
    /// The former private space of IPv6.
    SiteLocal,
    /// Outside the space that is given out to hosts.
    Unallocated,
}

/// A forbidden address, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Refused {
    /// The address that was asked for.
    pub address: IpAddr,
    /// The address that is forbidden: `address` itself, or the IPv4 address that it carries.
    pub judged: IpAddr,
    /// What is wrong with `judged`.
    pub reason: Reason,
}

/// The ranges that an operator allows although they are forbidden.
///
/// The text form is CIDR ranges or single addresses, separated by commas or white space.
/// A range of IPv4 also lifts the refusal of an IPv6 address that carries one of its addresses.
///
/// ```
/// use tidings::address::AllowList;
///
/// let allow: AllowList = "10.1.0.0/16, ::1".parse()?;
/// assert!(allow.check("10.1.2.3".parse()?).is_ok());
/// assert!(allow.check("::ffff:10.1.2.3".parse()?).is_ok());
/// assert!(allow.check("10.2.0.1".parse()?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AllowList {
    ranges: Vec<IpNet>,
}

/// A text that is no CIDR range.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("read the allow list: {text:?} is neither an address nor a CIDR range such as 10.1.0.0/16")]
pub struct AllowListError {
    /// The part of the list that cannot be read.
    pub text: String,
}

impl AllowList {
    /// Returns a list that allows `ranges`.
    pub fn new(ranges: impl IntoIterator<Item = IpNet>) -> Self {
        Self { ranges: ranges.into_iter().map(|range| range.trunc()).collect() }
    }

    /// Returns the list that allows this machine: `127.0.0.0/8` and `::1`.
    #[must_use]
    pub fn loopback() -> Self {
        Self::new([
            IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
            IpNet::new_assert(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
        ])
    }

    /// Returns whether no forbidden address is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Returns whether `address`, or the IPv4 address that it carries, is in one of the ranges.
    #[must_use]
    pub fn covers(&self, address: IpAddr) -> bool {
        self.contains(address)
            || embedded(address).into_iter().flatten().any(|inner| self.contains(inner.into()))
    }

    /// Checks that a request may go to `address`.
    ///
    /// # Errors
    ///
    /// The first refusal that no range of this list lifts.
    pub fn check(&self, address: IpAddr) -> Result<(), Refused> {
        if self.contains(address) {
            return Ok(());
        }
        match refusals(address).find(|refused| !self.contains(refused.judged)) {
            Some(refused) => Err(refused),
            None => Ok(()),
        }
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(&address))
    }
}

impl FromStr for AllowList {
    type Err = AllowListError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(|c: char| c == ',' || c.is_whitespace())
            .filter(|part| !part.is_empty())
            .map(|part| {
                part.parse::<IpNet>()
                    .or_else(|_| part.parse::<IpAddr>().map(IpNet::from))
                    .map_err(|_| AllowListError { text: part.to_owned() })
            })
            .collect::<Result<Vec<_>, _>>()
            .map(Self::new)
    }
}

impl fmt::Display for AllowList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.ranges.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{range}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, judged, reason } = self;
        if address == judged {
            write!(f, "{address} is forbidden, because it is {reason}")
        } else {
            write!(f, "{address} is forbidden, because it carries {judged}, {reason}")
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ThisNetwork => "an address of this network (0.0.0.0/8, ::)",
            Self::Private => "a private address (RFC 1918)",
            Self::Shared => "an address shared behind a carrier's NAT (100.64.0.0/10)",
            Self::Loopback => "this machine itself (loopback)",
            Self::CloudHost => "the host service of a cloud (168.63.129.16)",
            Self::LinkLocal => "a link-local address, where clouds keep their metadata",
            Self::Protocol => "reserved for protocols by IANA",
            Self::Documentation => "reserved for documentation",
            Self::Relay => "an old 6to4 relay (192.88.99.0/24)",
            Self::Benchmark => "reserved for benchmarks (198.18.0.0/15)",
            Self::Multicast => "a multicast address",
            Self::Reserved => "reserved (240.0.0.0/4)",
            Self::Broadcast => "the broadcast address",
            Self::LocalTranslation => "a NAT64 address of a local network (64:ff9b:1::/48)",
            Self::Discard => "a discard address (100::/64)",
            Self::Teredo => "a Teredo tunnel (2001::/32)",
            Self::SegmentRouting => "a segment routing identifier (5f00::/16)",
            Self::UniqueLocal => "a private address (fc00::/7)",
            Self::SiteLocal => "a site-local address (fec0::/10)",
            Self::Unallocated => "outside the global unicast space (2000::/3)",
        })
    }
}

/// Returns why nobody outside may make us talk to `address`, or `None` if they may.
#[must_use]
pub fn refusal(address: IpAddr) -> Option<Refused> {
    refusals(address).next()
}

/// Returns every refusal of `address`: its own, and those of the IPv4 addresses that it carries.
fn refusals(address: IpAddr) -> impl Iterator<Item = Refused> {
    let own = match address {
        IpAddr::V4(address) => reason_v4(address),
        IpAddr::V6(address) => reason_v6(address),
    };
    let own = own.map(|reason| Refused { address, judged: address, reason });
    let inner = embedded(address).into_iter().flatten().filter_map(move |inner| {
        reason_v4(inner).map(|reason| Refused { address, judged: inner.into(), reason })
    });
    own.into_iter().chain(inner)
}

fn reason_v4(address: Ipv4Addr) -> Option<Reason> {
    if address.is_broadcast() {
        return Some(Reason::Broadcast);
    }
    FORBIDDEN_V4.iter().find(|(range, _)| range.contains(&address)).map(|(_, reason)| *reason)
}

fn reason_v6(address: Ipv6Addr) -> Option<Reason> {
    if address.is_unspecified() {
        return Some(Reason::ThisNetwork);
    }
    if address.is_loopback() {
        return Some(Reason::Loopback);
    }
    if carried(address).is_some() {
        return None;
    }
    FORBIDDEN_V6
        .iter()
        .find(|(range, _)| range.contains(&address))
        .map(|(_, reason)| *reason)
        .or_else(|| (!GLOBAL_UNICAST.contains(&address)).then_some(Reason::Unallocated))
}

/// Returns the IPv4 addresses inside `address`: by its prefix, and by its interface identifier.
fn embedded(address: IpAddr) -> [Option<Ipv4Addr>; 2] {
    match address {
        IpAddr::V4(_) => [None, None],
        IpAddr::V6(address) => [carried(address), isatap(address)],
    }
}

/// Returns the IPv4 address that `address` stands for, as its prefix says.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        // Compatible, and mapped.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => Some(v4(high, low)),
        // Translated (SIIT).
        [0, 0, 0, 0, 0xffff, 0, high, low] => Some(v4(high, low)),
        // NAT64 under its well-known and its local prefix.
        [0x64, 0xff9b, 0 | 1, 0, 0, 0, high, low] => Some(v4(high, low)),
        // 6to4.
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// Returns the IPv4 address of an ISATAP interface, under whatever prefix, whatever its two flags say.
fn isatap(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [_, _, _, _, flags, 0x5efe, high, low] if flags & 0xfcff == 0 => Some(v4(high, low)),
        _ => None,
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

const fn net4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn net6([a, b, c, d]: [u16; 4], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), prefix)
}

#[cfg(test)]
mod tests;
