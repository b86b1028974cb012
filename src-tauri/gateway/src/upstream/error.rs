//! What upstreams refuse with, sorted into classes that a person can act on.

use std::time::Duration;

/// What kind of failure it is, whatever the provider calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The quota of a period is used up.
    QuotaExhausted,
    /// Too many requests at a time.
    RateLimited,
    /// No money left.
    Balance,
    /// The upstream does not take our key.
    Auth,
    /// The prompt or the picture sent along was refused.
    BlockedInput,
    /// The picture was drawn and withheld.
    BlockedOutput,
    /// There is text instead of a picture, or nothing at all.
    NoImage,
    /// The upstream does not take a parameter.
    BadParameter,
    /// The upstream does not take so much.
    TooLarge,
    /// The upstream took too long.
    Timeout,
    /// The upstream failed.
    Server,
    /// The upstream cannot be reached, or the connection broke.
    Connection,
    /// The answer cannot be understood, or pictures in it are damaged.
    BadAnswer,
}

impl Class {
    /// The stable word for clients, `error.code` on `/v1`.
    pub fn code(self) -> &'static str {
        match self {
            Self::QuotaExhausted => "quota_exhausted",
            Self::RateLimited => "rate_limited",
            Self::Balance => "insufficient_balance",
            Self::Auth => "upstream_auth",
            Self::BlockedInput | Self::BlockedOutput => "content_blocked",
            Self::NoImage => "no_image",
            Self::BadParameter => "bad_parameter",
            Self::TooLarge => "too_large",
            Self::Timeout => "upstream_timeout",
            Self::Server => "upstream_error",
            Self::Connection => "upstream_unreachable",
            Self::BadAnswer => "bad_upstream_answer",
        }
    }
}

impl UpstreamError {
    /// Whether it is known to have cost nothing.
    pub fn is_free(&self) -> bool {
        let refused = matches!(
            self.class,
            Class::QuotaExhausted | Class::RateLimited | Class::Balance | Class::Auth | Class::BadParameter | Class::TooLarge
        );
        self.not_started || refused
    }
}

/// A failed call.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct UpstreamError {
    /// What kind.
    pub class: Class,
    /// The status that the upstream answered with, if it answered.
    pub status: Option<u16>,
    /// The upstream's own code, such as `moderation_blocked`.
    pub code: Option<String>,
    /// The parameter that it complains of, if it names one.
    pub param: Option<String>,
    /// For a person; shortened, without keys.
    pub message: String,
    /// The same in Chinese, where the words are ours.
    pub chinese: Option<String>,
    /// Whether the message is the upstream's; else it is ours.
    pub quoted: bool,
    /// When it is worth trying again.
    pub retry_after: Option<Duration>,
    /// Whether it is certain that the upstream has not started.
    pub not_started: bool,
}

impl UpstreamError {
    /// A failure of which nothing more is known than what somebody else said.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { class, status: None, code: None, param: None, message, chinese: None, quoted: false, retry_after: None, not_started: false }
    }

    /// A failure in our own words.
    pub fn ours(class: Class, chinese: impl Into<String>, english: impl Into<String>) -> Self {
        Self { chinese: Some(chinese.into()), ..Self::new(class, english) }
    }

    /// What is said of it, in Chinese where that is known and wanted.
    pub fn said(&self, chinese: bool) -> &str {
        self.chinese.as_deref().filter(|_| chinese).unwrap_or(&self.message)
    }

    /// From the HTTP client. Addresses and keys do not show.
    pub fn from_client(error: &reqwest::Error) -> Self {
        if error.is_connect() {
            let (zh, en) = match error.is_timeout() {
                true => ("没能及时连上上游", "the upstream cannot be reached in time"),
                false => ("根本连不上上游", "the upstream cannot be reached at all"),
            };
            return Self { not_started: true, ..Self::ours(Class::Connection, zh, en) };
        }
        if error.is_timeout() {
            return Self::ours(Class::Timeout, "上游没有及时响应", "the upstream did not answer in time");
        }
        Self::ours(Class::Connection, "与上游的连接中断了", "the connection to the upstream broke")
    }
}
