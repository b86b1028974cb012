//! Whether the app starts at login. The system holds the answer; nothing of it is kept here.

use tauri::AppHandle;
use tauri_plugin_autostart::ManagerExt;

use super::platform;

/// What the system says.
///
/// # Errors
/// Why that is not known.
pub fn is_on(app: &AppHandle) -> Result<bool, String> {
    app.autolaunch().is_enabled().map_err(|error| error.to_string())
}

/// Makes it so.
///
/// # Errors
/// Why nothing was changed.
pub fn set(app: &AppHandle, on: bool) -> Result<(), String> {
    let autostart = app.autolaunch();
    if !on {
        return autostart.disable().map_err(|error| error.to_string());
    }
    autostart.enable().map_err(|error| error.to_string())?;
    platform::mend_autostart(&app.package_info().name)
}

/// Writes an entry that is there once more: the program may lie elsewhere than when it was written.
pub fn renew(app: &AppHandle) {
    // A build from the source folder would take the place of the installed program.
    if cfg!(debug_assertions) {
        return;
    }
    if is_on(app) == Ok(true)
        && let Err(error) = set(app, true)
    {
        tracing::warn!(%error, "the start at login may name an old place of this program");
    }
}
