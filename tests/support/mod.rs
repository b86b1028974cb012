//! What the tests stand on: a real gateway, a fake network around it, and pictures.

// Every test file uses its own part of this.
#![allow(dead_code, reason = "shared by tests that each use a part")]

pub mod admin;
pub mod app;
pub mod bucket;
pub mod clock;
pub mod disk;
pub mod pictures;
pub mod process;
pub mod shell;
pub mod upstream;

pub use app::TestApp;
pub use bucket::{FakeBucket, Fault};
#[allow(unused_imports, reason = "shared by tests that each use a part")]
pub use shell::{FakeKeychain, FakeShell};
#[allow(unused_imports, reason = "shared by tests that each use a part")]
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

/// Whether a test may be skipped where a tool is missing: not under `make test`, which has seen to all of them. A bare `cargo
/// test`, also on the systems where CI runs no more than that, tests the rest.
pub fn may_skip() -> bool {
    std::env::var_os("PICGATE_TOOLS").is_none()
}

/// An HTTP client that talks to this computer directly.
pub fn client() -> reqwest::Client {
    // Once in a process is enough, and whoever was first is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client")
}
