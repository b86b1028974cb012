//! Writes an archive beside a gateway that may run. It needs no lock: the database is copied by SQLite in one moment, and
//! every picture that the copy names is held by a hard link before anything is read.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256 as Hasher};
use tokio_util::sync::CancellationToken;

use super::{ArchiveError, DATABASE, END, End, FORMAT, Kept, MANIFEST, Manifest, Progress, SECRETS, blob_name, seal, thumbnail_name};
use crate::{
    model::{Secret, Sha256, now},
    store::{Files, HeldFiles, Layout, NamedBlob, SecretsFile, Snapshot, sync_folder},
};

/// Copies of the database that are tried until one names nothing that went meanwhile.
const SNAPSHOTS_MAX: usize = 4;

/// Largest thumbnail, in bytes; ours have some 20,000.
pub(super) const THUMBNAIL_MAX: u64 = 1024 * 1024;

/// Bytes that are read or written at once.
const BLOCK: usize = 256 * 1024;

/// What went into an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Images in the database.
    pub images: u64,
    /// Pictures on disk.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Pictures that the database names and that are not on disk though they should be, or are damaged.
    pub absent: u64,
    /// Whether secrets are in it.
    pub with_secrets: bool,
}

/// Writes an archive to the file `target`: beside it first, then under its name. Blocks.
///
/// # Errors
/// [`ArchiveError`]; `target` is then as it was.
pub fn pack_to(
    layout: &Layout,
    target: &Path,
    replace: bool,
    passphrase: Option<&Secret>,
    progress: &mut dyn FnMut(Progress),
    stop: &CancellationToken,
) -> Result<Packed, ArchiveError> {
    if !replace && target.exists() {
        return Err(ArchiveError::Exists(target.to_owned()));
    }
    let target = std::path::absolute(target)?;
    let name = target.file_name().ok_or_else(|| ArchiveError::Stream(io::Error::other("it has no name")))?.to_string_lossy().into_owned();
    let folder = target.parent().unwrap_or(Path::new("/"));
    let temporary = Temporary(folder.join(format!(".{name}.{}.part", uuid::Uuid::new_v4())));
    let failed = |what| {
        let path = temporary.0.clone();
        move |source| ArchiveError::Io { what, path, source }
    };
    let mut options = File::options();
    options.write(true).create_new(true);
    // Prompts and pictures are private.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&temporary.0).map_err(failed("the archive cannot be made at"))?;
    let mut out = BufWriter::with_capacity(BLOCK, file);
    let packed = pack_into(layout, &mut out, passphrase, progress, stop)?;
    let file = out.into_inner().map_err(|error| failed("the archive cannot be written to")(error.into_error()))?;
    file.sync_all().map_err(failed("the archive cannot be written to"))?;
    drop(file);
    if !replace && target.exists() {
        return Err(ArchiveError::Exists(target));
    }
    fs::rename(&temporary.0, &target).map_err(failed("the archive cannot get its name:"))?;
    sync_folder(folder)?;
    Ok(packed)
}

/// Goes with this value unless it got its name.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Writes an archive to `out`. Blocks.
///
/// # Errors
/// [`ArchiveError`].
pub fn pack_into(
    layout: &Layout,
    out: &mut dyn Write,
    passphrase: Option<&Secret>,
    progress: &mut dyn FnMut(Progress),
    stop: &CancellationToken,
) -> Result<Packed, ArchiveError> {
    if !layout.database.exists() {
        return Err(ArchiveError::Nothing(layout.database.clone()));
    }
    passphrase.map_or(Ok(()), seal::check)?;
    let held = HeldFiles::new(&layout.files.join("tmp"))?;
    let (mut snapshot, blobs) = hold_all(layout, &held, stop)?;
    let account = snapshot.clean()?;
    let (images, database) = (snapshot.images()?, snapshot.close()?);
    let (database_bytes, database_sha256) = digest_of(&database)?;
    let present: Vec<&NamedBlob> = blobs.iter().filter(|blob| blob.present).collect();
    let created_at = now();
    let manifest = Manifest {
        format: FORMAT,
        program: format!("PicGate {}", env!("CARGO_PKG_VERSION")),
        schema: Snapshot::schema(),
        created_at,
        images,
        blobs: present.len() as u64,
        bytes: present.iter().fold(0, |sum, blob| sum.saturating_add(blob.bytes)),
        with_secrets: passphrase.is_some(),
        database_bytes,
        database_sha256: database_sha256.to_string(),
    };
    let mut tar = tar::Builder::new(out);
    let mtime = u64::try_from(created_at / 1000).unwrap_or(0);
    let manifest_text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::other)?;
    append(&mut tar, MANIFEST, mtime, manifest_text.len() as u64, &mut manifest_text.as_slice())?;
    if let Some(passphrase) = passphrase {
        let mut secrets = SecretsFile::new(layout.secrets()).read()?.ok_or_else(|| ArchiveError::Nothing(layout.secrets()))?;
        secrets.setup_ticket = None;
        let kept = serde_json::to_vec(&Kept { secrets, account: account.map(Into::into) }).map_err(io::Error::other)?;
        let sealed = seal::seal(&kept, passphrase, &manifest.database_sha256)?;
        append(&mut tar, SECRETS, mtime, sealed.len() as u64, &mut sealed.as_slice())?;
    }
    append(&mut tar, DATABASE, mtime, database_bytes, &mut File::open(&database)?)?;
    let mut packer = Packer { layout, held: &held, tar: &mut tar, mtime, end: End::default() };
    let mut shown = Progress { total: manifest.blobs, total_bytes: manifest.bytes, ..Progress::default() };
    for blob in &blobs {
        if stop.is_cancelled() {
            return Err(ArchiveError::Cancelled);
        }
        if blob.present {
            packer.blob(blob)?;
            shown.done += 1;
            shown.bytes += blob.bytes;
            progress(shown);
        }
        if blob.thumbnail {
            packer.thumbnail(blob.sha256)?;
        }
    }
    let end = packer.end;
    let text = serde_json::to_vec(&end).map_err(io::Error::other)?;
    append(&mut tar, END, mtime, text.len() as u64, &mut text.as_slice())?;
    tar.into_inner()?.flush()?;
    Ok(Packed { images, blobs: end.blobs, bytes: end.bytes, absent: end.absent.len() as u64, with_secrets: passphrase.is_some() })
}

