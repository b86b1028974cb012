//! Everything of a gateway in one file, and back. The file is a plain tar: a manifest, perhaps sealed secrets, the database,
//! pictures and thumbnails named by their digests, and an end that tells a whole archive from one that is cut short.

mod pack;
mod place;
mod seal;
mod unpack;

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    model::{Millis, Secret, Sha256},
    store::{Admin, DbError, FolderError, Secrets, SecretsError},
};

pub use pack::{Packed, pack_into, pack_to};
pub use unpack::{Restored, Unpack, unpack};

/// The version of this form. A reader refuses a higher one.
const FORMAT: u32 = 1;

/// Shortest passphrase, in characters.
pub const PASSPHRASE_MIN: usize = 8;

const MANIFEST: &str = "picgate-backup.json";
const SECRETS: &str = "secrets.sealed.json";
const DATABASE: &str = "store/picgate.sqlite3";
const END: &str = "end.json";

/// What an archive begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    format: u32,
    /// The program that wrote it.
    program: String,
    /// The database's schema.
    schema: usize,
    /// When it was begun.
    created_at: Millis,
    /// Images in the database.
    images: u64,
    /// Pictures to come, and their bytes.
    blobs: u64,
    bytes: u64,
    /// Whether secrets follow, sealed.
    with_secrets: bool,
    /// The database's length and digest.
    database_bytes: u64,
    database_sha256: String,
}

/// What an archive ends with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct End {
    blobs: u64,
    bytes: u64,
    thumbnails: u64,
    /// Pictures that the database names and that could not be read whole: they are not here, or damaged.
    absent: Vec<String>,
}

/// What only a passphrase opens.
#[derive(Serialize, Deserialize)]
struct Kept {
    secrets: Secrets,
    account: Option<KeptAccount>,
}

#[derive(Serialize, Deserialize)]
struct KeptAccount {
    username: String,
    password: String,
}

impl From<Admin> for KeptAccount {
    fn from(admin: Admin) -> Self {
        Self { username: admin.username, password: admin.password }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Pictures done.
    pub done: u64,
    /// Pictures in all.
    pub total: u64,
    /// Bytes done.
    pub bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// Why there is no archive, or nothing restored from it. The texts are for people.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file or folder.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// With which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The archive itself cannot be read or written.
    #[error("the archive cannot be read or written: {0}")]
    Stream(#[from] io::Error),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The keys.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is a file already.
    #[error("{} exists already; name another file, or replace it with --force", .0.display())]
    Exists(PathBuf),
    /// There is nothing to back up.
    #[error("there is no database at {}; name the data folder with --data-dir", .0.display())]
    Nothing(PathBuf),
    /// The folder holds something.
    #[error("{} is not empty: it holds {holds}\n  remedy: choose another folder with --data-dir, or add --replace to keep what is there aside", path.display())]
    NotEmpty {
        /// The folder or file.
        path: PathBuf,
        /// What it holds.
        holds: String,
    },
    /// It is not an archive of ours.
    #[error("this is not a backup of PicGate: {0}")]
    NotOurs(String),
    /// It was written by a newer version.
    #[error(
        "this backup was made by a newer version of PicGate ({program}: {what} {found}, this one knows {known}); restore it with that version"
    )]
    Newer {
        /// Which.
        program: String,
        /// Format or schema.
        what: &'static str,
        /// The one in the archive.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// It is cut short or was changed.
    #[error("the archive is damaged: {0}; nothing was restored")]
    Damaged(String),
    /// Sealing needs a passphrase.
    #[error("a passphrase of at least {PASSPHRASE_MIN} characters is needed")]
    WeakPassphrase,
    /// The seal does not open.
    #[error("the passphrase is wrong, or the archive was changed; nothing was restored")]
    WrongPassphrase,
    /// Sealing failed.
    #[error("the secrets cannot be sealed: {0}")]
    Seal(&'static str),
    /// A person ended it.
    #[error("ended before it was complete; nothing is left of it")]
    Cancelled,
}

/// Asked for a passphrase when secrets come; nothing to do without them.
pub type Ask<'a> = &'a mut dyn FnMut() -> Result<Option<Secret>, ArchiveError>;

/// `store/blobs/ab/{digest}`: where it lies in a data folder, so that `tar` alone can put it there.
fn blob_name(sha256: Sha256) -> String {
    let name = sha256.to_string();
    format!("store/blobs/{}/{name}", &name[..2])
}

/// `thumbs/{digest of the picture}/{digest of the thumbnail}.jpg`.
fn thumbnail_name(sha256: Sha256, own: Sha256) -> String {
    format!("thumbs/{sha256}/{own}.jpg")
}

/// An entry's name, if it is one that an archive of ours has. No path is ever made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Manifest,
    Secrets,
    Database,
    Blob(Sha256),
    Thumbnail(Sha256, Sha256),
    End,
}

impl Name {
    fn parse(name: &str) -> Option<Self> {
        match name {
            MANIFEST => return Some(Self::Manifest),
            SECRETS => return Some(Self::Secrets),
            DATABASE => return Some(Self::Database),
            END => return Some(Self::End),
            _ => {}
        }
        let (found, written) = if let Some(rest) = name.strip_prefix("store/blobs/") {
            let sha256 = rest.get(3..)?.parse().ok()?;
            (Self::Blob(sha256), blob_name(sha256))
        } else {
            let (sha256, own) = name.strip_prefix("thumbs/")?.strip_suffix(".jpg")?.split_once('/')?;
            let (sha256, own) = (sha256.parse().ok()?, own.parse().ok()?);
            (Self::Thumbnail(sha256, own), thumbnail_name(sha256, own))
        };
        (written == name).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_we_write_are_names() {
        let (a, b) = (Sha256([0xab; 32]), Sha256([0x01; 32]));
        assert_eq!(Name::parse(&blob_name(a)), Some(Name::Blob(a)));
        assert_eq!(Name::parse(&thumbnail_name(a, b)), Some(Name::Thumbnail(a, b)));
        assert_eq!(Name::parse(DATABASE), Some(Name::Database));
        for strange in [
            "",
            "/etc/passwd",
            "../end.json",
            "./end.json",
            "store/secrets.json",
            "store/blobs/ab",
            "store/blobs/../../x",
            &blob_name(a).replace("/ab/", "/cd/"),
            &blob_name(a).to_uppercase(),
            &format!("{}/x", blob_name(a)),
            "store/blobs/画",
        ] {
            assert_eq!(Name::parse(strange), None, "{strange}");
        }
    }
}
