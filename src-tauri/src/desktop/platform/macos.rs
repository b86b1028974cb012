//! macOS: no icon in the Dock, and a template in the menu bar that the system colours.

use notify_rust::Notification;
use tauri::menu::{IsMenuItem, MenuItem, MenuItemKind};

use super::Panel;

/// There is always a display.
pub fn check_display() -> Result<(), String> {
    Ok(())
}

/// Why the tray may be missing, for a person.
pub const NO_TRAY_REMEDY: &str = "the menu bar took no icon";

/// A program of the menu bar has no icon in the Dock. Its notifications belong to its bundle, and its menu ends it as the tray's
/// does, which asks first while something runs.
pub fn settle(app: &mut tauri::App, quit_text: &str, quit_id: &str) {
    app.set_activation_policy(tauri::ActivationPolicy::Accessory);
    // Without this the library asks the user where the program "use_default" is.
    if let Err(error) = notify_rust::set_application(&app.config().identifier) {
        tracing::debug!(%error, "notifications are shown as those of another program");
    }
    if let Err(error) = replace_quit(app, quit_text, quit_id) {
        tracing::warn!(%error, "the menu ends the program without asking");
    }
}

/// The menu is Tauri's, for what ⌘C, ⌘V, ⌘W and the like do. Its last line of the first part, ⌘Q, would end the program at once.
fn replace_quit(app: &tauri::App, text: &str, id: &str) -> tauri::Result<()> {
    let parts = app.menu().map(|menu| menu.items()).transpose()?.unwrap_or_default();
    let Some(MenuItemKind::Submenu(first)) = parts.first() else { return Ok(()) };
    if let Some(last) = first.items()?.len().checked_sub(1) {
        first.remove_at(last)?;
    }
    let quit = MenuItem::with_id(app, id, text, true, Some("Cmd+Q"))?;
    first.append(&quit as &dyn IsMenuItem<_>)
}

/// The program was started again while it runs, as from the Finder.
pub fn is_reopening(event: &tauri::RunEvent) -> bool {
    matches!(event, tauri::RunEvent::Reopen { .. })
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

/// Text as the body of a notification has it.
pub fn plain(text: &str) -> String {
    text.to_owned()
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

/// Calls `told` whenever a signal tells the program to end.
pub async fn follow_orders(told: impl FnMut()) {
    super::follow_signals(told).await;
}
