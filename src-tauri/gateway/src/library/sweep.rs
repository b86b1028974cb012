//! What goes from disk, and what is forgotten: because it was not used for long, because there is too much, because it is
//! old, or because a person says so. Each question is asked again in the transaction that acts.

use super::{Library, LibraryError, delete::Doomed, upload::digests_of};
use crate::{
    cloud::{Bucket, BucketError, Fault, Marker},
    model::{Event, ImageId, Millis, Sha256, now},
    store::{
        copies::{self, Confirmed, CopyState},
        gallery, inventory, left_behind,
        sweep::{self, Candidate},
    },
};

/// Images that are forgotten in one transaction.
const FORGOTTEN_TOGETHER: usize = 100;

/// What became of one image whose copy here or there was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Gone,
    /// There is no such image.
    Unknown,
    /// It is the only copy.
    LastCopy,
    /// There was no copy there.
    NoCopy,
}

/// What the bucket says of a copy that it had confirmed.
pub(super) enum Asked {
    /// It is there, with the bytes of the file here, or as long as it should be if there is none.
    There,
    /// It is not, or not what it was; its bytes are here or in an equal object, and it is put again.
    Gone,
    /// The same, and its bytes are nowhere.
    Lost,
    /// It is not, because another gateway on the same bucket removed it.
    Elsewhere(Marker),
    /// The bucket does not say.
    Unknown(BucketError),
}

