//! Linux: X11 or Wayland, a tray over D-Bus, settings of the desktop through its portal.

use std::{
    fs,
    path::{Path, PathBuf},
};

use futures_util::StreamExt;
use notify_rust::{Hint, Notification};
use zbus::{
    Connection,
    fdo::DBusProxy,
    zvariant::{OwnedValue, Value},
};

use super::{HIDDEN, Panel};

const WATCHER: &str = "org.kde.StatusNotifierWatcher";
const PORTAL: &str = "org.freedesktop.portal.Desktop";
const PORTAL_PATH: &str = "/org/freedesktop/portal/desktop";
const PORTAL_SETTINGS: &str = "org.freedesktop.portal.Settings";
const APPEARANCE: &str = "org.freedesktop.appearance";

/// Desktops whose panel is dark whatever the colours of windows are.
const DARK_PANELS: [&str; 4] = ["gnome", "unity", "pantheon", "cinnamon"];

/// Whether windows can be opened at all; the failure is a sentence for a person.
pub fn check_display() -> Result<(), String> {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_set("DISPLAY") || is_set("WAYLAND_DISPLAY") {
        Ok(())
    } else {
        Err("there is no display: DISPLAY and WAYLAND_DISPLAY are not set".into())
    }
}

/// Why the tray may be missing, for a person.
pub const NO_TRAY_REMEDY: &str = "the tray needs libayatana-appindicator3 (Debian and Ubuntu: apt install libayatana-appindicator3-1; Fedora: libayatana-appindicator-gtk3)";

/// Nothing needs to be told to the system.
pub fn settle(_app: &mut tauri::App, _quit_text: &str, _quit_id: &str) {}

/// Nothing but the tray asks for a window here.
pub fn is_reopening(_event: &tauri::RunEvent) -> bool {
    false
}

/// Says whether something shows tray icons now, and again whenever that changes. Without a session bus it is told once that
/// nothing does.
pub async fn follow_tray_host(tell: impl Fn(bool)) {
    if let Err(error) = follow_owner(&tell).await {
        tracing::warn!(%error, "whether there is a tray cannot be told");
        tell(false);
    }
}

async fn follow_owner(tell: &impl Fn(bool)) -> zbus::Result<()> {
    let bus = Connection::session().await?;
    let names = DBusProxy::new(&bus).await?;
    let mut changes = names.receive_name_owner_changed_with_args(&[(0, WATCHER)]).await?;
    tell(names.name_has_owner(WATCHER.try_into()?).await?);
    while let Some(change) = changes.next().await {
        if let Ok(change) = change.args() {
            tell(change.new_owner().is_some());
        }
    }
    Ok(())
}

/// Says what the tray's icon lies on, and again whenever that changes.
pub async fn follow_panel(tell: impl Fn(Panel)) {
    let desktop = std::env::var("XDG_CURRENT_DESKTOP").unwrap_or_default().to_ascii_lowercase();
    if desktop.split(':').any(|name| DARK_PANELS.contains(&name)) {
        return tell(Panel::Dark);
    }
    // A desktop without a portal has said nothing; most panels are dark.
    if let Err(error) = follow_scheme(&tell).await {
        tracing::debug!(%error, "the colours of the desktop are not known");
    }
}

async fn follow_scheme(tell: &impl Fn(Panel)) -> zbus::Result<()> {
    let bus = Connection::session().await?;
    let portal = zbus::Proxy::new(&bus, PORTAL, PORTAL_PATH, PORTAL_SETTINGS).await?;
    let mut changes = portal.receive_signal("SettingChanged").await?;
    let now: OwnedValue = portal.call("Read", &(APPEARANCE, "color-scheme")).await?;
    tell(panel_of(&now));
    while let Some(change) = changes.next().await {
        if let Ok((space, key, value)) = change.body().deserialize::<(String, String, OwnedValue)>()
            && space == APPEARANCE
            && key == "color-scheme"
        {
            tell(panel_of(&value));
        }
    }
    Ok(())
}

