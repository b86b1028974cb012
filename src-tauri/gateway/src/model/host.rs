//! Which hosts a person's browser can open: decides whether the name a client called us by may stand in a link.

use std::net::IpAddr;

/// Names by which containers call their host. They have a dot, yet no browser knows them.
const CONTAINER_NAMES: [&str; 4] =
    ["host.docker.internal", "gateway.docker.internal", "host.containers.internal", "kubernetes.docker.internal"];

/// Whether a browser on the user's side can be expected to reach `host` (no port; IPv6 with or without brackets).
///
/// True for `localhost`, for names with a dot and for LAN or public addresses. False for bare names (container
/// names), the names Docker and Podman give to their host, unspecified addresses and bridge gateways: Docker's
/// default pools put them at `172.17.0.1`–`172.31.0.1` (Docker documentation, "default-address-pools") and Docker
/// Desktop's at `192.168.65.x`, Podman's at `10.88.0.1`.
pub fn browser_can_open(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => {
            let bridge = match v4.octets() {
                [172, second, _, 1] => (17..=31).contains(&second),
                [192, 168, 65, _] | [10, 88, 0, 1] => true,
                _ => false,
            };
            !bridge && !v4.is_unspecified() && !v4.is_multicast() && !v4.is_broadcast()
        }
        Ok(IpAddr::V6(v6)) => !v6.is_unspecified() && !v6.is_multicast(),
        Err(_) => {
            let name = host.trim_end_matches('.');
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
            plain && (name == "localhost" || name.contains('.') && !name.starts_with('.')) && !CONTAINER_NAMES.contains(&name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_that_a_browser_knows_may_stand_in_links() {
        for known in ["localhost", "img.example.com", "192.168.1.20", "10.0.0.7", "8.8.8.8", "[::1]", "nas.local", "127.0.0.1"] {
            assert!(browser_can_open(known), "{known}");
        }
        for unknown in [
            "picgate",
            "host.docker.internal",
            "HOST.docker.internal",
            "172.17.0.1",
            "172.18.0.1",
            "0.0.0.0",
            "[::]",
            "",
            "a b.c",
            "10.88.0.1",
        ] {
            assert!(!browser_can_open(unknown), "{unknown}");
        }
    }
}
