//! The cache and the bucket: where bytes lie, what each action would do now, jobs, and whether the bucket can be used.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    error::{AdminError, Body},
    overview::{Disk, LeftBehind},
    words::{BucketCondition, BucketStepName, Hindrance, JobKindName, JobState, SweepPause},
};
use crate::{
    account::Visitor,
    cloud::{self, Bucket},
    http::App,
    jobs::{JobKind, JobView},
    library::{BucketState, TestPicture},
    model::{BUCKET_SECRET, Secret, Setting},
    settings::bucket_of,
    store::{copies, load_settings, sweep},
};

/// A number of things and their bytes.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Amount {
    count: i64,
    bytes: i64,
}

impl From<sweep::Amount> for Amount {
    fn from(amount: sweep::Amount) -> Self {
        Self { count: amount.count, bytes: amount.bytes }
    }
}

/// What an action would do now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Action {
    count: i64,
    bytes: i64,
    available: bool,
    /// Why not.
    reason: Option<Hindrance>,
}

/// All of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct Actions {
    clean_expired: Action,
    enforce_cap: Action,
    forget_metadata: Action,
    clear_local: Action,
    upload_pending: Action,
    retry_failed: Action,
}

/// How the bucket is.
#[derive(Debug, Serialize, ToSchema)]
pub struct BucketView {
    state: BucketCondition,
    /// Host and name.
    name: Option<String>,
    /// Why it is paused: `unreachable`, `wrong_key`, …
    code: Option<&'static str>,
    /// The same in the server's words.
    message: Option<String>,
    /// Milliseconds since 1970.
    since: Option<i64>,
    /// Milliseconds since 1970.
    next_try_at: Option<i64>,
}

impl From<BucketState> for BucketView {
    fn from(state: BucketState) -> Self {
        let BucketState { state, name, code, message, since, next_try_at } = state;
        Self { state: state.into(), name, code, message, since, next_try_at }
    }
}

/// Copies in figures.
#[derive(Debug, Serialize, ToSchema)]
pub struct CopyFigures {
    /// To be made, failed ones included.
    pending: i64,
    /// Tried in vain at least once; all are tried again.
    failed: i64,
    /// Confirmed by the bucket.
    stored: i64,
    /// Why the latest failure was one.
    last_error: Option<String>,
}

/// The sweep.
#[derive(Debug, Serialize, ToSchema)]
pub struct SweepView {
    next_at: i64,
    last_at: Option<i64>,
    /// Why nothing goes.
    paused: Option<SweepPause>,
    /// Bytes above the cap.
    over_bytes: i64,
    /// What has no confirmed copy and therefore stays.
    held: Amount,
}

/// Where the bytes of all images lie, and what can be done about it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Cache {
    used_bytes: i64,
    /// 0: no cap.
    cap_bytes: u64,
    disk: Option<Disk>,
    local_only: Amount,
    both: Amount,
    cloud_only: Amount,
    /// In a bucket that was used before.
    elsewhere: Amount,
    missing: Amount,
    bucket: BucketView,
    /// Images that only another bucket than this has; `null`: none.
    left_behind: Option<LeftBehind>,
    /// `null` without a bucket.
    uploads: Option<CopyFigures>,
    sweep: SweepView,
    actions: Actions,
    /// What clearing would lose for ever if last copies may go.
    last_copies: Amount,
}

/// Long work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Job {
    id: String,
    kind: JobKindName,
    state: JobState,
    done: u64,
    total: u64,
    bytes: u64,
    failed: u64,
    message: Option<String>,
    started_at: i64,
    ended_at: Option<i64>,
    /// Whether nobody asked for it.
    automatic: bool,
}

impl From<JobView> for Job {
    fn from(view: JobView) -> Self {
        Self {
            id: view.id.to_string(),
            kind: view.kind.word().into(),
            state: view.state.into(),
            done: view.done,
            total: view.total,
            bytes: view.bytes,
            failed: view.failed,
            message: view.message,
            started_at: view.started_at,
            ended_at: view.ended_at,
            automatic: view.automatic,
        }
    }
}

/// The newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Jobs {
    items: Vec<Job>,
}

/// What to begin.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewJob {
    kind: JobKindName,
    /// Also what has no other copy: it is lost then, so this takes the password.
    #[serde(default)]
    last_copies: bool,
    /// Once more, with `last_copies`.
    #[serde(default)]
    password: Option<String>,
}

