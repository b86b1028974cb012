//! The ways a download can fail, in words that are safe to show to a client.
//!
//! Refuses to know which address, name or port was involved: a text that did
//! would turn the fetcher into a map of the inner network.

/// Name of the setting that [`FetchError::FakeIp`] points the user to.
/// Keep equal to the field of [`super::Policy`] and to the settings key.
pub const FAKE_IP_SETTING: &str = "PICGATE_ALLOW_FAKE_IP_NAMES";

/// Why a download did not happen or did not finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The address breaks a rule, does not parse or its name does not resolve.
    /// One text for all: "exists but is private" must look like "does not exist".
    #[error("the image address is not allowed or could not be found")]
    Refused,
    /// The name resolved into 198.18.0.0/15 and the setting is off.
    #[error(
        "the name of the image host resolves to the fake-ip range 198.18.0.0/15 of a local proxy; \
         if such a proxy is in use, turn on the setting {FAKE_IP_SETTING}"
    )]
    FakeIp,
    /// The final answer was not 2xx; holds the HTTP status code.
    #[error("the image host answered with status {0}")]
    Status(u16),
    /// The body is larger than the cap, by its announced or its counted length.
    #[error("the image is larger than the limit of {cap} bytes")]
    TooLarge {
        /// The cap in bytes.
        cap: u64,
    },
    /// Connecting, a pause between bytes or the whole download took too long,
    /// including the wait for a free download slot.
    #[error("the image download took too long")]
    Timeout,
    /// More redirects than allowed.
    #[error("the image address redirects too often")]
    TooManyRedirects,
    /// No connection, a failed TLS handshake or no valid HTTP answer.
    #[error("the image host could not be reached")]
    Unreachable,
    /// The connection ended before the body did.
    #[error("the image download was cut off")]
    Interrupted,
    /// The body carries a `Content-Encoding` that was not asked for.
    #[error("the image host sent a compressed answer that was not asked for")]
    Encoded,
    /// The HTTP client could not be built, usually because the process has
    /// not installed a rustls crypto provider yet.
    #[error("the image download client could not be set up")]
    Setup,
}

impl FetchError {
    /// A stable machine-readable name for API answers and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused => "image_url_refused",
            Self::FakeIp => "image_url_fake_ip",
            Self::Status(_) => "image_url_status",
            Self::TooLarge { .. } => "image_url_too_large",
            Self::Timeout => "image_url_timeout",
            Self::TooManyRedirects => "image_url_too_many_redirects",
            Self::Unreachable => "image_url_unreachable",
            Self::Interrupted => "image_url_interrupted",
            Self::Encoded => "image_url_encoded",
            Self::Setup => "image_fetch_setup",
        }
    }

    /// Finds the refusal of the vetting resolver, which the HTTP client wraps
    /// several layers deep; otherwise sorts the client's error into ours.
    pub(super) fn from_send(error: &reqwest::Error) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(current) = cause {
            if let Some(own) = current.downcast_ref::<Self>() {
                return *own;
            }
            cause = current.source();
        }
        if error.is_timeout() { Self::Timeout } else { Self::Unreachable }
    }
}
