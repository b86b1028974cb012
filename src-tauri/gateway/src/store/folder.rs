//! The data folder: where everything of ours lies, that it can be written, that nobody else uses it, and that it is
//! the folder it was.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{probe_key::ProbeKey, running::Running};

/// Where things lie. Everything of ours is below a folder called `store`, so that it never collides with the layout
/// of the Python program (`db/`, `images/`, `thumbnails/`).
#[derive(Clone, Debug)]
pub struct Layout {
    /// `{data}/store`: secrets, backups, lock, and the rest unless it was moved.
    pub root: PathBuf,
    /// The database file.
    pub database: PathBuf,
    /// Blobs, thumbnails, temporary and quarantined files.
    pub files: PathBuf,
}

/// What the names of things end in that a restore has not put in place yet.
const RESTORING: &str = ".restoring";

/// What stands between the name of what a restore has put aside and the time at which it did.
pub const REPLACED: &str = ".replaced-";

/// A path with something behind its name.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// An opened data folder, locked against other processes for as long as this value lives.
#[derive(Debug)]
pub struct Folder {
    /// Where things lie.
    pub layout: Layout,
    _lock: File,
}

/// Why the data folder cannot be used. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// No permission.
    #[error("the data folder {} cannot be written: {source}\n  remedy: {remedy}", path.display())]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// A command that mends it.
        remedy: String,
    },
    /// Another process holds the lock.
    #[error("another PicGate is already running on {}; stop it first, or give this one a folder of its own with --data-dir", .0.display())]
    InUse(PathBuf),
    /// A restore broke off.
    #[error("a restore into {} was not finished ({} is there)\n  remedy: {remedy}", root.display(), unfinished.display())]
    Unfinished {
        /// Where it was to go.
        root: PathBuf,
        /// What is there of it.
        unfinished: PathBuf,
        /// How it ends well.
        remedy: String,
    },
    /// The database knows another folder than this one: a mount is missing, or files were moved.
    #[error("{} does not hold the images that the database belongs to (its mark is missing or another)\n  remedy: mount or move the right folder there; to accept it as it is, put {expected} into {}", files.display(), files.join("install-id").display())]
    NotOurs {
        /// The folder of images.
        files: PathBuf,
        /// The mark that the database expects.
        expected: String,
    },
}

/// What stands before the command that mends a folder.
const AS_ADMINISTRATOR: &str = "run as administrator: ";

impl FolderError {
    /// The command that gives us the folder, if that is what is wrong.
    pub fn chown(&self) -> Option<&str> {
        match self {
            Self::NotWritable { remedy, .. } => remedy.strip_prefix(AS_ADMINISTRATOR),
            _ => None,
        }
    }
}

impl Layout {
    /// The layout below `data`, with the database or the images elsewhere if they were moved.
    pub fn new(data: &Path, database: Option<PathBuf>, images: Option<PathBuf>) -> Self {
        let root = data.join("store");
        Self {
            database: database.unwrap_or_else(|| root.join("picgate.sqlite3")),
            files: images.map_or_else(|| root.clone(), |images| images.join("store")),
            root,
        }
    }

    /// Copies of the database.
    pub fn backups(&self) -> PathBuf {
        self.root.join("backups")
    }

    /// Where a restore puts things until it is complete: beside their places, so that they get there by a rename.
    pub fn staging(&self) -> Self {
        let root = beside(&self.root, RESTORING);
        let files = if self.files == self.root { root.clone() } else { beside(&self.files, RESTORING) };
        let database = match (self.database.strip_prefix(&self.root), self.database.strip_prefix(&self.files)) {
            (Ok(inside), _) => root.join(inside),
            (_, Ok(inside)) => files.join(inside),
            _ => beside(&self.database, RESTORING),
        };
        Self { root, database, files }
    }

