//! Where a passphrase comes from: a file, the environment, or a person at the terminal.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

#[cfg(unix)]
use super::complain;
use super::words::words;
use crate::model::Secret;

/// The variable, also with `_FILE`.
const VARIABLE: &str = "PICGATE_PASSPHRASE";

/// The first line of a file.
fn in_file(path: &Path) -> Result<Secret, String> {
    #[cfg(unix)]
    if std::fs::metadata(path).is_ok_and(|meta| std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o044 != 0) {
        complain(&words("passphrase_open", &[("path", &path.display())]));
    }
    let text =
        std::fs::read_to_string(path).map_err(|error| words("passphrase_unreadable", &[("path", &path.display()), ("error", &error)]))?;
    Ok(Secret::new(text.lines().next().unwrap_or_default()))
}

/// Asks for it; `twice` if a slip of the finger would make it useless. Blocks.
///
/// # Errors
/// Why there is none, for a person.
pub fn ask(file: Option<&PathBuf>, twice: bool) -> Result<Secret, String> {
    if let Some(path) = file {
        return in_file(path);
    }
    if let Some(path) = std::env::var_os(format!("{VARIABLE}_FILE")).filter(|path| !path.is_empty()) {
        return in_file(Path::new(&path));
    }
    if let Ok(text) = std::env::var(VARIABLE)
        && !text.is_empty()
    {
        return Ok(Secret::new(text));
    }
    if !io::stderr().is_terminal() {
        return Err(words("passphrase_needed", &[("variable", &VARIABLE)]));
    }
    let prompt = |text: String| rpassword::prompt_password(text).map_err(|error| words("passphrase_no_terminal", &[("error", &error)]));
    let first = prompt(words("passphrase", &[]))?;
    if twice && prompt(words("passphrase_again", &[]))? != first {
        return Err(words("passphrase_differs", &[]));
    }
    Ok(Secret::new(first))
}
