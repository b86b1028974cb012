//! Several gateways on one bucket: what one of them deletes ends at the others too. Whoever removes an object leaves a marker
//! in its place, and whoever misses an object looks for that. An object that is gone without one was lost by mistake, and is
//! put again.

use super::Library;
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

    /// The object of an image is not there: why, if another gateway says so. What it did is done here too by then.
    pub(super) async fn follow_others(&self, bucket: &Bucket, id: ImageId) -> Result<Option<Marker>, BucketError> {
        if !self.remote.is_through() {
            return Ok(None);
        }
        let marker = bucket.marker(id).await?;
        let followed = match marker {
            None => Ok(()),
            Some(Marker::Deleted) => {
                tracing::info!(event = "deleted_elsewhere", image = %id, "another gateway on the same bucket has deleted an image");
                self.delete(&[id]).await.map(|_| ())
            }
            Some(Marker::Excluded) => {
                let place = bucket.config().place();
                let noted = self.db.write(move |t| copies::gone_there(t, id, &place)).await.map_err(Into::into);
                self.events.tell(Event::Copied(id));
                noted
            }
        };
        followed.map_err(|error: super::LibraryError| BucketError::new(Fault::Disk, error.to_string()))?;
        Ok(marker)
    }
}
