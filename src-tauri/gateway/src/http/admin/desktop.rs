//! What pages in a native window ask of the shell around the gateway. Headless there is none, and every route says so.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Json,
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::{
    error::{AdminError, Body},
    ticket::only_this_computer,
    words::PageName,
};
use crate::{
    http::{App, Peer},
    shell::{Page, Shell, is_rest},
};

/// Longest address that is handed to the system's browser, in bytes.
const URL_MAX: usize = 2048;

/// The desktop around the gateway.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShellView {
    /// Whether the app starts at login; `null` if the system does not tell.
    autostart: Option<bool>,
    /// Why not.
    autostart_problem: Option<String>,
    /// Whether the system has a keychain.
    has_keychain: bool,
    /// Whether keys lie there.
    keys_in_keychain: bool,
    data_dir: String,
}

/// On or off.
#[derive(Deserialize, ToSchema)]
pub struct OnOff {
    on: bool,
}

/// Which page to open in its window.
#[derive(Deserialize, ToSchema)]
pub struct OpenPage {
    page: PageName,
    /// What follows the page's address: `/ID`, `?q=…`.
    #[serde(default)]
    rest: Option<String>,
}

/// What to open in the system's browser.
#[derive(Deserialize, ToSchema)]
pub struct OpenUrl {
    url: String,
}

/// Proof that the request comes from this computer: a window on somebody's screen is not opened from another one.
pub struct Local(App);

impl FromRequestParts<App> for Local {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        only_this_computer(app, parts.extensions.get::<Peer>().copied(), &parts.headers)?;
        Ok(Self(app.clone()))
    }
}

/// The shell, or that there is none.
fn shell(app: &App) -> Result<Arc<dyn Shell>, AdminError> {
    app.shell.clone().ok_or_else(|| AdminError::new(StatusCode::NOT_IMPLEMENTED, "no_shell", "this works in the desktop app alone"))
}

/// Asks the shell for something that may take a moment.
async fn ask<T: Send + 'static>(app: &App, ask: impl FnOnce(&dyn Shell) -> T + Send + 'static) -> Result<T, AdminError> {
    let shell = shell(app)?;
    let answer = tokio::task::spawn_blocking(move || ask(&*shell)).await;
    answer.map_err(|error| failed(error.to_string()))
}

fn failed(problem: String) -> AdminError {
    tracing::warn!(problem, "the desktop app could not do that");
    AdminError::new(StatusCode::INTERNAL_SERVER_ERROR, "shell_failed", problem)
}

async fn view(app: &App) -> Result<Json<ShellView>, AdminError> {
    let autostart = ask(app, |shell| shell.autostart()).await?;
    Ok(Json(ShellView {
        autostart: autostart.as_ref().ok().copied(),
        autostart_problem: autostart.err(),
        has_keychain: app.secrets.has_keychain(),
        keys_in_keychain: app.secrets.is_in_keychain(),
        data_dir: app.config.data_dir.display().to_string(),
    }))
}

/// How the desktop is set; 501 without one.
#[utoipa::path(get, path = "/shell", responses((status = 200, body = ShellView), (status = 501, description = "no desktop app")))]
pub async fn state(Local(app): Local) -> Result<Json<ShellView>, AdminError> {
    view(&app).await
}

/// Starts the app at login, or not.
#[utoipa::path(put, path = "/shell/autostart", request_body = OnOff, responses((status = 200, body = ShellView)))]
pub async fn autostart(Local(app): Local, Body(body): Body<OnOff>) -> Result<Json<ShellView>, AdminError> {
    ask(&app, move |shell| shell.set_autostart(body.on)).await?.map_err(failed)?;
    view(&app).await
}

/// Moves the keys to the system's keychain, or back to the file of keys.
#[utoipa::path(put, path = "/shell/keychain", request_body = OnOff, responses((status = 200, body = ShellView)))]
pub async fn keychain(Local(app): Local, Body(body): Body<OnOff>) -> Result<Json<ShellView>, AdminError> {
    shell(&app)?;
    if !app.secrets.has_keychain() {
        return Err(AdminError::new(StatusCode::CONFLICT, "no_keychain", "this system has no keychain that PicGate can use"));
    }
    app.secrets.keep_in_keychain(body.on).await.map_err(|error| failed(error.to_string()))?;
    tracing::info!(keychain = body.on, "the keys were moved");
    view(&app).await
}

/// Opens a page's window, or brings it to the front.
#[utoipa::path(post, path = "/shell/open", request_body = OpenPage, responses((status = 204)))]
pub async fn open(Local(app): Local, Body(body): Body<OpenPage>) -> Result<StatusCode, AdminError> {
    let page: Page =
        body.page.word().parse().map_err(|error| AdminError::field("invalid_request", "page", "invalid", format!("{error}")))?;
    if body.rest.as_deref().is_some_and(|rest| !is_rest(rest)) {
        return Err(AdminError::field("invalid_request", "rest", "invalid", "does not follow a page's address"));
    }
    ask(&app, move |shell| shell.open_page(page, body.rest.as_deref())).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Opens an address of the web in the system's browser.
#[utoipa::path(post, path = "/shell/external", request_body = OpenUrl, responses((status = 204)))]
pub async fn external(Local(app): Local, Body(body): Body<OpenUrl>) -> Result<StatusCode, AdminError> {
    let url = Url::parse(&body.url).ok().filter(|url| {
        let web = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
        web && url.username().is_empty() && url.password().is_none() && url.as_str().len() <= URL_MAX
    });
    let Some(url) = url else {
        return Err(AdminError::field("invalid_request", "url", "invalid", "is no address that begins with http:// or https://"));
    };
    // As it was parsed: what the system's opener gets has no blanks and no options.
    ask(&app, move |shell| shell.open_external(url.as_str())).await?.map_err(failed)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shows the data folder in the system's file manager.
#[utoipa::path(post, path = "/shell/folder", responses((status = 204)))]
pub async fn folder(Local(app): Local) -> Result<StatusCode, AdminError> {
    let path: PathBuf = app.config.data_dir.clone();
    ask(&app, move |shell| shell.open_folder(&path)).await?.map_err(failed)?;
    Ok(StatusCode::NO_CONTENT)
}
