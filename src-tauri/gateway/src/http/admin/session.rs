//! Set-up, sign-in, sign-out, sessions and the password.

use axum::{
    Extension, Json,
    extract::{FromRequestParts, Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    error::{AdminError, Body},
    guard, ticket,
    words::{Language, Standing},
};
use crate::{
    account::{Signed, Token, Visitor},
    http::{App, client::Peer},
    settings::Speech,
};

/// How things stand with the visitor.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionState {
    state: Standing,
    /// The account's name, once signed in.
    username: Option<String>,
    /// Of this program.
    version: &'static str,
    language: Language,
    /// Setting up takes the ticket from the log.
    needs_ticket: bool,
    /// A desktop app is around the gateway, and the visitor on the same computer.
    has_shell: bool,
}

/// A first account.
#[derive(Deserialize, ToSchema)]
pub struct SetUp {
    ticket: String,
    username: String,
    password: String,
}

/// Name and password.
#[derive(Deserialize, ToSchema)]
pub struct LogIn {
    username: String,
    password: String,
}

/// A ticket of the desktop app.
#[derive(Deserialize, ToSchema)]
pub struct ByTicket {
    ticket: String,
}

/// Old and new.
#[derive(Deserialize, ToSchema)]
pub struct ChangePassword {
    old_password: String,
    new_password: String,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionItem {
    id: i64,
    /// The one that asks.
    current: bool,
    created_at: i64,
    seen_at: i64,
    address: String,
    agent: String,
}

/// A list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sessions {
    items: Vec<SessionItem>,
}

impl FromRequestParts<App> for Visitor {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<Peer>().map_or_else(|| [0, 0, 0, 0].into(), |peer| peer.0.ip());
        let address = crate::http::client::address(&parts.headers, peer, &app.origins);
        let agent = parts.headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let session = parts.extensions.get::<Signed>().map(|signed| signed.session);
        Ok(Self { address, agent, session })
    }
}

async fn state_of(app: &App, username: Option<String>, headers: &HeaderMap, peer: Option<Peer>) -> Result<SessionState, AdminError> {
    let is_set_up = app.account.username().await?.is_some();
    let state = match (is_set_up, &username) {
        (false, _) => "setup",
        (true, None) => "signed_out",
        (true, Some(_)) => "signed_in",
    };
    let language = match app.settings.snapshot().speech {
        Speech::Auto => "auto",
        Speech::Zh => "zh",
        Speech::En => "en",
    };
    Ok(SessionState {
        state: state.into(),
        username,
        version: env!("CARGO_PKG_VERSION"),
        language: language.into(),
        needs_ticket: !is_set_up,
        has_shell: app.shell.is_some() && ticket::is_local(app, peer, headers),
    })
}

/// The answer to a sign-in, with the cookie.
async fn signed_in(app: &App, headers: &HeaderMap, peer: Option<Peer>, token: Token) -> Result<Response, AdminError> {
    let secure = crate::http::client::is_secure(headers, peer, &app.origins);
    let username = app.account.username().await?;
    let mut response = Json(state_of(app, username, headers, peer).await?).into_response();
    response.headers_mut().extend(cookie(app.origins.port, secure, token.expose()).map(|cookie| (header::SET_COOKIE, cookie)));
    Ok(response)
}

/// The cookie of a session.
pub fn cookie(port: u16, secure: bool, token: &str) -> Option<HeaderValue> {
    let flags = if secure { "; Secure" } else { "" };
    HeaderValue::try_from(format!("{}={token}; Path=/; HttpOnly; SameSite=Strict{flags}", guard::cookie_name(port, secure))).ok()
}

/// How things stand.
#[utoipa::path(get, path = "/session", responses((status = 200, body = SessionState)))]
pub async fn session(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    signed: Option<Extension<Signed>>,
) -> Result<Json<SessionState>, AdminError> {
    let username = signed.map(|Extension(signed)| signed.username);
    Ok(Json(state_of(&app, username, &headers, peer.map(|Extension(peer)| peer)).await?))
}

