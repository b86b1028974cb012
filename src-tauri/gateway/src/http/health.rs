//! How the program is: for containers, scripts and people.

use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    time::Instant,
};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::App;
use crate::jobs::{DiskReport, MissingImages};

/// Where in its life the program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not all is there yet.
    Starting,
    /// Serving.
    Ready,
    /// Finishing what runs.
    Stopping,
}

/// Shared by all who know something about it.
#[derive(Debug)]
pub struct Health {
    phase: AtomicU8,
    missing: AtomicUsize,
    disk_low: AtomicBool,
    started: Instant,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            phase: AtomicU8::new(Phase::Starting as u8),
            missing: AtomicUsize::new(0),
            disk_low: AtomicBool::new(false),
            started: Instant::now(),
        }
    }
}

impl Health {
    /// Moves on.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Whether the disk is nearly full.
    pub fn is_disk_low(&self) -> bool {
        self.disk_low.load(Ordering::Relaxed)
    }
}

impl MissingImages for Health {
    fn missing(&self, count: usize) {
        self.missing.store(count, Ordering::Relaxed);
    }
}

impl DiskReport for Health {
    fn disk_low(&self, low: bool) {
        self.disk_low.store(low, Ordering::Relaxed);
    }
}

/// `GET /health`: 200 with `ok` or `degraded` and reasons, 503 only while starting or stopping.
pub async fn health(State(app): State<App>) -> Response {
    let health = &app.health;
    let phase = health.phase.load(Ordering::Relaxed);
    let mut reasons = Vec::new();
    match health.missing.load(Ordering::Relaxed) {
        0 => {}
        count => reasons.push(format!("{count} images are not on disk though they should be")),
    }
    if health.is_disk_low() {
        reasons.push("the disk is nearly full".to_owned());
    }
    if app.relay.is_paused() {
        reasons.push("paused: new requests are refused until somebody resumes".to_owned());
    }
    let (code, status) = match phase {
        p if p == Phase::Starting as u8 => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        p if p == Phase::Stopping as u8 => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        _ if reasons.is_empty() => (StatusCode::OK, "ok"),
        _ => (StatusCode::OK, "degraded"),
    };
    let body = json!({"status": status, "version": env!("CARGO_PKG_VERSION"), "uptime_seconds": health.started.elapsed().as_secs(), "reasons": reasons});
    (code, Json(body)).into_response()
}
