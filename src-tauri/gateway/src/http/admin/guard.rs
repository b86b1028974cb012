//! Who may come in: the right host, our own pages for whatever changes something, and a session.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::error::AdminError;
use crate::{
    account::Account,
    http::{App, Origins, error::ApiError},
    settings::Settings,
};

/// Routes that need no session.
const OPEN: [&str; 5] =
    ["/admin/api/session", "/admin/api/session/setup", "/admin/api/session/login", "/admin/api/session/ticket", "/admin/api/openapi.json"];

/// A header that a page of another origin cannot send without being asked first.
const OWN_HEADER: &str = "x-picgate";

/// The session's cookie. Cookies know no ports, so its name does; `token` is what Open WebUI calls its own.
pub fn cookie_name(port: u16, secure: bool) -> String {
    if secure { format!("__Host-picgate-{port}") } else { format!("picgate-{port}") }
}

/// The session's token, if the request carries one.
pub fn token(headers: &HeaderMap, port: u16) -> Option<String> {
    let names = [cookie_name(port, true), cookie_name(port, false)];
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    let mut pairs = cookies.filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| names.iter().any(|known| known == name)).map(|(_, value)| value.to_owned())
}

/// Whether the request changes something and comes from elsewhere than our own pages. Ports are other origins here, though
/// browsers call them the same site.
fn is_foreign(method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD) {
        return false;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    if let Some(origin) = text("origin") {
        let own = text("host").is_some_and(|host| origin == format!("http://{host}") || origin == format!("https://{host}"));
        return !own;
    }
    // No browser of today: a program, which says so.
    headers.get(OWN_HEADER).is_none()
}

/// Lets a request pass that comes from our own pages and has a session, where it needs one.
pub async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Result<Response, AdminError> {
    if is_foreign(request.method(), request.headers()) {
        return Err(AdminError::new(StatusCode::FORBIDDEN, "foreign_origin", "this must be asked from PicGate's own pages"));
    }
    let path = request.uri().path();
    let is_open = OPEN.contains(&path);
    let account: Account = app.account.clone();
    let signed = match token(request.headers(), app.origins.port) {
        Some(token) => account.who(&token).await?,
        None => None,
    };
    match signed {
        Some(signed) => {
            request.extensions_mut().insert(signed);
        }
        None if is_open => {}
        None => return Err(AdminError::new(StatusCode::UNAUTHORIZED, "not_signed_in", "sign in first")),
    }
    let mut response = next.run(request).await;
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Refuses hosts that are none of ours: a page whose name was made to point here (DNS rebinding) must read nothing.
pub async fn host_is_known(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    // Drawing needs the key, and a picture's id is as good as one.
    let is_free = path.starts_with("/v1/") || path == "/v1" || path.starts_with("/images/");
    let authority = request.uri().authority().map(|authority| authority.as_str().to_owned());
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let agrees = authority.as_ref().is_none_or(|authority| host.as_ref() == Some(authority));
    let known = host.as_deref().is_some_and(|host| is_ours(host, &app.origins, &app.settings.snapshot()));
    if is_free || agrees && known {
        return next.run(request).await;
    }
    let message = "this host name is not known to PicGate; add it under Settings > Security > Allowed hosts, or use the address";
    ApiError::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", message).into_response()
}

/// Addresses, names that only this computer answers to, and names that the user gave.
fn is_ours(host: &str, origins: &Origins, settings: &Settings) -> bool {
    let name = crate::http::client::without_port(host).to_ascii_lowercase();
    let name = name.trim_end_matches('.');
    if name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok() {
        return true;
    }
    let fixed = name == "localhost" || name.ends_with(".localhost") || name == "host.docker.internal" || name == "host.containers.internal";
    let own = origins.hostname.as_deref().is_some_and(|own| name == own || name == format!("{own}.local"));
    let public =
        settings.public_base_url.as_deref().and_then(|url| url::Url::parse(url).ok()).is_some_and(|url| url.host_str() == Some(name));
    fixed || own || public || settings.allowed_hosts.iter().any(|allowed| allowed == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_our_own_pages_change_something() {
        for (pairs, foreign) in [
            (&[("host", "a:1"), ("sec-fetch-site", "same-origin"), ("origin", "http://a:1")][..], false),
            (&[("host", "a:1"), ("sec-fetch-site", "none")], false),
            (&[("host", "a:1"), ("sec-fetch-site", "same-site"), ("origin", "http://a:2"), ("x-picgate", "1")], true),
            (&[("host", "a:1"), ("sec-fetch-site", "cross-site"), ("origin", "http://b"), ("x-picgate", "1")], true),
            (&[("host", "a:1"), ("origin", "http://a:1")], false),
            (&[("host", "a:1"), ("origin", "https://a:1")], false),
            (&[("host", "a:1"), ("origin", "http://a:2"), ("x-picgate", "1")], true),
            (&[("host", "a:1"), ("origin", "null"), ("x-picgate", "1")], true),
            (&[("host", "a:1"), ("x-picgate", "1")], false),
            (&[("host", "a:1")], true),
        ] {
            assert_eq!(is_foreign(&Method::POST, &headers(pairs)), foreign, "{pairs:?}");
            assert!(!is_foreign(&Method::GET, &headers(pairs)));
        }
    }

    #[test]
    fn the_token_is_found_among_other_cookies() {
        let headers = headers(&[("cookie", "token=open-webui; picgate-5643=abc; picgate-1=x")]);
        assert_eq!(token(&headers, 5643).as_deref(), Some("abc"));
        assert_eq!(token(&headers, 2), None);
    }
}
