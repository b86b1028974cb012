//! Images whose bytes are in the bucket alone come back when somebody wants them: fetched once however many ask, written
//! to disk and handed on at the same time. The last piece is held back until the digest is right.

use std::{io, sync::Arc};

use tokio::sync::watch;

use super::{
    Library, LibraryError,
    coming::{Coming, Progress, Restoring},
    thumbnail,
    upload::is_as_put,
};
use crate::{
    cloud::{Bucket, BucketError, Downloading, Fault, Marker},
    model::{BlobRecord, Event, ImageId, ImageRecord, MediaType, Millis, NewImage, Origin, Sha256, Source, Thumbnail, now, python_key},
    store::{
        Blob, DbError, IMAGE_MAX, Part, Received, Seen,
        copies::{self, CopyState},
        insert_known, mark_present,
    },
};

/// Why an image does not come back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Nobody has it.
    #[error("the image is neither on disk nor in the bucket")]
    Gone,
    /// Perhaps later.
    #[error("the bucket cannot be asked now ({})", .0.code())]
    Away(Fault),
    /// The database.
    #[error(transparent)]
    Library(#[from] LibraryError),
}

/// An image that can be read, or that can be read as it comes.
pub enum Opened {
    /// On disk.
    Here(ImageRecord, Blob),
    /// On its way.
    Coming(ImageRecord, Coming),
}

impl Library {
    /// The bytes of an image, here or on their way; nothing if there is no such image anywhere.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub async fn read(&self, id: ImageId) -> Result<Option<Opened>, RestoreError> {
        let known = self.recall(id).await.map_err(LibraryError::from)?;
        let Some(record) = known else { return self.stranger(id).await };
        let blob = self.files.blob(record.blob.sha256, record.blob.bytes);
        if blob.exists() {
            return Ok(Some(Opened::Here(record, blob)));
        }
        drop(blob);
        let Some(bucket) = self.remote.bucket() else { return Err(RestoreError::Gone) };
        let coming = self.restoring(&bucket, id, Some(record.clone()));
        coming.begun().await?;
        Ok(Some(Opened::Coming(record, Coming(coming))))
    }

    /// The same, but waits until it is here, and notes that it was looked at.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub async fn open(&self, id: ImageId) -> Result<Option<(ImageRecord, Blob)>, RestoreError> {
        let (record, blob) = match self.read(id).await? {
            None => return Ok(None),
            Some(Opened::Here(record, blob)) => (record, blob),
            Some(Opened::Coming(record, coming)) => {
                coming.0.finished().await?;
                let blob = self.files.blob(record.blob.sha256, record.blob.bytes);
                // If the disk does not take it, it is read from where it was received.
                let received = || coming.0.seen.borrow().blob.clone();
                let blob = if blob.exists() { blob } else { received().ok_or(RestoreError::Away(Fault::Disk))? };
                (record, blob)
            }
        };
        self.access.note(id, now());
        Ok(Some((record, blob)))
    }

    /// The name of an image's object, if its copy is confirmed.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn stored_key(&self, id: ImageId) -> Result<Option<String>, DbError> {
        let Some(bucket) = self.remote.bucket() else { return Ok(None) };
        let found = self.db.read(move |c| copies::copy_of(c, id)).await?;
        let stored = found.filter(|(state, _)| *state == CopyState::Stored);
        Ok(stored.map(|(_, key)| key.unwrap_or_else(|| bucket.config().key(id))))
    }

    /// An id that no row has: another instance may have put it into the bucket, or the row was forgotten.
    async fn stranger(&self, id: ImageId) -> Result<Option<Opened>, RestoreError> {
        let Some(bucket) = self.remote.bucket() else { return Ok(None) };
        if self.remote.is_absent(id) || self.db.read(move |c| copies::is_buried(c, id)).await.map_err(LibraryError::from)? {
            return Ok(None);
        }
        let joined = self.remote.restoring().get(&id).cloned();
        let coming = match joined {
            Some(coming) => coming,
            None => {
                // Whoever guesses ids must not make us ask the bucket as often as they like.
                let Some(_permit) = self.remote.stranger().await else { return Err(RestoreError::Away(Fault::Busy)) };
                if self.remote.is_absent(id) {
                    return Ok(None);
                }
                let coming = self.restoring(&bucket, id, None);
                match coming.begun().await {
                    Err(RestoreError::Gone) => {
                        self.remote.absent(id);
                        return Ok(None);
                    }
                    result => result?,
                }
                coming
            }
        };
        let record = coming.known().await?;
        Ok(Some(Opened::Coming(record, Coming(coming))))
    }

    /// Joins who fetches this image already, or begins.
    pub(super) fn restoring(&self, bucket: &Bucket, id: ImageId, record: Option<ImageRecord>) -> Arc<Restoring> {
        let mut under_way = self.remote.restoring();
        if let Some(coming) = under_way.get(&id) {
            return coming.clone();
        }
        let (progress, watched) = watch::channel(Progress::Asked);
        let (tell_record, known) = watch::channel(record.clone());
        let (tell_seen, seen) = watch::channel(Seen::default());
        let coming = Arc::new(Restoring { progress: watched, record: known, seen });
        under_way.insert(id, coming.clone());
        drop(under_way);
        let (library, bucket, own) = (self.clone(), bucket.clone(), coming.clone());
        // Not ended by whoever asked: others may have joined, and the next one will want it too.
        tokio::spawn(async move {
            let fetch = Fetch { library: &library, bucket: &bucket, id, record, progress: &progress, tell_record, tell_seen };
            let result = fetch.run().await;
            library.remote.no_longer_restoring(id, &own);
            let ended = match result {
                Ok(()) => Progress::Done,
                Err(error) => {
                    if error.fault == Fault::NoObject {
                        library.lost(id, &error).await;
                    } else {
                        library.remote.failed(&bucket, &error);
                        tracing::warn!(event = "not_restored", image = %id, code = error.fault.code(), error = error.words, "an image does not come back from the bucket");
                    }
                    Progress::Failed(error.fault)
                }
            };
            progress.send_replace(ended);
        });
        coming
    }
}

