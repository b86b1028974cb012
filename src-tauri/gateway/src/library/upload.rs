//! Copies to the bucket, one image at a time: put, confirmed, noted; and objects of deleted images removed. When and how
//! many at once is for the background.

use std::{collections::HashMap, io::Read, path::PathBuf, time::Duration};

use tokio::sync::OwnedSemaphorePermit;

use super::Library;
use crate::{
    cloud::{Bucket, BucketError, Fault, Upload},
    model::{BucketConfig, Event, ImageId, ImageRecord, Millis, Sha256, now, python_key},
    store::{
        Blob, DbError, Files,
        copies::{self, Due, Tombstone},
        left_behind,
    },
};

/// The first wait after a failure of one object; it doubles.
const RETRY_FIRST: Duration = Duration::from_secs(1);

/// The longest wait.
const RETRY_LONGEST: Duration = Duration::from_secs(15 * 60);

/// How long until it is looked again for an image that is neither on disk nor in the bucket: nothing is lost by waiting, and
/// each look costs a call. Less than what the outbox takes for a wrong clock.
const NOWHERE_AGAIN: Millis = 50 * 60 * 1000;

/// How long a client waits for the copy of an image when copies come first.
const THROUGH_MAX: Duration = Duration::from_secs(60);

/// How often it is looked whether another request has put the copy of the same upload.
const OTHERS_LOOK: Duration = Duration::from_millis(20);

/// Bytes of a file that are digested at a time: small, because every thread that ever did it keeps so much.
const DIGEST_BLOCK: usize = 64 * 1024;

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Confirmed and noted.
    Stored,
    /// Tried again later.
    Later,
    /// There is no such image any more, or it needs no copy.
    Void,
}

/// When to try again, with full jitter.
fn retry_at(attempts: u32) -> Millis {
    let longest = RETRY_FIRST.saturating_mul(1 << attempts.min(16)).min(RETRY_LONGEST);
    now() + (longest.as_millis() as f64 * random_part()) as Millis + 1
}

