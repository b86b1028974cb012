//! The admin API under `/admin/api`. Every route but those of the session needs a session; every request that changes
//! something must come from our own pages. The OpenAPI document is made from these handlers.

#![allow(unused_qualifications, reason = "utoipa's macros write them")]

mod archive;
mod cache;
mod connect;
mod desktop;
mod doctor;
mod document;
mod error;
mod events;
mod guard;
mod images;
mod import;
mod live;
mod log_export;
mod model;
mod overview;
mod reach;
mod session;
mod settings;
mod ticket;
mod upstreams;
mod words;

use std::sync::LazyLock;

use axum::{Json, Router, extract::DefaultBodyLimit, middleware, routing::get};
use serde_json::Value;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::App;

pub use archive::Archives;
pub use doctor::Doctor;
pub use guard::host_is_known;
pub use overview::metrics;
pub use ticket::enter;

/// Largest body, in bytes: lists of ids and word lists fit.
const BODY_MAX: usize = 256 * 1024;

#[derive(OpenApi)]
#[openapi(info(title = "PicGate admin API", description = "For PicGate's own admin UI. It may change with any version."))]
// What no body of a request or an answer refers to.
#[openapi(components(schemas(events::Told, error::ErrorBody, words::SortBy, words::SortOrder, words::ImageState)))]
struct Described;

/// The OpenAPI document. `ui/openapi.json` is a copy of it, which a test compares.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let (_, described) = routes().split_for_parts();
    document::finished(serde_json::to_value(described).unwrap_or_default())
});

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Described::openapi())
        .routes(routes!(session::session))
        .routes(routes!(session::set_up))
        .routes(routes!(session::log_in))
        .routes(routes!(session::by_ticket))
        .routes(routes!(session::log_out))
        .routes(routes!(session::sessions, session::end_others))
        .routes(routes!(session::end_one))
        .routes(routes!(session::change_password))
        .routes(routes!(settings::list, settings::change))
        .routes(routes!(settings::gateway_key, settings::new_gateway_key))
        .routes(routes!(settings::show_gateway_key))
        .routes(routes!(upstreams::list, upstreams::add))
        .routes(routes!(upstreams::change, upstreams::remove))
        .routes(routes!(upstreams::reorder))
        .routes(routes!(upstreams::test))
        .routes(routes!(upstreams::forget))
        .routes(routes!(overview::stats))
        .routes(routes!(overview::about))
        .routes(routes!(connect::connect))
        .routes(routes!(connect::check))
        .routes(routes!(overview::draw_test))
        .routes(routes!(images::list))
        .routes(routes!(images::one))
        .routes(routes!(images::delete))
        .routes(routes!(images::models))
        .routes(routes!(archive::list))
        .routes(routes!(archive::fetch))
        .routes(routes!(cache::cache))
        .routes(routes!(cache::clock))
        .routes(routes!(cache::jobs, cache::start))
        .routes(routes!(cache::cancel))
        .routes(routes!(cache::test))
        .routes(routes!(import::state, import::decline))
        .routes(routes!(doctor::latest, doctor::examine))
        .routes(routes!(live::logs, live::clear_logs))
        .routes(routes!(log_export::export))
        .routes(routes!(live::activity))
        .routes(routes!(reach::listen_state, reach::set_listen))
        .routes(routes!(reach::pause_state, reach::pause))
        .routes(routes!(desktop::state))
        .routes(routes!(desktop::autostart))
        .routes(routes!(desktop::keychain))
        .routes(routes!(desktop::open))
        .routes(routes!(desktop::external))
        .routes(routes!(desktop::folder))
        .routes(routes!(events::events))
}

/// Everything under `/admin/api`.
pub fn router(app: App) -> Router<App> {
    let (router, _) = routes().split_for_parts();
    Router::new()
        .nest(document::BASE, router.route("/openapi.json", get(|| async { Json(&*DOCUMENT) })))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(app, guard::guard))
}
