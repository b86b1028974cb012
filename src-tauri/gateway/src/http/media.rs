//! Serves images: the original bytes with everything HTTP offers for things that never change, and thumbnails.

use std::{ops::Range, time::Duration};

use axum::{
    body::Body,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::error::{ApiError, BUCKET_RETRY};
use crate::{
    library::{Assembled, Library, Opened, RestoreError, ThumbnailState},
    model::{BlobRecord, ImageId, ImageRecord},
    relay::RelayError,
    settings::LiveSettings,
};

/// How long a request waits for a thumbnail that is being made.
const THUMBNAIL_PATIENCE: Duration = Duration::from_secs(2);

/// The bytes of an id never change.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// `GET` and `HEAD /images/{id}`.
pub async fn image(
    State(library): State<Library>,
    State(settings): State<LiveSettings>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = image_id(id)?;
    let known = library.recall(id).await.map_err(|e| ApiError::from(RelayError::Db(e)))?;
    // Who has the bytes needs no bucket.
    if let Some(record) = known.filter(|record| none_match(&headers, &etag(&record.blob))) {
        return Ok(unchanged(&record));
    }
    let database = |e| ApiError::from(RelayError::Db(e));
    if let Some(base) = &settings.snapshot().redirect_to
        && let Some(key) = library.stored_key(id).await.map_err(database)?
    {
        return Ok(elsewhere(&format!("{base}/{key}")));
    }
    let opened = match library.read(id).await {
        // Worth a look: who put another bucket in its place can bring it back.
        Err(RestoreError::Gone) if library.is_left_behind(id).await.unwrap_or(false) => return Err(left_behind()),
        opened => opened.map_err(not_back)?.ok_or_else(missing)?,
    };
    let (Opened::Here(record, _) | Opened::Coming(record, _)) = &opened;
    let etag = etag(&record.blob);
    if none_match(&headers, &etag) {
        return Ok(unchanged(record));
    }
    let mut response = head(record, wants_download(query.as_deref()));
    let total = record.blob.bytes;
    let range = match requested_range(&headers, &etag, total) {
        Requested::Whole => 0..total,
        Requested::Part(range) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(&mut response, header::CONTENT_RANGE, &format!("bytes {}-{}/{total}", range.start, range.end - 1));
            range
        }
        Requested::Impossible => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{total}"));
            response.headers_mut().remove(header::CONTENT_TYPE);
            return Ok(response);
        }
    };
    set(&mut response, header::CONTENT_LENGTH, &(range.end - range.start).to_string());
    if method != Method::HEAD {
        library.access().note(record.id, crate::model::now());
        *response.body_mut() = match opened {
            Opened::Coming(_, coming) => Body::new(coming.slice(range, total)),
            Opened::Here(_, blob) => match Assembled::in_memory(&blob, &range) {
                Some(bytes) => Body::from(bytes),
                None => Body::new(Assembled::slice(blob, range)),
            },
        };
    }
    Ok(response)
}

/// The bucket's own domain has it. Not for ever: the setting may be changed.
fn elsewhere(url: &str) -> Response {
    let mut response = StatusCode::FOUND.into_response();
    set(&mut response, header::LOCATION, url);
    set(&mut response, header::CACHE_CONTROL, "public, max-age=300");
    set(&mut response, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    response
}

fn unchanged(record: &ImageRecord) -> Response {
    let mut response = head(record, false);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().remove(header::CONTENT_DISPOSITION);
    response
}

fn left_behind() -> ApiError {
    let message = "this image is in a bucket that is not the one that is used now; using that bucket again brings it back";
    ApiError::new(StatusCode::NOT_FOUND, "image_left_behind", message)
}

fn not_back(error: RestoreError) -> ApiError {
    match error {
        RestoreError::Gone => ApiError::new(StatusCode::NOT_FOUND, "image_missing", "the bytes of this image are missing on the server"),
        RestoreError::Away(_) => {
            let message = "this image is only in the cloud, and the bucket cannot be reached now";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "bucket_unavailable", message).retry_after(BUCKET_RETRY)
        }
        RestoreError::Library(error) => RelayError::Library(error).into(),
    }
}

/// `GET` and `HEAD /images/{id}/thumbnail`: one JPEG, at most 400 pixels long. Never starts a download.
pub async fn thumbnail(
    State(library): State<Library>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let record = library.find(image_id(id)?).await.map_err(|e| ApiError::from(RelayError::Db(e)))?.ok_or_else(missing)?;
    let tag = format!("\"t-{}\"", record.blob.sha256);
    let mut response = ().into_response();
    common(&mut response, &tag);
    if none_match(&headers, &tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    match library.thumbnails().get(record.blob.sha256, record.blob.media_type, record.blob.thumbnail, THUMBNAIL_PATIENCE).await {
        ThumbnailState::Made(path) => {
            let bytes =
                tokio::fs::read(path).await.map_err(|_| ApiError::new(StatusCode::NOT_FOUND, "no_thumbnail", "the thumbnail is gone"))?;
            set(&mut response, header::CONTENT_TYPE, "image/jpeg");
            set(&mut response, header::CONTENT_LENGTH, &bytes.len().to_string());
            *response.body_mut() = Body::from(bytes);
            Ok(response)
        }
        ThumbnailState::Pending => {
            let wait = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "thumbnail_pending", "the thumbnail is still being made");
            Err(wait.retry_after(THUMBNAIL_PATIENCE))
        }
        ThumbnailState::Failed => {
            Err(ApiError::new(StatusCode::NOT_FOUND, "no_thumbnail", "this picture cannot be shown small; the original is there"))
        }
    }
}

