//! The database is lost and the bucket is not: its listing, and what each object says of itself, make the rows again. What
//! is known already is passed over, so that it may be broken off and run again.

use std::{collections::HashSet, time::Duration};

use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::{
    Library, LibraryError,
    restore::created_of,
    take::{Claim, Past, Standing},
};
use crate::{
    cloud::{Bucket, BucketError, Fault, Listed, Peeked},
    model::{BlobRecord, ImageId, MARKERS, MediaType, PixelSize, Sha256, Source, Thumbnail, python_key},
};

/// Objects that are asked at once what they are.
const PEEKS: usize = 16;

/// Objects that are fetched whole at once, because they do not say what they are.
const LEARNT_AT_ONCE: usize = 4;

/// Attempts for one call, and the first wait between two; it doubles.
pub(super) const ATTEMPTS: u32 = 4;
pub(super) const RETRY_FIRST: Duration = Duration::from_millis(250);

/// Failures that are told one by one.
const TOLD: usize = 20;

/// Pages in a row that may hold nothing though there are more.
pub(super) const EMPTY_PAGES_MAX: u32 = 16;

/// The folder of the Python program in a bucket.
pub(super) const PYTHON_FOLDER: &str = "openwebui/";

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Objects in the listing so far.
    pub listed: u64,
    /// Images that have a row now.
    pub made: u64,
    /// Images that had one.
    pub known: u64,
    /// Images that were deleted and whose objects are about to go.
    pub deleted: u64,
    /// Objects that are none of ours.
    pub strange: u64,
    /// Objects that could not be read.
    pub failed: u64,
    /// The first of those, and why.
    pub failures: Vec<(String, String)>,
}

/// What an object turned out to be.
enum Looked {
    /// An image that has its row: whether it is new.
    Is(bool),
    /// A picture that does not say what it is.
    Silent(Peeked),
    /// None of ours.
    Strange,
}

impl Rebuilt {
    /// Counts it; gives back what has to be looked at more closely.
    fn count(&mut self, key: &str, looked: Result<Looked, RebuildError>) -> Result<Option<Peeked>, RebuildError> {
        match looked {
            Ok(Looked::Is(true)) => self.made += 1,
            Ok(Looked::Is(false)) => self.known += 1,
            Ok(Looked::Silent(peeked)) => return Ok(Some(peeked)),
            Ok(Looked::Strange) => self.strange += 1,
            Err(RebuildError::Bucket(error)) if !error.fault.concerns_all() => {
                self.failed += 1;
                if self.failures.len() < TOLD {
                    self.failures.push((key.to_owned(), error.to_string()));
                }
            }
            Err(error) => return Err(error),
        }
        Ok(None)
    }
}

