//! Judges one IP address: public, fake-IP, or not to be dialled.
//!
//! Pure tables. Refuses to know about names, URLs, settings and sockets.
//!
//! Sources, both read as "blocked unless globally reachable and able to serve
//! an image": IANA "IPv4 Special-Purpose Address Registry" and IANA "IPv6
//! Special-Purpose Address Registry", plus multicast and class E from the IANA
//! address-space registries. `std`'s `is_global` is still unstable.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What may be done with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// On the public internet as far as the registries tell.
    Public,
    /// In 198.18.0.0/15, which Clash and sing-box hand out as stand-ins for
    /// real addresses. Never acceptable for a literal.
    FakeIp,
    /// Loopback, private, link-local, reserved, multicast and the like.
    Blocked,
}

/// The address tables plus the caller's exceptions.
#[derive(Debug, Clone, Default)]
pub struct AddressRules {
    also_public: Vec<IpAddr>,
}

/// Blocked IPv4 networks as (network, prefix length).
const V4_BLOCKED: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),        // "this network", RFC 791; 0.0.0.0 dials loopback
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private, RFC 1918
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // carrier NAT, RFC 6598; Tailscale, Alibaba metadata
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback, RFC 1122
    (Ipv4Addr::new(168, 63, 129, 16), 32), // Azure WireServer; public space, inside use
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local, RFC 3927; cloud metadata
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private, RFC 1918
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // IETF protocol assignments, RFC 6890
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // TEST-NET-1, RFC 5737
    (Ipv4Addr::new(192, 31, 196, 0), 24),  // AS112 (often a local node), RFC 7535
    (Ipv4Addr::new(192, 52, 193, 0), 24),  // AMT, RFC 7450
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // 6to4 relay anycast, deprecated by RFC 7526
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private, RFC 1918
    (Ipv4Addr::new(192, 175, 48, 0), 24),  // AS112 direct delegation, RFC 7534
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // TEST-NET-2, RFC 5737
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // TEST-NET-3, RFC 5737
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast, RFC 5771
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // class E and broadcast, RFC 1112, RFC 919
];

/// Benchmarking range (RFC 2544), the default fake-IP pool of Clash and sing-box.
const V4_FAKE_IP: (Ipv4Addr, u32) = (Ipv4Addr::new(198, 18, 0, 0), 15);

/// The only part of IPv6 that IANA has handed out as global unicast ("IPv6
/// Global Unicast Address Assignments"). Everything else is refused unseen.
const V6_GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Exceptions inside [`V6_GLOBAL`].
const V6_BLOCKED: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // IETF protocols incl. Teredo, RFC 2928
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation, RFC 3849
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4, RFC 3056: hides an IPv4 address
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48), // AS112, RFC 7534
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation, RFC 9637
];

/// IPv4-mapped addresses (RFC 4291 section 2.5.5.2): the kernel dials the IPv4 inside.
const V6_MAPPED: (Ipv6Addr, u32) = (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);

/// NAT64 well-known prefix (RFC 6052): the translator dials the IPv4 inside.
/// Refusing it outright would break IPv6-only networks with DNS64.
const V6_NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

impl AddressRules {
    /// The tables, with `also_public` judged public whatever the tables say.
    /// The exceptions exist for tests, which may only dial loopback.
    pub fn new(also_public: Vec<IpAddr>) -> Self {
        Self { also_public }
    }

    /// Judges `ip`; mapped and NAT64 forms are judged by the IPv4 inside.
    pub fn judge(&self, ip: IpAddr) -> Verdict {
        if self.also_public.contains(&ip) {
            return Verdict::Public;
        }
        match ip {
            IpAddr::V4(v4) => judge_v4(v4),
            IpAddr::V6(v6) => self.judge_v6(v6),
        }
    }

    fn judge_v6(&self, ip: Ipv6Addr) -> Verdict {
        if in_v6(ip, V6_MAPPED) || in_v6(ip, V6_NAT64) {
            let [.., a, b, c, d] = ip.octets();
            return self.judge(IpAddr::V4(Ipv4Addr::new(a, b, c, d)));
        }
        if in_v6(ip, V6_GLOBAL) && !V6_BLOCKED.iter().any(|net| in_v6(ip, *net)) { Verdict::Public } else { Verdict::Blocked }
    }
}

fn judge_v4(ip: Ipv4Addr) -> Verdict {
    if in_v4(ip, V4_FAKE_IP) {
        Verdict::FakeIp
    } else if V4_BLOCKED.iter().any(|net| in_v4(ip, *net)) {
        Verdict::Blocked
    } else {
        Verdict::Public
    }
}

/// Whether the first `prefix` bits agree. Prefixes in the tables are 1..=32.
fn in_v4(ip: Ipv4Addr, (net, prefix): (Ipv4Addr, u32)) -> bool {
    (ip.to_bits() ^ net.to_bits()).leading_zeros() >= prefix
}

/// Whether the first `prefix` bits agree. Prefixes in the tables are 1..=128.
fn in_v6(ip: Ipv6Addr, (net, prefix): (Ipv6Addr, u32)) -> bool {
    (ip.to_bits() ^ net.to_bits()).leading_zeros() >= prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(ip: &str) -> Verdict {
        AddressRules::default().judge(ip.parse().expect("test address"))
    }

    #[test]
    fn edges_of_every_ipv4_network() {
        for &(net, prefix) in V4_BLOCKED {
            let first = net.to_bits();
            let last = first | u32::MAX.checked_shr(prefix).unwrap_or(0);
            for bits in [first, last] {
                let ip = Ipv4Addr::from_bits(bits);
                assert_eq!(judge_v4(ip), Verdict::Blocked, "{ip}");
            }
        }
        for public in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "168.63.129.17",
        ] {
            assert_eq!(judge(public), Verdict::Public, "{public}");
        }
        for fake in ["198.18.0.0", "198.19.255.255", "::ffff:198.18.0.1", "64:ff9b::c612:1"] {
            assert_eq!(judge(fake), Verdict::FakeIp, "{fake}");
        }
    }

    #[test]
    fn ipv6_is_closed_except_global_unicast() {
        for bad in [
            "::",
            "::1",
            "::7f00:1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::808:808",
            "64:ff9b::1:808:808",
            "100::1",
            "1fff:ffff::1",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:808:808::1",
            "2620:4f:8000::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert_eq!(judge(bad), Verdict::Blocked, "{bad}");
        }
        for good in [
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700:4700::1111",
            "2a00::1",
            "3ffe:ffff::1",
            "3fff:1000::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert_eq!(judge(good), Verdict::Public, "{good}");
        }
    }

    #[test]
    fn exceptions_cover_exactly_the_listed_address() {
        let rules = AddressRules::new(vec![IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2))]);
        assert_eq!(rules.judge(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2))), Verdict::Public);
        assert_eq!(rules.judge(IpAddr::V4(Ipv4Addr::LOCALHOST)), Verdict::Blocked);
    }
}