fn append(tar: &mut tar::Builder<&mut dyn Write>, name: &str, mtime: u64, len: u64, from: &mut dyn Read) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_size(len);
    header.set_mode(0o600);
    header.set_mtime(mtime);
    header.set_cksum();
    tar.append(&header, from)
}

fn digest_of(path: &Path) -> io::Result<(u64, Sha256)> {
    let (mut file, mut hasher, mut block, mut len) = (File::open(path)?, Hasher::new(), vec![0; BLOCK], 0);
    loop {
        match file.read(&mut block)? {
            0 => return Ok((len, Sha256(hasher.finalize().into()))),
            read => {
                hasher.update(&block[..read]);
                len += read as u64;
            }
        }
    }
}

/// Copies the database and holds every picture that the copy says is on disk. What was removed between the two is looked
/// for in another copy, which names it no longer; what is missing in two copies is missing.
fn hold_all(layout: &Layout, held: &HeldFiles, stop: &CancellationToken) -> Result<(Snapshot, Vec<NamedBlob>), ArchiveError> {
    let files = Files::at(layout.files.clone());
    let mut missing_before = None;
    for attempt in 0.. {
        let snapshot = Snapshot::take(&layout.database, &held.path(&format!("database-{attempt}")))?;
        let blobs = snapshot.blobs()?;
        let mut missing = HashSet::new();
        for blob in blobs.iter().filter(|blob| blob.present) {
            if stop.is_cancelled() {
                return Err(ArchiveError::Cancelled);
            }
            if held.hold(&files.blob_path(blob.sha256), &blob.sha256.to_string())?.is_none() {
                missing.insert(blob.sha256);
            }
        }
        if missing.is_empty() || attempt + 1 >= SNAPSHOTS_MAX || missing_before.as_ref() == Some(&missing) {
            return Ok((snapshot, blobs));
        }
        missing_before = Some(missing);
    }
    Err(ArchiveError::Cancelled)
}

struct Packer<'a, 'b> {
    layout: &'a Layout,
    held: &'a HeldFiles,
    tar: &'a mut tar::Builder<&'b mut dyn Write>,
    mtime: u64,
    end: End,
}

/// Reads on as zeroes when the file ends early, and hashes what was read: an entry must have the length that its header says.
struct Exact {
    file: File,
    left: u64,
    hasher: Hasher,
    short: bool,
}

impl Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let mut read = if self.short { 0 } else { self.file.read(&mut buffer[..most])? };
        if read == 0 {
            self.short = true;
            buffer[..most].fill(0);
            read = most;
        }
        self.hasher.update(&buffer[..read]);
        self.left -= read as u64;
        Ok(read)
    }
}

impl Packer<'_, '_> {
    fn blob(&mut self, blob: &NamedBlob) -> Result<(), ArchiveError> {
        let linked = self.held.path(&blob.sha256.to_string());
        let path = if linked.exists() { linked } else { Files::at(self.layout.files.clone()).blob_path(blob.sha256) };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.end.absent.push(blob.sha256.to_string());
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let mut exact = Exact { file, left: blob.bytes, hasher: Hasher::new(), short: false };
        append(self.tar, &blob_name(blob.sha256), self.mtime, blob.bytes, &mut exact)?;
        if Sha256(exact.hasher.finalize().into()) == blob.sha256 {
            self.end.blobs += 1;
            self.end.bytes += blob.bytes;
        } else {
            // Damaged on disk already; who restores this hears of it.
            self.end.absent.push(blob.sha256.to_string());
        }
        Ok(())
    }

    fn thumbnail(&mut self, sha256: Sha256) -> Result<(), ArchiveError> {
        let path = Files::at(self.layout.files.clone()).thumbnail_path(sha256);
        // One that is gone can be made again.
        let Some(jpeg) = File::open(path).ok().and_then(|file| {
            let mut jpeg = Vec::new();
            file.take(THUMBNAIL_MAX + 1).read_to_end(&mut jpeg).ok()?;
            (jpeg.len() as u64 <= THUMBNAIL_MAX).then_some(jpeg)
        }) else {
            return Ok(());
        };
        let own = Sha256(Hasher::digest(&jpeg).into());
        append(self.tar, &thumbnail_name(sha256, own), self.mtime, jpeg.len() as u64, &mut jpeg.as_slice())?;
        self.end.thumbnails += 1;
        Ok(())
    }
}
