//! Settings and the gateway's key.

use std::{collections::BTreeMap, future::Future};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedMutexGuard;
use utoipa::ToSchema;

use super::{
    error::{AdminError, Body, FieldProblem},
    words::Section,
};
use crate::{
    account::Visitor,
    http::App,
    model::{BUCKET_SECRET, BucketConfig, Event, LISTEN, SETTINGS, Secret, Setting, Shape as Takes, now},
    settings::{Keys, Settings, bucket_of},
    store::{DbError, load_settings, save_settings},
};

/// What a setting takes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Shape {
    /// Text of at most so many bytes.
    Text { max: usize },
    /// One line, not empty.
    Name { max: usize },
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Number { min: u32, max: u32 },
    /// One of these.
    Word { words: Vec<&'static str> },
    /// Nothing or an address.
    BaseUrl,
    /// `name: flags`, one a line.
    Aliases,
    /// Host names, one a line.
    Hosts,
    /// A key: never shown, only replaced.
    Secret { max: usize },
}

/// One setting.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettingItem {
    key: &'static str,
    /// What holds.
    value: String,
    /// What holds when nothing is set.
    default: &'static str,
    shape: Shape,
    /// Where the UI shows it.
    section: Section,
    /// The variable that fixes it.
    locked_by: Option<String>,
    /// Whether there is one, for a key; else whether it differs from the default.
    is_set: bool,
}

/// All of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettingItems {
    items: Vec<SettingItem>,
}

/// Changes: a value, or `null` for what holds when nothing is set.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ChangeSettings {
    values: BTreeMap<String, Option<String>>,
    /// Also if images whose bytes are in the present bucket alone are not found any more afterwards.
    #[serde(default)]
    leave_images: bool,
    /// Once more, for rules by which more images go for good and for another bucket.
    #[serde(default)]
    password: Option<String>,
}

/// What may be known of the key of clients without the password.
#[derive(Serialize, ToSchema)]
pub struct GatewayKeyState {
    /// The variable that fixes it.
    locked_by: Option<&'static str>,
}

/// The key of clients.
#[derive(Serialize, ToSchema)]
pub struct GatewayKey {
    key: String,
    /// What the event stream calls it by.
    mark: String,
    /// The variable that fixes it.
    locked_by: Option<&'static str>,
}

/// The password once more: who holds the key spends money.
#[derive(Deserialize, ToSchema)]
pub struct ShowGatewayKey {
    #[serde(default)]
    password: Option<String>,
}

/// Another key; without one a random one is made.
#[derive(Deserialize, ToSchema)]
pub struct NewGatewayKey {
    #[serde(default)]
    key: Option<String>,
    /// Once more.
    #[serde(default)]
    password: Option<String>,
}

fn shape(setting: &Setting) -> Shape {
    match setting.shape {
        Takes::Text(max) | Takes::Prefix(max) => Shape::Text { max },
        Takes::Name(max) => Shape::Name { max },
        Takes::Switch => Shape::Switch,
        Takes::Number(min, max) => Shape::Number { min, max },
        Takes::Word(words) => Shape::Word { words: words.to_vec() },
        Takes::BaseUrl => Shape::BaseUrl,
        Takes::Aliases => Shape::Aliases,
        Takes::Hosts => Shape::Hosts,
        Takes::Secret(max) => Shape::Secret { max },
    }
}

fn section(key: &str) -> Section {
    Section::from(match key {
        "gateway_model" | "public_base_url" | "model_aliases" | "images_response" | "json_keep_alive" | "content_array" => "gateway",
        "progress_style" | "intent_words" | "task_model" | "quota_window" => "conversation",
        "history_images" | "history_mb" | "keep_uploads" => "history",
        "fetch_external_images" | "allowed_hosts" | LISTEN => "security",
        "notify_finished" | "notify_failed" | "notify_disk" | "notify_bucket" => "desktop",
        "cache_ttl_hours" | "cache_cap_mb" | "evict_last_copy" | "retention_days" | "delete_cloud_with_metadata" => "cache",
        key if key.starts_with("r2_") || key.starts_with("s3_") || key.starts_with("bucket_") => "bucket",
        _ => "appearance",
    })
}

