//! Reads an archive back. Everything in it is looked at with suspicion: names are compared with those that we write, lengths
//! with what the database says, bytes with their digests. Nothing gets its place before all of it is right.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256 as Hasher};
use tokio_util::sync::CancellationToken;

use super::{ArchiveError, Ask, End, FORMAT, Kept, Manifest, Name, Progress, pack::THUMBNAIL_MAX, place::Staging, seal};
use crate::{
    model::{MediaType, Saying, Sha256, is_affordable, now},
    store::{Admin, DbError, Files, Found, IMAGE_MAX, Layout, SecretsFile, Settled, Snapshot, Vetted},
};

/// Largest manifest, and largest sealed secrets, in bytes.
const SMALL_MAX: u64 = 1024 * 1024;

/// Largest end, in bytes: a million digests.
const END_MAX: u64 = 80 * 1024 * 1024;

/// Most that is told of a name or a program in it, in characters.
const SHOWN_MAX: usize = 100;

/// Bytes that are read at once.
const BLOCK: usize = 256 * 1024;

/// What was restored.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Images in the database.
    pub images: u64,
    /// Pictures on disk.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Pictures that were missing or damaged already when the backup was made.
    pub absent: u64,
    /// Whether keys and account came along.
    pub with_secrets: bool,
    /// Whether others could reach the gateway, and no longer can.
    pub closed: bool,
    /// Settings and upstreams that were left out, and why.
    pub dropped: Vec<(String, Saying)>,
    /// Settings and upstreams that decide who is reached, where pictures go and what is removed, and their values.
    pub notable: Vec<(String, String)>,
    /// Where that lies now which was there before.
    pub aside: Vec<PathBuf>,
}

/// How to restore.
pub struct Unpack<'a> {
    /// Where to.
    pub target: &'a Layout,
    /// Whether what is there may be put aside.
    pub replace: bool,
    /// Asked for the passphrase.
    pub ask: Ask<'a>,
    /// Told how far it is.
    pub progress: &'a mut dyn FnMut(Progress),
    /// Ends it early.
    pub stop: &'a CancellationToken,
}

