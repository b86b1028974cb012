//! The endpoints that OpenAI's clients know.

mod chat;
mod images;
mod models;

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::DefaultBodyLimit,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::time::Instant;

use super::{App, error::ApiError};
use crate::{
    library::ReadBody,
    relay::{Reading, Reply, images::REQUEST_MAX},
};

/// Longest silence in the middle of a request's body.
const BODY_IDLE: Duration = Duration::from_secs(30);

/// Longest time that the whole of it may take: 256 MB at 2.4 Mbit/s.
const BODY_TOTAL: Duration = Duration::from_secs(15 * 60);

/// Everything under `/v1`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/models", get(models::list))
        .route("/models/{id}", get(models::one))
        .route("/chat/completions", post(chat::completions))
        .route("/images/generations", post(images::generations))
        .route("/images/edits", post(images::edits))
        // Bodies have limits of their own and are never held in memory.
        .layer(DefaultBodyLimit::disable())
        .fallback(super::error::not_found)
        .method_not_allowed_fallback(super::error::wrong_method)
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Types that stand for JSON, for want of anything better.
const LENIENT: [&str; 5] = ["", "application/json", "application/x-www-form-urlencoded", "text/plain", "application/octet-stream"];

/// Clients that forget to say what they send mean JSON, and so does `curl -d`. No browser gets here without the key,
/// so leniency opens nothing.
fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let media = media_type(headers);
    if LENIENT.contains(&media.as_str()) || media.ends_with("+json") { Ok(()) } else { Err(ApiError::wrong_type("application/json")) }
}

/// Refuses what is too large before the first byte of it is read.
fn check_length(headers: &HeaderMap) -> Result<(), ApiError> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    match announced {
        Some(length) if length > REQUEST_MAX => {
            let limit = REQUEST_MAX / 1024 / 1024;
            Err(ApiError::new(axum::http::StatusCode::PAYLOAD_TOO_LARGE, "too_large", format!("the body is larger than {limit} MB")))
        }
        _ => Ok(()),
    }
}

/// The body's bytes; a client that falls silent, or drips for ever, counts as gone.
fn body_stream(body: Body) -> impl Stream<Item = Result<Bytes, ()>> + Send {
    let end = Instant::now() + BODY_TOTAL;
    stream::unfold(Some(body.into_data_stream()), move |body| async move {
        let mut body = body?;
        match tokio::time::timeout_at(end.min(Instant::now() + BODY_IDLE), body.next()).await {
            Ok(Some(Ok(bytes))) => Some((Ok(bytes), Some(body))),
            Ok(None) => None,
            Ok(Some(Err(_))) | Err(_) => Some((Err(()), None)),
        }
    })
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self {
            Self::Json(body, reading) => {
                let sent = Sent { body: body.body(), reading };
                let mut response = Response::new(Body::new(sent));
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
                response
            }
            Self::LateJson(reading) => {
                let mut response = Response::new(Body::from_stream(reading.into_stream()));
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
            Self::Events(reading) => events(Body::from_stream(reading.into_stream())),
            Self::WholeEvents(body) => events(Body::new(body.body())),
        }
    }
}

fn events(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// A whole body that tells when the client has taken all of it.
struct Sent {
    body: ReadBody,
    reading: Option<Reading>,
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if self.body.is_end_stream()
            && let Some(reading) = self.reading.take()
        {
            reading.delivered();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
