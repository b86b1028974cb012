//! What was logged and what was answered.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    error::{AdminError, Query},
    words::{ActivityFilter, ActivityKind, Endpoint, Level},
};
use crate::{
    http::App,
    model::ActivityRecord,
    store::{
        StoredActivity, list_activity,
        log_lines::{self, LogFilter, LogLine},
    },
};

/// Lines of one page, unless another number is asked for.
const PAGE: u32 = 100;

/// Most lines of one page.
const PAGE_MAX: u32 = 500;

/// Most lines of an export.
const EXPORT_MAX: u32 = 20_000;

/// Longest search, in bytes.
const SEARCH_MAX: usize = 200;

/// A line of the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct Line {
    seq: i64,
    at: i64,
    level: Level,
    target: String,
    message: String,
    fields: BTreeMap<String, String>,
    request: Option<String>,
}

impl From<LogLine> for Line {
    fn from(line: LogLine) -> Self {
        let LogLine { seq, at, level, target, message, fields, request } = line;
        Self { seq, at, level: level.into(), target, message, fields: serde_json::from_str(&fields).unwrap_or_default(), request }
    }
}

/// Newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinePage {
    items: Vec<Line>,
    /// For `before`; `null` at the end.
    next: Option<i64>,
}

/// Which lines.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct WantedLines {
    /// The least level: `error`, `warn`, `info` (default) or `debug`.
    level: Option<Level>,
    /// A piece of the message or of a field.
    q: Option<String>,
    /// Only of this request.
    request: Option<String>,
    /// Only lines before this one.
    before: Option<i64>,
    /// 1 to 500.
    limit: Option<u32>,
}

/// A request that was answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct Activity {
    /// `null` in the event stream: it has no number yet.
    seq: Option<i64>,
    at: i64,
    endpoint: Endpoint,
    kind: ActivityKind,
    streamed: bool,
    model: Option<String>,
    upstream: Option<String>,
    prompt: Option<String>,
    /// `ok`, or the code of the error.
    outcome: String,
    message: Option<String>,
    images: Vec<String>,
    calls: i64,
    first_byte_ms: Option<i64>,
    duration_ms: i64,
    /// What else was done.
    #[schema(value_type = std::collections::HashMap<String, Value>)]
    notes: Value,
}

impl From<StoredActivity> for Activity {
    fn from(row: StoredActivity) -> Self {
        Self {
            seq: Some(row.seq),
            at: row.at,
            endpoint: row.endpoint.into(),
            kind: row.kind.into(),
            streamed: row.streamed,
            model: row.model,
            upstream: row.upstream,
            prompt: row.prompt,
            outcome: row.outcome,
            message: row.message,
            images: serde_json::from_str(&row.images).unwrap_or_default(),
            calls: row.calls,
            first_byte_ms: row.first_byte_ms,
            duration_ms: row.duration_ms,
            notes: serde_json::from_str(&row.notes).unwrap_or_else(|_| Value::Object(serde_json::Map::new())),
        }
    }
}

impl From<&ActivityRecord> for Activity {
    fn from(record: &ActivityRecord) -> Self {
        Self {
            seq: None,
            at: record.at,
            endpoint: record.endpoint.into(),
            kind: record.kind.word().into(),
            streamed: record.streamed,
            model: record.model.clone(),
            upstream: record.upstream.clone(),
            prompt: record.prompt.clone(),
            outcome: record.outcome.to_owned(),
            message: record.message.clone(),
            images: record.images.iter().map(ToString::to_string).collect(),
            calls: record.calls.into(),
            first_byte_ms: record.first_byte_ms,
            duration_ms: record.duration_ms,
            notes: serde_json::from_str(&record.notes).unwrap_or_else(|_| Value::Object(serde_json::Map::new())),
        }
    }
}

/// Newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActivityPage {
    items: Vec<Activity>,
    /// For `before`; `null` at the end.
    next: Option<i64>,
}

/// Which records.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct WantedActivity {
    /// `failed`: only failures.
    outcome: Option<ActivityFilter>,
    /// Only records before this one.
    before: Option<i64>,
    /// 1 to 500.
    limit: Option<u32>,
}

impl WantedLines {
    fn filter(self, most: u32) -> Result<LogFilter, AdminError> {
        const LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];
        let least = match self.level.as_ref().map(Level::word) {
            None | Some("") => 2,
            Some(word) => LEVELS
                .iter()
                .position(|level| *level == word)
                .ok_or_else(|| AdminError::field("invalid_request", "level", "is not known"))?,
        };
        let text = self.q.map(|q| q.trim().to_owned()).filter(|q| !q.is_empty());
        if text.as_ref().is_some_and(|text| text.len() > SEARCH_MAX) {
            return Err(AdminError::field("invalid_request", "q", "is too long"));
        }
        let limit = self.limit.unwrap_or(PAGE.min(most)).clamp(1, most);
        let request = self.request.filter(|request| !request.is_empty());
        Ok(LogFilter { levels: LEVELS[..=least].to_vec(), text, request, before: self.before, limit })
    }
}

/// Lines of the log.
#[utoipa::path(get, path = "/logs", params(WantedLines), responses((status = 200, body = LinePage)))]
pub async fn logs(State(app): State<App>, Query(wanted): Query<WantedLines>) -> Result<Json<LinePage>, AdminError> {
    let filter = wanted.filter(PAGE_MAX)?;
    let limit = filter.limit as usize;
    let items: Vec<Line> = app.library.db().read(move |c| log_lines::list(c, &filter)).await?.into_iter().map(Line::from).collect();
    let next = items.last().map(|line| line.seq).filter(|_| items.len() == limit);
    Ok(Json(LinePage { items, next }))
}

/// Forgets all lines.
#[utoipa::path(delete, path = "/logs", responses((status = 204)))]
pub async fn clear_logs(State(app): State<App>) -> Result<StatusCode, AdminError> {
    app.library.db().write(log_lines::clear).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All lines as text.
#[utoipa::path(get, path = "/logs/export", params(WantedLines), responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn export_logs(State(app): State<App>, Query(wanted): Query<WantedLines>) -> Result<Response, AdminError> {
    let mut filter = wanted.filter(EXPORT_MAX)?;
    filter.limit = EXPORT_MAX;
    let mut lines = app.library.db().read(move |c| log_lines::list(c, &filter)).await?;
    lines.reverse();
    let mut text = String::new();
    for line in lines {
        let time = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(line.at) * 1_000_000).ok();
        let time = time.and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok()).unwrap_or_default();
        let request = line.request.map(|request| format!(" [{request}]")).unwrap_or_default();
        let message = line.message.replace(['\r', '\n'], " ");
        text.push_str(&format!("{time} {:5}{request} {message} {}\n", line.level, line.fields));
    }
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CONTENT_DISPOSITION, "attachment; filename=\"picgate-log.txt\"")];
    Ok((headers, text).into_response())
}

/// Requests that were answered.
#[utoipa::path(get, path = "/activity", params(WantedActivity), responses((status = 200, body = ActivityPage)))]
pub async fn activity(State(app): State<App>, Query(wanted): Query<WantedActivity>) -> Result<Json<ActivityPage>, AdminError> {
    let (failed, limit) =
        (wanted.outcome.as_ref().is_some_and(|outcome| outcome.word() == "failed"), wanted.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX));
    let rows = app.library.db().read(move |c| list_activity(c, wanted.before, failed, limit)).await?;
    let items: Vec<Activity> = rows.into_iter().map(Activity::from).collect();
    let next = items.last().and_then(|item| item.seq).filter(|_| items.len() == limit as usize);
    Ok(Json(ActivityPage { items, next }))
}
