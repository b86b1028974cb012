//! Upstreams: list, add, change, order, test.

use std::time::Instant;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::{
    error::{AdminError, Body, FieldProblem},
    words::{UpstreamDialect, UpstreamKind},
};
use crate::{
    http::App,
    model::{Dialect, Event, Secret, now},
    providers::{self, ProviderError},
    store::{
        UpstreamRow,
        upstreams::{self, UPSTREAMS_MAX},
    },
    upstream::{Quirk, Upstream as Provider},
};

/// How an upstream did lately.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct UpstreamHealth {
    last_ok_at: Option<i64>,
    last_error_at: Option<i64>,
    last_error_code: Option<&'static str>,
    last_error: Option<String>,
    /// Until it answered, of the last calls, in milliseconds.
    median_ms: Option<i64>,
}

/// A provider.
#[derive(Debug, Serialize, ToSchema)]
pub struct Upstream {
    /// `null`: it is fixed by the environment, or the built-in demo that is there when nothing else is.
    id: Option<i64>,
    name: String,
    kind: UpstreamKind,
    base_url: String,
    model: String,
    dialect: UpstreamDialect,
    has_key: bool,
    /// The server that its stored key was entered for, where that is another one than this: the key is not sent and has to be
    /// entered again.
    key_for: Option<String>,
    enabled: bool,
    locked: bool,
    /// The one that is asked.
    preferred: bool,
    /// What it taught by refusing.
    learnt: Vec<String>,
    health: UpstreamHealth,
}

/// In order of preference.
#[derive(Debug, Serialize, ToSchema)]
pub struct Upstreams {
    items: Vec<Upstream>,
}

impl From<Vec<Upstream>> for Upstreams {
    fn from(items: Vec<Upstream>) -> Self {
        Self { items }
    }
}

/// What is known of a new one.
#[derive(Deserialize, ToSchema)]
pub struct NewUpstream {
    name: String,
    kind: UpstreamKind,
    #[serde(default)]
    base_url: String,
    #[serde(default)]
    model: String,
    dialect: Option<UpstreamDialect>,
    api_key: Option<String>,
}

/// What is to be changed.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct ChangeUpstream {
    name: Option<String>,
    base_url: Option<String>,
    model: Option<String>,
    dialect: Option<UpstreamDialect>,
    /// Empty removes it.
    api_key: Option<String>,
    enabled: Option<bool>,
}

/// The ids in their new order.
#[derive(Deserialize, ToSchema)]
pub struct Order {
    ids: Vec<i64>,
}

/// What to try: a stored upstream, with changes that are not stored yet.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct TestUpstream {
    id: Option<i64>,
    kind: Option<UpstreamKind>,
    base_url: Option<String>,
    api_key: Option<String>,
    model: Option<String>,
}

/// What is wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    code: &'static str,
    /// In the language that the browser prefers.
    message: String,
}

/// What came of trying.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tested {
    ok: bool,
    models: Vec<String>,
    /// Whether the model that is to be asked for is among them.
    has_model: bool,
    problem: Option<Problem>,
    ms: u64,
}

impl Upstream {
    /// Whether it is the one that is asked.
    pub fn is_preferred(&self) -> bool {
        self.preferred
    }
}

fn shown(app: &App, upstream: &dyn Provider, row: Option<&UpstreamRow>, preferred: bool, has_key: bool) -> Upstream {
    let secrets = app.secrets.secrets();
    let traits = app.relay.learnt().of(upstream);
    let health = app.relay.health_of(upstream);
    Upstream {
        id: row.map(|row| row.id),
        name: row.map_or_else(|| upstream.name().to_owned(), |row| row.name.clone()),
        kind: row.map_or_else(|| if upstream.base().is_some() { "openai".into() } else { "demo".into() }, |row| row.kind.clone().into()),
        base_url: upstream.base().map(|url| url.as_str().trim_end_matches('/').to_owned()).unwrap_or_default(),
        model: upstream.model().to_owned(),
        dialect: upstream.dialect().map_or("auto", Dialect::word).into(),
        has_key,
        key_for: row.and_then(|row| secrets.held_back(row.id, &row.base_url)).map(str::to_owned),
        enabled: row.is_none_or(|row| row.enabled),
        locked: row.is_none(),
        preferred,
        learnt: traits.words(),
        health: UpstreamHealth {
            last_ok_at: health.last_ok_at,
            last_error_at: health.last_error.as_ref().map(|(at, ..)| *at),
            last_error_code: health.last_error.as_ref().map(|(_, code, _)| *code),
            median_ms: health.median_ms(),
            last_error: health.last_error.map(|(_, _, message)| message),
        },
    }
}

