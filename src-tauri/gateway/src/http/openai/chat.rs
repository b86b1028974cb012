//! `POST /v1/chat/completions`

use axum::{body::Body, extract::State, http::HeaderMap};

use super::{body_stream, check_length, require_json};
use crate::{
    http::error::ApiError,
    relay::{Client, Relay, Reply},
};

/// Answers a conversation, streamed or whole as it asks.
pub async fn completions(State(relay): State<Relay>, client: Client, headers: HeaderMap, body: Body) -> Result<Reply, ApiError> {
    require_json(&headers)?;
    check_length(&headers)?;
    Ok(relay.chat(body_stream(body), client).await?)
}
