//! Who may draw: whoever has the gateway key. Our own tries of our addresses may read the list of models without it.

use axum::{
    extract::{Request, State},
    http::{Method, StatusCode, header},
    middleware::Next,
    response::Response,
};

use super::error::ApiError;
use crate::{settings::LiveSettings, store::ProbeKey};

/// What a pass of [`ProbeKey`] opens, inside `/v1`.
const PROBED: &str = "/models";

/// Lets a request pass if it carries the key as a bearer token.
pub async fn require_key(
    State(settings): State<LiveSettings>,
    State(probe_key): State<ProbeKey>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let offered = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let token = offered.and_then(|value| {
        let (scheme, token) = value.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
    });
    match token {
        Some(token) if settings.snapshot().gateway_key.matches(token) => Ok(next.run(request).await),
        Some(token) if request.method() == Method::GET && request.uri().path() == PROBED && probe_key.admits(token) => {
            Ok(next.run(request).await)
        }
        Some(_) => Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "invalid_api_key",
            "the API key is not this gateway's; the gateway's 'key' command prints the right one",
        )),
        None => Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "missing_api_key",
            "an API key is needed, as 'Authorization: Bearer pg-...'; the gateway's 'key' command prints it",
        )),
    }
}