/// From 0 to 1.
fn random_part() -> f64 {
    let mut bytes = [0; 4];
    // Without random numbers nothing worse happens than that retries come together.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

impl Library {
    /// Uses this bucket from now on, or none.
    ///
    /// # Errors
    /// [`DbError`]; the bucket of before is used on.
    pub async fn use_bucket(&self, config: Option<BucketConfig>, through: bool) -> Result<(), DbError> {
        if let Some(place) = config.as_ref().map(BucketConfig::place) {
            let moved = self.db.write(move |t| {
                let hidden = left_behind::would_hide(t, Some(&place))?;
                Ok(copies::move_to(t, &place, now())?.then_some(hidden))
            });
            if let Some(hidden) = moved.await? {
                tracing::warn!(
                    event = "bucket_moved",
                    hidden,
                    "another bucket is used from now on; every image is copied to it or confirmed there"
                );
            }
        }
        self.remote.set(config, through);
        Ok(())
    }

    /// Puts the copy of one image when it is its turn, unless the bucket cannot be used by then.
    pub async fn upload_in_turn(&self, bucket: &Bucket, due: Due) -> Attempt {
        let turn = self.remote.turn().await;
        if self.remote.pause().is_some() {
            return self.give_back(due, now()).await;
        }
        // Another gateway may know it by now, and have deleted it.
        let asks = self.remote.is_through() && !due.claimed;
        self.upload(bucket, due, turn, asks).await
    }

    async fn is_unwanted(&self, bucket: &Bucket, id: ImageId) -> Result<bool, BucketError> {
        Ok(self.marker_of(bucket, id).await?.is_some())
    }

    async fn kept_out(&self, bucket: &Bucket, id: ImageId) -> Attempt {
        if let Err(error) = self.keep_out(bucket, id).await {
            tracing::error!(%error, image = %id, "it cannot be noted that an image is not to be copied");
            return Attempt::Later;
        }
        Attempt::Void
    }

    /// The copy is made later, and that is nobody's fault.
    pub async fn give_back(&self, due: Due, due_at: Millis) -> Attempt {
        let (id, run) = (due.id, self.remote.run().to_owned());
        if let Err(error) = self.db.write(move |t| copies::release(t, &due, &run, due_at)).await {
            tracing::error!(%error, image = %id, "a copy waits longer than it must");
        }
        Attempt::Later
    }

    /// Puts the copy of one image and confirms it; not if another gateway removed it, with `asks`. The turn ends with the last call
    /// to the bucket: what is noted of one image need not keep the next one waiting.
    async fn upload(&self, bucket: &Bucket, due: Due, turn: Option<OwnedSemaphorePermit>, asks: bool) -> Attempt {
        // A name that is not of this image, as a database from elsewhere may say, is somebody else's object.
        let (known, is_foreign) = match due.key.clone() {
            Some(key) if key != python_key(due.id) => (None, key != bucket.config().key(due.id)),
            known => (known, false),
        };
        if is_foreign {
            let id = due.id;
            if let Err(error) = self.db.write(move |t| copies::set_key(t, id, None, None)).await {
                tracing::error!(%error, image = %id, "the name of an object cannot be corrected");
                return Attempt::Later;
            }
        }
        let key = known.unwrap_or_else(|| bucket.config().key(due.id));
        let Some(_putting) = self.remote.putting(&key) else {
            // Being removed or put just now: whoever does that is soon done.
            return self.give_back(due, now() + RETRY_FIRST.as_millis() as Millis).await;
        };
        // A clock that went back makes a lease look ended: then it was taken twice, and the other one may be done by now.
        let (seq, id, run) = (due.seq, due.id, self.remote.run().to_owned());
        match self.db.read(move |c| copies::is_leased(c, seq, id, &run)).await {
            Ok(true) => {}
            Ok(false) => return Attempt::Void,
            Err(error) => {
                tracing::error!(%error, image = %due.id, "it is not known whether an image still needs a copy");
                return Attempt::Later;
            }
        }
        if asks && self.files.blob(due.blob.sha256, due.blob.bytes).exists() && self.is_unwanted(bucket, id).await.unwrap_or(false) {
            return self.kept_out(bucket, id).await;
        }
        let result = self.copy(bucket, &due, &key).await;
        // Deleted by another gateway while it was put. What a person brought back from an archive or another program outranks that.
        let removed = match &result {
            Ok(()) if due.claimed && self.remote.is_through() => bucket.unmark(id).await.map(|()| false),
            Ok(()) if asks => self.is_unwanted(bucket, id).await,
            _ => Ok(false),
        };
        let result = match removed {
            Ok(true) => match bucket.delete(&key).await {
                Ok(()) => return self.kept_out(bucket, id).await,
                Err(error) => Err(error),
            },
            Ok(false) => result,
            Err(error) => Err(error),
        };
        drop(turn);
        let noted = match result {
            Ok(()) => self.note_stored(bucket, &due, key).await,
            Err(error) => self.note_failed(bucket, &due, &error).await,
        };
        noted.unwrap_or_else(|error| {
            // Taken up again when the lease ends, or at the next start.
            tracing::error!(%error, image = %due.id, "it cannot be noted how the copy of an image stands");
            Attempt::Later
        })
    }

    async fn copy(&self, bucket: &Bucket, due: &Due, key: &str) -> Result<(), BucketError> {
        let blob = self.files.blob(due.blob.sha256, due.blob.bytes);
        let path = self.files.blob_path(due.blob.sha256);
        let equal = ImageRecord { id: due.id, blob: due.blob.clone(), source: due.source, created_at: due.created_at };
        if !blob.exists() {
            // It is not here: perhaps the bucket has it, as after a move from another one, or an equal image has it there.
            match bucket.verify_by_reading(key, due.blob.bytes, due.blob.sha256).await {
                Err(error) if matches!(error.fault, Fault::NoObject | Fault::WrongBytes) => {
                    if !self.back_from_twin(bucket, &equal).await? {
                        let is_gone = error.fault == Fault::NoObject;
                        return Err(if is_gone { BucketError::new(Fault::NoObject, "neither on disk nor in the bucket") } else { error });
                    }
                }
                result => return result,
            }
        }
        let sha256 = due.blob.sha256;
        let (mut found, mut md5) = digests_of(&path).await?;
        if found != sha256 && self.back_from_twin(bucket, &equal).await? {
            (found, md5) = digests_of(&path).await?;
        }
        if found != sha256 {
            return Err(BucketError::new(Fault::Disk, "the file on disk holds other bytes than were saved"));
        }
        let upload = Upload { path, bytes: due.blob.bytes, md5, media_type: due.blob.media_type, metadata: metadata(due) };
        if due.claimed {
            match bucket.verify(key, upload.bytes, &md5, sha256).await {
                Err(error) if matches!(error.fault, Fault::WrongBytes | Fault::NoObject) => {}
                result => return result,
            }
        }
        match bucket.put(key, &upload, true).await {
            Ok(()) => {}
            // Perhaps by ourselves, before a crash.
            Err(error) if error.fault == Fault::Exists => match bucket.verify(key, upload.bytes, &md5, sha256).await {
                Err(error) if matches!(error.fault, Fault::WrongBytes | Fault::NoObject) => {
                    // Ids are random: under this name another picture can only be if somebody made up our row.
                    let other = bucket.head(key).await.ok().and_then(|found| found.metadata.get("sha256")?.parse::<Sha256>().ok());
                    if other.is_some_and(|other| other != sha256) {
                        return Err(BucketError::new(Fault::WrongBytes, "another picture is in the bucket under this name"));
                    }
                    bucket.put(key, &upload, false).await?;
                }
                result => return result,
            },
            Err(error) => return Err(error),
        }
        bucket.verify(key, upload.bytes, &md5, sha256).await
    }

    async fn note_stored(&self, bucket: &Bucket, due: &Due, key: String) -> Result<Attempt, DbError> {
        let (seq, id, run, place) = (due.seq, due.id, self.remote.run().to_owned(), bucket.config().place());
        let grave = Tombstone { id, bucket: place, key, attempts: 0 };
        let noted = self.db.write(move |t| {
            let noted = copies::stored(t, seq, id, &run, &grave.bucket, now())?;
            // Deleted, or not wanted there, while it was on its way: deletion wins.
            if !noted && copies::copy_of(t, id)?.is_none_or(|(state, _)| state == copies::CopyState::Excluded) {
                copies::bury_object(t, &grave, now())?;
            }
            Ok(noted)
        });
        let noted = noted.await?;
        self.remote.worked(bucket);
        self.events.tell(Event::Copied(due.id));
        if noted {
            tracing::info!(event = "uploaded", image = %due.id, bytes = due.blob.bytes, "copied to the bucket");
            return Ok(Attempt::Stored);
        }
        self.remote.wake();
        Ok(Attempt::Void)
    }

    async fn note_failed(&self, bucket: &Bucket, due: &Due, error: &BucketError) -> Result<Attempt, DbError> {
        let pauses = self.remote.failed(bucket, error);
        let counts = !pauses && !error.fault.concerns_all();
        let due_at = match error.fault {
            _ if !counts => now(),
            Fault::NoObject => now() + NOWHERE_AGAIN,
            _ => retry_at(due.attempts),
        };
        let code = if counts && error.fault == Fault::NoObject { copies::NOWHERE } else { error.fault.code() };
        let (noted, words, place) = (due.clone(), error.words.clone(), bucket.config().place());
        let (before, is_left) = self
            .db
            .write(move |t| {
                let before = copies::failed(t, &noted, due_at, code, &words, counts)?;
                Ok((before, left_behind::is_left_behind(t, noted.id, Some(&place))?))
            })
            .await?;
        match error.fault {
            _ if !counts => {}
            // Said once, however often it is looked for; and what is in a bucket of before is not lost.
            Fault::NoObject if is_left || before.as_deref() == Some(code) => {}
            Fault::NoObject => {
                tracing::warn!(event = "image_nowhere", image = %due.id, "an image has no copy any more, neither on disk nor in the bucket that is used");
            }
            _ => {
                tracing::warn!(event = "upload_failed", image = %due.id, code, error = error.words, attempts = due.attempts + 1, "an image could not be copied to the bucket");
            }
        }
        self.events.tell(Event::Copied(due.id));
        Ok(Attempt::Later)
    }

    /// Puts the copy of an image that was just saved, if copies come before links. A failure is no reason to keep a paid
    /// picture back: it is told, and the copy follows.
    pub(super) async fn copy_first(&self, id: ImageId, due: Option<Due>) {
        let copied = match due.zip(self.remote.bucket()) {
            Some((due, bucket)) => {
                let library = self.clone();
                // Goes on when the client has waited long enough.
                let copying = tokio::spawn(async move {
                    let turn = library.remote.first().await;
                    library.upload(&bucket, due, turn, false).await
                });
                matches!(tokio::time::timeout(THROUGH_MAX, copying).await, Ok(Ok(Attempt::Stored)))
            }
            // The same upload as before: there already, or on its way.
            None => tokio::time::timeout(THROUGH_MAX, self.copied_by_others(id)).await.unwrap_or(false),
        };
        if !copied {
            tracing::warn!(event = "link_first", image = %id, "the link of an image is given out before its copy is in the bucket");
        }
    }

    /// Waits for whoever puts the copy of this image; whether it is there.
    async fn copied_by_others(&self, id: ImageId) -> bool {
        loop {
            match self.db.read(move |c| copies::copy_of(c, id)).await {
                Ok(Some((copies::CopyState::Pending { failed: false }, _))) if self.remote.copies_first() => {}
                found => return matches!(found, Ok(Some((copies::CopyState::Stored, _)))),
            }
            tokio::time::sleep(OTHERS_LOOK).await;
        }
    }

    /// Finds out whether the bucket can be used, by asking for an object that is not there: only its absence tells bucket
    /// and keys to be right.
    pub async fn knock(&self, bucket: &Bucket) -> Attempt {
        let key = format!("{}picgate-knock", bucket.config().prefix);
        match bucket.get(&key).await {
            Err(error) if error.fault != Fault::NoObject => {
                self.remote.refused(bucket, &error);
                Attempt::Later
            }
            _ => {
                self.remote.worked(bucket);
                Attempt::Stored
            }
        }
    }

    /// Removes the object of an image that was deleted, when it is its turn.
    pub async fn bury(&self, bucket: &Bucket, grave: Tombstone) -> Attempt {
        if !copies::is_own_key(grave.id, &grave.bucket, &grave.key) {
            tracing::error!(image = %grave.id, key = grave.key, "an object that is none of this image's was to be removed, and stays");
            if let Err(error) = self.db.write(move |t| copies::grave_done(t, &grave)).await {
                tracing::error!(%error, "the removal of somebody else's object cannot be forgotten");
            }
            return Attempt::Void;
        }
        let _turn = self.remote.turn().await;
        if self.remote.pause().is_some() {
            if let Err(error) = self.db.write(move |t| copies::grave_later(t, &grave, now())).await {
                tracing::warn!(%error, "a removal waits longer than it must");
            }
            return Attempt::Later;
        }
        // What is being put is removed when that has ended.
        let Some(_putting) = self.remote.putting(&grave.key) else {
            let later = self.db.write(move |t| copies::grave_later(t, &grave, now() + RETRY_FIRST.as_millis() as Millis)).await;
            if let Err(error) = later {
                tracing::warn!(%error, "a removal waits longer than it must");
            }
            return Attempt::Later;
        };
        let result = match self.leave_marker(bucket, grave.id).await {
            Ok(()) => bucket.delete(&grave.key).await,
            Err(error) => Err(error),
        };
        let (id, attempts) = (grave.id, grave.attempts);
        let (noted, attempt) = match result {
            Ok(()) => {
                self.remote.worked(bucket);
                (self.db.write(move |t| copies::grave_done(t, &grave)).await, Attempt::Stored)
            }
            Err(error) => {
                let pauses = self.remote.failed(bucket, &error);
                if !pauses {
                    tracing::warn!(image = %id, code = error.fault.code(), error = error.words, "a deleted image is still in the bucket");
                }
                let due_at = if pauses { now() } else { retry_at(attempts) };
                (self.db.write(move |t| copies::grave_failed(t, &grave, due_at, &error.words)).await, Attempt::Later)
            }
        };
        if let Err(error) = noted {
            tracing::error!(%error, image = %id, "it cannot be noted whether an object was removed");
        }
        attempt
    }
}

/// Enough to make a row again, and no more: whoever has the link of an object sees this.
fn metadata(due: &Due) -> HashMap<String, String> {
    let mut metadata = HashMap::from([
        ("sha256".to_owned(), due.blob.sha256.to_string()),
        ("created".to_owned(), due.created_at.to_string()),
        ("source".to_owned(), due.source.as_str().to_owned()),
    ]);
    if let Some(size) = due.blob.size {
        metadata.insert("size".to_owned(), format!("{}x{}", size.width, size.height));
    }
    metadata
}

/// Whether bytes that came back are those that the server took, as far as its ETag tells: for objects that do not say
/// their SHA-256, such as those of the Python program. What is in memory, because the disk is full, is taken as it is.
pub(super) async fn is_as_put(found: &crate::cloud::Found, path: Option<PathBuf>) -> bool {
    let (Some(expected), Some(path)) = (found.md5(), path) else { return true };
    tokio::task::spawn_blocking(move || digests(&path)).await.is_ok_and(|read| read.is_ok_and(|(_, md5)| md5 == expected))
}

pub(super) async fn digests_of(path: &std::path::Path) -> Result<(Sha256, [u8; 16]), BucketError> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || digests(&path)).await.map_err(|e| BucketError::new(Fault::Disk, e.to_string()))?
}

