//! Which models there are: ours and its aliases, whatever the upstream has. Answered at once, also when the upstream is away.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde_json::{Value, json};

use crate::{http::error::ApiError, settings::LiveSettings};

fn entry(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": 1_700_000_000, "owned_by": "picgate"})
}

/// `GET /v1/models`
pub async fn list(State(settings): State<LiveSettings>) -> Json<Value> {
    let settings = settings.snapshot();
    let names =
        std::iter::once(settings.gateway_model.as_str()).chain(settings.aliases.names().filter(|name| *name != settings.gateway_model));
    Json(json!({"object": "list", "data": names.map(entry).collect::<Vec<_>>()}))
}

/// `GET /v1/models/{id}`
pub async fn one(State(settings): State<LiveSettings>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    let settings = settings.snapshot();
    if id == settings.gateway_model || settings.aliases.wishes(&id).is_some() {
        return Ok(Json(entry(&id)));
    }
    Err(ApiError::new(StatusCode::NOT_FOUND, "model_not_found", "there is no model of this name"))
}