impl Library {
    /// There is no object of an image that counts as copied, or another one: nobody is to rely on it any longer.
    /// Whether it counted as copied.
    pub(super) async fn lost(&self, id: ImageId, error: &BucketError) -> bool {
        let Ok(Some(_)) = self.db.read(move |c| copies::confirmed_one(c, id)).await else { return false };
        if let Err(error) = self.doubt(id, error).await {
            tracing::error!(%error, image = %id, "a lost copy cannot be noted");
        }
        true
    }
}

/// One image that is being fetched.
struct Fetch<'a> {
    library: &'a Library,
    bucket: &'a Bucket,
    id: ImageId,
    record: Option<ImageRecord>,
    progress: &'a watch::Sender<Progress>,
    tell_record: watch::Sender<Option<ImageRecord>>,
    tell_seen: watch::Sender<Seen>,
}

impl Fetch<'_> {
    async fn run(mut self) -> Result<(), BucketError> {
        // What is wrong with an object is said of the image whose it is.
        let (mut download, owner, key) = self.begin().await?;
        self.library.remote.answered(self.bucket);
        let announced = download.found.bytes;
        if announced > IMAGE_MAX {
            let error = BucketError::new(Fault::WrongBytes, format!("the object has {announced} bytes"));
            return Err(self.doubted(owner, error).await);
        }
        let mut part = Part::watched(self.library.files(), Some(self.tell_seen.clone()));
        let (mut written, mut first) = (0u64, true);
        // What a stranger is cannot be told before its first bytes; until all are here nothing of it is handed on
        // unless the object says what its digest must be.
        let stranger = self.record.is_none();
        while let Some(chunk) = download.next().await? {
            written += chunk.len() as u64;
            if written > announced {
                let error = BucketError::new(Fault::WrongBytes, "more bytes came than were announced");
                return Err(self.doubted(owner, error).await);
            }
            if first {
                first = false;
                if stranger {
                    self.introduce(&download, &chunk);
                }
                self.progress.send_replace(Progress::Coming);
            }
            part.write(chunk.into()).await;
        }
        let received = part.finish().await.map_err(|e| BucketError::new(Fault::WrongBytes, e.to_string()))?;
        let is_right = match &self.record {
            Some(record) => record.blob.sha256 == received.sha256,
            None => is_as_put(&download.found, received.blob.path()).await,
        };
        if written != announced || !is_right {
            let files = self.library.files().clone();
            let damaged = received.blob.clone();
            let _ = tokio::task::spawn_blocking(move || files.quarantine(&damaged)).await;
            let error = BucketError::new(Fault::WrongBytes, "the object holds other bytes than were saved");
            return Err(self.doubted(owner, error).await);
        }
        self.tell_seen.send_replace(Seen { blob: Some(received.blob.clone()), bytes: written });
        match self.keep(&received, &download, stranger, &key).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(BucketError::new(Fault::NoObject, "the image was deleted meanwhile")),
            // It is handed on all the same; the next one who wants it fetches it again.
            Err(error) if self.record.is_some() => {
                tracing::error!(%error, image = %self.id, "an image that came back cannot be kept on disk");
                Ok(())
            }
            Err(error) => Err(BucketError::new(Fault::Disk, error.to_string())),
        }
    }

    /// The names that an image may have, one after the other, and those of equal images. What is of another length than the
    /// image is passed over, and noted.
    async fn begin(&self) -> Result<(Downloading, ImageId, String), BucketError> {
        let id = self.id;
        let expected = self.record.as_ref().map(|record| record.blob.bytes);
        let mut last = BucketError::new(Fault::NoObject, "there is no such object");
        let mut own_is_gone = false;
        for (owner, key) in self.names().await {
            match self.bucket.get(&key).await {
                Ok(download) if expected.is_some_and(|expected| expected != download.found.bytes) => {
                    let error = BucketError::new(Fault::WrongBytes, format!("the object has {} bytes", download.found.bytes));
                    last = self.doubted(owner, error).await;
                }
                Ok(download) => {
                    if own_is_gone && owner != id {
                        let gone = BucketError::new(Fault::NoObject, "there is no such object; an equal one stands in for it");
                        self.library.lost(id, &gone).await;
                    }
                    return Ok((download, owner, key));
                }
                Err(error) if error.fault == Fault::NoObject => {
                    if owner != id {
                        self.library.lost(owner, &error).await;
                    } else if !own_is_gone && self.record.is_some() {
                        // Deleted elsewhere, it ends here too, whatever equal images there are.
                        if self.library.marker_of(self.bucket, id).await? == Some(Marker::Deleted) {
                            let followed = self.library.follow(self.bucket, id, Marker::Deleted).await;
                            followed.map_err(|error| BucketError::new(Fault::Disk, error.to_string()))?;
                            last = error;
                            break;
                        }
                        own_is_gone = true;
                    }
                    if last.fault == Fault::NoObject {
                        last = error;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.library.remote.answered(self.bucket);
        Err(last)
    }

    /// Names of objects that may hold the image, and whose they are. A copy that is in doubt comes behind an equal one that
    /// is not.
    async fn names(&self) -> Vec<(ImageId, String)> {
        let (id, config) = (self.id, self.bucket.config());
        let copy = self.library.db.read(move |c| copies::copy_of(c, id)).await.ok().flatten();
        let is_stored = copy.as_ref().is_none_or(|(state, _)| *state == CopyState::Stored);
        let known = copy.and_then(|(_, key)| key);
        let mut own: Vec<(ImageId, String)> =
            [known, Some(config.key(id)), Some(python_key(id))].into_iter().flatten().map(|key| (id, key)).collect();
        own.dedup();
        let twins = match &self.record {
            Some(record) => self.library.twins(id, record.blob.sha256).await.unwrap_or_default(),
            None => Vec::new(),
        };
        let twins = twins.into_iter().map(|twin| (twin.id, twin.key.unwrap_or_else(|| config.key(twin.id))));
        if is_stored { own.into_iter().chain(twins).collect() } else { twins.chain(own).collect() }
    }

    /// Makes a record of what the object says of itself and of its first bytes.
    fn introduce(&mut self, download: &Downloading, head: &[u8]) {
        let metadata = &download.found.metadata;
        let sha256 = metadata.get("sha256").and_then(|text| text.parse::<Sha256>().ok());
        let (Some(sha256), Some(media_type)) = (sha256, MediaType::sniff(head)) else { return };
        let blob =
            BlobRecord { sha256, bytes: download.found.bytes, media_type, size: None, complete: true, thumbnail: Thumbnail::Pending };
        let record = ImageRecord { id: self.id, blob, source: source(download), created_at: created(download) };
        self.record = Some(record.clone());
        self.tell_record.send_replace(Some(record));
    }

    async fn keep(&self, received: &Received, download: &Downloading, stranger: bool, key: &str) -> Result<bool, LibraryError> {
        let library = self.library;
        let keeping = library.keeping.read().await;
        let (files, held) = (library.files.clone(), received.clone());
        let kept = tokio::task::spawn_blocking(move || {
            let blob = files.keep(&held.blob, held.sha256)?;
            Ok::<_, io::Error>(blob.path().and_then(|path| thumbnail::pixel_size(&path)))
        });
        let size = kept.await.map_err(|e| LibraryError::Disk(io::Error::other(e)))??;
        let (id, sha256) = (self.id, received.sha256);
        if !stranger {
            // Deleted meanwhile: then there is no row, and the file is removed with the others of that kind.
            let known = library.db.write(move |t| mark_present(t, sha256)).await?;
            drop(keeping);
            if !known {
                library.remove_orphan(sha256).await?;
                return Ok(false);
            }
            // A row that was made from the bucket's listing has none yet.
            if self.record.as_ref().is_some_and(|record| record.blob.thumbnail == Thumbnail::Pending) {
                library.thumbnails.ask(sha256, received.media_type);
            }
        } else {
            let blob = BlobRecord {
                sha256,
                bytes: crate::model::Measured::len(&received.blob),
                media_type: received.media_type,
                size,
                complete: received.complete,
                thumbnail: Thumbnail::Pending,
            };
            let place = self.bucket.config().place();
            let image = NewImage { id, blob: blob.clone(), origin: Origin::bare(source(download)), created_at: created(download) };
            let usual = self.bucket.config().key(id);
            let key = Some(key.to_owned()).filter(|key| *key != usual);
            let record = ImageRecord { id, blob, source: image.origin.source, created_at: image.created_at };
            let inserted = library.db.write(move |t| {
                if copies::is_buried(t, id)? || crate::store::find(t, id)?.is_some() {
                    return Ok(false);
                }
                insert_known(t, &image, true, now())?;
                crate::store::touch(t, id, now())?;
                copies::mark_stored(t, id, &place, key.as_deref(), now())?;
                Ok(true)
            });
            let inserted = inserted.await?;
            drop(keeping);
            if !inserted && library.find(id).await?.is_none() {
                library.remove_orphan(sha256).await?;
                return Ok(false);
            }
            self.tell_record.send_replace(Some(record));
            library.remote.no_longer_absent(id);
        }
        if let Ok(Some(media_type)) = library.db.read(move |c| crate::store::pending_thumbnail(c, sha256)).await {
            library.thumbnails.ask(sha256, media_type);
        }
        tracing::info!(event = "restored", image = %id, "an image came back from the bucket");
        library.events.tell(Event::Saved(id));
        Ok(true)
    }

    /// The object is not what we stored there: it is noted, so that nothing relies on it.
    async fn doubted(&self, id: ImageId, error: BucketError) -> BucketError {
        if self.library.lost(id, &error).await {
            return error;
        }
        let (code, words) = (error.fault.code(), error.words.clone());
        let noted = self.library.db.write(move |t| copies::doubt(t, id, now(), code, &words)).await;
        if let Err(error) = noted {
            tracing::error!(%error, image = %id, "a bad copy cannot be noted");
        }
        self.library.remote.wake();
        error
    }
}

/// When an object's image was saved.
pub(super) fn created_of(metadata: &std::collections::HashMap<String, String>, changed: Option<Millis>) -> Millis {
    let said = metadata.get("created").and_then(|text| text.parse::<Millis>().ok()).filter(|at| (0..=now()).contains(at));
    said.or(changed).unwrap_or_else(now)
}

fn created(download: &Downloading) -> Millis {
    created_of(&download.found.metadata, download.found.changed)
}

fn source(download: &Downloading) -> Source {
    download.found.metadata.get("source").and_then(|word| Source::parse(word)).unwrap_or(Source::Imported)
}