fn is_fixed(app: &App, setting: &Setting) -> bool {
    app.config.fixed.contains_key(setting.key) || setting.key == BUCKET_SECRET && app.config.bucket_secret.is_some()
}

async fn items(app: &App) -> Result<Json<SettingItems>, AdminError> {
    let table = app.library.db().read(load_settings).await?;
    let has_secret = app.config.bucket_secret.is_some() || app.secrets.secrets().r2_secret_access_key.is_some();
    let item = |setting: &'static Setting| {
        if setting.key == BUCKET_SECRET {
            return SettingItem {
                key: setting.key,
                value: String::new(),
                default: setting.default,
                shape: shape(setting),
                section: section(setting.key),
                locked_by: app.config.bucket_secret.as_ref().map(|_| setting.variable()),
                is_set: has_secret,
            };
        }
        let fixed = app.config.fixed.get(setting.key);
        let stored = table.get(setting.key).and_then(|value| setting.check(value).ok());
        let is_set = fixed.is_some() || stored.as_ref().is_some_and(|stored| stored != setting.default);
        SettingItem {
            is_set,
            key: setting.key,
            value: fixed.cloned().or(stored).unwrap_or_else(|| setting.default.to_owned()),
            default: setting.default,
            shape: shape(setting),
            section: section(setting.key),
            locked_by: fixed.map(|_| setting.variable()).or_else(|| app.config.host_fixed_by.clone().filter(|_| setting.key == LISTEN)),
        }
    };
    Ok(Json(SettingItems { items: SETTINGS.iter().map(item).collect() }))
}

/// All settings.
#[utoipa::path(get, path = "/settings", responses((status = 200, body = SettingItems)))]
pub async fn list(State(app): State<App>) -> Result<Json<SettingItems>, AdminError> {
    items(&app).await
}

/// Changes settings: all of them, or none if one cannot be used. Another bucket, or none, while images are in the present one
/// alone is refused with `images_left_behind` and their number, unless `leave_images` says that it is meant. Rules by which more
/// images go for good than before take the password, and so does a bucket that was not used before.
#[utoipa::path(
    patch,
    path = "/settings",
    request_body = ChangeSettings,
    responses((status = 200, body = SettingItems), (status = 403), (status = 409))
)]
pub async fn change(State(app): State<App>, visitor: Visitor, Body(body): Body<ChangeSettings>) -> Result<Json<SettingItems>, AdminError> {
    let (mut values, mut problems) = (BTreeMap::new(), BTreeMap::new());
    for (key, value) in body.values {
        let checked = match Setting::find(&key) {
            None => Err(FieldProblem::new("unknown", "there is no such setting")),
            Some(setting) if setting.key == LISTEN => {
                Err(FieldProblem::new("needs_password", "takes the password: it is changed on its own"))
            }
            Some(setting) if is_fixed(&app, setting) => Err(FieldProblem::new("locked", format!("is fixed by {}", setting.variable()))),
            Some(setting) => {
                let checked = value.map(|value| setting.check(&value)).transpose();
                checked.map_err(|problem| FieldProblem::new("invalid", problem))
            }
        };
        match checked {
            Ok(value) => {
                values.insert(key, value);
            }
            Err(problem) => {
                problems.insert(key, problem);
            }
        }
    }
    if !problems.is_empty() {
        return Err(AdminError::invalid("invalid_settings", problems));
    }
    // Until it is stored, so that several changes at once are no way around the password.
    let changing = app.changing.clone().lock_owned().await;
    let moves = places_bucket(&values);
    let table = app.library.db().read(load_settings).await?;
    let target = if moves { bucket_with(&app, &table, &values) } else { None };
    if moves {
        check_leaving(&app, target.as_ref(), body.leave_images).await?;
    }
    let then = settings_with(&app, table, &values);
    let loses = then.sweep.lose_more_than(&app.settings.snapshot().sweep);
    if target.is_some_and(|target| is_elsewhere(&app, &target)) || leads_elsewhere(&app, &then) || loses {
        app.account.confirm(body.password.as_deref(), &visitor).await?;
    }
    store(&app, changing, values).await?;
    items(&app).await
}

