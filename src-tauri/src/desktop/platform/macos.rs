//! macOS: no icon in the Dock, and a template in the menu bar that the system colours.

use notify_rust::Notification;

use super::Panel;

/// There is always a display.
pub fn check_display() -> Result<(), String> {
    Ok(())
}

/// Why the tray may be missing, for a person.
pub const NO_TRAY_REMEDY: &str = "the menu bar took no icon";

/// A program of the menu bar has no icon in the Dock.
pub fn settle(app: &mut tauri::App) {
    app.set_activation_policy(tauri::ActivationPolicy::Accessory);
}

/// There is always a menu bar.
pub async fn follow_tray_host(tell: impl Fn(bool)) {
    tell(true);
}

/// The system colours the icon.
pub async fn follow_panel(tell: impl Fn(Panel)) {
    tell(Panel::Template);
}

/// The launch agent holds its program as a list; nothing is to be mended.
pub fn mend_autostart(_name: &str) -> Result<(), String> {
    Ok(())
}

/// The bundle says how notifications look.
pub fn dress(_notification: &mut Notification) {}

/// Shows it. Clicks are not reported here.
pub async fn show(notification: Notification, _open: &str) -> Result<bool, String> {
    let shown = tokio::task::spawn_blocking(move || notification.show().map(|_| ()).map_err(|error| error.to_string()));
    shown.await.map_err(|error| error.to_string())?.map(|()| false)
}

/// Puts a key on the clipboard, and asks programs that keep a history of it to leave this out.
pub fn copy_secret(clipboard: &mut arboard::Clipboard, text: &str) -> Result<(), arboard::Error> {
    use arboard::SetExtApple;
    clipboard.set().exclude_from_history().text(text)
}

/// Comes back when a signal tells the program to end.
pub async fn told_to_end() {
    super::unix_signal().await;
}
