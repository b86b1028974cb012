//! The queue of thumbnails to be made and where those lie that were. Making them is for the background.

use std::{path::PathBuf, time::Duration};

use tokio::sync::{mpsc, watch};

use super::thumbnail;
use crate::{
    events::Events,
    model::{Event, MediaType, Sha256, Thumbnail},
    store::{Db, Files, pending_thumbnails, set_thumbnail},
};

/// Thumbnails that wait; beyond it they are found again at the next look through the database.
const QUEUE: usize = 1024;

/// Results that are written down together while there is more to do.
const NOTED_TOGETHER: usize = 32;

/// A blob, and why it has no thumbnail.
type Tried = (Sha256, Option<String>);

/// Rows taken up in one look through the database.
const PAGE: usize = 256;

/// How a thumbnail stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThumbnailState {
    /// Here it is.
    Made(PathBuf),
    /// It will be made; ask again.
    Pending,
    /// The picture cannot be decoded.
    Failed,
}

/// A handle; clones share the queue.
#[derive(Clone)]
pub struct Thumbnails {
    files: Files,
    queue: mpsc::Sender<(Sha256, MediaType)>,
    /// Counts thumbnails that were tried, for those who wait.
    tried: watch::Sender<u64>,
    events: Events,
}

impl Thumbnails {
    /// A queue and the end that [`Self::work`] takes from.
    pub fn new(files: Files, events: Events) -> (Self, mpsc::Receiver<(Sha256, MediaType)>) {
        let (queue, orders) = mpsc::channel(QUEUE);
        (Self { files, queue, tried: watch::Sender::new(0), events }, orders)
    }

    /// Asks for a thumbnail; never waits.
    pub fn ask(&self, sha256: Sha256, media_type: MediaType) {
        // A full queue is no loss: the row says `pending`.
        let _ = self.queue.try_send((sha256, media_type));
    }

    /// How the thumbnail of a blob stands; waits up to `patience` for one that is pending.
    pub async fn get(&self, sha256: Sha256, media_type: MediaType, known: Thumbnail, patience: Duration) -> ThumbnailState {
        let path = self.files.thumbnail_path(sha256);
        let mut tried = self.tried.subscribe();
        let wait = async {
            // Made once and gone by now: it is made again.
            let mut is_lost = known == Thumbnail::Made;
            loop {
                if tokio::fs::try_exists(&path).await.unwrap_or(false) {
                    return ThumbnailState::Made(path.clone());
                }
                if std::mem::take(&mut is_lost) {
                    self.ask(sha256, media_type);
                }
                if known == Thumbnail::Failed || tried.changed().await.is_err() {
                    return ThumbnailState::Failed;
                }
            }
        };
        tokio::time::timeout(patience, wait).await.unwrap_or(ThumbnailState::Pending)
    }

    /// Makes thumbnails until `orders` closes: one at a time, so that drawing always has a processor left.
    pub async fn work(self, db: Db, mut orders: mpsc::Receiver<(Sha256, MediaType)>) {
        let mut tried = Vec::new();
        loop {
            let order = match orders.try_recv() {
                Ok(order) => Some(order),
                Err(mpsc::error::TryRecvError::Disconnected) => return,
                Err(mpsc::error::TryRecvError::Empty) => {
                    self.note(&db, &mut tried).await;
                    self.left_over(&db).await;
                    orders.recv().await
                }
            };
            let Some((sha256, media_type)) = order else { return };
            tried.extend(self.make(sha256, media_type).await);
            if tried.len() == NOTED_TOGETHER {
                self.note(&db, &mut tried).await;
            }
        }
    }

    /// Those that an earlier run, or a full queue, left behind.
    async fn left_over(&self, db: &Db) {
        while let Ok(rows) = db.read(|c| pending_thumbnails(c, PAGE)).await {
            if rows.is_empty() {
                return;
            }
            let mut tried = Vec::new();
            for (sha256, media_type) in rows {
                tried.extend(self.make(sha256, media_type).await);
            }
            // Nothing could be tried: looking again would find the same.
            if tried.is_empty() || !self.note(db, &mut tried).await {
                return;
            }
        }
    }

    /// Makes one now and writes down how that went; whether it is there.
    pub async fn make_now(&self, db: &Db, sha256: Sha256, media_type: MediaType) -> bool {
        let Some(tried) = self.make(sha256, media_type).await else { return false };
        let made = tried.1.is_none();
        self.note(db, &mut vec![tried]).await && made
    }

    /// Makes one; nothing if there are no bytes to make it from, which may come back.
    async fn make(&self, sha256: Sha256, media_type: MediaType) -> Option<Tried> {
        let files = self.files.clone();
        let made = tokio::task::spawn_blocking(move || {
            if files.thumbnail_path(sha256).exists() {
                return Ok(());
            }
            let jpeg = thumbnail::make(&files.blob_path(sha256), media_type).map_err(|e| e.to_string())?;
            files.keep_thumbnail(sha256, &jpeg).map_err(|e| e.to_string())
        });
        let error = match made.await {
            Ok(made) => made.err(),
            // The program ends: it was not tried.
            Err(error) if error.is_cancelled() => return None,
            Err(error) => Some(error.to_string()),
        };
        if error.is_some() && !tokio::fs::try_exists(self.files.blob_path(sha256)).await.unwrap_or(true) {
            return None;
        }
        if let Some(error) = &error {
            tracing::warn!(event = "no_thumbnail", %sha256, error, "no thumbnail can be made; the image itself is safe");
        }
        self.tried.send_modify(|n| *n += 1);
        Some((sha256, error))
    }

    /// Writes down what became of them, in one transaction; whether that worked.
    async fn note(&self, db: &Db, tried: &mut Vec<Tried>) -> bool {
        if tried.is_empty() {
            return true;
        }
        let batch = std::mem::take(tried);
        let told: Vec<Sha256> = batch.iter().map(|(sha256, _)| *sha256).collect();
        let noted = db.write(move |t| {
            let mut orphans = Vec::new();
            for (sha256, error) in batch {
                let state = if error.is_none() { Thumbnail::Made } else { Thumbnail::Failed };
                if !set_thumbnail(t, sha256, state, error.as_deref())? {
                    orphans.push(sha256);
                }
            }
            Ok(orphans)
        });
        let Ok(orphans) = noted.await else { return false };
        told.into_iter().for_each(|sha256| self.events.tell(Event::Thumbnail(sha256)));
        // Their images were deleted while they were made.
        for sha256 in orphans {
            let files = self.files.clone();
            let _ = tokio::task::spawn_blocking(move || files.remove_smaller(sha256)).await;
        }
        true
    }
}