/// A bucket to be tried: what is left out is taken from the settings.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct BucketProbe {
    r2_account_id: Option<String>,
    r2_access_key_id: Option<String>,
    r2_secret_access_key: Option<String>,
    r2_bucket: Option<String>,
    s3_endpoint: Option<String>,
    s3_region: Option<String>,
    s3_prefix: Option<String>,
}

/// A step of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct BucketStep {
    step: BucketStepName,
    ok: bool,
    code: Option<&'static str>,
    message: Option<String>,
}

/// How it went.
#[derive(Debug, Serialize, ToSchema)]
pub struct BucketTest {
    ok: bool,
    ms: u64,
    steps: Vec<BucketStep>,
}

/// How the bucket is, as events tell it.
pub fn bucket_view(app: &App) -> BucketView {
    app.library.remote().state().into()
}

/// Long work, as events tell it.
pub fn job_views(app: &App) -> Vec<Job> {
    app.sweep.jobs().list().into_iter().map(Job::from).collect()
}

/// Where bytes lie, and what each action would do now.
#[utoipa::path(get, path = "/cache", responses((status = 200, body = Cache)))]
pub async fn cache(State(app): State<App>) -> Result<Json<Cache>, AdminError> {
    let has_bucket = app.library.remote().bucket().is_some();
    let copied = app.library.db().read(|c| copies::copy_figures(c, false)).await?;
    let amounts = app.sweep.amounts().await?;
    let (figures, places) = (amounts.figures, amounts.places);
    let rules = app.settings.snapshot().sweep;
    let action = |kind: JobKind| {
        let preview = amounts.preview(kind);
        let sweep::Amount { count, bytes } = preview.amount;
        Action { count, bytes, available: preview.reason.is_none(), reason: preview.reason.map(Hindrance::from) }
    };
    let view = app.sweep.view();
    let over_bytes = rules.cap.map_or(0, |cap| (figures.bytes - cap as i64).max(0));
    let space = app.library.files().space();
    Ok(Json(Cache {
        used_bytes: figures.bytes,
        cap_bytes: rules.cap.unwrap_or(0),
        disk: space.map(|(free, total)| Disk { free, total }),
        local_only: places.local_only.into(),
        both: places.both.into(),
        cloud_only: places.cloud_only.into(),
        elsewhere: places.elsewhere.into(),
        missing: places.missing.into(),
        bucket: bucket_view(&app),
        left_behind: app.library.left_behind().await?.map(LeftBehind::from),
        uploads: has_bucket.then_some(CopyFigures {
            pending: copied.pending,
            failed: copied.failed,
            stored: copied.stored,
            last_error: copied.last_error,
        }),
        sweep: SweepView {
            next_at: view.next_at,
            last_at: view.last_at,
            paused: view.paused.map(SweepPause::from),
            over_bytes,
            held: places.local_only.into(),
        },
        actions: Actions {
            clean_expired: action(JobKind::CleanExpired),
            enforce_cap: action(JobKind::EnforceCap),
            forget_metadata: action(JobKind::ForgetMetadata),
            clear_local: action(JobKind::ClearLocal),
            upload_pending: action(JobKind::UploadPending),
            retry_failed: action(JobKind::RetryFailed),
        },
        last_copies: places.local_only.into(),
    }))
}

/// The clock is right, although it jumped.
#[utoipa::path(post, path = "/cache/clock", responses((status = 204)))]
pub async fn clock(State(app): State<App>) -> Result<StatusCode, AdminError> {
    app.sweep.trust_clock().await?;
    tracing::info!(event = "clock_right", "a person says that the clock is right");
    Ok(StatusCode::NO_CONTENT)
}

/// Long work that runs or has ended lately.
#[utoipa::path(get, path = "/jobs", responses((status = 200, body = Jobs)))]
pub async fn jobs(State(app): State<App>) -> Json<Jobs> {
    Json(Jobs { items: job_views(&app) })
}

/// Begins long work.
#[utoipa::path(post, path = "/jobs", request_body = NewJob, responses((status = 200, body = Job), (status = 409)))]
pub async fn start(State(app): State<App>, visitor: Visitor, Body(body): Body<NewJob>) -> Result<Json<Job>, AdminError> {
    let kind = JobKind::parse(body.kind.word()).ok_or_else(|| AdminError::field("invalid_request", "kind", "invalid", "is not known"))?;
    if kind == JobKind::Import {
        return Ok(Json(super::import::start(&app)?.into()));
    }
    if body.last_copies {
        app.account.confirm(body.password.as_deref(), &visitor).await?;
    }
    let job = app.sweep.start(kind, false, body.last_copies);
    let job = job.ok_or_else(|| AdminError::new(StatusCode::CONFLICT, "job_running", "a job of this kind runs already"))?;
    Ok(Json(job.into()))
}

