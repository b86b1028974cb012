//! Images as users think of them: a row, its bytes and its link, kept consistent. A link is given out only once all
//! of it is on disk.

mod access;
mod coming;
mod delete;
mod intake;
mod inventory;
mod left_behind;
mod others;
mod outgoing;
mod rebuild;
mod reconcile;
mod reduced;
mod remote;
mod restore;
mod sweep;
mod take;
pub mod thumbnail;
mod thumbnails;
mod twins;
mod upload;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use quick_cache::sync::Cache;
use tokio::sync::{RwLock, Semaphore};

use crate::{
    events::Events,
    model::{BlobRecord, Event, ImageId, ImageRecord, NewImage, Origin, PixelSize, Thumbnail, now},
    store::{self, Blob, Db, DbError, Files, Received, copies},
};

pub use access::AccessLog;
pub use coming::{Coming, ComingBody};
pub use delete::Deleted;
pub use intake::{Intake, Taken};
pub use inventory::Inventory;
pub use outgoing::{Assembled, ReadBody};
pub use rebuild::{RebuildError, Rebuilt};
pub use reconcile::{Reconciled, reconcile};
pub use remote::{BucketState, Remote};
pub use restore::{Opened, RestoreError};
pub use sweep::Removed;
pub use take::{Claim, Past, Standing};
pub use thumbnails::{ThumbnailState, Thumbnails};
pub use upload::{Attempt, TestPicture};

/// Why an image was not saved. Its bytes may still be at hand, so that it need not be lost.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The disk said no.
    #[error("the image cannot be stored: {0}")]
    Disk(#[from] std::io::Error),
    /// The database said no. The bytes are kept under their final name and adopted at the next start.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Images that are remembered; each takes some 200 bytes.
const KNOWN_MAX: usize = 10_000;

/// An image that is safe.
#[derive(Clone, Debug)]
pub struct Saved {
    /// For the link.
    pub id: ImageId,
    /// Its bytes under their final name.
    pub blob: Blob,
    /// From its header.
    pub size: Option<PixelSize>,
    /// Whether the file ends as its format should.
    pub complete: bool,
}

/// A handle; clones share everything.
#[derive(Clone)]
pub struct Library {
    db: Db,
    files: Files,
    thumbnails: Thumbnails,
    access: Arc<AccessLog>,
    reducing: Arc<Semaphore>,
    /// Held while a file gets its row; alone by who deletes files, so that none goes that has just come back.
    keeping: Arc<RwLock<()>>,
    events: Events,
    remote: Remote,
    /// Images that were looked up lately; what is in them never changes but the thumbnail's state.
    known: Arc<Cache<ImageId, ImageRecord>>,
    /// How often images were deleted: who looks one up meanwhile must not remember it.
    deletions: Arc<AtomicU64>,
}

impl Library {
    /// A library over an opened store.
    pub fn new(db: Db, files: Files, thumbnails: Thumbnails, events: Events) -> Self {
        Self {
            db,
            files,
            thumbnails,
            access: Arc::default(),
            reducing: Arc::new(Semaphore::new(reduced::AT_ONCE)),
            keeping: Arc::default(),
            remote: Remote::new(events.clone()),
            events,
            known: Arc::new(Cache::new(KNOWN_MAX)),
            deletions: Arc::default(),
        }
    }

    /// Where bytes lie.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// What is known.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Thumbnails and the queue of those to be made.
    pub fn thumbnails(&self) -> &Thumbnails {
        &self.thumbnails
    }

    /// The bucket.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Last-access times that wait to be written.
    pub fn access(&self) -> &AccessLog {
        &self.access
    }

    /// Saves an image: fsync, final name, fsync of the folder, row. Only then does it return, with an id that may go
    /// into a link.
    ///
    /// # Errors
    /// [`LibraryError`]; what was received is then still readable as long as `received` lives.
    pub async fn save(&self, received: &Received, origin: Origin) -> Result<Saved, LibraryError> {
        let started = Instant::now();
        let keeping = self.keeping.read().await;
        let (files, received) = (self.files.clone(), received.clone());
        let kept = tokio::task::spawn_blocking(move || {
            let blob = files.keep(&received.blob, received.sha256)?;
            let size = blob.path().and_then(|path| thumbnail::pixel_size(&path));
            Ok::<_, std::io::Error>((received, size, blob))
        });
        let (received, size, blob) = kept.await.map_err(|e| LibraryError::Disk(std::io::Error::other(e)))??;
        let record = BlobRecord {
            sha256: received.sha256,
            bytes: crate::model::Measured::len(&blob),
            media_type: received.media_type,
            size,
            complete: received.complete,
            thumbnail: Thumbnail::Pending,
        };
        let (sha256, media_type) = (record.sha256, record.media_type);
        let image = NewImage { id: ImageId::random(), blob: record, origin, created_at: now() };
        let source = image.origin.source.as_str();
        // Taken up in the same moment, or the background would come first and nobody would wait for it.
        let run = self.remote.copies_first().then(|| self.remote.run().to_owned());
        let inserted = self.db.write(move |t| {
            let id = store::insert(t, &image)?.id();
            let due = run.map(|run| copies::claim_one(t, &run, id, now())).transpose()?.flatten();
            Ok((id, due))
        });
        let (id, due) = inserted.await?;
        drop(keeping);
        self.thumbnails.ask(sha256, media_type);
        if self.remote.is_through() {
            self.copy_first(id, due).await;
        }
        self.remote.wake();
        self.events.tell(Event::Saved(id));
        tracing::info!(event = "saved", image = %id, source, bytes = crate::model::Measured::len(&blob), ms = started.elapsed().as_millis() as u64, "image saved");
        Ok(Saved { id, blob, size, complete: received.complete })
    }

    /// Looks an image up, perhaps in memory: for its bytes, not for the state of its thumbnail.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn recall(&self, id: ImageId) -> Result<Option<ImageRecord>, DbError> {
        if let Some(record) = self.known.get(&id) {
            return Ok(Some(record));
        }
        let deletions = self.deletions.load(Ordering::SeqCst);
        let record = self.find(id).await?;
        if let Some(record) = &record {
            self.known.insert(id, record.clone());
            if self.deletions.load(Ordering::SeqCst) != deletions {
                self.known.remove(&id);
            }
        }
        Ok(record)
    }

    /// Looks an image up.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn find(&self, id: ImageId) -> Result<Option<ImageRecord>, DbError> {
        match self.db.try_read(|c| store::find(c, id)) {
            Some(result) => result,
            None => self.db.read(move |c| store::find(c, id)).await,
        }
    }
}
