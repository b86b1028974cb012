//! What is spoken over HTTP: extract, one call down, shape the answer. Nothing here knows what a picture is.

mod admin;
mod auth;
mod client;
mod error;
mod headers;
mod health;
mod media;
mod openai;
mod ui;

use std::{net::IpAddr, sync::Arc};

use axum::{Router, extract::FromRef, middleware, routing::get};
use ipnet::IpNet;
use tower_http::catch_panic::CatchPanicLayer;

use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use crate::{
    account::Account,
    config::Config,
    events::Events,
    jobs::Sweep,
    library::Library,
    listen::Listening,
    relay::Relay,
    settings::LiveSettings,
    shell::Shell,
    store::{KeyMarks, ProbeKey, Vault},
};

pub use admin::{Archives, Doctor};
pub use client::{Closing, Peer};
pub use health::{Health, Phase};

/// What handlers may ask for, each for its own part. One handle: a request takes several copies of it, and those of all its
/// parts would cost more than the rest of a small answer.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl App {
    /// All of it.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

macro_rules! asked_for {
    ($($part:ident: $of:ty),*) => { $(
        impl FromRef<App> for $of {
            fn from_ref(app: &App) -> Self {
                app.$part.clone()
            }
        }
    )* };
}

asked_for!(relay: Relay, library: Library, settings: LiveSettings, probe_key: ProbeKey);

/// The parts.
pub struct Parts {
    /// Drawing.
    pub relay: Relay,
    /// Images.
    pub library: Library,
    /// Settings.
    pub settings: LiveSettings,
    /// How the program is.
    pub health: Arc<Health>,
    /// How links are made.
    pub origins: Arc<Origins>,
    /// Who may use /admin.
    pub account: Account,
    /// What is fixed at start.
    pub config: Arc<Config>,
    /// Keys.
    pub secrets: Vault,
    /// What goes from disk, and long work.
    pub sweep: Sweep,
    /// Lists of images that wait to be fetched as one file.
    pub archives: Archives,
    /// What happens.
    pub events: Events,
    /// Held while settings or upstreams are changed.
    pub changing: Arc<Mutex<()>>,
    /// Work that goes on when the client that asked for it has gone; the end of the program waits for it as for connections.
    pub tasks: TaskTracker,
    /// Examinations.
    pub doctor: Doctor,
    /// Admits our own tries of our addresses.
    pub probe_key: ProbeKey,
    /// By which pages see that the key of clients was replaced.
    pub key_marks: KeyMarks,
    /// Where it listens.
    pub listening: Listening,
    /// The native shell around us, if there is one.
    pub shell: Option<Arc<dyn Shell>>,
    /// When the program was started, milliseconds since 1970-01-01 UTC.
    pub started_at: i64,
}

impl App {
    /// The mark of the key that clients need now.
    fn key_mark(&self) -> String {
        self.key_marks.of(&self.settings.snapshot().gateway_key)
    }

    /// The ticket of the set-up is used up.
    fn clear_ticket(&self) {
        let secrets = self.secrets.clone();
        self.tasks.spawn(async move {
            if let Err(error) = secrets.change(|secrets| secrets.setup_ticket = None).await {
                tracing::warn!(%error, "the used ticket stays in the file of keys");
            }
        });
    }
}

/// What is known of the addresses by which we are called.
#[derive(Clone, Debug)]
pub struct Origins {
    /// The port we listen on.
    pub port: u16,
    /// Proxies whose `X-Forwarded-*` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// This computer's name, in small letters.
    pub hostname: Option<String>,
}

impl Origins {
    fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&peer.to_canonical()))
    }
}

/// All routes.
pub fn router(app: App) -> Router {
    let v1 = openai::routes().layer(middleware::from_fn_with_state(app.clone(), auth::require_key));
    Router::new()
        .nest("/v1", v1)
        .route("/images/{id}", get(media::image).options(media::preflight))
        .route("/images/{id}/thumbnail", get(media::thumbnail).options(media::preflight))
        .route("/health", get(health::health))
        .route("/metrics", get(admin::metrics))
        .route("/", get(ui::home))
        .route("/admin", get(ui::page))
        .route("/admin/", get(ui::page))
        .route("/admin/ticket", get(admin::enter))
        .route("/admin/{*path}", get(ui::page))
        .merge(admin::router(app.clone()))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::wrong_method)
        .layer(middleware::from_fn_with_state(app.clone(), admin::host_is_known))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::from_fn(headers::on_every_answer))
        .with_state(app)
}
