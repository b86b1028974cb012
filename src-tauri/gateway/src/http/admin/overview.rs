//! How things are: figures, what runs, and a picture to try the whole path.

use std::time::{Duration, Instant};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    error::{AdminError, Body},
    guard,
    model::Image,
    upstreams::{self, Upstream},
    words::Endpoint,
};
use crate::{
    http::{App, error::ApiError},
    model::{self, ImageId, now},
    relay::{Client, Reply},
    store::{self, GalleryFilter, days, gallery, image_figures},
};

/// Days of the plot.
const DAYS: i64 = 30;

/// Pictures of the dashboard.
const LATEST: usize = 12;

/// Longest prompt of a test picture, in characters.
const PROMPT_MAX: usize = 1000;

/// How long a test picture may take.
const DRAW_MAX: Duration = Duration::from_secs(600);

/// How many images there are.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImageFigures {
    total: i64,
    /// With their bytes on disk.
    local: i64,
    /// Whose bytes should be on disk and are not.
    missing: i64,
}

impl From<&store::ImageFigures> for ImageFigures {
    fn from(figures: &store::ImageFigures) -> Self {
        Self { total: figures.total, local: figures.local, missing: figures.missing }
    }
}

/// Space.
#[derive(Debug, Serialize, ToSchema)]
pub struct Disk {
    /// Bytes.
    pub free: u64,
    /// Bytes.
    pub total: u64,
}

/// Copies in a bucket.
#[derive(Debug, Serialize, ToSchema)]
pub struct Uploads {
    /// To be made, failed ones included.
    pending: i64,
    /// Confirmed by the bucket.
    stored: i64,
    /// Tried in vain at least once; all are tried again.
    failed: i64,
}

/// Images that are not found now: they are in a bucket alone, and it is not the one that is used.
#[derive(Debug, Serialize, ToSchema)]
pub struct LeftBehind {
    count: i64,
    /// Host, bucket and prefix of where most of them are.
    place: String,
}

impl From<store::left_behind::LeftBehind> for LeftBehind {
    fn from(left: store::left_behind::LeftBehind) -> Self {
        Self { count: left.count, place: model::place_label(&left.place) }
    }
}

/// Drawings of a day.
#[derive(Debug, Serialize, ToSchema)]
pub struct DayFigures {
    /// `2026-11-01`
    day: String,
    ok: i64,
    failed: i64,
    mean_ms: Option<i64>,
}

/// A request that is being answered.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Running {
    id: String,
    endpoint: Endpoint,
    prompt: Option<String>,
    model: Option<String>,
    began_at: i64,
}

impl From<model::Running> for Running {
    fn from(running: model::Running) -> Self {
        let model::Running { id, endpoint, prompt, model, began_at } = running;
        Self { id: id.to_string(), endpoint: endpoint.into(), prompt, model, began_at }
    }
}

/// The dashboard.
#[derive(Debug, Serialize, ToSchema)]
pub struct Stats {
    images: ImageFigures,
    /// Of all files.
    bytes: i64,
    disk: Option<Disk>,
    /// `null`: no bucket is set.
    uploads: Option<Uploads>,
    /// `null`: none.
    left_behind: Option<LeftBehind>,
    days: Vec<DayFigures>,
    running: Vec<Running>,
    latest: Vec<Image>,
    upstream: Upstream,
    /// When a client first asked for something.
    first_request_at: Option<i64>,
}

/// A picture to try the whole path.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct DrawTest {
    prompt: Option<String>,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Drawn {
    image: Image,
    link: String,
    ms: u64,
}

/// What we are.
#[derive(Debug, Serialize, ToSchema)]
pub struct About {
    version: &'static str,
    started_at: i64,
    data_dir: String,
    database_bytes: u64,
}

/// Requests that are being answered, for the UI.
pub fn running(app: &App) -> Vec<Running> {
    app.relay.now_running().into_iter().map(Running::from).collect()
}

/// Copies in figures; nothing without a bucket.
pub fn uploads(app: &App, copied: &store::copies::CopyFigures) -> Option<Uploads> {
    app.library.remote().bucket().map(|_| Uploads { pending: copied.pending, stored: copied.stored, failed: copied.failed })
}

/// Figures, plot, what runs, the latest pictures.
#[utoipa::path(get, path = "/stats", responses((status = 200, body = Stats)))]
pub async fn stats(State(app): State<App>) -> Result<Json<Stats>, AdminError> {
    let since = now() - DAYS * 24 * 3600 * 1000;
    let (figures, days, latest, first_request_at, copied) = app
        .library
        .db()
        .read(move |c| {
            let (latest, _) = gallery::page(c, &GalleryFilter::default(), None, LATEST)?;
            let copied = store::copies::copy_figures(c, false)?;
            Ok((image_figures(c)?, days(c, since)?, latest, crate::store::first_activity(c)?, copied))
        })
        .await?;
    let uploads = uploads(&app, &copied);
    let disk = app.library.files().space().map(|(free, total)| Disk { free, total });
    let upstream = upstreams::all(&app).await?.into_iter().find(Upstream::is_preferred);
    let upstream = upstream.ok_or_else(|| AdminError::not_found("upstream"))?;
    Ok(Json(Stats {
        images: (&figures).into(),
        bytes: figures.bytes,
        disk,
        uploads,
        left_behind: app.library.left_behind().await?.map(LeftBehind::from),
        days: days.into_iter().map(|day| DayFigures { day: day.day, ok: day.ok, failed: day.failed, mean_ms: day.mean_ms }).collect(),
        running: running(&app),
        latest: latest.into_iter().map(|listed| Image::shown(listed, &app)).collect(),
        upstream,
        first_request_at,
    }))
}

