//! Several gateways on one bucket: what one of them deletes ends at the others too. Whoever removes an object leaves a marker
//! in its place, and whoever misses an object looks for that. An object that is gone without one was lost by mistake, and is
//! put again. A marker costs nobody a file that would not go anyway: whoever may write to the bucket has no power over disks.

use super::{Library, LibraryError};
use crate::{
    cloud::{Bucket, BucketError, Fault, Marker},
    model::{Event, ImageId},
    store::copies::{self, CopyState},
};

impl Library {
    /// Says in the bucket why the object of an image is about to go, if others may miss it. To be called before it goes: what
    /// is gone without a marker comes back.
    pub(super) async fn leave_marker(&self, bucket: &Bucket, id: ImageId) -> Result<(), BucketError> {
        if !self.remote.is_through() {
            return Ok(());
        }
        let copy = self.db.read(move |c| copies::copy_of(c, id)).await.map_err(|error| BucketError::new(Fault::Disk, error.to_string()))?;
        match copy {
            None => bucket.mark(id, Marker::Deleted).await,
            Some((CopyState::Excluded, _)) => bucket.mark(id, Marker::Excluded).await,
            Some(_) => Ok(()),
        }
    }

    /// Why the object of an image is not there, if another gateway says so.
    pub(super) async fn marker_of(&self, bucket: &Bucket, id: ImageId) -> Result<Option<Marker>, BucketError> {
        if self.remote.is_through() { bucket.marker(id).await } else { Ok(None) }
    }

    /// Does here what another gateway did, when the file would go, or is gone, anyway.
    pub(super) async fn follow(&self, bucket: &Bucket, id: ImageId, marker: Marker) -> Result<(), LibraryError> {
        match marker {
            Marker::Deleted => {
                tracing::info!(event = "deleted_elsewhere", image = %id, "another gateway on the same bucket has deleted an image");
                self.delete(&[id]).await.map(|_| ())
            }
            Marker::Excluded => self.keep_out(bucket, id).await,
        }
    }

    /// The copy of an image is not made, because another gateway removed it; the file stays.
    pub(super) async fn keep_out(&self, bucket: &Bucket, id: ImageId) -> Result<(), LibraryError> {
        tracing::warn!(event = "kept_out", image = %id, "another gateway on the same bucket removed the copy of an image; the file stays and is not copied");
        let place = bucket.config().place();
        self.db.write(move |t| copies::gone_there(t, id, &place)).await?;
        self.events.tell(Event::Copied(id));
        Ok(())
    }
}