/// Makes the account.
#[utoipa::path(post, path = "/session/setup", request_body = SetUp, responses((status = 200, body = SessionState)))]
pub async fn set_up(
    State(app): State<App>,
    visitor: Visitor,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    Body(body): Body<SetUp>,
) -> Result<Response, AdminError> {
    let token = app.account.set_up(body.ticket.trim(), &body.username, &body.password, &visitor).await?;
    app.clear_ticket();
    signed_in(&app, &headers, peer.map(|Extension(peer)| peer), token).await
}

/// Signs in.
#[utoipa::path(post, path = "/session/login", request_body = LogIn, responses((status = 200, body = SessionState)))]
pub async fn log_in(
    State(app): State<App>,
    visitor: Visitor,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    Body(body): Body<LogIn>,
) -> Result<Response, AdminError> {
    let token = app.account.log_in(&body.username, &body.password, &visitor).await?;
    signed_in(&app, &headers, peer.map(|Extension(peer)| peer), token).await
}

/// Signs in with a ticket that is good once.
#[utoipa::path(post, path = "/session/ticket", request_body = ByTicket, responses((status = 200, body = SessionState)))]
pub async fn by_ticket(
    State(app): State<App>,
    visitor: Visitor,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    Body(body): Body<ByTicket>,
) -> Result<Response, AdminError> {
    let peer = peer.map(|Extension(peer)| peer);
    ticket::only_this_computer(&app, peer, &headers)?;
    let token = app.account.log_in_by_ticket(body.ticket.trim(), &visitor).await?;
    signed_in(&app, &headers, peer, token).await
}

/// Signs out.
#[utoipa::path(post, path = "/session/logout", responses((status = 204)))]
pub async fn log_out(State(app): State<App>, Extension(signed): Extension<Signed>) -> Result<Response, AdminError> {
    // Whatever becomes of the session here, this browser holds it no longer.
    if let Err(error) = app.account.end(signed.session).await {
        tracing::warn!(%error, "a session could not be ended");
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    for secure in [false, true] {
        let flags = if secure { "; Secure" } else { "" };
        let cookie = format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict{flags}", guard::cookie_name(app.origins.port, secure));
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    Ok(response)
}

/// All sessions.
#[utoipa::path(get, path = "/sessions", responses((status = 200, body = Sessions)))]
pub async fn sessions(State(app): State<App>, Extension(signed): Extension<Signed>) -> Result<Json<Sessions>, AdminError> {
    let item = |row: crate::store::SessionRow| SessionItem {
        current: row.id == signed.session,
        id: row.id,
        created_at: row.created_at,
        seen_at: row.seen_at,
        address: row.address,
        agent: row.agent,
    };
    Ok(Json(Sessions { items: app.account.sessions().await?.into_iter().map(item).collect() }))
}

/// Ends a session.
#[utoipa::path(delete, path = "/sessions/{id}", params(("id" = i64, Path)), responses((status = 204)))]
pub async fn end_one(State(app): State<App>, Path(id): Path<i64>) -> Result<StatusCode, AdminError> {
    if app.account.end(id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(AdminError::not_found("session")) }
}

/// Ends all other sessions.
#[utoipa::path(delete, path = "/sessions", responses((status = 204)))]
pub async fn end_others(State(app): State<App>, Extension(signed): Extension<Signed>) -> Result<StatusCode, AdminError> {
    app.account.end_others(signed.session).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes the password; other sessions end.
#[utoipa::path(post, path = "/account/password", request_body = ChangePassword, responses((status = 204)))]
pub async fn change_password(
    State(app): State<App>,
    Extension(signed): Extension<Signed>,
    visitor: Visitor,
    Body(body): Body<ChangePassword>,
) -> Result<StatusCode, AdminError> {
    app.account.change_password(&signed, &body.old_password, &body.new_password, &visitor).await?;
    Ok(StatusCode::NO_CONTENT)
}
