//! Decides from the text of a URL alone whether it may be dialled.
//!
//! Pure and synchronous. Refuses to know about DNS answers and sockets; the
//! addresses behind a name are vetted in `resolve`.

use std::net::IpAddr;

use url::{Host, Url};

use super::address::{AddressRules, Verdict};
use super::error::FetchError;

/// The user's settings for guarded downloads.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Ports that are allowed besides 80 and 443, for both schemes.
    pub extra_ports: Vec<u16>,
    /// Accept names (never literals) that resolve into 198.18.0.0/15, the
    /// range that Clash and sing-box answer with in fake-IP mode.
    pub allow_fake_ip_names: bool,
}

/// Longest URL accepted, in bytes. Signed object-store URLs stay below 4 KiB;
/// anything longer only costs memory.
const MAX_URL_BYTES: usize = 8 * 1024;

/// Names that mean "inside" whatever DNS says, without leading dot; each also
/// covers all names below it. From the IANA "Special-Use Domain Names" registry
/// (`localhost`, `local`, `onion`, `invalid`, `alt`, `home.arpa`), ICANN's
/// private-use reservation (`internal`, 2024), and the de-facto private names of
/// routers, company networks and Kubernetes. They are refused before DNS so
/// that inner names are not leaked to an outside resolver either.
const INSIDE_NAMES: &[&str] = &[
    "localhost",
    "localdomain",
    "local",
    "internal",
    "onion",
    "invalid",
    "alt",
    "home.arpa",
    "home",
    "lan",
    "corp",
    "intranet",
    "private",
    "svc",
    "fritz.box",
];

/// Refuses text that URL parsers repair differently (WHATWG strips tabs and
/// newlines and reads a backslash as a slash, RFC 3986 does neither), so that no
/// two readers can disagree about the host. Call before parsing.
///
/// # Errors
/// [`FetchError::Refused`].
pub fn check_text(text: &str) -> Result<(), FetchError> {
    let unclean = |byte: u8| byte <= b' ' || byte == 0x7f || byte == b'\\';
    if text.is_empty() || text.len() > MAX_URL_BYTES || text.bytes().any(unclean) {
        return Err(FetchError::Refused);
    }
    Ok(())
}

/// Refuses a user name or password in the URL: it misleads readers about the
/// host, and the HTTP client would turn it into an `Authorization` header.
///
/// # Errors
/// [`FetchError::Refused`].
pub fn check_userinfo(url: &Url) -> Result<(), FetchError> {
    if url.username().is_empty() && url.password().is_none() { Ok(()) } else { Err(FetchError::Refused) }
}

/// Applies every guarded rule that needs no DNS to an already parsed URL:
/// scheme, userinfo, port, literal address, inside names.
///
/// # Errors
/// [`FetchError::Refused`].
pub fn check_url(url: &Url, policy: &Policy, rules: &AddressRules) -> Result<(), FetchError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(FetchError::Refused);
    }
    check_userinfo(url)?;
    let port = url.port_or_known_default().ok_or(FetchError::Refused)?;
    if !matches!(port, 80 | 443) && !policy.extra_ports.contains(&port) {
        return Err(FetchError::Refused);
    }
    let allowed = match url.host() {
        Some(Host::Domain(name)) => is_outside_name(name),
        // The connector skips the resolver for literals, so they are judged here.
        Some(Host::Ipv4(ip)) => rules.judge(IpAddr::V4(ip)) == Verdict::Public,
        Some(Host::Ipv6(ip)) => rules.judge(IpAddr::V6(ip)) == Verdict::Public,
        None => false,
    };
    if allowed { Ok(()) } else { Err(FetchError::Refused) }
}

/// Whether `name` (lower case, as the `url` crate prints it) may be asked of
/// DNS: at least two labels, none empty, not an inside name.
pub fn is_outside_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let inside = |suffix: &&str| name.strip_suffix(*suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    // Single labels go through search domains, which only lead inside.
    name.contains('.') && !name.split('.').any(str::is_empty) && !INSIDE_NAMES.iter().any(inside)
}

/// Judges all addresses a name resolved to. One bad address refuses the name:
/// happy eyeballs may dial any of them. An empty answer is refused as well.
///
/// # Errors
/// [`FetchError::FakeIp`] if fake-IP addresses are the only objection,
/// otherwise [`FetchError::Refused`].
pub fn check_answers(ips: &[IpAddr], policy: &Policy, rules: &AddressRules) -> Result<(), FetchError> {
    if ips.is_empty() {
        return Err(FetchError::Refused);
    }
    let mut fake = false;
    for ip in ips {
        match rules.judge(*ip) {
            Verdict::Public => {}
            Verdict::FakeIp => fake = true,
            Verdict::Blocked => return Err(FetchError::Refused),
        }
    }
    if fake && !policy.allow_fake_ip_names { Err(FetchError::FakeIp) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_names_end_at_label_borders() {
        for inside in ["localhost", "a.localhost", "nas.local", "nas.local.", "x.svc", "fritz.box", "a..com", ".", ""] {
            assert!(!is_outside_name(inside), "{inside}");
        }
        for outside in ["notlocal.com", "mylan.net", "local.example.com", "example.com.", "box.com", "xfritz.box"] {
            assert!(is_outside_name(outside), "{outside}");
        }
    }

    #[test]
    fn fake_ip_is_named_only_when_it_is_the_only_objection() {
        let ips = |list: &[&str]| -> Vec<IpAddr> { list.iter().map(|ip| ip.parse().expect("ip")).collect() };
        let rules = AddressRules::default();
        let closed = Policy::default();
        let open = Policy { allow_fake_ip_names: true, ..Policy::default() };
        let check = |list: &[&str], policy: &Policy| check_answers(&ips(list), policy, &rules);
        assert_eq!(check(&["198.18.0.7"], &closed), Err(FetchError::FakeIp));
        assert_eq!(check(&["198.18.0.7", "10.0.0.1"], &closed), Err(FetchError::Refused));
        assert_eq!(check(&["198.18.0.7", "10.0.0.1"], &open), Err(FetchError::Refused));
        assert_eq!(check(&["198.18.0.7", "8.8.8.8"], &open), Ok(()));
        assert_eq!(check(&[], &open), Err(FetchError::Refused));
    }
}
