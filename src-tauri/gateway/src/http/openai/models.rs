//! Which models there are: ours, whatever the upstream has. Answered at once, also when the upstream is away.

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
    Json(json!({"object": "list", "data": [entry(&settings.snapshot().gateway_model)]}))
}

/// `GET /v1/models/{id}`
pub async fn one(State(settings): State<LiveSettings>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    if id == settings.snapshot().gateway_model {
        return Ok(Json(entry(&id)));
    }
    Err(ApiError::new(StatusCode::NOT_FOUND, "model_not_found", "there is no model of this name"))
}
