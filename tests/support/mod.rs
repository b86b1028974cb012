//! What the tests stand on: a real gateway, a fake network around it, and pictures.

// Every test file uses its own part of this.
#![allow(dead_code, reason = "shared by tests that each use a part")]

pub mod app;
pub mod pictures;
pub mod process;
pub mod upstream;

pub use app::TestApp;
pub use upstream::{Chunk, FakeUpstream, Scripted};

use std::time::{Duration, Instant};

/// Longest wait for anything; far beyond what is needed, so that a slow machine is no failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` gives something.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