/// Restores what `archive` holds. Blocks.
///
/// # Errors
/// [`ArchiveError`]; nothing was restored then.
pub fn unpack(archive: &mut dyn Read, how: Unpack<'_>) -> Result<Restored, ArchiveError> {
    let Unpack { target, replace, ask, progress, stop } = how;
    let mut archive = tar::Archive::new(archive);
    // Raw: what a tar may say of its entries beyond a plain name and length is no part of an archive of ours.
    let mut entries = archive.entries()?.raw(true);
    let mut next = || -> Result<Option<(Name, u64, _)>, ArchiveError> {
        if stop.is_cancelled() {
            return Err(ArchiveError::Cancelled);
        }
        let Some(entry) = entries.next() else { return Ok(None) };
        let entry = entry.map_err(cut_short)?;
        let given = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = if entry.header().entry_type() == tar::EntryType::Regular { Name::parse(&given) } else { None };
        let name = name.ok_or_else(|| ArchiveError::NotOurs(format!("it holds '{}'", shortened(&given).escape_debug())))?;
        Ok(Some((name, entry.size(), entry)))
    };
    let manifest = match next() {
        Ok(Some((Name::Manifest, len, mut entry))) => manifest(&small(&mut entry, len, SMALL_MAX)?)?,
        Err(ArchiveError::Cancelled) => return Err(ArchiveError::Cancelled),
        _ => return Err(ArchiveError::NotOurs("its first entry is no manifest".into())),
    };
    let staging = Staging::begin(target, replace)?;
    let layout = staging.layout();
    let mut entry = next()?;
    let mut kept = None;
    if manifest.with_secrets {
        let Some((Name::Secrets, len, mut sealed)) = entry else { return Err(out_of_order("the secrets")) };
        let sealed = small(&mut sealed, len, SMALL_MAX)?;
        if let Some(passphrase) = ask()? {
            let opened = seal::open(&sealed, &passphrase, &manifest.database_sha256)?;
            let opened: Kept = serde_json::from_slice(&opened).map_err(|e| ArchiveError::Damaged(e.to_string()))?;
            // Every sign-in pays for it.
            if opened.account.as_ref().is_some_and(|account| !is_affordable(&account.password)) {
                let why = "the hash of its account's password asks for too much; --without-secrets restores the rest";
                return Err(ArchiveError::Damaged(why.into()));
            }
            kept = Some(opened);
        }
        entry = next()?;
    }
    let Some((Name::Database, len, mut database)) = entry else { return Err(out_of_order("the database")) };
    if len != manifest.database_bytes {
        return Err(ArchiveError::Damaged("the database has another length than the manifest says".into()));
    }
    if write(&mut database, &layout.database, len)?.to_string() != manifest.database_sha256 {
        return Err(ArchiveError::Damaged("the database is not the one that the manifest names".into()));
    }
    let mut snapshot = Snapshot::adopt(&layout.database, &layout.backups()).map_err(|error| match error {
        DbError::Newer { found, known, .. } => {
            ArchiveError::Newer { program: shortened(&manifest.program), what: "schema", found: usize::try_from(found).unwrap_or(0), known }
        }
        DbError::NotOurs { why, .. } => ArchiveError::Damaged(format!("its database cannot be used ({why})")),
        other => ArchiveError::Damaged(format!("its database cannot be used ({other})")),
    })?;
    let blobs = snapshot.blobs()?;
    if let Some(large) = blobs.iter().find(|blob| blob.bytes > IMAGE_MAX) {
        return Err(ArchiveError::Damaged(format!("picture {} is larger than any image can be", large.sha256)));
    }
    let mut intake = Intake {
        files: Files::open(layout.files.clone())?,
        expected: blobs.iter().filter(|blob| blob.present).map(|blob| (blob.sha256, (blob.bytes, blob.media_type))).collect(),
        types: Vec::new(),
        thumbnails: blobs.iter().filter(|blob| blob.thumbnail).map(|blob| blob.sha256).collect(),
        wrong: HashSet::new(),
        end: End::default(),
    };
    let total_bytes = intake.expected.values().fold(0, |sum: u64, (bytes, _)| sum.saturating_add(*bytes));
    let mut shown = Progress { total: intake.expected.len() as u64, total_bytes, ..Progress::default() };
    let end: End = loop {
        match next()? {
            Some((Name::Blob(sha256), len, mut entry)) => {
                intake.blob(&mut entry, sha256, len)?;
                shown.done += 1;
                shown.bytes += len;
                progress(shown);
            }
            Some((Name::Thumbnail(sha256, own), len, mut entry)) => intake.thumbnail(&mut entry, sha256, own, len)?,
            Some((Name::End, len, mut entry)) => {
                let text = small(&mut entry, len, END_MAX)?;
                break serde_json::from_slice(&text).map_err(|e| ArchiveError::Damaged(format!("its end cannot be read ({e})")))?;
            }
            Some(_) => return Err(out_of_order("something")),
            None => return Err(ArchiveError::Damaged("it is cut short: its end is missing".into())),
        }
    };
    if next()?.is_some() {
        return Err(out_of_order("something behind its end"));
    }
    let unmade: Vec<Sha256> = intake.thumbnails.iter().copied().collect();
    let types = std::mem::take(&mut intake.types);
    let absent = intake.check(&end)?;
    let mark = snapshot.mark()?;
    let account = kept.as_ref().and_then(|kept| kept.account.as_ref());
    let account = account.map(|account| Admin { username: account.username.clone(), password: account.password.clone() });
    let Settled { closed, vetted } =
        snapshot.settle(&Found { absent: &absent, unmade: &unmade, types: &types }, account.as_ref(), now())?;
    let images = snapshot.images()?;
    snapshot.close()?;
    if let Some(mark) = mark {
        fs::write(layout.files.join("install-id"), mark)?;
    }
    let with_secrets = kept.is_some();
    if let Some(kept) = kept {
        SecretsFile::new(layout.secrets()).write(&kept.secrets)?;
    }
    let aside = staging.put_in_place()?;
    let Vetted { dropped, notable } = vetted;
    Ok(Restored { images, blobs: end.blobs, bytes: end.bytes, absent: absent.len() as u64, with_secrets, closed, dropped, notable, aside })
}

fn out_of_order(what: &str) -> ArchiveError {
    ArchiveError::Damaged(format!("{what} does not stand where it should"))
}

fn cut_short(error: io::Error) -> ArchiveError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ArchiveError::Damaged("it is cut short".into()),
        _ => ArchiveError::Damaged(error.to_string()),
    }
}

/// As much of somebody else's words as is told.
fn shortened(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}

fn manifest(text: &[u8]) -> Result<Manifest, ArchiveError> {
    let value: serde_json::Value =
        serde_json::from_slice(text).map_err(|e| ArchiveError::NotOurs(format!("its manifest cannot be read ({e})")))?;
    // Looked at first: a newer form may have other members.
    let number = |name: &str| value[name].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    for (what, found, known) in [("format", number("format"), FORMAT as usize), ("schema", number("schema"), Snapshot::schema())] {
        if found > known {
            let program = shortened(value["program"].as_str().unwrap_or("PicGate"));
            return Err(ArchiveError::Newer { program, what, found, known });
        }
    }
    serde_json::from_value(value).map_err(|e| ArchiveError::NotOurs(format!("its manifest cannot be read ({e})")))
}

