//! What is spoken over HTTP: extract, one call down, shape the answer. Nothing here knows what a picture is.

mod admin;
mod auth;
mod client;
mod error;
mod headers;
mod health;
mod media;
mod openai;

use std::{net::IpAddr, sync::Arc};

use axum::{Router, extract::FromRef, middleware, routing::get};
use ipnet::IpNet;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{library::Library, relay::Relay, settings::LiveSettings};

pub use client::Peer;
pub use health::{Health, Phase};

/// What handlers may ask for, each for its own part.
#[derive(Clone, FromRef)]
pub struct App {
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
}

/// What is known of the addresses by which we are called.
#[derive(Clone, Debug)]
pub struct Origins {
    /// The port we listen on.
    pub port: u16,
    /// Proxies whose `X-Forwarded-*` is believed.
    pub trusted_proxies: Vec<IpNet>,
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
        .route("/", get(admin::home))
        .route("/admin", get(admin::placeholder))
        .route("/admin/", get(admin::placeholder))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::wrong_method)
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::from_fn(headers::on_every_answer))
        .with_state(app)
}
