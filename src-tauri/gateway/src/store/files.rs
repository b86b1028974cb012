//! Files of image bytes: where they lie, how they get their final names, and how they go. A file under a final name
//! is always complete.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Cursor, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use bytes::Bytes;
use sha2::{Digest, Sha256 as Hasher};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{folder::sync_folder, held::HeldFiles, quarantine};
use crate::model::{Measured, Sha256};

/// Pictures at once that may be in memory because the disk failed.
const RESCUES: usize = 2;

/// The folder of images: `blobs/ab/{sha256}`, `thumbs/ab/{sha256}.jpg`, `tmp/`, `quarantine/`.
#[derive(Clone, Debug)]
pub struct Files {
    root: Arc<PathBuf>,
    rescues: Arc<Semaphore>,
    pins: Pins,
}

/// Which blobs somebody holds, and how many do: those are not evicted.
type Pins = Arc<Mutex<HashMap<Sha256, usize>>>;

/// Keeps a blob from being evicted as long as it lives.
#[derive(Debug)]
struct Pin(Pins, Sha256);

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = pins.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.1);
            }
        }
    }
}

/// Bytes that can be read, on disk or, when the disk failed, in memory; cheap to clone. A temporary file is deleted
/// with its last handle unless it got a final name, which all handles follow.
#[derive(Clone, Debug)]
pub struct Blob {
    place: Arc<Place>,
    len: u64,
    /// Set for what may be evicted; held and never asked.
    _pin: Option<Arc<Pin>>,
}

#[derive(Debug)]
struct Place(Mutex<Where>);

#[derive(Clone, Debug)]
enum Where {
    File { path: PathBuf, temporary: bool },
    Memory(Bytes),
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, Where> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Where::File { path, temporary: true } = &*self.lock() {
            let _ = fs::remove_file(path);
        }
    }
}

/// A blob that is open for reading.
#[derive(Debug)]
pub enum BlobReader {
    /// On disk.
    File(File),
    /// In memory.
    Memory(Cursor<Bytes>),
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Memory(bytes) => bytes.read(buffer),
        }
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Memory(bytes) => bytes.seek(to),
        }
    }
}

impl Blob {
    fn new(place: Where, len: u64) -> Self {
        Self { place: Arc::new(Place(Mutex::new(place))), len, _pin: None }
    }

    /// A file that belongs to somebody else.
    pub fn at(path: PathBuf, len: u64) -> Self {
        Self::new(Where::File { path, temporary: false }, len)
    }

    /// A file that goes with its last handle.
    pub fn temporary(path: PathBuf, len: u64) -> Self {
        Self::new(Where::File { path, temporary: true }, len)
    }

    /// Bytes that no disk would take.
    pub fn memory(bytes: Bytes) -> Self {
        let len = bytes.len() as u64;
        Self::new(Where::Memory(bytes), len)
    }

