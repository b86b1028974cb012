//! Equal pictures help each other: each image has an object of its own in the bucket, and where one of them is gone or damaged,
//! that of another image with the same bytes stands in for it.

use super::{Library, restore::RestoreError};
use crate::{
    cloud::{Bucket, BucketError, Fault},
    model::{ImageId, ImageRecord, Sha256},
    store::{
        DbError,
        copies::{self, Confirmed},
    },
};

/// Objects of others that are asked for one image.
const TWINS_MAX: usize = 4;

impl Library {
    /// Confirmed copies of other images with the same bytes.
    pub(super) async fn twins(&self, id: ImageId, sha256: Sha256) -> Result<Vec<Confirmed>, DbError> {
        self.db.read(move |c| copies::twins_of(c, id, sha256, TWINS_MAX)).await
    }

    /// Brings the bytes of an image back to disk from the object of another one, so that its own can be put again; a file with
    /// other bytes is replaced. `false` if no equal image has an object.
    ///
    /// # Errors
    /// Why one that has cannot help just now.
    pub(super) async fn back_from_twin(&self, bucket: &Bucket, record: &ImageRecord) -> Result<bool, BucketError> {
        let sha256 = record.blob.sha256;
        let ours = |error: String| BucketError::new(Fault::Disk, error);
        if self.twins(record.id, sha256).await.map_err(|error| ours(error.to_string()))?.is_empty() {
            return Ok(false);
        }
        match self.restoring(bucket, record.id, Some(record.clone())).finished().await {
            Ok(()) => {}
            Err(RestoreError::Gone) => return Ok(false),
            Err(RestoreError::Away(fault)) => return Err(BucketError::new(fault, "an equal image cannot be fetched now")),
            Err(RestoreError::Library(error)) => return Err(ours(error.to_string())),
        }
        if !self.files.blob(sha256, record.blob.bytes).exists() {
            return Err(ours("the disk does not take the bytes of an equal image".to_owned()));
        }
        tracing::warn!(event = "twin_helped", image = %record.id, "the bytes of an image came back from an equal one");
        Ok(true)
    }
}
