//! Images go because a person wants it. First the rows, then the bytes; what a crash leaves in between goes at the next
//! start.

use std::sync::atomic::Ordering;

use super::{Library, LibraryError};
use crate::{
    model::{Event, ImageId, Millis, Sha256, now},
    store::{copies, gallery, sweep},
};

/// Which images are to be deleted; looked up in the transaction that deletes them.
pub(super) enum Doomed {
    /// These.
    Images(Vec<ImageId>),
    /// This one, if the bucket has not confirmed its copy.
    Uncopied(ImageId),
    /// All of a blob on disk that have no confirmed copy, if none was looked at since a time.
    OfBlob(Sha256, Option<Millis>),
}

/// What became of one image that was to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Gone,
    /// There was none.
    Unknown,
}

impl Library {
    /// Deletes images with their rows, thumbnails and smaller copies; bytes that another image has stay.
    ///
    /// # Errors
    /// [`LibraryError::Db`]; nothing was deleted then.
    pub async fn delete(&self, ids: &[ImageId]) -> Result<Vec<(ImageId, Deleted)>, LibraryError> {
        self.delete_those(Doomed::Images(ids.to_vec())).await
    }

    /// The same for images that are only known in the transaction.
    ///
    /// # Errors
    /// [`LibraryError::Db`]; nothing was deleted then.
    pub(super) async fn delete_those(&self, doomed: Doomed) -> Result<Vec<(ImageId, Deleted)>, LibraryError> {
        let _alone = self.keeping.write().await;
        let rows = self
            .db
            .write(move |t| {
                let wanted = match doomed {
                    Doomed::Images(ids) => ids,
                    Doomed::Uncopied(id) => match copies::copy_of(t, id)? {
                        Some((copies::CopyState::Stored, _)) => Vec::new(),
                        _ => vec![id],
                    },
                    Doomed::OfBlob(sha256, unused_since) => sweep::without_copy(t, sha256, unused_since)?,
                };
                let one = |id| {
                    // Objects that may lie in a bucket go as well, as soon as it can be reached; those of images that only other
                    // gateways know do not.
                    if copies::copy_of(t, id)?.is_some() {
                        copies::bury(t, id, now())?;
                    }
                    gallery::delete(t, id).map(|deleted| (id, deleted))
                };
                wanted.into_iter().map(one).collect::<Result<Vec<_>, _>>()
            })
            .await?;
        let mut results = Vec::with_capacity(rows.len());
        let mut gone = Vec::new();
        self.deletions.fetch_add(1, Ordering::SeqCst);
        for (id, deleted) in rows {
            self.known.remove(&id);
            results.push((id, if deleted.is_some() { Deleted::Gone } else { Deleted::Unknown }));
            if deleted.is_some() {
                gone.push(id);
            }
            if let Some(Some(sha256)) = deleted {
                self.remove_bytes(sha256).await?;
            }
        }
        if !gone.is_empty() {
            tracing::info!(event = "deleted", count = gone.len(), "images were deleted");
            self.remote.wake();
            self.events.tell(Event::Deleted(gone));
        }
        Ok(results)
    }

    /// Bytes that a crash spared: their images were deleted. To be called before anything looks for strange files.
    ///
    /// # Errors
    /// [`LibraryError::Db`].
    pub async fn finish_deleting(&self) -> Result<usize, LibraryError> {
        let _alone = self.keeping.write().await;
        let doomed = self.db.read(gallery::doomed).await?;
        let count = doomed.len();
        for sha256 in doomed {
            self.remove_bytes(sha256).await?;
        }
        Ok(count)
    }

    pub(super) async fn remove_bytes(&self, sha256: Sha256) -> Result<(), LibraryError> {
        let files = self.files.clone();
        let removed = tokio::task::spawn_blocking(move || files.remove(sha256)).await;
        match removed {
            Ok(Ok(())) => self.db.write(move |t| gallery::gone(t, sha256)).await.map_err(LibraryError::Db),
            Ok(Err(error)) => {
                // Tried again at the next start.
                tracing::error!(%sha256, %error, "the bytes of a deleted image cannot be removed");
                Ok(())
            }
            Err(error) => Err(LibraryError::Disk(std::io::Error::other(error))),
        }
    }
}
