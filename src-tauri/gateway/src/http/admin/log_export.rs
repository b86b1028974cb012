//! The log as a text file: lines as they were written, and between them what was asked, if the person wants it.

use std::fmt::Write;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::IntoParams;

use super::{
    error::{AdminError, Query},
    live::{WantedActivity, WantedLines},
    words::Level,
};
use crate::{
    http::App,
    store::{
        activity::{self, StoredActivity},
        log_lines::{self, LogLine},
    },
};

/// Most lines of an export, and most records.
const EXPORT_MAX: u32 = 20_000;

/// What is to be in the file. Level, search and request are those of the page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct Wanted {
    /// The least level: `error`, `warn`, `info` (default) or `debug`.
    level: Option<Level>,
    /// A piece of what is told.
    q: Option<String>,
    /// Events whose lines fit `q` too, with commas between them.
    events: Option<String>,
    /// Only of this request.
    request: Option<String>,
    /// With what was asked: prompts stand in the file then.
    records: bool,
}

/// What the page shows, as text, the oldest first.
#[utoipa::path(get, path = "/logs/export", params(Wanted), responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn export(State(app): State<App>, Query(wanted): Query<Wanted>) -> Result<Response, AdminError> {
    let Wanted { level, q, events, request, records } = wanted;
    let of_records = WantedActivity { level: level.clone(), q: q.clone(), request: request.clone(), ..WantedActivity::default() };
    let of_lines = WantedLines { level, q, events, request, ..WantedLines::default() };
    let (mut lines, mut records_too) = (of_lines.filter(EXPORT_MAX)?, of_records.filter(EXPORT_MAX)?);
    (lines.limit, records_too.limit) = (EXPORT_MAX, EXPORT_MAX);
    let read = app.library.db().read(move |c| {
        let found = if records { activity::list(c, &records_too)? } else { Vec::new() };
        Ok((log_lines::list(c, &lines)?, found))
    });
    let (lines, found) = read.await?;
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CONTENT_DISPOSITION, "attachment; filename=\"picgate-log.txt\"")];
    Ok((headers, written(lines, found)).into_response())
}

/// Both in the order of time. Lines keep their own order, also where the clock went back.
fn written(lines: Vec<LogLine>, records: Vec<StoredActivity>) -> String {
    let mut records = records.into_iter().rev().peekable();
    let mut text = String::new();
    for line in lines.into_iter().rev() {
        while let Some(record) = records.next_if(|record| record.at + record.duration_ms <= line.at) {
            write_record(&mut text, &record);
        }
        let LogLine { level, message, fields, request, .. } = &line;
        begin(&mut text, line.at, level, request.as_deref());
        let _ = writeln!(text, "{} {fields}", message.replace(['\r', '\n'], " "));
    }
    records.for_each(|record| write_record(&mut text, &record));
    text
}

fn begin(text: &mut String, at: i64, level: &str, request: Option<&str>) {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000).ok();
    let time = time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default();
    // Writing to a String cannot fail.
    let _ = write!(text, "{time} {level:5} ");
    if let Some(request) = request {
        let _ = write!(text, "[{request}] ");
    }
}

fn write_record(text: &mut String, record: &StoredActivity) {
    let level = if record.outcome == "ok" { "info" } else { "error" };
    begin(text, record.at + record.duration_ms, level, record.request.as_deref());
    let members = serde_json::json!({
        "endpoint": record.endpoint, "outcome": record.outcome, "ms": record.duration_ms, "model": record.model, "upstream": record.upstream,
        "calls": record.calls, "message": record.message, "prompt": record.prompt,
        "images": serde_json::from_str::<serde_json::Value>(&record.images).unwrap_or_default(),
    });
    let _ = writeln!(text, "request {} {members}", record.kind);
}
