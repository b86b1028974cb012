//! Who can reach the gateway, and whether it draws: the switches for the network and for a pause.

use std::time::Duration;

use axum::{Extension, Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    error::{AdminError, Body},
    words::ReachName,
};
use crate::{
    account::{Signed, Visitor},
    http::App,
    listen,
    model::LISTEN,
    settings::Reach,
};

/// How long the doors may take to follow.
const PATIENCE: Duration = Duration::from_secs(5);

/// A bridge of Docker.
#[derive(Debug, Serialize, ToSchema)]
pub struct Bridge {
    interface: String,
    address: String,
}

/// Who can reach the gateway.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listen {
    /// `null` while an address is fixed from outside.
    reach: Option<ReachName>,
    /// What can be chosen here: Docker's bridges are there on Linux alone.
    choices: Vec<ReachName>,
    /// The flag or variable that fixes it.
    locked_by: Option<String>,
    /// Open addresses with their port.
    addresses: Vec<String>,
    /// Docker's bridges on this computer.
    bridges: Vec<Bridge>,
    /// What could not be opened, in words.
    problem: Option<String>,
}

/// Another reach. What opens the gateway further takes the password.
#[derive(Deserialize, ToSchema)]
pub struct SetListen {
    reach: ReachName,
    #[serde(default)]
    password: Option<String>,
}

/// Whether new requests are refused.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Pause {
    /// They are.
    pub paused: bool,
}

/// The flag or variable that fixes where we listen.
pub fn locked_by(app: &App) -> Option<String> {
    let setting_fixed = app.config.fixed.contains_key(LISTEN).then(|| "PICGATE_LISTEN".to_owned());
    app.config.host_fixed_by.clone().or(setting_fixed)
}

fn view(app: &App) -> Listen {
    let shown = app.listening.view();
    let bridge = |bridge: listen::Bridge| Bridge { interface: bridge.interface, address: bridge.address.to_string() };
    Listen {
        reach: shown.reach.map(|reach| reach.word().into()),
        choices: Reach::ALL
            .into_iter()
            .filter(|reach| *reach != Reach::Docker || cfg!(target_os = "linux"))
            .map(|reach| reach.word().into())
            .collect(),
        locked_by: locked_by(app),
        addresses: shown.addresses.iter().map(ToString::to_string).collect(),
        bridges: listen::bridges().into_iter().map(bridge).collect(),
        problem: shown.problem,
    }
}

/// Who can reach the gateway.
#[utoipa::path(get, path = "/listen", responses((status = 200, body = Listen)))]
pub async fn listen_state(State(app): State<App>) -> Json<Listen> {
    Json(view(&app))
}

/// Opens the gateway to others, or closes it again, at once.
#[utoipa::path(post, path = "/listen", request_body = SetListen, responses((status = 200, body = Listen)))]
pub async fn set_listen(
    State(app): State<App>,
    Extension(signed): Extension<Signed>,
    visitor: Visitor,
    Body(body): Body<SetListen>,
) -> Result<Json<Listen>, AdminError> {
    let Some(reach) = Reach::ALL.into_iter().find(|reach| reach.word() == body.reach.word()) else {
        return Err(AdminError::field("invalid_request", "reach", "invalid", "is none of this_computer, docker and everyone"));
    };
    if let Some(name) = view(&app).locked_by {
        return Err(AdminError::field("invalid_settings", "reach", "locked", format!("is fixed by {name}")));
    }
    // Before the look at what holds: else one that opens and was let through before a closing would undo it.
    let changing = app.changing.clone().lock_owned().await;
    let present = app.settings.snapshot().reach;
    // Closing takes nothing: who is in a hurry must not look for a password.
    if reach as u8 > present as u8 {
        app.account.confirm(body.password.as_deref(), &visitor).await?;
    }
    super::settings::store(&app, changing, [(LISTEN.to_owned(), Some(reach.word().to_owned()))].into()).await?;
    tracing::info!(event = "reach", reach = reach.word(), username = signed.username, "who can reach the gateway was changed");
    if !app.listening.reaches(reach, PATIENCE).await {
        return Err(AdminError::new(StatusCode::SERVICE_UNAVAILABLE, "listening_late", "the addresses are still being opened; look again"));
    }
    Ok(Json(view(&app)))
}

/// Whether new requests are refused.
#[utoipa::path(get, path = "/pause", responses((status = 200, body = Pause)))]
pub async fn pause_state(State(app): State<App>) -> Json<Pause> {
    Json(Pause { paused: app.relay.is_paused() })
}

/// Refuses new requests from now on, or takes them again. What runs goes on, and a restart takes them again.
#[utoipa::path(put, path = "/pause", request_body = Pause, responses((status = 200, body = Pause)))]
pub async fn pause(State(app): State<App>, Body(body): Body<Pause>) -> Json<Pause> {
    app.relay.pause(body.paused);
    Json(Pause { paused: app.relay.is_paused() })
}
