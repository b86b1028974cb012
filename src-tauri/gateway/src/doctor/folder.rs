//! The data folder: whether it can be written, has room, lies in a safe place, and what the database says of itself.

use std::path::Path;

use super::{DATABASE_PATIENCE, Finding, words};
use crate::{
    config::Config,
    model::size_in_words,
    store::{self, Drive, Folder, FolderError, Glance, Holds, Layout, Secrets, SecretsError, SecretsFile},
};

/// Less room than this and the next pictures may find none, in bytes.
const FULL: u64 = 256 * 1024 * 1024;

/// Less room than this is worth a word, in bytes.
const LOW: u64 = 2 * 1024 * 1024 * 1024;

/// Writable, safe, roomy. Whether there is a folder that can be used.
pub(super) fn folder(layout: &Layout, config: &Config, chinese: bool, findings: &mut Vec<Finding>) -> bool {
    let path = config.data_dir.display().to_string();
    let mut say = |code: &str, values: &[(&str, &str)]| findings.push(words::finding(code, values, chinese));
    let usable = match Folder::is_usable(layout) {
        Ok(true) => {
            say("folder_ok", &[("path", &path)]);
            true
        }
        Ok(false) => {
            say("folder_new", &[("path", &path)]);
            false
        }
        Err(error) => {
            let chown = error.chown().unwrap_or_default().to_owned();
            let FolderError::NotWritable { path: place, source, remedy } = error else { return false };
            let code = if config.in_container && !chown.is_empty() { "folder_container" } else { "folder_not_writable" };
            let (place, error) = (place.display().to_string(), source.to_string());
            say(code, &[("path", &place), ("error", &error), ("remedy", &remedy), ("chown", &chown), ("folder", &path)]);
            false
        }
    };
    for place in [&layout.database, &layout.files] {
        let place_name = place.display().to_string();
        let code = match store::drive(place) {
            Some(Drive::Network(kind)) => ("drive_network", kind),
            Some(Drive::Synced(program)) => ("drive_synced", program),
            None => continue,
        };
        say(code.0, &[("path", &place_name), ("kind", code.1)]);
        // Mostly both lie in the same place.
        break;
    }
    let existing = layout.files.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    match store::space(existing) {
        Some((free, total)) => {
            let (free_text, total_text) = (size_in_words(free), size_in_words(total));
            let code = if free < FULL {
                "disk_full"
            } else if free < LOW {
                "disk_low"
            } else {
                "disk_ok"
            };
            say(code, &[("free", &free_text), ("total", &total_text)]);
        }
        None => say("disk_unknown", &[]),
    }
    usable
}

/// The file of keys.
pub(super) fn keys(file: &SecretsFile, layout: &Layout, chinese: bool, findings: &mut Vec<Finding>) -> Option<Secrets> {
    let path = layout.secrets().display().to_string();
    let mut say = |code: &str, values: &[(&str, &str)]| findings.push(words::finding(code, values, chinese));
    match file.read() {
        Ok(None) => {
            say("keys_none", &[]);
            None
        }
        Ok(Some(secrets)) => {
            let code = if is_open(&layout.secrets()) { "keys_open" } else { "keys_ok" };
            say(code, &[("path", &path)]);
            Some(secrets)
        }
        Err(SecretsError::Io { source, .. }) => {
            say("keys_unreadable", &[("error", &source.to_string()), ("path", &path)]);
            None
        }
        Err(error) => {
            say("keys_damaged", &[("error", &error.to_string()), ("path", &path)]);
            None
        }
    }
}

#[cfg(unix)]
fn is_open(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

/// Elsewhere the home folder's own rights hold.
#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}

/// The database; what it holds if it is one of ours and sound.
pub(super) async fn database(layout: &Layout, chinese: bool, findings: &mut Vec<Finding>) -> Option<Holds> {
    let mut say = |code: &str, values: &[(&str, &str)]| findings.push(words::finding(code, values, chinese));
    let path = layout.database.clone();
    let (path_text, backups) = (path.display().to_string(), layout.backups().display().to_string());
    if !path.exists() {
        say("db_none", &[]);
        return None;
    }
    if store::python::is_python(&path) {
        say("db_python", &[("path", &path_text)]);
        return None;
    }
    let glance = tokio::task::spawn_blocking(move || store::glance(&path, DATABASE_PATIENCE)).await;
    let Glance { schema, complaints, holds } = match glance.map_err(|e| e.to_string()).and_then(|seen| seen.map_err(|e| e.to_string())) {
        Ok(glance) => glance,
        Err(error) => {
            say("db_unreadable", &[("path", &path_text), ("error", &error)]);
            return None;
        }
    };
    let (found, known) = (schema.to_string(), store::known_schema().to_string());
    let complaint = complaints.as_ref().map(|complaints| complaints.join("; "));
    match &complaint {
        Some(complaint) if !complaint.is_empty() => {
            say("db_damaged", &[("path", &path_text), ("error", complaint), ("backups", &backups)]);
            return None;
        }
        None => say("db_slow", &[("seconds", &DATABASE_PATIENCE.as_secs().to_string())]),
        Some(_) => {}
    }
    if schema > store::known_schema() {
        say("db_newer", &[("found", &found), ("known", &known), ("backups", &backups)]);
    } else if schema < store::known_schema() {
        say("db_older", &[("found", &found), ("known", &known)]);
    }
    let holds = holds?;
    let (images, missing) = holds.images;
    if complaint.is_some() {
        say("db_ok", &[("images", &images.to_string())]);
    }
    if missing > 0 {
        say("images_missing", &[("missing", &missing.to_string()), ("images", &images.to_string())]);
    }
    if let Some(expected) = holds.install_id.as_ref().filter(|expected| Folder::mark(layout).as_ref() != Some(expected)) {
        let files = layout.files.display().to_string();
        say("folder_other_mark", &[("path", &files), ("expected", expected)]);
    }
    Some(holds)
}
