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

/// From one look at a condition to the next.
const LOOK: Duration = Duration::from_millis(20);

/// From one attempt at something that a busy app may miss to the next.
const AGAIN: Duration = Duration::from_millis(250);

/// Waits until `condition` gives something.
async fn eventually<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_or(|| what.to_owned(), condition).await
}

/// The same; `what` is asked for once it was waited in vain, so that it says what is true then.
async fn eventually_or<T>(what: impl FnOnce() -> String, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain for {}", what());
        tokio::time::sleep(LOOK).await;
    }
}

/// Does something as a person does, again if nothing comes of it, until there is what was wanted. It must do no harm twice.
async fn until<T>(what: impl FnOnce() -> String, mut doing: impl AsyncFnMut(), mut wanted: impl AsyncFnMut() -> Option<T>) -> T {
    let mut tried: Option<Instant> = None;
    eventually_or(what, async || {
        if let Some(value) = wanted().await {
            return Some(value);
        }
        if tried.is_none_or(|tried| tried.elapsed() >= AGAIN) {
            doing().await;
            tried = Some(Instant::now());
        }
        None
    })
    .await
}
