//! Text on the clipboard. On X11 it is there only as long as the program that put it there holds it.

use std::sync::{Mutex, PoisonError};

use super::platform;

/// The clipboard, opened at the first use.
#[derive(Default)]
pub struct Clipboard(Mutex<Option<arboard::Clipboard>>);

impl Clipboard {
    /// Puts `text` there.
    ///
    /// # Errors
    /// Why it is not there.
    pub fn copy(&self, text: &str) -> Result<(), String> {
        self.with(|clipboard| clipboard.set_text(text))
    }

    /// Puts a key there, in a way that programs which keep a history are asked to leave out.
    ///
    /// # Errors
    /// Why it is not there.
    pub fn copy_secret(&self, text: &str) -> Result<(), String> {
        self.with(|clipboard| platform::copy_secret(clipboard, text))
    }

    fn with(&self, put: impl FnOnce(&mut arboard::Clipboard) -> Result<(), arboard::Error>) -> Result<(), String> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let clipboard = match &mut *open {
            Some(clipboard) => clipboard,
            None => open.insert(arboard::Clipboard::new().map_err(|error| error.to_string())?),
        };
        put(clipboard).map_err(|error| error.to_string())
    }
}
