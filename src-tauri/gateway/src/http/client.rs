//! What the request tells of the client: by which address it called us, and so which links its user can open.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
};

use tokio_util::sync::CancellationToken;

use super::{App, Origins, error::ApiError, headers::RequestId};
use crate::{
    model::browser_can_open,
    relay::{Client, KEY_MAX, LinkBase},
    settings::Settings,
};

/// Longest name of a task, in bytes.
const TASK_MAX: usize = 64;

/// The other end of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Ends when the door that the request came through is closed: answers that never end do so then.
#[derive(Clone, Debug)]
pub struct Closing(pub CancellationToken);

impl FromRequestParts<App> for Client {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<Peer>().copied();
        let settings = app.settings.snapshot();
        let agent = parts.headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let text = |name: &str, most: usize| {
            parts.headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim).filter(|v| v.len() <= most).map(str::to_owned)
        };
        let idempotency_key = match parts.headers.get("idempotency-key") {
            None => None,
            Some(value) => match value.to_str().map(str::trim) {
                Ok(key) if key.len() <= KEY_MAX => Some(key.to_owned()).filter(|key| !key.is_empty()),
                // To pass it over would be to pay twice.
                _ => {
                    return Err(ApiError::new(
                        StatusCode::BAD_REQUEST,
                        "invalid_idempotency_key",
                        format!("the Idempotency-Key must be at most {KEY_MAX} characters of ASCII"),
                    ));
                }
            },
        };
        Ok(Self {
            links: link_base(&parts.headers, peer, &app.origins, &settings),
            prefers_base64: agent.contains("aiohttp"),
            task: text("x-openwebui-task", TASK_MAX),
            idempotency_key,
            request: parts.extensions.get::<RequestId>().map(|id| id.0.clone()),
            tries: false,
        })
    }
}

/// Where the client is: behind trusted proxies the last address of `X-Forwarded-For` that is none of theirs. What stands
/// before it the client may have made up.
pub(super) fn address(headers: &HeaderMap, peer: IpAddr, origins: &Origins) -> IpAddr {
    let lines = headers.get_all("x-forwarded-for").iter().rev().map(|line| line.to_str().unwrap_or_default());
    let mut hops = lines.flat_map(|line| line.rsplit(',')).map(|hop| {
        let bare = hop.trim().trim_matches('"');
        let inner = without_port(bare).trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().or_else(|_| inner.parse()).ok()
    });
    let mut nearest = peer;
    while origins.trusts(nearest) {
        let Some(Some(hop)) = hops.next() else { break };
        nearest = hop;
    }
    nearest
}

/// Whether the client came by https, as a trusted proxy says.
pub(super) fn is_secure(headers: &HeaderMap, peer: Option<Peer>, origins: &Origins) -> bool {
    if !peer.is_some_and(|peer| origins.trusts(peer.0.ip())) {
        return false;
    }
    let text =
        |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(|v| v.split(',').next().unwrap_or_default().trim().to_owned());
    let standard = text("forwarded").and_then(|value| read_forwarded(&value).1);
    standard.or_else(|| text("x-forwarded-proto")).as_deref() == Some("https")
}

/// What links begin with for a client that calls us by `authority`, without a proxy between.
pub(super) fn links_of(authority: &str, origins: &Origins, settings: &Settings) -> LinkBase {
    let host = authority.parse().ok().map(|value| (header::HOST, value));
    link_base(&host.into_iter().collect(), None, origins, settings)
}

fn link_base(headers: &HeaderMap, peer: Option<Peer>, origins: &Origins, settings: &Settings) -> LinkBase {
    if let Some(base) = settings.direct_links.as_ref().or(settings.public_base_url.as_ref()) {
        return LinkBase::new(base.clone());
    }
    let text =
        |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(|v| v.split(',').next().unwrap_or_default().trim().to_owned());
    let trusted = peer.is_some_and(|peer| origins.trusts(peer.0.ip()));
    let forwarded = |name: &str| text(name).filter(|_| trusted);
    let (standard_host, standard_proto) = forwarded("forwarded").map(|v| read_forwarded(&v)).unwrap_or_default();
    let host = standard_host.or_else(|| forwarded("x-forwarded-host")).or_else(|| text("host"));
    let proto = standard_proto.or_else(|| forwarded("x-forwarded-proto")).filter(|p| p == "https").unwrap_or_else(|| "http".into());
    match host.filter(|host| browser_can_open(without_port(host)) && is_clean(host)) {
        Some(host) => LinkBase::new(format!("{proto}://{host}")),
        // A container calls its host by names that no browser knows; the browser is most likely on this computer.
        None => LinkBase::new(format!("http://localhost:{}", origins.port)),
    }
}

