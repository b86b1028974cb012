//! Holds on to files while they are copied elsewhere: a hard link in a folder of its own keeps the bytes readable when the
//! gateway removes its own name for them. What a crash leaves behind goes with the next one, or with the next start.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::folder::private_folder;

/// What the names of such folders begin with.
const PREFIX: &str = "held-";

/// How long a folder may be without its lock.
const BEGINNING: Duration = Duration::from_secs(60);

/// The folder; it goes with this value.
#[derive(Debug)]
pub struct HeldFiles {
    folder: PathBuf,
    /// There until the folder goes.
    lock: Option<File>,
}

impl HeldFiles {
    /// A folder in `tmp`, which must lie on the same file system as what is held. Blocks.
    ///
    /// # Errors
    /// What the file system says.
    pub fn new(tmp: &Path) -> io::Result<Self> {
        Self::remove_abandoned(tmp);
        let folder = tmp.join(format!("{PREFIX}{}", uuid::Uuid::new_v4()));
        private_folder().create(&folder)?;
        let lock = File::create_new(folder.join("lock"))?;
        lock.try_lock().map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self { folder, lock: Some(lock) })
    }

    /// A place in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Holds `file` under `name`: from where to read it. Where the file system knows no hard links that is the file
    /// itself, which may go. Nothing if it is gone already. Blocks.
    ///
    /// # Errors
    /// What the file system says.
    pub fn hold(&self, file: &Path, name: &str) -> io::Result<Option<PathBuf>> {
        let held = self.path(name);
        match fs::hard_link(file, &held) {
            Ok(()) => Ok(Some(held)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Some(held)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(_) => Ok(file.try_exists()?.then(|| file.to_owned())),
        }
    }

    /// Removes folders of processes that have ended without doing so. Blocks.
    pub fn remove_abandoned(tmp: &Path) {
        let Ok(entries) = fs::read_dir(tmp) else { return };
        for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
            let abandoned = match File::open(entry.path().join("lock")) {
                Ok(lock) => lock.try_lock().is_ok(),
                // It has just been made, or its process died right then.
                Err(_) => entry.metadata().and_then(|meta| meta.modified()).is_ok_and(|at| at.elapsed().is_ok_and(|age| age > BEGINNING)),
            };
            if abandoned {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

impl Drop for HeldFiles {
    fn drop(&mut self) {
        // On some file systems of Windows no folder goes that holds an open file.
        self.lock = None;
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_bytes_stay_readable_and_go_with_the_holder_or_after_its_death() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("a");
        fs::write(&file, b"bytes").expect("writes");
        let held = HeldFiles::new(dir.path()).expect("makes");
        let path = held.hold(&file, "a").expect("holds").expect("is there");
        fs::remove_file(&file).expect("removes");
        assert_eq!(fs::read(&path).expect("reads"), b"bytes");
        assert!(held.hold(&file, "b").expect("looks").is_none());
        HeldFiles::remove_abandoned(dir.path());
        assert!(path.exists(), "not abandoned");
        drop(held);
        assert!(!path.exists());
        let dead = dir.path().join("held-dead");
        fs::create_dir(&dead).and_then(|()| fs::write(dead.join("lock"), b"")).expect("makes");
        HeldFiles::remove_abandoned(dir.path());
        assert!(!dead.exists());
    }
}
