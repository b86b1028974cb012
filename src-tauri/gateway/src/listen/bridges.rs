//! The addresses by which containers of Docker on Linux reach this computer: those of its bridges.

use std::net::IpAddr;

/// A bridge of Docker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// `docker0`, or `br-` and a number for a network of its own.
    pub interface: String,
    /// This computer's address on it.
    pub address: IpAddr,
}

/// The bridges that are there now. Only Docker on Linux has them: Docker Desktop leads containers to the loopback address.
#[cfg(target_os = "linux")]
pub fn bridges() -> Vec<Bridge> {
    let found = match if_addrs::get_if_addrs() {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "the network interfaces cannot be listed");
            return Vec::new();
        }
    };
    found
        .into_iter()
        .filter(|found| is_bridge(&found.name, found.ip()))
        .map(|found| Bridge { address: found.ip(), interface: found.name })
        .collect()
}

/// The bridges: there are none here.
#[cfg(not(target_os = "linux"))]
pub fn bridges() -> Vec<Bridge> {
    Vec::new()
}

/// Docker names its bridges so. The address has to be a private one: a bridge that somebody made for something else may lead
/// to the open network, and link-local IPv6 cannot be listened on without naming the interface.
#[cfg(any(target_os = "linux", test))]
fn is_bridge(interface: &str, address: IpAddr) -> bool {
    let named = interface == "docker0"
        || interface.strip_prefix("br-").is_some_and(|id| id.len() == 12 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    let private = match address {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    };
    named && private
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dockers_own_bridges_count() {
        for (interface, address, counts) in [
            ("docker0", "172.17.0.1", true),
            ("br-0a1b2c3d4e5f", "172.18.0.1", true),
            ("docker0", "fd00::1", true),
            ("docker0", "fe80::1", false),
            ("br-lan", "192.168.1.1", false),
            ("br0", "192.168.1.1", false),
            ("br-0a1b2c3d4e5f", "203.0.113.7", false),
            ("eth0", "172.17.0.1", false),
        ] {
            assert_eq!(is_bridge(interface, address.parse().expect("an address")), counts, "{interface} {address}");
        }
    }
}
