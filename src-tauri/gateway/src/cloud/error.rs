//! What a bucket says no with, sorted by what can be done about it.

use std::time::SystemTime;

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::model::Millis;

/// Longest words of a server that are kept, in characters.
const WORDS_MAX: usize = 300;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such object.
    NoObject,
    /// An object of that key exists already.
    Exists,
    /// There is no such bucket.
    NoBucket,
    /// The access key id is not known there.
    WrongKey,
    /// The secret does not belong to the access key id.
    WrongSecret,
    /// The key may not do this.
    Forbidden,
    /// Our clock and that of the server differ too much.
    ClockSkew,
    /// The account has no room or is not paid.
    Quota,
    /// The server does not know how to do this.
    Unsupported,
    /// Nobody answers at that address.
    Unreachable,
    /// No trusted connection.
    Tls,
    /// Too slow.
    Timeout,
    /// The server asks to come back later, or failed.
    Busy,
    /// What arrived is not what was sent.
    WrongBytes,
    /// Our own disk failed.
    Disk,
    /// Anything else.
    Other,
}

impl Fault {
    /// A stable word for it.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoObject => "no_object",
            Self::Exists => "exists",
            Self::NoBucket => "no_bucket",
            Self::WrongKey => "wrong_key",
            Self::WrongSecret => "wrong_secret",
            Self::Forbidden => "forbidden",
            Self::ClockSkew => "clock_skew",
            Self::Quota => "quota",
            Self::Unsupported => "unsupported",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Busy => "bucket_busy",
            Self::WrongBytes => "wrong_bytes",
            Self::Disk => "disk",
            Self::Other => "bucket_error",
        }
    }

    /// Whether no other object would fare better until a person or the provider has mended it.
    pub fn concerns_all(self) -> bool {
        matches!(self, Self::NoBucket | Self::WrongKey | Self::WrongSecret | Self::Forbidden | Self::ClockSkew | Self::Quota | Self::Tls)
    }

    /// Whether the bucket is away or struggling, which passes by itself.
    pub fn passes(self) -> bool {
        matches!(self, Self::Unreachable | Self::Timeout | Self::Busy)
    }
}

/// A call that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {words}", fault.code())]
pub struct BucketError {
    /// What is wrong.
    pub fault: Fault,
    /// What the server or the system said, short and without secrets.
    pub words: String,
    /// How far the server's clock is ahead of ours, in milliseconds, if it refused and said what time it is.
    pub ahead: Option<Millis>,
}

impl BucketError {
    /// A failure.
    pub fn new(fault: Fault, words: impl Into<String>) -> Self {
        let words: String = words.into();
        Self { fault, words: words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_MAX).collect(), ahead: None }
    }
}

impl From<std::io::Error> for BucketError {
    fn from(error: std::io::Error) -> Self {
        Self::new(Fault::Disk, error.to_string())
    }
}

/// Sorts what the SDK says.
pub(super) fn sorted<E>(error: SdkError<E>) -> BucketError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    match &error {
        SdkError::TimeoutError(_) => return BucketError::new(Fault::Timeout, "no answer in time"),
        SdkError::DispatchFailure(failure) => {
            let words = chain(failure.as_connector_error().map(|e| e as &dyn std::error::Error));
            let fault = match words.to_ascii_lowercase() {
                _ if failure.is_timeout() => Fault::Timeout,
                text if ["certificate", "tls", "handshake"].iter().any(|word| text.contains(word)) => Fault::Tls,
                _ => Fault::Unreachable,
            };
            return BucketError::new(fault, words);
        }
        SdkError::ConstructionFailure(_) => return BucketError::new(Fault::Other, format!("{}", DisplayErrorContext(&error))),
        _ => {}
    }
    let code = error.as_service_error().and_then(|e| e.code()).unwrap_or_default().to_owned();
    let message = error.as_service_error().and_then(|e| e.message()).unwrap_or_default().to_owned();
    let fault = by_code(&code).unwrap_or_else(|| by_status(status));
    // An answer to HEAD has no words, so any refusal may be about the time.
    let date = error.raw_response().filter(|_| status == Some(403)).and_then(|response| response.headers().get("date"));
    let ahead = date.and_then(|date| httpdate::parse_http_date(date).ok()).map(ahead_of_us);
    let said = match (code.is_empty(), message.is_empty()) {
        (true, true) => status.map_or_else(|| "the answer broke off".to_owned(), |status| format!("status {status}")),
        (false, true) => code,
        (true, false) => message,
        (false, false) => format!("{code}: {message}"),
    };
    let told = ahead.filter(|_| fault == Fault::ClockSkew).map(off);
    BucketError { ahead, ..BucketError::new(fault, told.map_or_else(|| said.clone(), |told| format!("{told}: {said}"))) }
}

fn ahead_of_us(time: SystemTime) -> Millis {
    let millis = |duration: std::time::Duration| Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX);
    // The system's clock and not that of tests: it is what requests are signed with.
    match time.duration_since(SystemTime::now()) {
        Ok(ahead) => millis(ahead),
        Err(behind) => -millis(behind.duration()),
    }
}

/// For a person: by how much our clock is off.
fn off(ahead: Millis) -> String {
    let minutes = ahead.unsigned_abs() / 60_000;
    let amount = match minutes {
        0..120 => format!("{minutes} minutes"),
        120..2880 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    };
    format!("this computer's clock is {amount} {}", if ahead > 0 { "slow" } else { "fast" })
}

fn by_code(code: &str) -> Option<Fault> {
    Some(match code {
        "NoSuchKey" | "NotFound" => Fault::NoObject,
        "PreconditionFailed" | "ConditionalRequestConflict" => Fault::Exists,
        "NoSuchBucket" | "InvalidBucketName" => Fault::NoBucket,
        "InvalidAccessKeyId" => Fault::WrongKey,
        "SignatureDoesNotMatch" => Fault::WrongSecret,
        "RequestTimeTooSkewed" | "RequestExpired" | "AuthorizationHeaderMalformed.Date" => Fault::ClockSkew,
        "AccessDenied" | "Unauthorized" | "AllAccessDisabled" | "AccountProblem" => Fault::Forbidden,
        "QuotaExceeded" | "EntityTooLarge" | "InsufficientStorage" => Fault::Quota,
        "NotImplemented" => Fault::Unsupported,
        "SlowDown" | "ServiceUnavailable" | "InternalError" | "TooManyRequests" | "RequestTimeout" => Fault::Busy,
        "BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" => Fault::WrongBytes,
        _ => return None,
    })
}

/// A HEAD has no body, so its status is all there is.
fn by_status(status: Option<u16>) -> Fault {
    match status {
        Some(404) => Fault::NoObject,
        Some(409 | 412) => Fault::Exists,
        Some(401 | 403) => Fault::Forbidden,
        Some(408) => Fault::Timeout,
        Some(501) => Fault::Unsupported,
        Some(507) => Fault::Quota,
        Some(429 | 500..=599) => Fault::Busy,
        Some(_) => Fault::Other,
        None => Fault::Busy,
    }
}

fn chain(error: Option<&dyn std::error::Error>) -> String {
    let mut texts = Vec::new();
    let mut next = error;
    while let Some(error) = next {
        texts.push(error.to_string());
        next = error.source();
    }
    texts.dedup();
    texts.join(": ")
}