/// All upstreams as the UI shows them, the one that is asked first.
pub async fn all(app: &App) -> Result<Vec<Upstream>, AdminError> {
    let preferred = app.relay.routes().preferred().identity();
    let secrets = app.secrets.secrets();
    let mut items = Vec::new();
    if let Ok(Some(fixed)) = providers::fixed(&app.config) {
        let has_key =
            matches!(&app.config.upstream, Some(crate::config::UpstreamChoice::OpenAi { api_key, .. }) if !api_key.expose().is_empty());
        items.push(shown(app, &*fixed, None, true, has_key));
    }
    for row in app.library.db().read(upstreams::list).await? {
        let key = secrets.upstream_key(row.id, &row.base_url).cloned().unwrap_or_else(|| Secret::new(""));
        let has_key = !key.expose().is_empty();
        if let Ok(upstream) = providers::from_row(&row, key) {
            let is_preferred = !items.iter().any(|item| item.preferred) && row.enabled && upstream.identity() == preferred;
            items.push(shown(app, &*upstream, Some(&row), is_preferred, has_key));
        }
    }
    if !items.iter().any(|item| item.preferred) {
        let routes = app.relay.routes();
        items.push(shown(app, &**routes.preferred(), None, true, false));
    }
    Ok(items)
}

/// Asks from now on the upstreams that the table names.
pub async fn apply(app: &App) -> Result<(), ProviderError> {
    app.relay.set_routes(providers::routes(&app.config, app.library.db(), &app.secrets.secrets()).await?);
    app.events.tell(Event::Upstreams);
    Ok(())
}

async fn reload(app: &App) -> Result<Json<Upstreams>, AdminError> {
    if let Err(error) = apply(app).await {
        return Err(AdminError::new(StatusCode::INTERNAL_SERVER_ERROR, "upstream_failed", error.to_string()));
    }
    Ok(Json(Upstreams { items: all(app).await? }))
}

/// All upstreams.
#[utoipa::path(get, path = "/upstreams", responses((status = 200, body = Upstreams)))]
pub async fn list(State(app): State<App>) -> Result<Json<Upstreams>, AdminError> {
    Ok(Json(Upstreams { items: all(&app).await? }))
}

