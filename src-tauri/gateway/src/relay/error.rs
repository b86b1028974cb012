//! Why a request was not answered with pictures.

use std::sync::Arc;

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
    /// The gateway was paused by its owner: words in the user's language.
    #[error("{0}")]
    Paused(&'static str),
    /// The upstream refused or failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The same, in words for the one who asked.
    #[error("{message}")]
    Told {
        /// What happened.
        error: Box<UpstreamError>,
        /// In the user's language.
        message: String,
        /// In English, for where nothing but ASCII can stand.
        reason: String,
    },
    /// Another request for the same failed, and so did this one.
    #[error(transparent)]
    Joined(Arc<RelayError>),
    /// A picture could not be kept.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A picture that is needed is in the bucket alone, and that is away.
    #[error(
        "a picture of this conversation is only in the cloud, and the bucket cannot be reached now ({0}); nothing was sent, try again in a moment"
    )]
    BucketAway(&'static str),
    /// A mistake of ours, caught.
    #[error("the request failed because of a mistake in PicGate; the log has it")]
    Panicked,
}

impl RelayError {
    /// A request that cannot be used.
    pub fn bad(param: Option<&'static str>, message: impl Into<String>) -> Self {
        Self::BadRequest { message: message.into(), param, code: "invalid_request" }
    }

    /// A picture that is needed is in a bucket that is not used now.
    pub fn left_behind(id: crate::model::ImageId, param: Option<&'static str>) -> Self {
        let message =
            format!("the picture {id} is in a bucket that is not the one that is used now; choosing that one again brings it back");
        Self::BadRequest { message, param, code: "image_left_behind" }
    }

    /// The stable word for clients.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest { code, .. } => code,
            Self::TooLarge(_) => "too_large",
            Self::CutOff => "request_cut_off",
            Self::Busy => "too_many_requests",
            Self::Paused(_) => "gateway_paused",
            Self::Upstream(error) => error.class.code(),
            Self::Told { error, .. } => error.class.code(),
            Self::Joined(error) => error.code(),
            Self::Library(_) => "storage_failed",
            Self::Db(_) => "database_failed",
            Self::BucketAway(_) => "bucket_unavailable",
            Self::Panicked => "internal_error",
        }
    }

    /// OpenAI's `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BadRequest { .. } | Self::TooLarge(_) | Self::CutOff => "invalid_request_error",
            Self::Upstream(_) | Self::Told { .. } => "upstream_error",
            Self::Joined(error) => error.kind(),
            Self::Busy | Self::Paused(_) | Self::Library(_) | Self::Db(_) | Self::BucketAway(_) | Self::Panicked => "server_error",
        }
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