    /// Opens it. Blocks.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(&self) -> io::Result<BlobReader> {
        match self.place.lock().clone() {
            Where::File { path, .. } => File::open(path).map(BlobReader::File),
            Where::Memory(bytes) => Ok(BlobReader::Memory(Cursor::new(bytes))),
        }
    }

    /// Bytes of it that the system has in memory; never waits for a disk. `None` if they are not all there.
    pub fn read_cached(&self, start: u64, len: usize) -> Option<Vec<u8>> {
        let BlobReader::File(file) = self.open().ok()? else { return None };
        read_cached(&file, start, len)
    }

    /// Whether it can be read: its file is there.
    pub fn exists(&self) -> bool {
        match &*self.place.lock() {
            Where::File { path, .. } => path.exists(),
            Where::Memory(_) => true,
        }
    }

    /// Where to read it now; `None` for one in memory.
    pub fn path(&self) -> Option<PathBuf> {
        match &*self.place.lock() {
            Where::File { path, .. } => Some(path.clone()),
            Where::Memory(_) => None,
        }
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
            // All made at the start, so that a save has one folder to sync and not two.
            for byte in 0..=255u8 {
                match fs::create_dir(folder.join(format!("{byte:02x}"))) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    _ => {}
                }
            }
            sync_folder(&folder)?;
        }
        let tmp = root.join("tmp");
        for entry in fs::read_dir(&tmp)? {
            let _ = fs::remove_file(entry?.path());
        }
        // A backup may be under way beside us; only what nobody holds any longer goes.
        HeldFiles::remove_abandoned(&tmp);
        Ok(Self::at(root))
    }

    /// The folder at `root` as it is: for who only wants to know where things lie.
    pub fn at(root: PathBuf) -> Self {
        Self { root: Arc::new(root), rescues: Arc::new(Semaphore::new(RESCUES)), pins: Pins::default() }
    }

    /// Leave to keep one picture in memory because the disk failed; `None` when too many are.
    pub fn rescue(&self) -> Option<OwnedSemaphorePermit> {
        self.rescues.clone().try_acquire_owned().ok()
    }

    /// Where unfinished files lie.
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
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

    /// Where a smaller copy of it lies, `edge` pixels long.
    pub fn reduced_path(&self, sha256: Sha256, edge: u32) -> PathBuf {
        self.path("thumbs", sha256, &format!(".{edge}.jpg"))
    }

    /// The blob under its final name. Whether it is there must be asked after this: from here on it is not evicted.
    pub fn blob(&self, sha256: Sha256, len: u64) -> Blob {
        *self.pins.lock().unwrap_or_else(PoisonError::into_inner).entry(sha256).or_default() += 1;
        Blob { _pin: Some(Arc::new(Pin(self.pins.clone(), sha256))), ..Blob::at(self.blob_path(sha256), len) }
    }

    /// Removes a blob from disk unless somebody holds it; `false` if so. Its thumbnail stays. Blocks.
    ///
    /// # Errors
    /// What the file system says; a file that is not there is none.
    pub fn evict(&self, sha256: Sha256) -> io::Result<bool> {
        let pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        if pins.contains_key(&sha256) {
            return Ok(false);
        }
        remove(&self.blob_path(sha256)).map(|()| true)
    }

    /// Gives a temporary blob its final name and makes that durable: fsync of the file, rename, fsync of the folder.
    /// Equal bytes that are there already are not replaced. Blocks.
    ///
    /// # Errors
    /// What the file system says; the final name then has either nothing or the complete file.
    pub fn keep(&self, blob: &Blob, sha256: Sha256) -> io::Result<Blob> {
        let path = self.blob_path(sha256);
        let mut place = blob.place.lock();
        match &mut *place {
            Where::File { path: now, temporary } => {
                if *now != path && !holds(&path, blob.len, sha256) {
                    // Open for writing: Windows flushes no file that is open for reading alone.
                    File::options().write(true).open(&*now)?.sync_data()?;
                    fs::rename(&*now, &path)?;
                    (*now, *temporary) = (path.clone(), false);
                }
            }
            // Perhaps there is room again by now.
            Where::Memory(bytes) => {
                let temporary = self.temporary_path();
                let written = write_synced(&temporary, bytes).and_then(|()| fs::rename(&temporary, &path));
                if let Err(error) = written {
                    let _ = fs::remove_file(&temporary);
                    return Err(error);
                }
            }
        }
        // Also when it was there: whoever put it there may not have synced yet.
        path.parent().map_or(Ok(()), sync_folder)?;
        Ok(self.blob(sha256, blob.len))
    }

    /// Puts bytes aside that are damaged, for support; the oldest go. Blocks.
    ///
    /// # Errors
    /// What the file system says.
    pub fn quarantine(&self, blob: &Blob) -> io::Result<PathBuf> {
        let folder = self.root.join("quarantine");
        quarantine::make_room(&folder, Measured::len(blob))?;
        let target = folder.join(format!("{}-{}", crate::model::now(), uuid::Uuid::new_v4()));
        let mut place = blob.place.lock();
        match &mut *place {
            Where::File { path, temporary: temporary @ true } => {
                fs::rename(&*path, &target)?;
                (*path, *temporary) = (target.clone(), false);
            }
            Where::File { .. } => {}
            Where::Memory(bytes) => fs::write(&target, bytes)?,
        }
        Ok(target)
    }

    /// Forgets what has been in quarantine for too long. Blocks.
    ///
    /// # Errors
    /// What the file system says.
    pub fn tidy_quarantine(&self) -> io::Result<()> {
        quarantine::make_room(&self.root.join("quarantine"), 0)
    }

    /// Writes a thumbnail under its final name. Blocks.
    ///
    /// # Errors
    /// What the file system says.
    pub fn keep_thumbnail(&self, sha256: Sha256, jpeg: &[u8]) -> io::Result<()> {
        self.keep_copy(&self.thumbnail_path(sha256), jpeg)
    }

    /// Writes a copy that can be made again, such as [`Self::reduced_path`]. Blocks.
    ///
    /// # Errors
    /// What the file system says.
    pub fn keep_copy(&self, path: &Path, jpeg: &[u8]) -> io::Result<()> {
        let temporary = self.temporary_path();
        // Synced before it gets its name: an empty one after a power failure would count as made for ever.
        let written = write_synced(&temporary, jpeg).and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Removes the blob with this digest and what was made from it. Blocks.
    ///
    /// # Errors
    /// What the file system says; a file that is not there is none.
    pub fn remove(&self, sha256: Sha256) -> io::Result<()> {
        let blob = self.blob_path(sha256);
        remove(&blob)?;
        self.remove_smaller(sha256)?;
        blob.parent().map_or(Ok(()), sync_folder)
    }

    /// Removes what was made from the blob with this digest: thumbnail and smaller copies. Blocks.
    ///
    /// # Errors
    /// What the file system says; a file that is not there is none.
    pub fn remove_smaller(&self, sha256: Sha256) -> io::Result<()> {
        let name = sha256.to_string();
        let Some(Ok(entries)) = self.thumbnail_path(sha256).parent().map(fs::read_dir) else { return Ok(()) };
        for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(&name)) {
            remove(&entry.path())?;
        }
        Ok(())
    }

    /// Bytes that are free where blobs lie, and bytes in all; `None` where the system does not say.
    pub fn space(&self) -> Option<(u64, u64)> {
        super::drive::space(&self.root)
    }

    /// All blobs on disk with length and time of change. Names that are no digests are passed over. Blocks.
    ///
    /// # Errors
    /// What the file system says.
    pub fn list(&self) -> io::Result<HashMap<Sha256, (u64, SystemTime)>> {
        let mut found = HashMap::new();
        for folder in fs::read_dir(self.root.join("blobs"))? {
            let folder = folder?;
            // Somebody else's file is none of our business.
            if !folder.file_type()?.is_dir() {
                continue;
            }
            for entry in fs::read_dir(folder.path())? {
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

/// Removes a file; one that is not there is as good.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether a file is what its name says; a file that somebody changed must not win over bytes that were paid for.
fn holds(path: &Path, len: u64, sha256: Sha256) -> bool {
    let hash = || -> io::Result<[u8; 32]> {
        let (mut file, mut hasher, mut block) = (File::open(path)?, Hasher::new(), vec![0; 256 * 1024]);
        loop {
            match file.read(&mut block)? {
                0 => return Ok(hasher.finalize().into()),
                read => hasher.update(&block[..read]),
            }
        }
    };
    fs::metadata(path).is_ok_and(|m| m.len() == len) && hash().is_ok_and(|found| found == sha256.0)
}

#[cfg(target_os = "linux")]
fn read_cached(file: &File, start: u64, len: usize) -> Option<Vec<u8>> {
    use rustix::io::{ReadWriteFlags, preadv2};
    let mut bytes = vec![0; len];
    let read = preadv2(file, &mut [io::IoSliceMut::new(&mut bytes)], start, ReadWriteFlags::NOWAIT).ok()?;
    (read == len).then_some(bytes)
}

/// Elsewhere there is no telling.
#[cfg(not(target_os = "linux"))]
fn read_cached(_: &File, _: u64, _: usize) -> Option<Vec<u8>> {
    None
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