/// Draws a picture the way a client would.
#[utoipa::path(post, path = "/draw-test", request_body = DrawTest, responses((status = 200, body = Drawn)))]
pub async fn draw_test(State(app): State<App>, client: Client, Body(body): Body<DrawTest>) -> Result<Response, AdminError> {
    let prompt: String = body.prompt.unwrap_or_default().trim().chars().take(PROMPT_MAX).collect();
    let prompt = if prompt.is_empty() { "一只坐在窗边的橘猫，水彩画".to_owned() } else { prompt };
    let model = app.settings.snapshot().gateway_model.clone();
    let request = serde_json::json!({"model": model, "prompt": prompt, "n": 1, "response_format": "url"}).to_string();
    let began = Instant::now();
    let idempotency_key = Some(uuid::Uuid::new_v4().to_string());
    let client = Client { prefers_base64: false, task: None, idempotency_key, tries: true, ..client };
    let request = stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from(request))]);
    let reply = tokio::time::timeout(DRAW_MAX, app.relay.generate(request, client)).await;
    let reply = match reply {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => return Ok(ApiError::from(error).into_response()),
        Err(_) => return Err(AdminError::new(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", "the picture takes too long")),
    };
    let Reply::Json(body, reading) = reply else {
        return Err(AdminError::new(StatusCode::BAD_GATEWAY, "bad_upstream_answer", "the answer is no picture"));
    };
    let text = body.body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    if let Some(reading) = reading {
        reading.delivered();
    }
    let answer: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let link = answer["data"][0]["url"].as_str().unwrap_or_default().to_owned();
    let id: Option<ImageId> = link.rsplit('/').next().and_then(|id| id.parse().ok());
    let image = match id {
        Some(id) => app.library.db().read(move |c| gallery::one(c, id)).await?,
        None => None,
    };
    let Some(image) = image else {
        return Err(AdminError::new(StatusCode::BAD_GATEWAY, "bad_upstream_answer", "the picture was not stored; the log has the reason"));
    };
    Ok(Json(Drawn { image: Image::shown(image, &app), link, ms: began.elapsed().as_millis() as u64 }).into_response())
}

/// What we are.
#[utoipa::path(get, path = "/about", responses((status = 200, body = About)))]
pub async fn about(State(app): State<App>) -> Json<About> {
    let database = app.config.data_dir.join("store").join("picgate.sqlite3");
    let database = app.config.database.clone().unwrap_or(database);
    let mut database_bytes = 0;
    // What was written last lies in the log beside it.
    for part in ["", "-wal"] {
        let mut path = database.clone().into_os_string();
        path.push(part);
        database_bytes += tokio::fs::metadata(path).await.map_or(0, |m| m.len());
    }
    let data_dir = app.config.data_dir.display().to_string();
    Json(About { version: env!("CARGO_PKG_VERSION"), started_at: app.started_at, data_dir, database_bytes })
}

/// `GET /metrics` in Prometheus' text format, for who has the gateway key or a session.
pub async fn metrics(State(app): State<App>, headers: HeaderMap) -> Result<Response, AdminError> {
    let bearer = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes()).and_then(|value| value.strip_prefix(b"Bearer "));
    let by_key = bearer.is_some_and(|token| app.settings.snapshot().gateway_key.matches(token.trim_ascii()));
    let by_session = match guard::token(&headers, app.origins.port) {
        Some(token) if !by_key => app.account.who(&token).await?.is_some(),
        _ => false,
    };
    if !by_key && !by_session {
        return Err(AdminError::new(StatusCode::UNAUTHORIZED, "not_signed_in", "the gateway key is needed, as 'Authorization: Bearer'"));
    }
    let (figures, outcomes) = app.library.db().read(|c| Ok((image_figures(c)?, crate::store::outcomes(c)?))).await?;
    let mut text = String::new();
    let mut gauge =
        |name: &str, help: &str, value: String| text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"));
    gauge("picgate_images", "Images in the library.", figures.total.to_string());
    gauge("picgate_images_missing", "Images whose bytes should be on disk and are not.", figures.missing.to_string());
    gauge("picgate_image_bytes", "Bytes of all image files.", figures.bytes.to_string());
    gauge("picgate_running", "Requests that are being answered.", app.relay.running().to_string());
    gauge("picgate_joined", "Requests since the start that joined another one instead of being paid for.", app.relay.joined().to_string());
    gauge("picgate_uptime_seconds", "Seconds since the start.", ((now() - app.started_at) / 1000).to_string());
    text.push_str(
        "# HELP picgate_recorded_requests Requests in the record (the latest 10000), by outcome.\n# TYPE picgate_recorded_requests gauge\n",
    );
    for (kind, outcome, count) in outcomes {
        text.push_str(&format!("picgate_recorded_requests{{kind=\"{kind}\",outcome=\"{outcome}\"}} {count}\n"));
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