fn digests(path: &std::path::Path) -> Result<(Sha256, [u8; 16]), BucketError> {
    use sha2::Digest;
    let (mut file, mut sha256, mut md5) = (std::fs::File::open(path)?, sha2::Sha256::new(), md5::Md5::new());
    let mut block = vec![0; DIGEST_BLOCK];
    loop {
        match file.read(&mut block)? {
            0 => return Ok((Sha256(sha256.finalize().into()), md5.finalize().into())),
            read => {
                sha256.update(&block[..read]);
                md5.update(&block[..read]);
            }
        }
    }
}

/// The smallest PNG: one pixel.
const PIXEL: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0, 0x3a, 0x7e,
    0x9b, 0x55, 0, 0, 0, 10, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0xf8, 0x0f, 0, 1, 1, 1, 0, 0x1b, 0xb6, 0xee, 0x56, 0, 0, 0, 0, b'I',
    b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// A tiny file to try a bucket with; it goes with this value.
pub struct TestPicture(PathBuf, Blob);

impl TestPicture {
    /// Writes it.
    ///
    /// # Errors
    /// What the file system says.
    pub async fn write(files: &Files) -> std::io::Result<Self> {
        let path = files.temporary_path();
        let blob = Blob::temporary(path.clone(), PIXEL.len() as u64);
        tokio::fs::write(&path, PIXEL).await?;
        Ok(Self(path, blob))
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.1.path().unwrap_or_else(|| self.0.clone())
    }

    /// What it holds.
    pub fn bytes(&self) -> &'static [u8] {
        PIXEL
    }
}
