//! Failures of the admin API: a status, a stable code, a text, and perhaps what is wrong with which field.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json,
    extract::rejection::{JsonRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::words::FieldFault;
use crate::{
    account::AccountError,
    library::LibraryError,
    providers::ProviderError,
    store::{DbError, SecretsError},
};

/// What the UI gets.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    error: ErrorDetail,
}

/// See [`ErrorBody`].
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// Stable.
    code: String,
    /// For a person.
    message: String,
    /// What is wrong with which field; mostly empty.
    fields: BTreeMap<String, FieldProblem>,
    /// How many images it would concern, where a question is to be answered first.
    count: Option<i64>,
}

/// What is wrong with a field.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldProblem {
    /// Stable.
    code: FieldFault,
    /// For a person, in English.
    message: String,
}

impl FieldProblem {
    /// A problem; `code` is one of the words of [`FieldFault`].
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// A failure.
#[derive(Debug)]
pub struct AdminError {
    status: StatusCode,
    code: &'static str,
    message: String,
    fields: BTreeMap<String, FieldProblem>,
    count: Option<i64>,
    retry_after: Option<Duration>,
}

impl AdminError {
    /// A failure.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), fields: BTreeMap::new(), count: None, retry_after: None }
    }

    /// There is no such thing.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    /// It would concern so many images: somebody has to say that it is meant.
    pub fn concerns(code: &'static str, count: i64, message: impl Into<String>) -> Self {
        Self { count: Some(count), ..Self::new(StatusCode::CONFLICT, code, message) }
    }

    /// Values that cannot be used.
    pub fn invalid(code: &'static str, fields: BTreeMap<String, FieldProblem>) -> Self {
        Self { fields, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, "some values cannot be used") }
    }

    /// One value that cannot be used; `fault` is one of the words of [`FieldFault`].
    pub fn field(code: &'static str, field: &str, fault: &'static str, problem: impl Into<String>) -> Self {
        Self::invalid(code, BTreeMap::from([(field.to_owned(), FieldProblem::new(fault, problem))]))
    }
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        let error = ErrorDetail { code: self.code.into(), message: self.message, fields: self.fields, count: self.count };
        let mut response = (self.status, Json(ErrorBody { error })).into_response();
        if let Some(after) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        response
    }
}

impl From<DbError> for AdminError {
    fn from(error: DbError) -> Self {
        tracing::error!(%error, "the database failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "database_failed", "the database failed; the log has the reason")
    }
}

impl From<LibraryError> for AdminError {
    fn from(error: LibraryError) -> Self {
        tracing::error!(%error, "the library failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "storage_failed", error.to_string())
    }
}

impl From<AccountError> for AdminError {
    fn from(error: AccountError) -> Self {
        let message = error.to_string();
        match error {
            AccountError::AlreadySetUp => Self::new(StatusCode::CONFLICT, "already_set_up", message),
            AccountError::NotSetUp => Self::new(StatusCode::CONFLICT, "not_set_up", message),
            AccountError::WrongTicket => Self::new(StatusCode::FORBIDDEN, "wrong_ticket", message),
            AccountError::WrongCredentials => Self::new(StatusCode::UNAUTHORIZED, "wrong_credentials", message),
            AccountError::PasswordNeeded => Self::new(StatusCode::FORBIDDEN, "password_needed", message),
            AccountError::TooMany(after) => {
                Self { retry_after: Some(after), ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", message) }
            }
            AccountError::BadUsername => Self::field("bad_username", "username", "invalid", message),
            AccountError::BadPassword(problem) => Self::field("weak_password", "password", "invalid", problem),
            AccountError::Db(error) => error.into(),
            AccountError::Hash => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message),
        }
    }
}

impl From<JsonRejection> for AdminError {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), "invalid_request", rejection.body_text())
    }
}

impl From<QueryRejection> for AdminError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), "invalid_request", rejection.body_text())
    }
}

/// A body of JSON whose mistakes are told as ours.
#[derive(axum::extract::FromRequest)]
#[from_request(via(Json), rejection(AdminError))]
pub struct Body<T>(pub T);

/// A query whose mistakes are told as ours.
#[derive(axum::extract::FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(AdminError))]
pub struct Query<T>(pub T);

impl From<ProviderError> for AdminError {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Db(error) => error.into(),
            ProviderError::Secrets(error) => error.into(),
            ProviderError::Upstream { .. } => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "upstream_failed", error.to_string()),
        }
    }
}

impl From<SecretsError> for AdminError {
    fn from(error: SecretsError) -> Self {
        tracing::error!(%error, "the file of keys cannot be written");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "storage_failed", "the file of keys cannot be written; the log has the reason")
    }
}