/// Why rebuilding ended early. What was made stays.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The bucket as a whole.
    #[error("the bucket cannot be used ({0})")]
    Bucket(#[from] BucketError),
    /// Disk or database.
    #[error(transparent)]
    Library(#[from] LibraryError),
}

/// A call that is tried again while the bucket is only away.
async fn patiently<T>(call: impl AsyncFn() -> Result<T, BucketError>) -> Result<T, BucketError> {
    let mut wait = RETRY_FIRST;
    for _ in 1..ATTEMPTS {
        match call().await {
            Err(error) if error.fault.passes() => tokio::time::sleep(wait).await,
            result => return result,
        }
        wait *= 2;
    }
    call().await
}

/// The image whose object this is.
fn image_of(key: &str, prefix: &str) -> Option<ImageId> {
    if let Some(id) = key.strip_prefix(prefix).and_then(|name| name.parse().ok()) {
        return Some(id);
    }
    let id: ImageId = key.strip_prefix(PYTHON_FOLDER)?.strip_suffix(".png")?.parse().ok()?;
    (python_key(id) == key).then_some(id)
}

impl Library {
    /// Makes a row for every image of ours in `bucket` that has none. Ends early with `stop`.
    ///
    /// # Errors
    /// [`RebuildError`].
    pub async fn rebuild(
        &self,
        bucket: &Bucket,
        stop: &CancellationToken,
        progress: &mut (dyn FnMut(&Rebuilt) + Send),
    ) -> Result<Rebuilt, RebuildError> {
        let mut found = Rebuilt::default();
        let prefix = bucket.config().prefix.clone();
        let mut folders = vec![prefix.clone()];
        // An empty prefix lists it already.
        if !PYTHON_FOLDER.starts_with(prefix.as_str()) {
            folders.push(PYTHON_FOLDER.to_owned());
        }
        for folder in folders {
            let (mut next, mut seen, mut empty) = (None, HashSet::new(), 0);
            while !stop.is_cancelled() {
                let (page, further) = patiently(async || bucket.list(&folder, next.clone()).await).await?;
                let nothing = page.is_empty();
                found.listed += page.len() as u64;
                self.rebuild_page(bucket, page, stop, &mut found, progress).await?;
                let Some(further) = further else { break };
                empty = if nothing { empty + 1 } else { 0 };
                if empty > EMPTY_PAGES_MAX || !seen.insert(further.clone()) {
                    return Err(BucketError::new(Fault::Other, "its listing goes in circles and has no end").into());
                }
                next = Some(further);
            }
        }
        Ok(found)
    }

    async fn rebuild_page(
        &self,
        bucket: &Bucket,
        page: Vec<Listed>,
        stop: &CancellationToken,
        found: &mut Rebuilt,
        progress: &mut (dyn FnMut(&Rebuilt) + Send),
    ) -> Result<(), RebuildError> {
        let mut wanted = Vec::new();
        let markers = format!("{}{MARKERS}", bucket.config().prefix);
        for object in page {
            // What other gateways were told.
            if object.key.starts_with(&markers) {
                continue;
            }
            match image_of(&object.key, &bucket.config().prefix) {
                None => found.strange += 1,
                Some(id) => match self.standing(id).await? {
                    Standing::Known => found.known += 1,
                    Standing::Deleted => found.deleted += 1,
                    Standing::New => wanted.push((id, object.key)),
                },
            }
        }
        let mut to_learn = Vec::new();
        let mut looks = stream::iter(wanted)
            .map(async |(id, key)| {
                let looked = self.look(bucket, id, &key).await;
                (id, key, looked)
            })
            .buffer_unordered(PEEKS);
        while let Some((id, key, looked)) = looks.next().await {
            if let Some(peeked) = found.count(&key, looked)? {
                to_learn.push((id, key, peeked));
            }
            progress(found);
            if stop.is_cancelled() {
                return Ok(());
            }
        }
        let mut lessons = stream::iter(to_learn)
            .map(async |(id, key, peeked)| {
                let learnt = self.look_closely(bucket, id, &key, &peeked).await;
                (key, learnt)
            })
            .buffer_unordered(LEARNT_AT_ONCE);
        while let Some((key, learnt)) = lessons.next().await {
            found.count(&key, learnt)?;
            progress(found);
            if stop.is_cancelled() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What an object is, by what it says of itself; the row is made if that is enough.
    async fn look(&self, bucket: &Bucket, id: ImageId, key: &str) -> Result<Looked, RebuildError> {
        let peeked = patiently(async || bucket.peek(key).await).await?;
        Ok(match described(&peeked) {
            Some(blob) => Looked::Is(self.rebuild_one(bucket, id, key, blob, &peeked).await?),
            None if MediaType::sniff(&peeked.head).is_some() => Looked::Silent(peeked),
            None => Looked::Strange,
        })
    }

    /// What an object is, by all of its bytes.
    async fn look_closely(&self, bucket: &Bucket, id: ImageId, key: &str, peeked: &Peeked) -> Result<Looked, RebuildError> {
        let received = patiently(async || self.learn(bucket, key).await).await?;
        Ok(Looked::Is(self.take_in(&received, &past(bucket, id, key, peeked, Claim::Only)).await?))
    }

    /// A row from what an object says of itself.
    async fn rebuild_one(&self, bucket: &Bucket, id: ImageId, key: &str, blob: BlobRecord, peeked: &Peeked) -> Result<bool, LibraryError> {
        let path = self.files.blob_path(blob.sha256);
        // The database is lost and the disk may not be. What lies there is confirmed in the bucket before that counts.
        let here = tokio::fs::metadata(path).await.is_ok_and(|meta| meta.len() == blob.bytes);
        let past = past(bucket, id, key, peeked, if here { Claim::There } else { Claim::Only });
        self.insert_past(blob, past).await
    }
}

fn past(bucket: &Bucket, id: ImageId, key: &str, peeked: &Peeked, copy: Claim) -> Past {
    let metadata = &peeked.found.metadata;
    Past {
        id,
        source: metadata.get("source").and_then(|word| Source::parse(word)).unwrap_or(Source::Imported),
        created_at: created_of(metadata, peeked.found.changed),
        accessed_at: None,
        key: Some(key.to_owned()).filter(|key| *key != bucket.config().key(id)),
        copy,
        imported: false,
    }
}

/// What an object is by its metadata and first bytes; nothing if it does not say. Should the metadata lie, the digest tells
/// when it is fetched.
fn described(peeked: &Peeked) -> Option<BlobRecord> {
    let metadata = &peeked.found.metadata;
    let size = || {
        let (width, height) = metadata.get("size")?.split_once('x')?;
        Some(PixelSize { width: width.parse().ok()?, height: height.parse().ok()? })
    };
    Some(BlobRecord {
        sha256: metadata.get("sha256")?.parse::<Sha256>().ok()?,
        bytes: Some(peeked.found.bytes).filter(|bytes| *bytes > 0)?,
        media_type: MediaType::sniff(&peeked.head)?,
        size: size(),
        complete: true,
        thumbnail: Thumbnail::Pending,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_objects_are_told_from_others() {
        let id = ImageId::random();
        assert_eq!(image_of(&format!("picgate/{id}"), "picgate/"), Some(id));
        assert_eq!(image_of(&format!("{id}"), ""), Some(id));
        assert_eq!(image_of(&python_key(id), "picgate/"), Some(id));
        assert_eq!(image_of(&python_key(id), ""), Some(id));
        for other in [format!("picgate/{id}.png"), format!("other/{id}"), "picgate/readme".into(), format!("openwebui/{id}.jpg")] {
            assert_eq!(image_of(&other, "picgate/"), None, "{other}");
        }
    }
}
