//! Why a request was not answered with pictures.

use crate::{
    library::LibraryError,
    rewrite::{json::JsonError, request::BadRequest, scan::ScanError},
    store::{DbError, PartError},
    upstream::UpstreamError,
};

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The client's request cannot be used.
    #[error("{message}")]
    BadRequest {
        /// For a person.
        message: String,
        /// The parameter at fault.
        param: Option<&'static str>,
        /// The stable word.
        code: &'static str,
    },
    /// The request is larger than a limit.
    #[error("{0}")]
    TooLarge(String),
    /// The client's connection broke while it sent its request.
    #[error("the request was cut off")]
    CutOff,
    /// Too many requests are running.
    #[error("too many drawings are running; try again in a moment")]
    Busy,
    /// The upstream refused or failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// A picture could not be kept.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A mistake of ours, caught.
    #[error("the request failed because of a mistake in PicGate; the log has it")]
    Panicked,
}

impl RelayError {
    /// A request that cannot be used.
    pub fn bad(param: Option<&'static str>, message: impl Into<String>) -> Self {
        Self::BadRequest { message: message.into(), param, code: "invalid_request" }
    }
}

impl From<BadRequest> for RelayError {
    fn from(bad: BadRequest) -> Self {
        Self::bad(Some(bad.param), bad.message)
    }
}

impl From<ScanError> for RelayError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::TooLarge(_) => Self::TooLarge(error.to_string()),
            ScanError::TooDeep(_) => Self::bad(None, error.to_string()),
        }
    }
}

impl From<JsonError> for RelayError {
    fn from(error: JsonError) -> Self {
        Self::BadRequest { message: error.to_string(), param: None, code: "invalid_json" }
    }
}

impl From<&PartError> for RelayError {
    fn from(error: &PartError) -> Self {
        match error {
            PartError::TooLarge | PartError::TooMany => Self::TooLarge(error.to_string()),
            PartError::NotAnImage => Self::BadRequest { message: error.to_string(), param: None, code: "unsupported_image_type" },
            PartError::Io(io) => Self::Library(LibraryError::Disk(std::io::Error::new(io.kind(), io.to_string()))),
        }
    }
}
