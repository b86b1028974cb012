//! Where a restore puts things until it is complete, and how they get their places then. A gateway does not start over a
//! folder whose restore broke off; what was there before is kept aside, never deleted.

use std::{fs, io, path::Path};

use super::ArchiveError;
use crate::{
    model::{Millis, now},
    store::{Folder, FolderError, Layout, REPLACED, beside, count_images, sync_folder},
};

/// Names of a folder's content that are told.
const NAMES_TOLD: usize = 5;

/// Things on their way to their places; they go with this value unless they got there.
pub struct Staging {
    target: Layout,
    /// Locked as a data folder is; nothing once it is given up for the rename.
    folder: Option<Folder>,
    replace: bool,
    /// Whether what is there goes with this value.
    ours: bool,
}

impl Staging {
    /// Begins beside `target`, which must be empty unless `replace`.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing was changed then, but what an earlier restore left unfinished is gone.
    pub fn begin(target: &Layout, replace: bool) -> Result<Self, ArchiveError> {
        let staging = target.staging();
        for root in [&target.root, &staging.root] {
            check_lock(root)?;
        }
        for (place, _) in target.parts(&staging) {
            if let Some(holds) = content(place).filter(|_| !replace) {
                return Err(ArchiveError::NotEmpty { path: place.to_owned(), holds });
            }
        }
        remove(&staging)?;
        // First, because opening the folder may fail half-way, as on a full disk.
        let mut begun = Self { target: target.clone(), folder: None, replace, ours: true };
        let opened = Folder::open(staging);
        // Somebody else was quicker: then it is theirs.
        begun.ours = !matches!(opened, Err(FolderError::InUse(_)));
        begun.folder = Some(opened?);
        Ok(begun)
    }

    /// Where things are put.
    pub fn layout(&self) -> Layout {
        self.target.staging()
    }

    /// Gives everything its place. Where something was before, it is beside it afterwards: the paths.
    ///
    /// # Errors
    /// [`ArchiveError::Io`]; the unfinished restore is then still marked as such.
    pub fn put_in_place(mut self) -> Result<Vec<std::path::PathBuf>, ArchiveError> {
        let (staging, at) = (self.layout(), now());
        flush(&staging)?;
        // Windows renames no folder that holds an open file.
        self.folder = None;
        self.ours = false;
        let mut aside = Vec::new();
        // The root comes last: as long as it is not there, its unfinished one keeps a gateway from starting.
        for (from, to) in staging.parts(&self.target) {
            if to.exists() {
                if content(to).is_some() && !self.replace {
                    return Err(ArchiveError::NotEmpty { path: to.to_owned(), holds: "something new".into() });
                }
                aside.extend(move_aside(to, at)?);
            }
            rename(from, to)?;
            to.parent().map_or(Ok(()), sync_folder)?;
        }
        Ok(aside)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.folder = None;
        if self.ours {
            let _ = remove(&self.layout());
        }
    }
}

/// A gateway, or another restore, must not be at work there.
fn check_lock(root: &Path) -> Result<(), ArchiveError> {
    match fs::File::open(root.join("lock")) {
        Ok(lock) => match lock.try_lock() {
            Err(fs::TryLockError::WouldBlock) => Err(FolderError::InUse(root.to_owned()).into()),
            _ => Ok(()),
        },
        Err(_) => Ok(()),
    }
}

/// What is in a place; nothing if it is empty or not there.
fn content(path: &Path) -> Option<String> {
    if path.is_file() {
        return Some(images_in(path).unwrap_or_else(|| "a file".into()));
    }
    let mut names: Vec<String> = fs::read_dir(path).ok()?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    if names.is_empty() {
        return None;
    }
    names.sort();
    let more = if names.len() > NAMES_TOLD { ", …" } else { "" };
    let listed = format!("{}{more}", names[..names.len().min(NAMES_TOLD)].join(", "));
    Some(images_in(&path.join("picgate.sqlite3")).map_or(listed.clone(), |images| format!("{images} ({listed})")))
}

fn images_in(database: &Path) -> Option<String> {
    count_images(database).map(|count| format!("a database with {count} images"))
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> ArchiveError + 'a {
    move |source| ArchiveError::Io { what, path: path.to_owned(), source }
}

fn rename(from: &Path, to: &Path) -> Result<(), ArchiveError> {
    fs::rename(from, to).map_err(failed("what was restored cannot be moved to", to))
}

/// Renames what is there, with the files that SQLite keeps beside a database.
fn move_aside(path: &Path, at: Millis) -> Result<Option<std::path::PathBuf>, ArchiveError> {
    let ending = format!("{REPLACED}{at}");
    if path.is_dir() && content(path).is_none() {
        fs::remove_dir(path).map_err(failed("the empty folder cannot be removed:", path))?;
        return Ok(None);
    }
    let aside = beside(path, &ending);
    for kind in ["-wal", "-shm"] {
        let companion = beside(path, kind);
        if companion.is_file() {
            fs::rename(&companion, beside(&aside, kind)).map_err(failed("what is there cannot be moved aside:", &companion))?;
        }
    }
    fs::rename(path, &aside).map_err(failed("what is there cannot be moved aside:", path))?;
    Ok(Some(aside))
}

/// Removes what a restore left unfinished.
fn remove(staging: &Layout) -> Result<(), ArchiveError> {
    // The root goes last: as long as it is there, everybody sees that something is unfinished.
    for (part, _) in staging.parts(staging) {
        let removed = if part.is_dir() { fs::remove_dir_all(part) } else { fs::remove_file(part) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ArchiveError::Io { what: "an unfinished restore cannot be removed:", path: part.to_owned(), source: error });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes all that was written durable. Where the system can do that for a whole disk, it is far quicker than file by file.
fn flush(layout: &Layout) -> Result<(), ArchiveError> {
    for (part, _) in layout.parts(layout) {
        flush_part(part).map_err(failed("what was restored cannot be flushed:", part))?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn flush_part(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(fs::File::open(path)?)?)
}

#[cfg(not(target_os = "linux"))]
fn flush_part(path: &Path) -> io::Result<()> {
    if path.is_file() {
        return fs::File::options().write(true).open(path)?.sync_all();
    }
    for entry in fs::read_dir(path)? {
        flush_part(&entry?.path())?;
    }
    sync_folder(path)
}
