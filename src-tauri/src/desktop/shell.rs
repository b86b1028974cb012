//! What the gateway asks of the desktop.

use std::{path::Path, sync::Arc};

use picgate_gateway::shell::{Keychain, Page, Shell};
use tauri::AppHandle;

use super::{autostart, keychain::SystemKeychain, outside, windows};

/// The desktop as the gateway sees it.
pub struct DesktopShell(pub AppHandle);

impl Shell for DesktopShell {
    fn autostart(&self) -> Result<bool, String> {
        autostart::is_on(&self.0)
    }

    fn set_autostart(&self, on: bool) -> Result<(), String> {
        autostart::set(&self.0, on)?;
        super::refresh(&self.0);
        Ok(())
    }

    fn open_folder(&self, path: &Path) -> Result<(), String> {
        outside::open_folder(path)
    }

    fn open_page(&self, page: Page, rest: Option<&str>) {
        windows::open(&self.0, page, rest.map(str::to_owned));
    }

    fn open_external(&self, url: &str) -> Result<(), String> {
        outside::open_address(url)
    }

    fn keychain(&self) -> Option<Arc<dyn Keychain>> {
        SystemKeychain::find().map(|found| Arc::new(found) as Arc<dyn Keychain>)
    }
}
