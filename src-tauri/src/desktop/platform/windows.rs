//! Windows: the taskbar's colours and the entry for the start at login are in the registry.

use std::time::Duration;

use notify_rust::{Notification, NotificationResponse};
use windows_registry::{CURRENT_USER, LOCAL_MACHINE};

use super::{HIDDEN, Panel};

const COLOURS: &str = r"Software\Microsoft\Windows\CurrentVersion\Themes\Personalize";
const RUN: &str = r"Software\Microsoft\Windows\CurrentVersion\Run";

/// How often the taskbar's colour is looked up.
const LOOK: Duration = Duration::from_secs(10);

/// As in `tauri.conf.json`: the installer gives it to the shortcut, and notifications belong to it.
const APP_ID: &str = "io.picgate.desktop";

/// There is always a display.
pub fn check_display() -> Result<(), String> {
    Ok(())
}

/// Why the tray may be missing, for a person.
pub const NO_TRAY_REMEDY: &str = "the taskbar took no icon";

/// Nothing needs to be told to the system.
pub fn settle(_app: &mut tauri::App, _quit_text: &str, _quit_id: &str) {}

/// A second start is told by the single instance.
pub fn is_reopening(_event: &tauri::RunEvent) -> bool {
    false
}

/// There is always a taskbar.
pub async fn follow_tray_host(tell: impl Fn(bool)) {
    tell(true);
}

/// Says what the tray's icon lies on, and again whenever that changes.
pub async fn follow_panel(tell: impl Fn(Panel)) {
    loop {
        let light = CURRENT_USER.open(COLOURS).and_then(|key| key.get_u32("SystemUsesLightTheme")).unwrap_or(0);
        tell(if light == 1 { Panel::Light } else { Panel::Dark });
        tokio::time::sleep(LOOK).await;
    }
}

/// Quotes the path in the entry that makes the app start at login: the library that wrote it does not, and a path with a space
/// would be taken apart. For an administrator it writes the entry for everybody, which goes: the start is the user's own.
///
/// # Errors
/// Why the entry is not mended.
pub fn mend_autostart(name: &str) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let line = format!("\"{}\" {HIDDEN}", program.display());
    CURRENT_USER.create(RUN).and_then(|key| key.set_string(name, line)).map_err(|error| error.to_string())?;
    // Who may not do that has no such entry either.
    let _ = LOCAL_MACHINE.options().write().open(RUN).and_then(|key| key.remove_value(name));
    Ok(())
}

/// Text as the body of a notification has it.
pub fn plain(text: &str) -> String {
    text.to_owned()
}

/// A notification belongs to the app only where the installer has registered it; without one it would not be shown at all.
pub fn dress(notification: &mut Notification) {
    let is_installed = std::env::current_exe().is_ok_and(|path| !path.components().any(|part| part.as_os_str() == "target"));
    if is_installed {
        notification.app_id(APP_ID);
    }
}

/// Shows it and waits until it is clicked or gone; whether it was clicked.
///
/// # Errors
/// Why it is not shown.
pub async fn show(notification: Notification, _open: &str) -> Result<bool, String> {
    let shown = tokio::task::spawn_blocking(move || {
        let shown = notification.show().map_err(|error| error.to_string())?;
        let mut clicked = false;
        // Fails only if Windows drops it without a word: nobody has clicked it then.
        let _ = shown.wait_for_response(|response: &NotificationResponse| clicked = matches!(response, NotificationResponse::Default));
        Ok(clicked)
    });
    shown.await.map_err(|error| error.to_string())?
}

/// Puts a key on the clipboard, and asks Windows to keep it out of its history and of the cloud.
pub fn copy_secret(clipboard: &mut arboard::Clipboard, text: &str) -> Result<(), arboard::Error> {
    use arboard::SetExtWindows;
    clipboard.set().exclude_from_history().exclude_from_cloud().text(text)
}

/// Calls `told` whenever the console tells the program to end; it has one while it is developed. Who signs out is noticed by the
/// toolkit.
pub async fn follow_orders(mut told: impl FnMut()) {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};
    let (Ok(mut interrupt), Ok(mut stop), Ok(mut close)) = (ctrl_c(), ctrl_break(), ctrl_close()) else {
        return std::future::pending().await;
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = stop.recv() => {}
            _ = close.recv() => {}
        }
        told();
    }
}
