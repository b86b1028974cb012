//! The way in for the windows of the desktop app: a ticket that is good once and for a minute becomes a session.

use std::net::IpAddr;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    error::{AdminError, Query},
    guard, session,
};
use crate::{
    account::{AccountError, Visitor},
    http::{App, Peer},
};

/// Headers that a proxy adds. Behind one, everybody seems to be this computer.
const OF_PROXIES: [&str; 7] =
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-real-ip", "via"];

/// Longest address to go on to, in bytes.
const NEXT_MAX: usize = 1024;

/// What a window brings.
#[derive(Deserialize)]
pub struct Entry {
    t: String,
    #[serde(default)]
    next: Option<String>,
}

/// Whether the request comes from this computer and not through a proxy, as far as can be seen.
pub fn is_local(app: &App, peer: Option<Peer>, headers: &HeaderMap) -> bool {
    let is_here = |ip: IpAddr| ip.to_canonical().is_loopback() || ip == app.config.host;
    let direct = !OF_PROXIES.iter().any(|name| headers.contains_key(*name));
    direct && peer.is_some_and(|peer| is_here(peer.0.ip()))
}

/// Refuses whoever is elsewhere.
pub fn only_this_computer(app: &App, peer: Option<Peer>, headers: &HeaderMap) -> Result<(), AdminError> {
    if is_local(app, peer, headers) {
        return Ok(());
    }
    Err(AdminError::new(StatusCode::FORBIDDEN, "not_local", "this works on the gateway's own computer alone, and not through a proxy"))
}

/// One of our own pages, or the first one.
fn own_page(next: Option<&str>) -> &str {
    let own = |next: &str| {
        let path = next.split(['?', '#']).next().unwrap_or_default();
        let plain = next.len() <= NEXT_MAX && next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        let page = path.starts_with("/admin/") && !path.starts_with("/admin/api") && path != "/admin/ticket";
        plain && page && !path.contains("//") && !path.contains("/.")
    };
    next.filter(|next| own(next)).unwrap_or("/admin")
}

/// `GET /admin/ticket?t=…&next=…`: the session's cookie, and on to the page. A ticket that is no longer good leads there as
/// well; the page then asks for the password.
pub async fn enter(
    State(app): State<App>,
    visitor: Visitor,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    Query(entry): Query<Entry>,
) -> Result<Response, AdminError> {
    only_this_computer(&app, peer.map(|Extension(peer)| peer), &headers)?;
    let mut response = Redirect::to(own_page(entry.next.as_deref())).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Our own windows are opened by nobody's page.
    if headers.get("sec-fetch-site").is_some_and(|site| matches!(site.as_bytes(), b"cross-site" | b"same-site")) {
        return Ok(response);
    }
    // A window that was signed in before stays in its session, and the list of sessions short.
    let signed = match guard::token(&headers, app.origins.port) {
        Some(token) => app.account.who(&token).await?,
        None => None,
    };
    if signed.is_some() {
        app.account.tickets().use_up(&entry.t);
        return Ok(response);
    }
    match app.account.log_in_by_ticket(&entry.t, &visitor).await {
        Ok(token) => {
            let cookie = session::cookie(app.origins.port, false, token.expose());
            response.headers_mut().extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
        }
        Err(AccountError::WrongTicket | AccountError::NotSetUp) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_leads_to_our_own_pages_alone() {
        for good in ["/admin/gallery", "/admin/gallery/3f0c?sort=size", "/admin/settings#bucket"] {
            assert_eq!(own_page(Some(good)), good);
        }
        for bad in [
            "https://evil.example",
            "//evil.example",
            "/\\evil",
            "/admin",
            "/administrator",
            "/admin//evil.example",
            "/admin/../images/x",
            "/admin/api/settings",
            "/admin/ticket?t=1",
            "/images/x",
            "/admin/a b",
            "/admin/\r\nset-cookie:x",
            "",
        ] {
            assert_eq!(own_page(Some(bad)), "/admin", "{bad}");
        }
        assert_eq!(own_page(None), "/admin");
    }
}
