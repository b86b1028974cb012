//! Smaller copies of images, for conversations that would otherwise be too large. Made when they are first wanted and
//! kept beside the thumbnails; they can always be made again.

use super::{Library, thumbnail};
use crate::{
    model::{MediaType, Sha256},
    store::Blob,
};

/// Copies that are made at once. Each takes a processor and up to 256 MB, beside the one for thumbnails.
pub(super) const AT_ONCE: usize = 1;

impl Library {
    /// A copy of `blob` whose long edge is at most `edge` pixels, as JPEG. `None` if there is no decoder for it, or if it
    /// would not be smaller.
    pub async fn reduced(&self, blob: &Blob, sha256: Sha256, media_type: MediaType, edge: u32) -> Option<Blob> {
        let path = self.files.reduced_path(sha256, edge);
        if let Ok(metadata) = tokio::fs::metadata(&path).await {
            return Some(Blob::at(path, metadata.len()));
        }
        let _permit = self.reducing.acquire().await.ok()?;
        let (files, blob) = (self.files.clone(), blob.clone());
        let made = tokio::task::spawn_blocking(move || {
            use crate::model::Measured;
            let jpeg = thumbnail::make_within(&blob.path()?, media_type, edge)
                .inspect_err(|error| tracing::warn!(%sha256, %error, "no smaller copy can be made; the image is sent whole or not at all"))
                .ok()?;
            if jpeg.len() as u64 >= blob.len() {
                return None;
            }
            let kept = files.keep_copy(&path, &jpeg);
            match kept {
                Ok(()) => Some(Blob::at(path, jpeg.len() as u64)),
                // The disk is full: it serves this once from memory.
                Err(_) => Some(Blob::memory(jpeg.into())),
            }
        });
        let made = made.await.ok().flatten()?;
        // Deleted meanwhile: then nothing made from it stays.
        if matches!(self.db.read(move |c| crate::store::is_known(c, sha256)).await, Ok(false)) {
            let files = self.files.clone();
            let _ = tokio::task::spawn_blocking(move || files.remove_smaller(sha256)).await;
            return None;
        }
        Some(made)
    }
}