/// Ends long work early; what is done stays done.
#[utoipa::path(delete, path = "/jobs/{id}", params(("id" = String, Path)), responses((status = 204)))]
pub async fn cancel(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, AdminError> {
    let ended = id.parse().is_ok_and(|id| app.sweep.jobs().cancel(id));
    if ended { Ok(StatusCode::NO_CONTENT) } else { Err(AdminError::not_found("job that runs")) }
}

/// Tries a bucket: whether it can be reached, written, read and deleted from.
#[utoipa::path(post, path = "/bucket/test", request_body = BucketProbe, responses((status = 200, body = BucketTest)))]
pub async fn test(State(app): State<App>, headers: HeaderMap, Body(body): Body<BucketProbe>) -> Result<Json<BucketTest>, AdminError> {
    let began = std::time::Instant::now();
    let chinese = headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok()).is_some_and(|v| v.trim_start().starts_with("zh"));
    let table = app.library.db().read(load_settings).await?;
    let given: [(&str, &Option<String>); 6] = [
        ("r2_account_id", &body.r2_account_id),
        ("r2_access_key_id", &body.r2_access_key_id),
        ("r2_bucket", &body.r2_bucket),
        ("s3_endpoint", &body.s3_endpoint),
        ("s3_region", &body.s3_region),
        ("s3_prefix", &body.s3_prefix),
    ];
    for (key, value) in given {
        if let (Some(setting), Some(value)) = (Setting::find(key), value) {
            setting.check(value).map_err(|problem| AdminError::field("invalid_settings", key, "invalid", problem))?;
        }
    }
    let value = |key: &str| {
        let setting = Setting::find(key);
        let asked = given.iter().find(|(name, _)| *name == key).and_then(|(_, value)| (*value).clone());
        let held = app.config.fixed.get(key).cloned().or(asked).or_else(|| table.get(key).cloned());
        let held = held.and_then(|value| setting.and_then(|setting| setting.check(&value).ok()));
        held.unwrap_or_else(|| setting.map_or_else(String::new, |setting| setting.default.to_owned()))
    };
    let asked = body.r2_secret_access_key.filter(|secret| !secret.is_empty());
    if let (Some(secret), Some(setting)) = (&asked, Setting::find(BUCKET_SECRET)) {
        setting.check(secret).map_err(|problem| AdminError::field("invalid_settings", BUCKET_SECRET, "invalid", problem))?;
    }
    // A stored secret is never sent to an endpoint that was only typed in: it might be somebody else's.
    let stored = app.config.bucket_secret.clone().or_else(|| app.secrets.secrets().r2_secret_access_key);
    let present = app.settings.snapshot().bucket.clone();
    let asked = asked.map(Secret::new);
    let config = bucket_of(&value, asked.clone().or(stored));
    let same_place = config.as_ref().zip(present.as_ref()).is_some_and(|(a, b)| a.endpoint == b.endpoint);
    let Some(config) = config.filter(|_| asked.is_some() || same_place) else {
        let message = cloud::not_configured(chinese).to_owned();
        let step = BucketStep { step: "settings".into(), ok: false, code: Some("not_configured"), message: Some(message) };
        return Ok(Json(BucketTest { ok: false, ms: 0, steps: vec![step] }));
    };
    let mut steps = vec![BucketStep { step: "settings".into(), ok: true, code: None, message: None }];
    let picture = TestPicture::write(app.library.files()).await.map_err(crate::library::LibraryError::from)?;
    let name = uuid::Uuid::new_v4().to_string();
    for step in cloud::check(&Bucket::new(config), picture.path(), picture.bytes(), &name).await {
        let message = step.error.as_ref().map(|error| cloud::explain(error, chinese));
        steps.push(BucketStep {
            step: step.step.into(),
            ok: step.error.is_none(),
            code: step.error.map(|error| error.fault.code()),
            message,
        });
    }
    let ok = steps.iter().all(|step| step.ok);
    if ok && present.is_some() {
        app.library.remote().try_now();
    }
    Ok(Json(BucketTest { ok, ms: began.elapsed().as_millis() as u64, steps }))
}