fn small(entry: &mut impl Read, len: u64, most: u64) -> Result<Vec<u8>, ArchiveError> {
    if len > most {
        return Err(ArchiveError::NotOurs(format!("an entry of it is larger than {most} bytes")));
    }
    let mut text = Vec::new();
    entry.take(len).read_to_end(&mut text).map_err(cut_short)?;
    if text.len() as u64 == len { Ok(text) } else { Err(ArchiveError::Damaged("it is cut short".into())) }
}

/// Writes an entry to a new file; its digest.
fn write(entry: &mut impl Read, path: &Path, len: u64) -> Result<Sha256, ArchiveError> {
    let at = |what| move |source| ArchiveError::Io { what, path: path.to_owned(), source };
    let mut file = File::create_new(path).map_err(at("cannot be written:"))?;
    let (mut hasher, mut block, mut left) = (Hasher::new(), vec![0; BLOCK.min(usize::try_from(len).unwrap_or(BLOCK)).max(1)], len);
    while left > 0 {
        let read = entry.read(&mut block).map_err(cut_short)?;
        if read == 0 {
            return Err(ArchiveError::Damaged("it is cut short".into()));
        }
        hasher.update(&block[..read]);
        file.write_all(&block[..read]).map_err(at("cannot be written:"))?;
        left = left.saturating_sub(read as u64);
    }
    Ok(Sha256(hasher.finalize().into()))
}

/// What kind of picture a file is.
fn sniff(path: &Path) -> io::Result<Option<MediaType>> {
    let mut head = Vec::new();
    File::open(path)?.take(MediaType::SNIFF_LEN as u64).read_to_end(&mut head)?;
    Ok(MediaType::sniff(&head))
}

struct Intake {
    files: Files,
    /// Pictures that are still to come, their lengths, and their types as noted.
    expected: HashMap<Sha256, (u64, Option<MediaType>)>,
    /// Pictures of another type than noted.
    types: Vec<(Sha256, MediaType)>,
    thumbnails: HashSet<Sha256>,
    /// Pictures whose bytes are not what their name says.
    wrong: HashSet<Sha256>,
    end: End,
}

impl Intake {
    fn blob(&mut self, entry: &mut impl Read, sha256: Sha256, len: u64) -> Result<(), ArchiveError> {
        let noted = match self.expected.remove(&sha256) {
            Some((expected, noted)) if expected == len => noted,
            Some(_) => return Err(ArchiveError::Damaged(format!("picture {sha256} has another length than the database says"))),
            None => return Err(ArchiveError::Damaged(format!("it holds the picture {sha256} that its database does not name, or twice"))),
        };
        let path = self.files.blob_path(sha256);
        if write(entry, &path, len)? == sha256 {
            // Their type is sent along with them: a page must not pass for a picture.
            match sniff(&path)? {
                Some(found) if Some(found) == noted => {}
                Some(found) => self.types.push((sha256, found)),
                None => return Err(ArchiveError::Damaged(format!("picture {sha256} is no picture"))),
            }
            self.end.blobs += 1;
            self.end.bytes += len;
        } else {
            fs::remove_file(&path)?;
            self.wrong.insert(sha256);
        }
        Ok(())
    }

    fn thumbnail(&mut self, entry: &mut impl Read, sha256: Sha256, own: Sha256, len: u64) -> Result<(), ArchiveError> {
        if !self.thumbnails.remove(&sha256) {
            return Err(ArchiveError::Damaged(format!("it holds a thumbnail of {sha256} that its database does not name, or twice")));
        }
        let jpeg = small(entry, len, THUMBNAIL_MAX)?;
        if Sha256(Hasher::digest(&jpeg).into()) != own || !jpeg.starts_with(&[0xff, 0xd8, 0xff]) {
            return Err(ArchiveError::Damaged(format!("the thumbnail of {sha256} is not what it should be")));
        }
        fs::write(self.files.thumbnail_path(sha256), jpeg)?;
        self.end.thumbnails += 1;
        Ok(())
    }

    /// Whether all came that the end says; what was absent when the backup was made.
    fn check(self, end: &End) -> Result<Vec<Sha256>, ArchiveError> {
        let declared: HashSet<Sha256> = end.absent.iter().filter_map(|text| text.parse().ok()).collect();
        let missing: HashSet<Sha256> = self.expected.keys().copied().chain(self.wrong).collect();
        if let Some(lost) = missing.iter().find(|sha256| !declared.contains(*sha256)) {
            return Err(ArchiveError::Damaged(format!("{} pictures are missing or damaged, {lost} first", missing.len())));
        }
        let same = (self.end.blobs, self.end.bytes, self.end.thumbnails) == (end.blobs, end.bytes, end.thumbnails);
        if !same {
            return Err(ArchiveError::Damaged("it holds other pictures than its end says".into()));
        }
        Ok(missing.into_iter().collect())
    }
}
