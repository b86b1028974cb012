//! What was logged and what was answered.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    error::{AdminError, Query},
    words::{ActivityKind, Endpoint, Level},
};
use crate::{
    http::App,
    model::{ActivityRecord, Event},
    store::{
        activity::{self, ActivityFilter, StoredActivity, Wanted},
        log_lines::{self, LogFilter, LogLine},
    },
};

/// Lines of one page, unless another number is asked for.
const PAGE: u32 = 100;

/// Most lines of one page.
const PAGE_MAX: u32 = 500;

/// Longest search, in bytes.
const SEARCH_MAX: usize = 200;

/// Most words of events in a search.
const EVENTS_MAX: usize = 40;

/// What a line weighs, the heaviest first.
const LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];

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
    pub(super) level: Option<Level>,
    /// A piece of the message, of a field or of the request's id.
    pub(super) q: Option<String>,
    /// Events, with commas between them, whose lines fit `q` too: the UI tells them in words of its own.
    pub(super) events: Option<String>,
    /// Only of this request.
    pub(super) request: Option<String>,
    /// Only lines before this one.
    pub(super) before: Option<i64>,
    /// 1 to 500.
    pub(super) limit: Option<u32>,
}

/// A request that was answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct Activity {
    /// `null` while it is not stored yet.
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
    /// What else was done, by name.
    #[schema(value_type = std::collections::HashMap<String, Value>)]
    notes: Value,
    /// The id of the request, which lines of the log carry too.
    request: Option<String>,
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
            request: row.request,
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
            request: record.request.clone(),
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
    /// As lines of the log would have it: `error` and `warn` for failures alone, `info` (default) without background tasks
    /// that went well, `debug` for all.
    pub(super) level: Option<Level>,
    /// A piece of prompt, model, upstream, outcome, message or of the request's id.
    pub(super) q: Option<String>,
    /// Only of this request.
    pub(super) request: Option<String>,
    /// Only records before this one.
    pub(super) before: Option<i64>,
    /// 1 to 500.
    pub(super) limit: Option<u32>,
}

/// The place of a word among the levels, `error` first; `info` if there is none.
fn least(level: Option<&Level>) -> Result<usize, AdminError> {
    match level.map(Level::word) {
        None | Some("") => Ok(2),
        Some(word) => LEVELS
            .iter()
            .position(|level| *level == word)
            .ok_or_else(|| AdminError::field("invalid_request", "level", "invalid", "is not known")),
    }
}

fn search(q: Option<String>) -> Result<Option<String>, AdminError> {
    let text = q.map(|q| q.trim().to_owned()).filter(|q| !q.is_empty());
    if text.as_ref().is_some_and(|text| text.len() > SEARCH_MAX) {
        return Err(AdminError::field("invalid_request", "q", "invalid", "is too long"));
    }
    Ok(text)
}

impl WantedLines {
    /// What it says to the store; `most` lines at most.
    pub(super) fn filter(self, most: u32) -> Result<LogFilter, AdminError> {
        let levels = LEVELS[..=least(self.level.as_ref())?].to_vec();
        let events = self.events.as_deref().unwrap_or_default().split(',').filter(|event| !event.is_empty());
        let events = events.take(EVENTS_MAX).map(str::to_owned).collect();
        let limit = self.limit.unwrap_or(PAGE.min(most)).clamp(1, most);
        let request = self.request.filter(|request| !request.is_empty());
        Ok(LogFilter { levels, text: search(self.q)?, events, request, before: self.before, limit })
    }
}

impl WantedActivity {
    /// What it says to the store; `most` records at most.
    pub(super) fn filter(self, most: u32) -> Result<ActivityFilter, AdminError> {
        let wanted = match least(self.level.as_ref())? {
            0 | 1 => Wanted::Failures,
            2 => Wanted::Requests,
            _ => Wanted::Everything,
        };
        let limit = self.limit.unwrap_or(PAGE.min(most)).clamp(1, most);
        let request = self.request.filter(|request| !request.is_empty());
        Ok(ActivityFilter { wanted, text: search(self.q)?, request, before: self.before, limit })
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

/// Forgets all lines, and what was asked and answered. The figures of requests stay, and so do their pictures.
#[utoipa::path(delete, path = "/logs", responses((status = 204)))]
pub async fn clear_logs(State(app): State<App>) -> Result<StatusCode, AdminError> {
    app.library.db().write(|t| log_lines::clear(t).and_then(|_| activity::clear(t))).await?;
    app.events.tell(Event::LogCleared);
    Ok(StatusCode::NO_CONTENT)
}

/// Requests that were answered.
#[utoipa::path(get, path = "/activity", params(WantedActivity), responses((status = 200, body = ActivityPage)))]
pub async fn activity(State(app): State<App>, Query(wanted): Query<WantedActivity>) -> Result<Json<ActivityPage>, AdminError> {
    let filter = wanted.filter(PAGE_MAX)?;
    let limit = filter.limit as usize;
    let items: Vec<Activity> = app.library.db().read(move |c| activity::list(c, &filter)).await?.into_iter().map(Activity::from).collect();
    let next = items.last().and_then(|item| item.seq).filter(|_| items.len() == limit);
    Ok(Json(ActivityPage { items, next }))
}
