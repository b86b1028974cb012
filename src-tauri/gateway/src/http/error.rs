//! The one place where a failure gets its status, its code and its words. Bodies have OpenAI's shape; the reason
//! phrase says it once more, for clients that show nothing else.

use std::time::Duration;

use axum::{
    extract::{OriginalUri, Request},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper::ext::ReasonPhrase;
use serde_json::json;

use crate::{
    relay::RelayError,
    upstream::{Class, UpstreamError},
};

/// When a client is to come back if we are merely busy.
const BUSY_RETRY: Duration = Duration::from_secs(5);

/// Longest reason phrase, in bytes.
const REASON_MAX: usize = 120;

/// A failure in the shape in which clients get it.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    kind: &'static str,
    code: &'static str,
    param: Option<&'static str>,
    message: String,
    retry_after: Option<Duration>,
}

impl ApiError {
    /// A failure with OpenAI's `invalid_request_error`.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind: "invalid_request_error", code, param: None, message: message.into(), retry_after: None }
    }

    /// Says when to come back.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// The media type of the body is none that this endpoint takes.
    pub fn wrong_type(expected: &str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", format!("the body must be {expected}"))
    }

    fn of_kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let error = json!({"message": self.message, "type": self.kind, "code": self.code, "param": self.param});
        let mut response = (self.status, axum::Json(json!({ "error": error }))).into_response();
        // Obsolete line folding and the like must not get in: printable ASCII alone.
        let reason: String =
            self.message.chars().map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' }).take(REASON_MAX).collect();
        let readable = reason.bytes().filter(|b| *b == b'?').count() * 4 < reason.len();
        let reason = if readable { reason } else { self.code.replace('_', " ") };
        if let Ok(reason) = ReasonPhrase::try_from(reason.into_bytes()) {
            response.extensions_mut().insert(reason);
        }
        if let Some(after) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<RelayError> for ApiError {
    fn from(error: RelayError) -> Self {
        let message = error.to_string();
        let server = |status, code| Self::new(status, code, message.clone()).of_kind("server_error");
        match error {
            RelayError::BadRequest { message, param, code } => Self { param, ..Self::new(StatusCode::BAD_REQUEST, code, message) },
            RelayError::TooLarge(message) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message),
            RelayError::CutOff => Self::new(StatusCode::BAD_REQUEST, "request_cut_off", message),
            RelayError::Busy => server(StatusCode::TOO_MANY_REQUESTS, "too_many_requests").retry_after(BUSY_RETRY),
            RelayError::Upstream(error) => error.into(),
            RelayError::Library(error) => {
                tracing::error!(%error, "an image could not be stored");
                server(StatusCode::INSUFFICIENT_STORAGE, "storage_failed")
            }
            RelayError::Db(error) => {
                tracing::error!(%error, "the database failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "database_failed", "the database failed; the log has the reason")
                    .of_kind("server_error")
            }
            RelayError::Panicked => server(StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
        }
    }
}

impl From<UpstreamError> for ApiError {
    fn from(error: UpstreamError) -> Self {
        let status = match error.class {
            Class::QuotaExhausted | Class::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Class::Balance => StatusCode::PAYMENT_REQUIRED,
            Class::BlockedInput | Class::BlockedOutput | Class::BadParameter => StatusCode::BAD_REQUEST,
            Class::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Class::Timeout => StatusCode::GATEWAY_TIMEOUT,
            // Not 401: the client's own key was right.
            Class::Auth | Class::Server | Class::Connection | Class::BadAnswer => StatusCode::BAD_GATEWAY,
        };
        tracing::warn!(class = error.class.code(), upstream_status = error.status, upstream_code = error.code, message = %error, "the upstream failed");
        let kind = if status.is_server_error() { "upstream_error" } else { "invalid_request_error" };
        let kind = if status == StatusCode::TOO_MANY_REQUESTS { "rate_limit_error" } else { kind };
        let message = match error.class {
            Class::Auth => format!("the upstream refuses PicGate's API key; check the upstream's settings ({})", error.message),
            _ => error.message,
        };
        Self { retry_after: error.retry_after, ..Self::new(status, error.class.code(), message).of_kind(kind) }
    }
}

/// For those who left `/v1` out of the base URL, or put it in twice.
fn hint(path: &str) -> &'static str {
    let forgot =
        ["/chat/", "/images/generations", "/images/edits", "/models", "/responses", "/completions"].iter().any(|p| path.starts_with(p));
    if forgot || path == "/v1" || path.starts_with("/v1/v1") { "; the base URL ends in /v1, once" } else { "" }
}

/// Nothing lives here.
pub async fn not_found(OriginalUri(uri): OriginalUri) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not_found", format!("there is nothing at {}{}", uri.path(), hint(uri.path())))
}

/// Something lives here that does not take this method.
pub async fn wrong_method(OriginalUri(uri): OriginalUri, request: Request) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{} does not take {}{}", uri.path(), request.method(), hint(uri.path())),
    )
}

/// A handler panicked; only its own request fails.
pub fn panicked(cause: Box<dyn std::any::Any + Send>) -> Response {
    let cause = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
    tracing::error!(cause, "a request failed because of a mistake in PicGate");
    ApiError::from(RelayError::Panicked).into_response()
}
