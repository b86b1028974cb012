//! The checks of `picgate doctor`, for the running gateway.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{error::AdminError, words::FindingState};
use crate::{
    doctor::{self, Patient, Report},
    http::App,
};

/// One examination at a time, and what the latest one found. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Doctor {
    examining: Arc<tokio::sync::Mutex<()>>,
    latest: Arc<Mutex<Option<Examined>>>,
}

/// What was found out about one part.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Finding {
    /// `configuration`, `folder`, `disk`, …
    check: String,
    /// The part's name in the language that was asked for.
    name: String,
    state: FindingState,
    /// Stable.
    code: String,
    /// For a person.
    text: String,
    /// What mends it.
    remedy: Option<String>,
}

/// All that was found out.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Examined {
    /// Whether nothing failed.
    ok: bool,
    /// Milliseconds since 1970.
    examined_at: i64,
    findings: Vec<Finding>,
}

/// The latest examination since the start.
#[derive(Debug, Serialize, ToSchema)]
pub struct Latest {
    report: Option<Examined>,
}

impl From<Report> for Examined {
    fn from(report: Report) -> Self {
        let finding = |finding: doctor::Finding| Finding {
            check: finding.check.to_owned(),
            name: finding.name.to_owned(),
            state: finding.state.word().into(),
            code: finding.code.to_owned(),
            text: finding.text,
            remedy: finding.remedy,
        };
        Self { ok: report.ok, examined_at: report.examined_at, findings: report.findings.into_iter().map(finding).collect() }
    }
}

/// What the latest examination found.
#[utoipa::path(get, path = "/doctor", responses((status = 200, body = Latest)))]
pub async fn latest(State(app): State<App>) -> Json<Latest> {
    Json(Latest { report: app.doctor.latest.lock().unwrap_or_else(PoisonError::into_inner).clone() })
}

/// Examines everything now; it can take half a minute.
#[utoipa::path(post, path = "/doctor", responses((status = 200, body = Examined), (status = 409)))]
pub async fn examine(State(app): State<App>, headers: HeaderMap) -> Result<Json<Examined>, AdminError> {
    let running = || AdminError::new(StatusCode::CONFLICT, "job_running", "an examination is under way");
    let _one = app.doctor.examining.try_lock().map_err(|_| running())?;
    let chinese = headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok()).is_some_and(|v| v.trim_start().starts_with("zh"));
    let patient = Patient {
        config: &app.config,
        secrets: Some(app.secrets.secrets()),
        port: app.origins.port,
        probe_key: Some(app.probe_key.clone()),
    };
    let examined = Examined::from(doctor::examine(patient, chinese).await);
    *app.doctor.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(examined.clone());
    Ok(Json(examined))
}
