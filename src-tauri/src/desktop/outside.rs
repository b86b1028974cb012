//! What other programs of the system show: folders and addresses.

use std::path::Path;

/// Shows a folder in the system's file manager.
///
/// # Errors
/// Why it is not shown.
pub fn open_folder(path: &Path) -> Result<(), String> {
    tauri_plugin_opener::open_path(path, None::<&str>).map_err(|error| error.to_string())
}

/// Opens an address in the system's browser.
///
/// # Errors
/// Why it is not opened.
pub fn open_address(url: &str) -> Result<(), String> {
    tauri_plugin_opener::open_url(url, None::<&str>).map_err(|error| error.to_string())
}