/// 1 prefers dark, 2 light, 0 says nothing. Portals wrap the number once or twice.
fn panel_of(value: &Value<'_>) -> Panel {
    match value {
        Value::Value(inner) => panel_of(inner),
        Value::U32(2) => Panel::Light,
        _ => Panel::Dark,
    }
}

/// Mends the entry that makes the app start at login. The library that wrote it leaves a path with a space unquoted, and such
/// an entry starts nothing.
///
/// # Errors
/// Why the entry is not mended.
pub fn mend_autostart(name: &str) -> Result<(), String> {
    let entry = autostart_entry(name).ok_or("the folder of settings is not known")?;
    let program = program().map_err(|error| error.to_string())?;
    let text = fs::read_to_string(&entry).map_err(|error| format!("{} cannot be read: {error}", entry.display()))?;
    let mended: String = text
        .lines()
        .map(|line| if line.starts_with("Exec=") { format!("Exec={} {HIDDEN}\n", quoted(&program)) } else { format!("{line}\n") })
        .collect();
    fs::write(&entry, mended).map_err(|error| format!("{} cannot be written: {error}", entry.display()))
}

fn autostart_entry(name: &str) -> Option<PathBuf> {
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let config = config.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))?;
    Some(config.join("autostart").join(format!("{name}.desktop")))
}

/// An AppImage runs from a mount that is gone after it; the file itself is what starts again.
fn program() -> std::io::Result<PathBuf> {
    std::env::var_os("APPIMAGE").map_or_else(std::env::current_exe, |image| Ok(PathBuf::from(image)))
}

/// A path as the `Exec` line of a desktop entry has it: quoted, and its backslashes doubled once more as in every value.
fn quoted(path: &Path) -> String {
    let mut out = String::from("\"");
    for c in path.to_string_lossy().chars() {
        match c {
            '"' | '`' | '$' => out.extend(["\\\\", c.encode_utf8(&mut [0; 4])]),
            '\\' => out.push_str("\\\\\\\\"),
            '%' => out.push_str("%%"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Text as the body of a notification has it: servers read markup there, and a prompt is no markup.
pub fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What a notification needs here to look like one of ours.
pub fn dress(notification: &mut Notification) {
    notification.icon("picgate").hint(Hint::DesktopEntry("PicGate".into()));
}

/// Shows it and waits until it is clicked or gone; whether it was clicked.
///
/// # Errors
/// Why it is not shown.
pub async fn show(mut notification: Notification, open: &str) -> Result<bool, String> {
    notification.action("default", open);
    let shown = notification.show_async().await.map_err(|error| error.to_string())?;
    let mut clicked = false;
    shown.wait_for_action_async(|response| clicked = matches!(response, notify_rust::NotificationResponse::Default)).await;
    Ok(clicked)
}

/// Puts a key on the clipboard, and asks programs that keep a history of it to leave this out.
pub fn copy_secret(clipboard: &mut arboard::Clipboard, text: &str) -> Result<(), arboard::Error> {
    use arboard::SetExtLinux;
    clipboard.set().exclude_from_history().text(text)
}

/// Calls `told` whenever a signal tells the program to end.
pub async fn follow_orders(told: impl FnMut()) {
    super::follow_signals(told).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_an_entry_is_quoted() {
        assert_eq!(quoted(Path::new("/opt/Pic Gate/picgate")), "\"/opt/Pic Gate/picgate\"");
        assert_eq!(quoted(Path::new("/a\"b`c$d%e")), "\"/a\\\\\"b\\\\`c\\\\$d%%e\"");
        assert_eq!(quoted(Path::new("/a\\b")), "\"/a\\\\\\\\b\"");
    }

    #[test]
    fn the_portals_number_is_read_through_its_wrappings() {
        let wrapped = |n: u32| Value::Value(Box::new(Value::Value(Box::new(Value::U32(n)))));
        assert_eq!(panel_of(&wrapped(2)), Panel::Light);
        assert_eq!(panel_of(&wrapped(1)), Panel::Dark);
        assert_eq!(panel_of(&Value::U32(0)), Panel::Dark);
    }
}
