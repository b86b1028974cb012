//! Files of image bytes: where they lie, how they get their final names, and how they go. A file under a final name
//! is always complete.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::folder::sync_folder;
use crate::model::{Measured, Sha256};

/// The folder of images: `blobs/ab/{sha256}`, `thumbs/ab/{sha256}.jpg`, `tmp/`, `quarantine/`.
#[derive(Clone, Debug)]
pub struct Files {
    root: Arc<PathBuf>,
}

/// Bytes on disk that can be read; cheap to clone. A temporary one is deleted with its last handle unless it got a
/// final name, which all handles follow.
#[derive(Clone, Debug)]
pub struct Blob {
    place: Arc<Place>,
    len: u64,
}

#[derive(Debug)]
struct Place(Mutex<(PathBuf, Temporary)>);

type Temporary = bool;

impl Place {
    fn lock(&self) -> MutexGuard<'_, (PathBuf, Temporary)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (path, temporary) = &*self.lock();
        if *temporary {
            let _ = fs::remove_file(path);
        }
    }
}

impl Blob {
    fn new(path: PathBuf, len: u64, temporary: Temporary) -> Self {
        Self { place: Arc::new(Place(Mutex::new((path, temporary)))), len }
    }

    /// A file that belongs to somebody else.
    pub fn at(path: PathBuf, len: u64) -> Self {
        Self::new(path, len, false)
    }

    /// A file that goes with its last handle.
    pub fn temporary(path: PathBuf, len: u64) -> Self {
        Self::new(path, len, true)
    }

    /// Where to read it now.
    pub fn path(&self) -> PathBuf {
        self.place.lock().0.clone()
    }

    /// The same file, now that its length is known.
    pub fn with_len(self, len: u64) -> Self {
        Self { len, ..self }
    }
}

impl Measured for Blob {
    fn len(&self) -> u64 {
        self.len
    }
}

impl Files {
    /// The folder at `root`, which exists. Sub-folders are created, half-written files of an earlier run removed.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(root: PathBuf) -> io::Result<Self> {
        for kind in ["blobs", "thumbs"] {
            let folder = root.join(kind);
            // Made once, so that a save has one folder to sync and not two.
            if !folder.join("ff").is_dir() {
                for byte in 0..=255u8 {
                    fs::create_dir_all(folder.join(format!("{byte:02x}")))?;
                }
                sync_folder(&folder)?;
            }
        }
        for entry in fs::read_dir(root.join("tmp"))? {
            let _ = fs::remove_file(entry?.path());
        }
        Ok(Self { root: Arc::new(root) })
    }

    /// A name nobody else uses.
    pub fn temporary_path(&self) -> PathBuf {
        self.root.join("tmp").join(format!("{}.part", uuid::Uuid::new_v4()))
    }

    fn path(&self, kind: &str, sha256: Sha256, extension: &str) -> PathBuf {
        let name = sha256.to_string();
        self.root.join(kind).join(&name[..2]).join(format!("{name}{extension}"))
    }

    /// Where the blob with this digest lies.
    pub fn blob_path(&self, sha256: Sha256) -> PathBuf {
        self.path("blobs", sha256, "")
    }

    /// Where its thumbnail lies.
    pub fn thumbnail_path(&self, sha256: Sha256) -> PathBuf {
        self.path("thumbs", sha256, ".jpg")
    }

    /// The blob under its final name.
    pub fn blob(&self, sha256: Sha256, len: u64) -> Blob {
        Blob::at(self.blob_path(sha256), len)
    }

    /// Gives a temporary blob its final name and makes that durable: fsync of the file, rename, fsync of the folder.
    /// Equal bytes that are there already are not replaced. Blocks.
    ///
    /// # Errors
    /// What the file system says; the final name then has either nothing or the complete file.
    pub fn keep(&self, blob: &Blob, sha256: Sha256) -> io::Result<Blob> {
        let path = self.blob_path(sha256);
        let mut place = blob.place.lock();
        let (now, temporary) = &mut *place;
        if *now != path && !fs::metadata(&path).is_ok_and(|m| m.len() == blob.len) {
            File::open(&*now)?.sync_all()?;
            fs::rename(&*now, &path)?;
            (*now, *temporary) = (path.clone(), false);
        }
        // Also when it was there: whoever put it there may not have synced yet.
        path.parent().map_or(Ok(()), sync_folder)?;
        Ok(Blob::at(path, blob.len))
    }

    /// Writes a thumbnail under its final name. Blocks.
    ///
    /// # Errors
    /// What the file system says.
    pub fn keep_thumbnail(&self, sha256: Sha256, jpeg: &[u8]) -> io::Result<()> {
        let temporary = self.temporary_path();
        // Synced before it gets its name: an empty one after a power failure would count as made for ever.
        let written = File::create_new(&temporary)
            .and_then(|mut file| file.write_all(jpeg).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&temporary, self.thumbnail_path(sha256)));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// All blobs on disk with length and time of change. Names that are no digests are passed over. Blocks.
    ///
    /// # Errors
    /// What the file system says.
    pub fn list(&self) -> io::Result<HashMap<Sha256, (u64, SystemTime)>> {
        let mut found = HashMap::new();
        for folder in fs::read_dir(self.root.join("blobs"))? {
            for entry in fs::read_dir(folder?.path())? {
                let entry = entry?;
                let name = entry.file_name();
                let Some(sha256) = name.to_str().and_then(|n| n.parse().ok()) else { continue };
                let meta = entry.metadata()?;
                found.insert(sha256, (meta.len(), meta.modified().unwrap_or(SystemTime::UNIX_EPOCH)));
            }
        }
        Ok(found)
    }
}
