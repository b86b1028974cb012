//! After a start: makes disk and database agree. Images without a row are adopted, rows without a file are marked;
//! nothing is deleted.

use std::time::SystemTime;

use super::{Library, LibraryError, thumbnail};
use crate::{
    model::{BlobRecord, ImageId, MediaType, NewImage, Origin, Sha256, Source, Thumbnail, now},
    store::{adopt, mark_missing, mark_present, present_digests},
};

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Files without a row that are images of their own now.
    pub adopted: usize,
    /// Rows whose file is gone.
    pub missing: usize,
    /// Files that are no image, or not what their name says; left where they are.
    pub strange: usize,
}

/// Compares the folder with the database. Files changed at or after `started` are left alone: they belong to saves
/// that are under way.
///
/// # Errors
/// [`LibraryError`]; what was done until then stays.
pub async fn reconcile(library: &Library, started: SystemTime) -> Result<Reconciled, LibraryError> {
    library.finish_deleting().await?;
    let files = library.files().clone();
    let found = tokio::task::spawn_blocking(move || files.list()).await.map_err(|e| LibraryError::Disk(std::io::Error::other(e)))??;
    let known = library.db().read(present_digests).await?;
    let mut result = Reconciled::default();
    for sha256 in known.iter().filter(|sha256| !found.contains_key(sha256)).copied() {
        // Perhaps it was saved between the two looks.
        if !library.files().blob_path(sha256).exists() {
            let elsewhere = library.db().write(move |t| mark_missing(t, sha256, now())).await?;
            result.missing += usize::from(!elsewhere);
        }
    }
    let orphans = found.into_iter().filter(|(sha256, (_, changed))| !known.contains(sha256) && *changed < started);
    for (sha256, (bytes, _)) in orphans {
        if library.db().write(move |t| mark_present(t, sha256)).await? {
            continue;
        }
        let path = library.files().blob_path(sha256);
        let looked = tokio::task::spawn_blocking(move || look(&path, sha256, bytes)).await.ok().flatten();
        let Some(blob) = looked else {
            result.strange += 1;
            continue;
        };
        let media_type = blob.media_type;
        let image = NewImage { id: ImageId::random(), blob, origin: Origin::bare(Source::Imported), created_at: now() };
        if library.db().write(move |t| adopt(t, &image)).await? {
            result.adopted += 1;
            library.thumbnails().ask(sha256, media_type);
        }
    }
    Ok(result)
}

/// What a file is, if its bytes are what its name says.
fn look(path: &std::path::Path, sha256: Sha256, bytes: u64) -> Option<BlobRecord> {
    use sha2::{Digest, Sha256 as Hasher};
    let mut file = std::fs::File::open(path).ok()?;
    let (mut hasher, mut completeness) = (Hasher::new(), crate::model::Completeness::new());
    let mut block = vec![0; 256 * 1024];
    loop {
        let read = std::io::Read::read(&mut file, &mut block).ok()?;
        if read == 0 {
            break;
        }
        hasher.update(&block[..read]);
        completeness.feed(&block[..read]);
    }
    let media_type = MediaType::sniff(completeness.head())?;
    (Sha256(hasher.finalize().into()) == sha256).then(|| BlobRecord {
        sha256,
        bytes,
        media_type,
        size: thumbnail::pixel_size(path),
        complete: completeness.looks_complete(),
        thumbnail: Thumbnail::Pending,
    })
}
