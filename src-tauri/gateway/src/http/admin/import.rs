//! What the Python program left here: what there is, taking it over, and the no to it.

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::{error::AdminError, settings, upstreams, words::ImportProblem};
use crate::{
    http::App,
    import::{self, ImportError},
    jobs::{JobKind, JobView},
};

/// Data of the Python program.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportFound {
    /// Where it lies.
    folder: String,
    images: u64,
    /// Of those images that are on disk there.
    bytes: u64,
    has_settings: bool,
    has_account: bool,
}

/// Something that was not taken over as it was, and why.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportNote {
    /// The old name of a setting, or an image's id.
    what: String,
    code: ImportProblem,
    /// The same in words, with what the code leaves out.
    why: String,
}

/// How taking over ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportReport {
    /// Milliseconds since 1970.
    at: i64,
    /// Whether it got to its end.
    complete: bool,
    /// Old names of the settings that were taken over.
    settings: Vec<String>,
    images: u64,
    bytes: u64,
    /// Of these images, those that are in the bucket alone.
    in_bucket: u64,
    /// Of these images, those that were something else than noted.
    corrected: u64,
    /// Images that were here already, or were deleted here since.
    known: u64,
    failed: u64,
    notes: Vec<ImportNote>,
}

/// What there is to be taken over.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportState {
    /// `null` if there is nothing.
    found: Option<ImportFound>,
    /// Whether it is to be offered: nobody has taken it over, or said no.
    offered: bool,
    last: Option<ImportReport>,
}

impl From<import::Report> for ImportReport {
    fn from(report: import::Report) -> Self {
        let import::Report { at, complete, settings, images, bytes, in_bucket, corrected, known, failed, notes, .. } = report;
        let notes = notes.into_iter().map(|note| ImportNote { what: note.what, code: note.code.into(), why: note.why }).collect();
        Self { at, complete, settings, images, bytes, in_bucket, corrected, known, failed, notes }
    }
}

impl From<ImportError> for AdminError {
    fn from(error: ImportError) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "import_failed", error.to_string())
    }
}

/// What the Python program left here.
#[utoipa::path(get, path = "/import", responses((status = 200, body = ImportState)))]
pub async fn state(State(app): State<App>) -> Result<Json<ImportState>, AdminError> {
    let Some(folder) = &app.config.python else { return Ok(Json(ImportState { found: None, offered: false, last: None })) };
    let offer = import::offer(&app.library, folder).await?;
    let found = ImportFound {
        folder: offer.folder.root.display().to_string(),
        images: offer.figures.images,
        bytes: offer.figures.bytes,
        has_settings: offer.figures.settings,
        has_account: offer.figures.account,
    };
    let offered = offer.last.as_ref().is_none_or(|last| !last.complete);
    Ok(Json(ImportState { found: Some(found), offered, last: offer.last.map(Into::into) }))
}

/// It is not to be offered again; nothing else is changed.
#[utoipa::path(delete, path = "/import", responses((status = 204)))]
pub async fn decline(State(app): State<App>) -> Result<StatusCode, AdminError> {
    let folder = app.config.python.as_ref().ok_or_else(|| AdminError::not_found("older program"))?;
    import::decline(&app.library, folder).await?;
    tracing::info!("the data of the older PicGate is not taken over");
    Ok(StatusCode::NO_CONTENT)
}

/// Begins to take it over.
pub fn start(app: &App) -> Result<JobView, AdminError> {
    let folder = app.config.python.clone().ok_or_else(|| AdminError::not_found("older program"))?;
    let at_work = app.clone();
    let started = app.sweep.jobs().start(JobKind::Import, false, move |job| async move {
        let app = at_work;
        let import = import::Import { library: app.library.clone(), vault: app.secrets.clone(), folder };
        let took = async {
            let figures = import::offer(&import.library, &import.folder).await?.figures;
            job.total(usize::try_from(figures.images).unwrap_or(0));
            let settings = {
                // Nobody else changes settings meanwhile.
                let _changing = app.changing.lock().await;
                import.take_settings().await
            };
            let report = settings?;
            settings::apply(&app).await?;
            upstreams::apply(&app).await.map_err(|error| ImportError::Broken(error.to_string()))?;
            let mut told = |report: &import::Report| {
                job.stands(report.images + report.known + report.failed, report.failed, report.bytes);
            };
            import.take_images(report, job.stop(), &mut told).await
        };
        let report: Result<import::Report, ImportError> = took.await;
        let report = report.map_err(|error| {
            tracing::error!(%error, "an older PicGate could not be taken over");
            error.to_string()
        })?;
        job.reached(report.images + report.known + report.failed);
        Ok(())
    });
    started.ok_or_else(|| AdminError::new(StatusCode::CONFLICT, "job_running", "a job of this kind runs already"))
}