/// `host` and `proto` of the first element (RFC 7239).
fn read_forwarded(value: &str) -> (Option<String>, Option<String>) {
    let find = |key: &str| {
        value.split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case(key).then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    (find("host"), find("proto"))
}

pub(super) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

/// A name or an address, an IPv6 one in brackets, perhaps with a port: nothing that could break out of a URL.
fn is_clean(host: &str) -> bool {
    let name = without_port(host);
    let port = host[name.len()..].strip_prefix(':');
    let in_brackets = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    let name_fits = in_brackets.map_or(plain, |inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
    name_fits && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Secret, settings::Keys};

    fn base(pairs: &[(&'static str, &str)], peer: &str, public: Option<&str>) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().expect("a header"));
        }
        let origins = Origins { port: 5643, trusted_proxies: vec!["10.1.0.0/16".parse().expect("a network")], hostname: None };
        let table = public.map(|url| ("public_base_url".to_owned(), url.to_owned())).into_iter().collect();
        let flags = crate::config::Flags { data_dir: Some("/nowhere".into()), ..Default::default() };
        let config = crate::config::Config::load(&flags, &|_| None).expect("loads");
        let settings = Settings::resolve(&config, &table, Keys { gateway: Secret::new("k"), bucket: None });
        let link =
            link_base(&headers, Some(Peer(peer.parse().expect("an address"))), &origins, &settings).link(crate::model::ImageId::random());
        link.split("/images/").next().unwrap_or_default().to_owned()
    }

    #[test]
    fn links_name_a_host_that_the_users_browser_knows() {
        let local = "127.0.0.1:1";
        assert_eq!(base(&[("host", "192.168.1.5:5643")], local, None), "http://192.168.1.5:5643");
        assert_eq!(base(&[("host", "[::1]:5643")], local, None), "http://[::1]:5643");
        assert_eq!(base(&[("host", "host.docker.internal:5643")], local, None), "http://localhost:5643");
        assert_eq!(base(&[("host", "picgate:9999")], local, None), "http://localhost:5643");
        assert_eq!(base(&[("host", "a.b/](http://evil")], local, None), "http://localhost:5643");
        assert_eq!(base(&[("host", "picgate")], local, Some("https://img.example.com/x/")), "https://img.example.com/x");
        assert_eq!(base(&[], local, None), "http://localhost:5643");
        for broken in ["::1", "[::1", "127.0.0.1:99999999", "127.0.0.1:", "[zz]:1", "a.b:c"] {
            assert_eq!(base(&[("host", broken)], local, None), "http://localhost:5643", "{broken}");
        }
    }

    #[test]
    fn the_client_is_the_last_address_that_is_no_trusted_proxys() {
        let origins = Origins { port: 5643, trusted_proxies: vec!["10.1.0.0/16".parse().expect("a network")], hostname: None };
        let found = |peer: &str, lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().expect("a header"));
            }
            address(&headers, peer.parse().expect("an address"), &origins).to_string()
        };
        assert_eq!(found("10.2.0.1", &["198.51.100.1"]), "10.2.0.1", "nobody we trust");
        assert_eq!(found("10.1.0.1", &[]), "10.1.0.1");
        assert_eq!(found("10.1.0.1", &["6.6.6.6, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(found("::ffff:10.1.0.1", &["6.6.6.6", "198.51.100.1:4711, 10.1.0.2"]), "198.51.100.1");
        assert_eq!(found("10.1.0.1", &["6.6.6.6, [2001:db8::1]:80"]), "2001:db8::1");
        assert_eq!(found("10.1.0.1", &["6.6.6.6, 2001:db8::1"]), "2001:db8::1");
        assert_eq!(found("10.1.0.1", &["6.6.6.6, unknown"]), "10.1.0.1", "nothing behind what cannot be read");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let headers = [("host", "localhost:5643"), ("x-forwarded-host", "img.example.com"), ("x-forwarded-proto", "https")];
        assert_eq!(base(&headers, "10.1.2.3:1", None), "https://img.example.com");
        assert_eq!(base(&headers, "10.2.2.3:1", None), "http://localhost:5643");
        let standard = [("host", "localhost"), ("forwarded", "for=1.2.3.4;host=\"pics.example.org\";proto=https, for=x")];
        assert_eq!(base(&standard, "[::ffff:10.1.0.9]:1", None), "https://pics.example.org");
    }
}
