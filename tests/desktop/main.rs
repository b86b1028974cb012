//! The desktop app as its user meets it: on a display and a bus of its own, with a tray, a notification server and a browser
//! driver that belong to the test alone. The gateway's behaviour is tested elsewhere (tests/it).

#![cfg(target_os = "linux")]

mod alone;
mod bus;
mod desk;
mod driver;
mod figures;
mod notices;
mod pages;
mod tray;
mod trouble;

use std::time::{Duration, Instant};

/// Longest wait for anything; far beyond what is needed, so that a slow machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` gives something.
async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(began.elapsed() < PATIENCE + Duration::from_secs(1), "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
