//! What differs from system to system. Each has a file with the same functions; nothing outside this folder asks which system
//! it runs on.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::*;

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
pub use macos::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::*;

/// What the tray's icon lies on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(dead_code, reason = "no system knows all of them")]
pub enum Panel {
    /// Needs a light icon.
    #[default]
    Dark,
    /// Needs a dark one.
    Light,
    /// The system colours the shape itself.
    Template,
}

/// The flag of a silent start.
pub const HIDDEN: &str = "--hidden";

/// Calls `told` at each of the signals that end a program.
#[cfg(unix)]
async fn follow_signals(mut told: impl FnMut()) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()))
    else {
        return std::future::pending().await;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
        told();
    }
}
