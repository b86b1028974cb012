//! Images go because a person wants it. First the rows, then the bytes; what a crash leaves in between goes at the next
//! start.

use super::{Library, LibraryError};
use crate::{
    model::{Event, ImageId, Sha256, now},
    store::{copies, gallery},
};

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
        let _alone = self.keeping.write().await;
        let wanted = ids.to_vec();
        let rows = self
            .db
            .write(move |t| {
                let one = |id| {
                    // Objects that may lie in a bucket go as well, as soon as it can be reached.
                    copies::bury(t, id, now())?;
                    gallery::delete(t, id).map(|deleted| (id, deleted))
                };
                wanted.into_iter().map(one).collect::<Result<Vec<_>, _>>()
            })
            .await?;
        let mut results = Vec::with_capacity(rows.len());
        let mut gone = Vec::new();
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
