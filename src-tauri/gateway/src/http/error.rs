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

/// When a client is to come back if the gateway was paused by hand.
const PAUSED_RETRY: Duration = Duration::from_secs(60);

/// The reason phrase then.
const PAUSED_REASON: &str = "PicGate is paused";

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
    /// The same in ASCII, if the message is not.
    reason: Option<String>,
    retry_after: Option<Duration>,
    /// Whether a client may send the request again by itself. OpenAI's SDKs do so twice unless told not to.
    may_retry: bool,
}

/// When to ask again for what is only in a bucket that is away.
pub const BUCKET_RETRY: Duration = Duration::from_secs(10);

impl ApiError {
    /// A failure with OpenAI's `invalid_request_error`.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: "invalid_request_error",
            code,
            param: None,
            message: message.into(),
            reason: None,
            retry_after: None,
            may_retry: false,
        }
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
        let reason: String = self
            .reason
            .as_ref()
            .unwrap_or(&self.message)
            .chars()
            .map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' })
            .take(REASON_MAX)
            .collect();
        let readable = reason.bytes().filter(|b| *b == b'?').count() * 4 < reason.len();
        let reason = if readable { reason } else { self.code.replace('_', " ") };
        if let Ok(reason) = ReasonPhrase::try_from(reason.into_bytes()) {
            response.extensions_mut().insert(reason);
        }
        // OpenAI's SDKs read it (openai-python, _base_client.py): a second attempt would be paid for.
        response.headers_mut().insert("x-should-retry", HeaderValue::from_static(if self.may_retry { "true" } else { "false" }));
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
        Self::from(&error)
    }
}

impl From<&RelayError> for ApiError {
    fn from(error: &RelayError) -> Self {
        let of = |status| Self::new(status, error.code(), error.to_string()).of_kind(error.kind());
        match error {
            RelayError::BadRequest { param, code: "idempotency_key_reused" | "idempotency_key_spent", .. } => {
                Self { param: *param, ..of(StatusCode::UNPROCESSABLE_ENTITY) }
            }
            RelayError::BadRequest { param, .. } => Self { param: *param, ..of(StatusCode::BAD_REQUEST) },
            RelayError::TooLarge(_) => of(StatusCode::PAYLOAD_TOO_LARGE),
            RelayError::CutOff => of(StatusCode::BAD_REQUEST),
            RelayError::Busy => Self { may_retry: true, ..of(StatusCode::TOO_MANY_REQUESTS).retry_after(BUSY_RETRY) },
            // A client that tried again by itself would only keep its user waiting.
            RelayError::Paused(_) => {
                Self { reason: Some(PAUSED_REASON.into()), ..of(StatusCode::SERVICE_UNAVAILABLE).retry_after(PAUSED_RETRY) }
            }
            RelayError::Upstream(upstream) => Self::of_upstream(upstream, error.to_string()),
            RelayError::Told { error, message, reason } => {
                Self { reason: Some(reason.clone()), ..Self::of_upstream(error, message.clone()) }
            }
            RelayError::Joined(error) => Self::from(&**error),
            RelayError::Library(cause) => {
                tracing::error!(%cause, "an image could not be stored");
                of(StatusCode::INSUFFICIENT_STORAGE)
            }
            RelayError::Db(cause) => {
                tracing::error!(%cause, "the database failed");
                Self { message: "the database failed; the log has the reason".into(), ..of(StatusCode::INTERNAL_SERVER_ERROR) }
            }
            RelayError::BucketAway(_) => Self { may_retry: true, ..of(StatusCode::SERVICE_UNAVAILABLE).retry_after(BUCKET_RETRY) },
            RelayError::Panicked => of(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

impl ApiError {
    fn of_upstream(error: &UpstreamError, message: String) -> Self {
        let status = match error.class {
            Class::QuotaExhausted | Class::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Class::Balance => StatusCode::PAYMENT_REQUIRED,
            Class::BlockedInput | Class::BlockedOutput | Class::BadParameter => StatusCode::BAD_REQUEST,
            // Not 5xx: clients that try again by themselves would pay again.
            Class::NoImage => StatusCode::UNPROCESSABLE_ENTITY,
            Class::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Class::Timeout => StatusCode::GATEWAY_TIMEOUT,
            // Not 401: the client's own key was right.
            Class::Auth | Class::Server | Class::Connection | Class::BadAnswer => StatusCode::BAD_GATEWAY,
        };
        tracing::warn!(class = error.class.code(), upstream_status = error.status, upstream_code = error.code, message = %error, "the upstream failed");
        let kind = if status.is_server_error() { "upstream_error" } else { "invalid_request_error" };
        let kind = if status == StatusCode::TOO_MANY_REQUESTS { "rate_limit_error" } else { kind };
        let may_retry = error.not_started && matches!(error.class, Class::RateLimited | Class::Connection);
        Self { retry_after: error.retry_after, may_retry, ..Self::new(status, error.class.code(), message).of_kind(kind) }
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
