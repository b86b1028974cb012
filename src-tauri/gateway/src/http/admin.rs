//! Stands where the admin UI will be: one page that says how things are and what to do.

use axum::{
    http::header,
    response::{Html, IntoResponse, Redirect, Response},
};

/// `/` has nothing of its own.
pub async fn home() -> Redirect {
    Redirect::temporary("/admin")
}

/// One page, in both languages, without scripts. It is open to everybody, so it tells nothing but that we are here.
pub async fn placeholder() -> Response {
    let page = include_str!("admin.html").replace("{version}", env!("CARGO_PKG_VERSION"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response()
}