    /// Folders and files that have a place of their own, each with the other's counterpart, the root last.
    pub fn parts<'a>(&'a self, other: &'a Self) -> Vec<(&'a Path, &'a Path)> {
        let mut parts = Vec::new();
        if self.files != self.root {
            parts.push((self.files.as_path(), other.files.as_path()));
        }
        if !self.database.starts_with(&self.root) && !self.database.starts_with(&self.files) {
            parts.push((self.database.as_path(), other.database.as_path()));
        }
        parts.push((self.root.as_path(), other.root.as_path()));
        parts
    }

    /// Keys.
    pub fn secrets(&self) -> PathBuf {
        self.root.join("secrets.json")
    }
}

impl Folder {
    /// Creates what is missing, checks that it can be written, and takes the lock.
    ///
    /// # Errors
    /// [`FolderError`], whose text names the remedy.
    pub fn open(layout: Layout) -> Result<Self, FolderError> {
        let unfinished = layout.staging().root;
        if unfinished.exists() {
            let remedy = unfinished_remedy(&layout, &unfinished);
            return Err(FolderError::Unfinished { root: layout.root, unfinished, remedy });
        }
        create_private(&layout.root)?;
        for folder in ["blobs", "thumbs", "tmp", "quarantine"] {
            create_private(&layout.files.join(folder))?;
        }
        create_private(&layout.backups())?;
        if let Some(parent) = layout.database.parent() {
            create_private(parent)?;
        }
        probe(&layout.files.join("tmp"))?;
        let path = layout.root.join("lock");
        let lock = File::options().write(true).create(true).truncate(false).open(&path).map_err(|e| not_writable(&layout.root, e))?;
        match lock.try_lock() {
            Ok(()) => {
                // Of a gateway that was killed.
                Running::remove(&layout);
                Ok(Self { layout, _lock: lock })
            }
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse(layout.root)),
            Err(TryLockError::Error(error)) => Err(not_writable(&layout.root, error)),
        }
    }

    /// Says in the folder where its gateway listens, until this value goes.
    pub fn tell_address(&self, address: SocketAddr, probe_key: ProbeKey) {
        if let Err(error) = Running::here(address, probe_key).write(&self.layout) {
            tracing::warn!(%error, "where the gateway listens is not noted in its folder");
        }
    }

    /// Whether a gateway could use the folder, asked without the lock: `false` if there is none yet and it can be made.
    ///
    /// # Errors
    /// [`FolderError::NotWritable`], whose text names the remedy.
    pub fn is_usable(layout: &Layout) -> Result<bool, FolderError> {
        let wanted = layout.files.join("tmp");
        let existing = wanted.ancestors().find(|path| path.exists()).unwrap_or(&wanted);
        probe(existing)?;
        if existing == wanted {
            probe(&layout.root)?;
        }
        Ok(existing == wanted)
    }

    /// The mark in the folder of images.
    pub fn mark(layout: &Layout) -> Option<String> {
        fs::read_to_string(layout.files.join("install-id")).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Compares the mark in the folder of images with the one that the database knows. An empty mount must not be
    /// mistaken for "all images were deleted". Returns the mark that the database is to remember.
    ///
    /// # Errors
    /// [`FolderError::NotOurs`] if they differ.
    pub fn check_mark(&self, known: Option<String>) -> Result<String, FolderError> {
        let files = &self.layout.files;
        let path = files.join("install-id");
        match (known, Self::mark(&self.layout)) {
            (Some(known), Some(found)) if known == found => Ok(known),
            (Some(expected), _) => Err(FolderError::NotOurs { files: files.clone(), expected }),
            (None, Some(found)) => Ok(found),
            (None, None) => {
                let mark = uuid::Uuid::new_v4().to_string();
                let write = || -> io::Result<()> {
                    let mut file = File::create(&path)?;
                    file.write_all(mark.as_bytes())?;
                    file.sync_all()?;
                    sync_folder(files)
                };
                write().map_err(|e| not_writable(files, e))?;
                Ok(mark)
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // While the lock is still held: nobody else's is taken back.
        Running::remove(&self.layout);
    }
}

/// What to do about a restore that broke off. It may have moved the old folders aside already, so nothing is to be deleted.
fn unfinished_remedy(layout: &Layout, unfinished: &Path) -> String {
    let again = "run the same restore with the same archive again, with --replace if it had that; delete nothing";
    let moves: Vec<String> = layout
        .parts(layout)
        .into_iter()
        .filter_map(|(place, _)| {
            let aside = moved_aside(place, unfinished)?;
            Some(match place.exists() {
                true => format!("move {} elsewhere, then rename {} to {}", place.display(), aside.display(), place.display()),
                false => format!("rename {} to {}", aside.display(), place.display()),
            })
        })
        .collect();
    let elsewhere = format!("move {} elsewhere", unfinished.display());
    let back = if moves.is_empty() { elsewhere } else { format!("{}; {elsewhere}", moves.join("; ")) };
    format!("{again}\n  to have instead what was there before: {back}")
}

/// Where that lies now which an unfinished restore has found in a place.
fn moved_aside(place: &Path, unfinished: &Path) -> Option<PathBuf> {
    let begun = fs::metadata(unfinished.join("lock")).and_then(|meta| meta.modified()).ok();
    let begun = begun.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).map_or(0, |since| since.as_millis());
    let start = format!("{}{REPLACED}", place.file_name()?.to_string_lossy());
    let names = fs::read_dir(place.parent()?).ok()?.flatten().filter_map(|entry| {
        let at: u128 = entry.file_name().to_str()?.strip_prefix(&start)?.parse().ok()?;
        // What an earlier restore has put aside stays there.
        (at >= begun).then(|| (at, entry.path()))
    });
    names.max().map(|(_, path)| path)
}

fn create_private(path: &Path) -> Result<(), FolderError> {
    private_folder().recursive(true).create(path).map_err(|e| not_writable(path, e))
}

/// Makes folders that only their owner may enter. On Windows a folder has the rights of the one it is in: the user's own.
#[cfg(unix)]
pub(super) fn private_folder() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

#[cfg(not(unix))]
pub(super) fn private_folder() -> fs::DirBuilder {
    fs::DirBuilder::new()
}

fn probe(folder: &Path) -> Result<(), FolderError> {
    let path = folder.join(format!("probe-{}", std::process::id()));
    fs::write(&path, b"x").and_then(|()| fs::remove_file(&path)).map_err(|e| {
        // On a full disk it is there, and empty.
        let _ = fs::remove_file(&path);
        not_writable(folder, e)
    })
}

fn not_writable(path: &Path, source: io::Error) -> FolderError {
    let mut existing = path;
    while !existing.exists()
        && let Some(parent) = existing.parent()
    {
        existing = parent;
    }
    FolderError::NotWritable { path: path.to_owned(), remedy: remedy(existing, &source), source }
}

#[cfg(unix)]
fn remedy(path: &Path, error: &io::Error) -> String {
    use std::os::unix::fs::MetadataExt;
    if error.kind() != io::ErrorKind::PermissionDenied {
        return "check the disk, or choose another folder with --data-dir".into();
    }
    // The owner of our own process, asked without unsafe code: that of a file only we can have made.
    let own = fs::metadata("/proc/self").map_or_else(|_| "$(id -u):$(id -g)".into(), |m| format!("{}:{}", m.uid(), m.gid()));
    format!("{AS_ADMINISTRATOR}chown -R {own} {}", path.display())
}

#[cfg(not(unix))]
fn remedy(path: &Path, _: &io::Error) -> String {
    format!("give your account write permission on {}, or choose another folder with --data-dir", path.display())
}

/// Makes the names in a folder durable. Windows has no such thing; its renames are written through.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(path)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_folder_serves_one_process_and_keeps_its_mark() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let layout = Layout::new(dir.path(), None, None);
        let folder = Folder::open(layout.clone()).expect("opens");
        assert!(matches!(Folder::open(layout.clone()), Err(FolderError::InUse(_))));
        let mark = folder.check_mark(None).expect("marks");
        assert_eq!(folder.check_mark(Some(mark.clone())).expect("knows"), mark);
        fs::remove_file(layout.files.join("install-id")).expect("removes");
        assert!(matches!(folder.check_mark(Some(mark)), Err(FolderError::NotOurs { .. })));
        drop(folder);
        Folder::open(layout).expect("free again");
    }
}