impl Library {
    /// Removes one file whose copies in the bucket are confirmed, and that nobody holds or has looked at since
    /// `unused_since`; `false` if it stays.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn evict(&self, sha256: Sha256, unused_since: Option<Millis>) -> Result<bool, LibraryError> {
        if !self.remote.works() {
            return Ok(false);
        }
        // Afterwards there would be nothing to make it from.
        if let Some(media_type) = self.db.read(move |c| crate::store::pending_thumbnail(c, sha256)).await? {
            self.thumbnails.make_now(&self.db, sha256, media_type).await;
        }
        for copy in self.db.read(move |c| copies::confirmed_of(c, sha256)).await? {
            if !self.is_still_there(copy).await? {
                return Ok(false);
            }
        }
        let _alone = self.keeping.write().await;
        // First the row, so that a crash in between leaves a file without need, which the next start finds again, and
        // not a row without file.
        if !self.db.write(move |t| sweep::evict(t, sha256, unused_since, now())).await? {
            return Ok(false);
        }
        let files = self.files.clone();
        let removed = tokio::task::spawn_blocking(move || files.evict(sha256)).await;
        let removed = removed.map_err(|e| LibraryError::Disk(std::io::Error::other(e)))?;
        if !matches!(removed, Ok(true)) {
            self.db.write(move |t| crate::store::mark_present(t, sha256)).await?;
        }
        Ok(removed?)
    }

    /// Asks the bucket whether it still has a copy that it confirmed once: an object that somebody removed or overwrote there
    /// must not cost the bytes here. One that is gone is put again, unless another gateway on the same bucket says that it
    /// deleted it.
    async fn is_still_there(&self, copy: Confirmed) -> Result<bool, LibraryError> {
        // Several gateways share the work of asking: without a file there is nothing to lose here.
        if self.remote.is_through() && !self.files.blob(copy.sha256, copy.bytes).exists() {
            return Ok(true);
        }
        let Some(bucket) = self.remote.bucket() else { return Ok(false) };
        let id = copy.id;
        match self.ask_for(copy).await? {
            Asked::There => Ok(true),
            // The file would go now, because the bucket has the picture too: it goes for good.
            Asked::Elsewhere(marker) => self.follow(&bucket, id, marker).await.map(|()| false),
            Asked::Gone | Asked::Lost | Asked::Unknown(_) => Ok(false),
        }
    }

    /// What the bucket says of an object that is to be there, and what came of it.
    pub(super) async fn ask_for(&self, copy: Confirmed) -> Result<Asked, LibraryError> {
        let Some(bucket) = self.remote.bucket() else {
            return Ok(Asked::Unknown(BucketError::new(Fault::Other, "there is no bucket any more")));
        };
        let error = match self.compare_bytes(&bucket, &copy).await {
            Ok(()) => return Ok(Asked::There),
            Err(error) if error.fault == Fault::WrongBytes => error,
            Err(error) if error.fault == Fault::NoObject => match self.missed(&bucket, &copy).await {
                Ok(None) => error,
                Ok(Some(marker)) => return Ok(Asked::Elsewhere(marker)),
                Err(error) => {
                    self.remote.failed(&bucket, &error);
                    return Ok(Asked::Unknown(error));
                }
            },
            Err(error) => {
                self.remote.failed(&bucket, &error);
                return Ok(Asked::Unknown(error));
            }
        };
        Ok(if self.doubt(copy.id, &error).await? { Asked::Lost } else { Asked::Gone })
    }

    /// Why an object is not there, if another gateway says so. Only asked once more by GET: refusals of HEAD have no words, and
    /// a bucket that is gone would look like an object that is.
    async fn missed(&self, bucket: &Bucket, copy: &Confirmed) -> Result<Option<Marker>, BucketError> {
        let key = copy.key.clone().unwrap_or_else(|| bucket.config().key(copy.id));
        match bucket.get(&key).await {
            Err(error) if error.fault == Fault::NoObject => self.marker_of(bucket, copy.id).await,
            Err(error) => Err(error),
            Ok(_) => Err(BucketError::new(Fault::Busy, "the object is there after all")),
        }
    }

    /// Whether the object holds the bytes of the image. Without a file here, which could be lost, its length is enough: more
    /// would be known only by fetching it.
    async fn compare_bytes(&self, bucket: &Bucket, copy: &Confirmed) -> Result<(), BucketError> {
        let key = copy.key.clone().unwrap_or_else(|| bucket.config().key(copy.id));
        let file = self.files.blob(copy.sha256, copy.bytes);
        if file.exists() {
            let (sha256, md5) = digests_of(&self.files.blob_path(copy.sha256)).await?;
            if sha256 == copy.sha256 {
                return bucket.verify(&key, copy.bytes, &md5, sha256).await;
            }
            // The file is damaged, so its digest tells nothing.
            return bucket.verify_by_reading(&key, copy.bytes, copy.sha256).await;
        }
        let found = bucket.head(&key).await?;
        if found.bytes == copy.bytes {
            return Ok(());
        }
        Err(BucketError::new(Fault::WrongBytes, format!("the object has {} bytes instead of {}", found.bytes, copy.bytes)))
    }

    /// A copy that was confirmed is not there any more, or not what it was: it is noted, told, and put again if it can be.
    /// Whether the bytes of the image are nowhere now.
    pub(super) async fn doubt(&self, id: ImageId, error: &BucketError) -> Result<bool, LibraryError> {
        let (code, words) = (error.fault.code(), error.words.clone());
        tracing::error!(event = "copy_lost", image = %id, code, error = words, "a copy that the bucket had confirmed is not there any more");
        let noted = self.db.write(move |t| {
            copies::doubt(t, id, now(), code, &words)?;
            inventory::note_lost(t, id)
        });
        let lost = noted.await?;
        self.remote.wake();
        self.events.tell(Event::Copied(id));
        Ok(lost)
    }

    /// Forgets images that were saved before `cutoff` and whose copies are confirmed: their links go on through the
    /// bucket, unless `objects_too`. How many of the `FORGOTTEN_TOGETHER` oldest; 0 when there are no more.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn forget_some(&self, cutoff: Millis, objects_too: bool) -> Result<usize, LibraryError> {
        if !self.remote.works() {
            return Ok(0);
        }
        let mut confirmed = Vec::new();
        for id in self.db.read(move |c| sweep::forgettable(c, cutoff, FORGOTTEN_TOGETHER)).await? {
            let copy = self.db.read(move |c| copies::confirmed_one(c, id)).await?;
            if let Some(copy) = copy
                && (objects_too || self.is_still_there(copy).await?)
            {
                confirmed.push(id);
            }
        }
        let _alone = self.keeping.write().await;
        let forgotten = self
            .db
            .write(move |t| {
                let mut forgotten: Vec<(ImageId, Option<Sha256>)> = Vec::new();
                for id in confirmed {
                    if objects_too {
                        copies::bury(t, id, now())?;
                    }
                    if let Some(bytes) = sweep::forget(t, id, cutoff)? {
                        forgotten.push((id, bytes));
                    }
                }
                if !objects_too {
                    left_behind::note_forgotten(t, forgotten.len())?;
                }
                Ok(forgotten)
            })
            .await?;
        self.deletions.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let ids: Vec<ImageId> = forgotten.iter().map(|(id, _)| *id).collect();
        for (id, bytes) in &forgotten {
            self.known.remove(id);
            if let Some(sha256) = bytes {
                self.remove_bytes(*sha256).await?;
            }
        }
        if !ids.is_empty() {
            tracing::info!(event = "forgotten", count = ids.len(), objects_too, "old images were forgotten");
            self.remote.wake();
            self.events.tell(Event::Deleted(ids.clone()));
        }
        Ok(ids.len())
    }

    /// Removes the bytes of an image from disk. Without a confirmed copy the image goes altogether, and only with
    /// `last_copies`.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn remove_local(&self, id: ImageId, last_copies: bool) -> Result<Removed, LibraryError> {
        let found = self.db.read(move |c| Ok((gallery::one(c, id)?, copies::copy_of(c, id)?))).await?;
        let (Some(listed), Some((copy, _))) = found else { return Ok(Removed::Unknown) };
        if !listed.local {
            return Ok(Removed::NoCopy);
        }
        let reachable = self.remote.bucket().is_some();
        if !(last_copies || reachable && copy == CopyState::Stored) {
            return Ok(Removed::LastCopy);
        }
        // What the bucket has confirmed by now is not the last copy.
        let doomed = if reachable { Doomed::Uncopied(id) } else { Doomed::Images(vec![id]) };
        if last_copies && !self.delete_those(doomed).await?.is_empty() {
            return Ok(Removed::Gone);
        }
        if self.evict(listed.blob.sha256, None).await? {
            self.events.tell(Event::Copied(id));
            return Ok(Removed::Gone);
        }
        // Another image with the same bytes has no copy yet, somebody reads it just now, or the bucket is away.
        Ok(Removed::LastCopy)
    }

    /// Removes the copy of an image from the bucket. Without bytes on disk the image goes altogether, and only with
    /// `last_copies`.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn remove_cloud(&self, id: ImageId, last_copies: bool) -> Result<Removed, LibraryError> {
        let found = self.db.read(move |c| Ok((gallery::one(c, id)?, copies::copy_of(c, id)?))).await?;
        let (Some(listed), Some((copy, _))) = found else { return Ok(Removed::Unknown) };
        if copy == CopyState::Excluded || self.remote.bucket().is_none() {
            return Ok(Removed::NoCopy);
        }
        // From here on the file is not evicted; whether it really is there must be asked of the disk.
        let blob = self.files.blob(listed.blob.sha256, listed.blob.bytes);
        let whole = blob.path().and_then(|path| path.metadata().ok()).is_some_and(|file| file.len() == listed.blob.bytes);
        if !whole || !self.db.write(move |t| copies::exclude(t, id, now())).await? {
            if !last_copies {
                return Ok(Removed::LastCopy);
            }
            self.delete(&[id]).await?;
            return Ok(Removed::Gone);
        }
        self.remote.wake();
        self.events.tell(Event::Copied(id));
        Ok(Removed::Gone)
    }

    /// Deletes those images of a blob that have no confirmed copy, and that nobody has looked at since `unused_since`: the
    /// user has chosen that they may go. If others have one, the file goes and they stay in the bucket.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn drop_last_copy(&self, candidate: Candidate, unused_since: Option<Millis>) -> Result<bool, LibraryError> {
        self.delete_those(Doomed::OfBlob(candidate.sha256, unused_since)).await?;
        if self.db.read(move |c| Ok(sweep::images_of(c, candidate.sha256)?.is_empty())).await? {
            return Ok(true);
        }
        self.evict(candidate.sha256, unused_since).await
    }

    /// Removes a file that came back from the bucket for an image that was deleted meanwhile.
    pub(super) async fn remove_orphan(&self, sha256: Sha256) -> Result<(), LibraryError> {
        let _alone = self.keeping.write().await;
        if self.db.read(move |c| sweep::images_of(c, sha256)).await?.is_empty() {
            self.remove_bytes(sha256).await?;
        }
        Ok(())
    }
}
