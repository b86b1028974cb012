//! `POST /v1/images/generations` and `/v1/images/edits`

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use axum::{
    body::Body,
    extract::{FromRequest, Multipart, Request, State, multipart::MultipartError},
    http::{HeaderMap, StatusCode},
};
use futures_util::{StreamExt, TryStreamExt};

use super::{LENIENT, body_stream, check_length, media_type, require_json};
use crate::{
    http::error::ApiError,
    relay::{Client, EditRequest, Relay, Reply, images::REQUEST_MAX},
};

/// Longest text field of a form, in bytes; OpenAI's longest prompt has 32,000 characters.
const FIELD_MAX: usize = 256 * 1024;

/// Most bytes of a form between the contents of its fields: heads, boundaries and what is read ahead.
const HEAD_MAX: u64 = 2 * 1024 * 1024;

/// Most fields of a form.
const FIELDS_MAX: usize = 64;

/// Draws from text.
pub async fn generations(State(relay): State<Relay>, client: Client, headers: HeaderMap, body: Body) -> Result<Reply, ApiError> {
    require_json(&headers)?;
    check_length(&headers)?;
    Ok(relay.generate(body_stream(body), client).await?)
}

/// Draws from pictures, sent as a form or as JSON.
pub async fn edits(State(relay): State<Relay>, client: Client, request: Request) -> Result<Reply, ApiError> {
    check_length(request.headers())?;
    let _reading = relay.reading()?;
    let request = match media_type(request.headers()).as_str() {
        "multipart/form-data" => read_form(&relay, request).await?,
        media if LENIENT.contains(&media) => relay.read_edit(body_stream(request.into_body())).await?,
        _ => return Err(ApiError::wrong_type("multipart/form-data or application/json")),
    };
    Ok(relay.edit(request, client).await?)
}

fn bad_form(message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_form", message)
}

async fn read_form(relay: &Relay, mut request: Request) -> Result<EditRequest, ApiError> {
    let body = std::mem::take(request.body_mut());
    // What the form's parser holds back: a head or a preamble without an end.
    let taken = Arc::new(AtomicU64::new(0));
    let seen_taken = taken.clone();
    let (mut seen, too_long) = (0u64, Arc::new(AtomicBool::new(false)));
    let found_too_long = too_long.clone();
    let capped = body_stream(body).map(move |chunk| {
        let chunk = chunk.map_err(|()| std::io::Error::from(std::io::ErrorKind::UnexpectedEof))?;
        seen += chunk.len() as u64;
        found_too_long.store(seen > REQUEST_MAX, Ordering::Relaxed);
        if seen > REQUEST_MAX || seen - seen_taken.load(Ordering::Relaxed).min(seen) > HEAD_MAX {
            Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge))
        } else {
            Ok(chunk)
        }
    });
    let (parts, _) = request.into_parts();
    let capped = Request::from_parts(parts, Body::from_stream(capped));
    let broken = |error: MultipartError| match too_long.load(Ordering::Relaxed) {
        true => {
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", format!("the form is larger than {} MB", REQUEST_MAX / 1024 / 1024))
        }
        false => bad_form(format!("the form cannot be read: {}", error.body_text())),
    };
    let mut form = Multipart::from_request(capped, &()).await.map_err(|e| bad_form(e.body_text()))?;
    let mut request = EditRequest::default();
    for _ in 0..FIELDS_MAX {
        let Some(mut field) = form.next_field().await.map_err(broken)? else { return Ok(request) };
        let Some(name) = field.name().map(str::to_owned) else { return Err(bad_form("a part of the form has no name")) };
        if EditRequest::is_picture(&name) {
            let file = field.inspect_ok(|chunk| {
                taken.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            });
            let input = relay.receive_file(file).await?;
            request.file(&name, input);
            continue;
        }
        let mut value = Vec::new();
        while let Some(chunk) = field.chunk().await.map_err(broken)? {
            taken.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            value.extend_from_slice(&chunk);
            if value.len() > FIELD_MAX {
                return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", format!("the field '{name}' is too long")));
            }
        }
        let value = String::from_utf8(value).map_err(|_| bad_form(format!("the field '{name}' is not valid UTF-8")))?;
        request.field(name, &value)?;
    }
    Err(bad_form(format!("the form has more than {FIELDS_MAX} parts")))
}