fn check_row(row: &mut UpstreamRow) -> Result<(), AdminError> {
    row.check().map_err(|problems| {
        let told = |(field, (code, text)): (&str, (&'static str, &str))| (field.to_owned(), FieldProblem::new(code, text));
        AdminError::invalid("invalid_upstream", problems.into_iter().map(told).collect())
    })
}

async fn check_name(app: &App, row: &UpstreamRow) -> Result<(), AdminError> {
    let rows = app.library.db().read(upstreams::list).await?;
    if rows.iter().any(|other| other.id != row.id && other.name == row.name) {
        return Err(AdminError::field("invalid_upstream", "name", "taken", "is the name of another upstream"));
    }
    if row.id == 0 && rows.len() >= UPSTREAMS_MAX {
        return Err(AdminError::field("invalid_upstream", "name", "too_many", format!("there are {UPSTREAMS_MAX} upstreams already")));
    }
    Ok(())
}

fn check_key(key: &str) -> Result<Secret, AdminError> {
    let key = key.trim();
    if key.len() > 4096 || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(AdminError::field("invalid_upstream", "api_key", "characters", "holds characters that no key has"));
    }
    Ok(Secret::new(key))
}

/// Whether two addresses have the same scheme, host and port.
fn is_same_server(one: &str, other: &str) -> bool {
    matches!((Url::parse(one), Url::parse(other)), (Ok(one), Ok(other)) if one.origin() == other.origin())
}

/// Keeps a key for the server at `base_url`; an empty one forgets it.
async fn set_key(app: &App, id: i64, base_url: String, key: Secret) -> Result<(), AdminError> {
    Ok(app.secrets.change(move |secrets| secrets.set_upstream_key(id, &base_url, key)).await?)
}

async fn forget_key(app: &App, id: i64) -> Result<(), AdminError> {
    Ok(app.secrets.change(move |secrets| secrets.forget_upstream(id)).await?)
}

/// Adds an upstream.
#[utoipa::path(post, path = "/upstreams", request_body = NewUpstream, responses((status = 200, body = Upstreams)))]
pub async fn add(State(app): State<App>, Body(body): Body<NewUpstream>) -> Result<Json<Upstreams>, AdminError> {
    let NewUpstream { name, kind, base_url, model, dialect, api_key } = body;
    let (kind, dialect) = (kind.word().to_owned(), dialect.map(|dialect| dialect.word().to_owned()));
    let mut row = UpstreamRow { id: 0, name, kind, base_url, model, dialect, enabled: true };
    check_row(&mut row)?;
    let key = api_key.as_deref().map(check_key).transpose()?;
    let _changing = app.changing.lock().await;
    check_name(&app, &row).await?;
    // Numbers come again: the new row must not find the key of one that is gone.
    providers::forget_stray_keys(app.library.db(), &app.secrets).await?;
    let base_url = row.base_url.clone();
    let id = app.library.db().write(move |t| upstreams::insert(t, &row, now())).await?;
    if let Some(key) = key {
        set_key(&app, id, base_url, key).await?;
    }
    reload(&app).await
}

/// Changes an upstream.
#[utoipa::path(patch, path = "/upstreams/{id}", params(("id" = i64, Path)), request_body = ChangeUpstream, responses((status = 200, body = Upstreams)))]
pub async fn change(State(app): State<App>, Path(id): Path<i64>, Body(body): Body<ChangeUpstream>) -> Result<Json<Upstreams>, AdminError> {
    let key = body.api_key.as_deref().map(check_key).transpose()?;
    let _changing = app.changing.lock().await;
    let found = app.library.db().read(move |c| upstreams::one(c, id)).await?;
    let mut row = found.ok_or_else(|| AdminError::not_found("upstream"))?;
    let before = row.base_url.clone();
    row.name = body.name.unwrap_or(row.name);
    row.base_url = body.base_url.unwrap_or(row.base_url);
    row.model = body.model.unwrap_or(row.model);
    row.dialect = body.dialect.map(|dialect| dialect.word().to_owned()).or(row.dialect);
    row.enabled = body.enabled.unwrap_or(row.enabled);
    check_row(&mut row)?;
    check_name(&app, &row).await?;
    let secrets = app.secrets.secrets();
    // Back to the server that a key was entered for, the key is good again.
    let fits = secrets.upstream_origins.contains_key(&id) && secrets.upstream_key(id, &row.base_url).is_some();
    if !is_same_server(&before, &row.base_url) && secrets.upstream_keys.contains_key(&id) && !fits {
        // A stored key goes to the server that it was stored for and nowhere else.
        if key.is_none() {
            return Err(AdminError::field("invalid_upstream", "api_key", "moved", "the address is another one: enter the key for it"));
        }
        // The old key goes first: whatever fails behind this, the new server does not get it.
        forget_key(&app, id).await?;
    }
    let base_url = row.base_url.clone();
    app.library.db().write(move |t| upstreams::update(t, &row)).await?;
    if let Some(key) = key {
        set_key(&app, id, base_url, key).await?;
    }
    reload(&app).await
}

/// Removes an upstream and its key.
#[utoipa::path(delete, path = "/upstreams/{id}", params(("id" = i64, Path)), responses((status = 200, body = Upstreams)))]
pub async fn remove(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<Upstreams>, AdminError> {
    let _changing = app.changing.lock().await;
    if app.library.db().read(move |c| upstreams::one(c, id)).await?.is_none() {
        return Err(AdminError::not_found("upstream"));
    }
    // The key goes first: one without a row would be the next upstream's that gets this number.
    forget_key(&app, id).await?;
    app.library.db().write(move |t| upstreams::delete(t, id)).await?;
    reload(&app).await
}

/// Puts upstreams in order; the first that is switched on is asked.
#[utoipa::path(put, path = "/upstreams/order", request_body = Order, responses((status = 200, body = Upstreams)))]
pub async fn reorder(State(app): State<App>, Body(body): Body<Order>) -> Result<Json<Upstreams>, AdminError> {
    let _changing = app.changing.lock().await;
    app.library.db().write(move |t| upstreams::reorder(t, &body.ids)).await?;
    reload(&app).await
}

/// Forgets what an upstream taught by refusing.
#[utoipa::path(post, path = "/upstreams/{id}/forget", params(("id" = i64, Path)), responses((status = 200, body = Upstreams)))]
pub async fn forget(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<Upstreams>, AdminError> {
    let found = app.library.db().read(move |c| upstreams::one(c, id)).await?;
    let row = found.ok_or_else(|| AdminError::not_found("upstream"))?;
    if let Ok(upstream) = providers::from_row(&row, Secret::new("")) {
        let all: Vec<Quirk> = app.relay.learnt().of(&*upstream).all();
        for quirk in all {
            app.relay.learnt().forget(&*upstream, quirk).await;
        }
    }
    reload(&app).await
}

/// Tries an upstream: asks for its models, which costs nothing.
#[utoipa::path(post, path = "/upstreams/test", request_body = TestUpstream, responses((status = 200, body = Tested)))]
pub async fn test(State(app): State<App>, headers: HeaderMap, Body(body): Body<TestUpstream>) -> Result<Json<Tested>, AdminError> {
    let stored = match body.id {
        Some(id) => Some(app.library.db().read(move |c| upstreams::one(c, id)).await?.ok_or_else(|| AdminError::not_found("upstream"))?),
        None => None,
    };
    let stored_url = stored.as_ref().map(|row| row.base_url.clone());
    let mut row = stored.unwrap_or_else(|| UpstreamRow {
        id: 0,
        name: "test".into(),
        kind: "openai".into(),
        base_url: String::new(),
        model: "any".into(),
        dialect: None,
        enabled: true,
    });
    row.kind = body.kind.map_or(row.kind, |kind| kind.word().to_owned());
    row.base_url = body.base_url.unwrap_or(row.base_url);
    row.model = body.model.filter(|model| !model.trim().is_empty()).unwrap_or(row.model);
    check_row(&mut row)?;
    let key = match body.api_key.as_deref().filter(|key| !key.is_empty()) {
        Some(key) => check_key(key)?,
        // A stored key goes to the address that it was stored for and nowhere else.
        None if stored_url.as_deref() == Some(row.base_url.as_str()) => {
            app.secrets.secrets().upstream_key(row.id, &row.base_url).cloned().unwrap_or_else(|| Secret::new(""))
        }
        None => Secret::new(""),
    };
    let chinese = headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok()).is_some_and(|v| v.trim_start().starts_with("zh"));
    let began = Instant::now();
    let listed = match providers::from_row(&row, key) {
        Ok(upstream) => upstream.models().await,
        Err(error) => Err(error),
    };
    let ms = began.elapsed().as_millis() as u64;
    Ok(Json(match listed {
        Ok(models) => Tested { ok: true, has_model: models.contains(&row.model), models, problem: None, ms },
        Err(error) => {
            let message = app.relay.explain(&error, chinese, &row.model);
            Tested { ok: false, models: Vec::new(), has_model: false, problem: Some(Problem { code: error.class.code(), message }), ms }
        }
    }))
}