/// `OPTIONS`: any page may show and download an image whose link it has.
pub async fn preflight() -> impl IntoResponse {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        (header::ALLOW, "GET, HEAD, OPTIONS"),
    ];
    (StatusCode::NO_CONTENT, headers)
}

fn missing() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "image_not_found", "there is no image with this id")
}

/// An extension behind the id is allowed: some programs insist on one.
fn image_id(id: Result<Path<String>, PathRejection>) -> Result<ImageId, ApiError> {
    let Path(id) = id.map_err(|_| missing())?;
    id.split('.').next().unwrap_or_default().parse().map_err(|()| missing())
}

/// `?download=1`
fn wants_download(query: Option<&str>) -> bool {
    let value = query.into_iter().flat_map(|q| q.split('&')).find_map(|pair| pair.strip_prefix("download"));
    value.is_some_and(|v| v.is_empty() || v.starts_with('=') && v != "=0")
}

fn etag(blob: &BlobRecord) -> String {
    format!("\"{}\"", blob.sha256)
}

fn set(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn common(response: &mut Response, etag: &str) {
    set(response, header::ETAG, etag);
    set(response, header::CACHE_CONTROL, FOR_EVER);
    set(response, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(response, header::HeaderName::from_static("cross-origin-resource-policy"), "cross-origin");
    set(response, header::HeaderName::from_static("x-robots-tag"), "noindex");
    // Whatever the bytes are, nothing in them runs.
    set(response, header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox; frame-ancestors 'none'");
}

fn head(record: &ImageRecord, download: bool) -> Response {
    let media = record.blob.media_type;
    let mut response = ().into_response();
    common(&mut response, &etag(&record.blob));
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    set(&mut response, header::CONTENT_TYPE, media.mime());
    let kind = if download || !media.is_inline() { "attachment" } else { "inline" };
    let name = format!("picgate-{}.{}", &record.id.to_string()[..8], media.extension());
    set(&mut response, header::CONTENT_DISPOSITION, &format!("{kind}; filename=\"{name}\""));
    set(&mut response, header::LAST_MODIFIED, &http_date(record.created_at));
    response
}

/// The last second of the year 9999, in milliseconds.
const HTTP_DATE_MAX: u64 = 253_402_300_799_000;

fn http_date(millis: i64) -> String {
    // The form has four digits for the year.
    let at = std::time::UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0).min(HTTP_DATE_MAX));
    httpdate::fmt_http_date(at)
}

/// Weak comparison (RFC 9110, 13.1.2).
fn none_match(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|v| v.split(',')).map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

#[derive(Debug, PartialEq, Eq)]
enum Requested {
    Whole,
    Part(Range<u64>),
    Impossible,
}

/// One range of bytes (RFC 9110, 14.2). Several, other units and broken ones are ignored, as the standard allows.
fn requested_range(headers: &HeaderMap, etag: &str, total: u64) -> Requested {
    let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    // Strong comparison; dates are never precise enough.
    if text(header::IF_RANGE).is_some_and(|condition| condition.trim() != etag) {
        return Requested::Whole;
    }
    let Some(spec) = text(header::RANGE).and_then(|v| v.trim().strip_prefix("bytes=")) else { return Requested::Whole };
    let Some((first, last)) = spec.split_once('-') else { return Requested::Whole };
    let number = |text: &str| if text.bytes().all(|b| b.is_ascii_digit()) { text.parse::<u64>().ok() } else { None };
    let range = match (first.trim(), last.trim()) {
        ("", suffix) => number(suffix).map(|n| (total.saturating_sub(n), total, n > 0)),
        (first, "") => number(first).map(|f| (f, total, true)),
        (first, last) => match (number(first), number(last)) {
            (Some(f), Some(l)) if f <= l => Some((f, l.saturating_add(1).min(total), true)),
            _ => None,
        },
    };
    match range {
        None => Requested::Whole,
        Some((start, end, true)) if start < end && start < total => Requested::Part(start..end),
        Some(_) => Requested::Impossible,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(value: &str) -> Requested {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, value.parse().expect("a header"));
        requested_range(&headers, "\"x\"", 100)
    }

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        assert_eq!(range("bytes=0-9"), Requested::Part(0..10));
        assert_eq!(range("bytes=90-"), Requested::Part(90..100));
        assert_eq!(range("bytes=-10"), Requested::Part(90..100));
        assert_eq!(range("bytes=-1000"), Requested::Part(0..100));
        assert_eq!(range("bytes=50-5000"), Requested::Part(50..100));
        for ignored in ["bytes=9-0", "bytes=0-1,5-6", "items=0-1", "bytes=a-b", "bytes=", "bytes=--1", "bytes=+1-2"] {
            assert_eq!(range(ignored), Requested::Whole, "{ignored}");
        }
        for impossible in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999-"] {
            let got = range(impossible);
            assert!(got == Requested::Impossible || impossible.len() > 20 && got == Requested::Whole, "{impossible} {got:?}");
        }
    }
}