/// Does `work` to its end, also if the client goes meanwhile: what is stored and what holds must not differ.
async fn whole<T: Send + 'static>(app: &App, work: impl Future<Output = Result<T, AdminError>> + Send + 'static) -> Result<T, AdminError> {
    let broken = "the change broke off; the log has the reason";
    app.tasks.spawn(work).await.unwrap_or_else(|_| Err(AdminError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", broken)))
}

/// Whether these values say something of the place where copies go.
fn places_bucket(values: &BTreeMap<String, Option<String>>) -> bool {
    values.keys().any(|key| key.starts_with("r2_") || key.starts_with("s3_"))
}

/// Whether copies would go where none go now: a session alone must not have all pictures sent away. And what lies there counts as a
/// copy, so that the files here may go. There are servers where the access key decides in whose bucket of that name.
fn is_elsewhere(app: &App, target: &BucketConfig) -> bool {
    let same = |present: &BucketConfig| present.place() == target.place() && present.access_key_id == target.access_key_id;
    !app.settings.snapshot().bucket.as_ref().is_some_and(same)
}

/// Whether links would lead people to a server where none lead now: whoever opens a picture tells it which one.
fn leads_elsewhere(app: &App, then: &Settings) -> bool {
    let present = app.settings.snapshot();
    let leads = |settings: &Settings| settings.redirect_to.clone().or(settings.direct_links.clone());
    leads(then).is_some() && leads(then) != leads(&present)
}

/// The bucket that would be used with these values.
fn bucket_with(app: &App, table: &BTreeMap<String, String>, values: &BTreeMap<String, Option<String>>) -> Option<BucketConfig> {
    let value = |key: &str| {
        let Some(setting) = Setting::find(key) else { return String::new() };
        let given = values.get(key).cloned().unwrap_or_else(|| table.get(key).and_then(|stored| setting.check(stored).ok()));
        app.config.fixed.get(key).cloned().or(given).unwrap_or_else(|| setting.default.to_owned())
    };
    let secret = match values.get(BUCKET_SECRET) {
        Some(given) => given.clone().map(Secret::new),
        None => app.secrets.secrets().r2_secret_access_key,
    };
    bucket_of(&value, app.config.bucket_secret.clone().or(secret))
}

/// Images whose only bytes are in the present bucket must not vanish with a slip of the pen.
async fn check_leaving(app: &App, target: Option<&BucketConfig>, leave_images: bool) -> Result<(), AdminError> {
    let count = app.library.would_hide(target).await?;
    if count == 0 {
        return Ok(());
    }
    if !leave_images {
        let label = app.settings.snapshot().bucket.as_ref().map_or_else(|| "the bucket of before".to_owned(), BucketConfig::label);
        let message = format!(
            "{count} images are only in {label} and would not be found any more; copy its objects to the new place first, or send \
             leave_images to change it all the same: using that bucket again brings them back"
        );
        return Err(AdminError::concerns("images_left_behind", count, message));
    }
    Ok(())
}

/// What would hold with these values; the keys stay.
fn settings_with(app: &App, mut table: BTreeMap<String, String>, values: &BTreeMap<String, Option<String>>) -> Settings {
    for (key, value) in values {
        match value {
            Some(value) => table.insert(key.clone(), value.clone()),
            None => table.remove(key),
        };
    }
    let keys = Keys { gateway: app.settings.snapshot().gateway_key.clone(), bucket: app.secrets.secrets().r2_secret_access_key };
    Settings::resolve(&app.config, &table, keys)
}

/// Keeps values that were checked and need no question, and goes by them from now on. For who holds `changing`, which ends with
/// it: one after the other, for the snapshot must be that of the last change.
pub async fn store(app: &App, changing: OwnedMutexGuard<()>, values: BTreeMap<String, Option<String>>) -> Result<(), AdminError> {
    let own = app.clone();
    let kept = async move {
        let _changing = changing;
        keep(&own, values).await
    };
    whole(app, kept).await
}

async fn keep(app: &App, mut values: BTreeMap<String, Option<String>>) -> Result<(), AdminError> {
    let keys: Vec<String> = values.keys().cloned().collect();
    if let Some(secret) = values.remove(BUCKET_SECRET) {
        let secret = secret.filter(|secret| !secret.is_empty()).map(Secret::new);
        app.secrets.change(move |secrets| secrets.r2_secret_access_key = secret).await?;
    }
    app.library.db().write(move |t| save_settings(t, &values, now())).await?;
    apply(app).await?;
    tracing::info!(event = "settings", keys = keys.join(","), "settings were changed");
    Ok(())
}

/// Works from now on with what the table and the file of keys say.
pub async fn apply(app: &App) -> Result<(), DbError> {
    let table = app.library.db().read(load_settings).await?;
    let secrets = app.secrets.secrets();
    let present = Keys { gateway: secrets.gateway_key, bucket: secrets.r2_secret_access_key };
    app.settings.replace(Settings::resolve(&app.config, &table, present));
    let present = app.settings.snapshot();
    app.library.use_bucket(present.bucket.clone(), present.copies_first).await?;
    app.events.tell(Event::Settings);
    Ok(())
}

fn key_locked_by(app: &App) -> Option<&'static str> {
    app.config.gateway_key.as_ref().map(|_| "PICGATE_GATEWAY_KEY")
}

/// Whether the key that clients need can be replaced.
#[utoipa::path(get, path = "/gateway-key", responses((status = 200, body = GatewayKeyState)))]
pub async fn gateway_key(State(app): State<App>) -> Json<GatewayKeyState> {
    Json(GatewayKeyState { locked_by: key_locked_by(&app) })
}

/// The key that clients need; takes the password.
#[utoipa::path(post, path = "/gateway-key/show", request_body = ShowGatewayKey, responses((status = 200, body = GatewayKey), (status = 403)))]
pub async fn show_gateway_key(
    State(app): State<App>,
    visitor: Visitor,
    Body(body): Body<ShowGatewayKey>,
) -> Result<Json<GatewayKey>, AdminError> {
    app.account.confirm(body.password.as_deref(), &visitor).await?;
    let key = app.settings.snapshot().gateway_key.clone();
    Ok(Json(GatewayKey { mark: app.key_marks.of(&key), key: key.expose().to_owned(), locked_by: key_locked_by(&app) }))
}

/// Another key; the old one is no longer good. Takes the password.
#[utoipa::path(post, path = "/gateway-key", request_body = NewGatewayKey, responses((status = 200, body = GatewayKey)))]
pub async fn new_gateway_key(
    State(app): State<App>,
    visitor: Visitor,
    Body(body): Body<NewGatewayKey>,
) -> Result<Json<GatewayKey>, AdminError> {
    if app.config.gateway_key.is_some() {
        return Err(AdminError::field("invalid_settings", "key", "locked", "is fixed by PICGATE_GATEWAY_KEY"));
    }
    let key = match body.key.map(|key| key.trim().to_owned()).filter(|key| !key.is_empty()) {
        Some(key) if key.len() >= 8 && key.len() <= 256 && key.bytes().all(|b| b.is_ascii_graphic()) => Secret::new(key),
        Some(_) => {
            return Err(AdminError::field(
                "invalid_settings",
                "key",
                "characters",
                "must have 8 to 256 letters, digits or signs, without blanks",
            ));
        }
        None => app.secrets.random_key()?,
    };
    app.account.confirm(body.password.as_deref(), &visitor).await?;
    let (own, new) = (app.clone(), key.clone());
    let changed = async move {
        let _changing = own.changing.lock().await;
        own.secrets.set_gateway_key(new.clone()).await?;
        let mut settings = (*own.settings.snapshot()).clone();
        settings.gateway_key = new;
        own.settings.replace(settings);
        own.events.tell(Event::Settings);
        tracing::info!(event = "gateway_key", "the gateway key was changed");
        Ok(())
    };
    whole(&app, changed).await?;
    Ok(Json(GatewayKey { mark: app.key_marks.of(&key), key: key.expose().to_owned(), locked_by: None }))
}
