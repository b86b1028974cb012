//! Equal pictures help each other: each image has an object of its own in the bucket, and where one of them is gone or damaged,
//! that of another image with the same bytes stands in for it.

use super::Library;
use crate::{
    cloud::Bucket,
    model::{ImageId, ImageRecord, Sha256},
    store::{
        DbError,
        copies::{self, Confirmed},
    },
};

/// Objects of others that are asked for one image.
const TWINS_MAX: usize = 4;

impl Library {
    /// Confirmed copies of other images with the same bytes. With several gateways on one bucket an object that is gone was
    /// deleted by another one, and shall end here too: then there are none.
    pub(super) async fn twins(&self, id: ImageId, sha256: Sha256) -> Result<Vec<Confirmed>, DbError> {
        if self.remote.is_through() {
            return Ok(Vec::new());
        }
        self.db.read(move |c| copies::twins_of(c, id, sha256, TWINS_MAX)).await
    }

    /// Brings the bytes of an image back to disk from the object of another one, so that its own can be put again; a file with
    /// other bytes is replaced. Whether there is a file now.
    pub(super) async fn back_from_twin(&self, bucket: &Bucket, record: &ImageRecord) -> bool {
        let sha256 = record.blob.sha256;
        if !self.twins(record.id, sha256).await.is_ok_and(|twins| !twins.is_empty()) {
            return false;
        }
        let coming = self.restoring(bucket, record.id, Some(record.clone()));
        let came = coming.finished().await.is_ok() && self.files.blob(sha256, record.blob.bytes).exists();
        if came {
            tracing::warn!(event = "twin_helped", image = %record.id, "the bytes of an image came back from an equal one");
        }
        came
    }
}
