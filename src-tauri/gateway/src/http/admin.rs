//! Stands where the admin UI will be: one page that says how things are and what to do.

use axum::{
    extract::State,
    http::header,
    response::{Html, IntoResponse, Redirect, Response},
};

use crate::{relay::Relay, settings::LiveSettings};

/// `/` has nothing of its own.
pub async fn home() -> Redirect {
    Redirect::temporary("/admin")
}

/// One page, in both languages, without scripts.
pub async fn placeholder(State(relay): State<Relay>, State(settings): State<LiveSettings>) -> Response {
    let upstreams = relay.upstreams();
    let upstream = upstreams.first().map_or_else(String::new, |(name, model)| format!("{name} · {model}"));
    let page = include_str!("admin.html")
        .replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{model}", &escape(&settings.snapshot().gateway_model))
        .replace("{upstream}", &escape(&upstream));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
