//! Images that are in a bucket alone which is not the one that is used: asked before a bucket is changed, and told afterwards.

use super::Library;
use crate::{
    model::{BucketConfig, ImageId, place_label},
    store::{
        DbError,
        left_behind::{self, LeftBehind},
    },
};

impl Library {
    fn present_place(&self) -> Option<String> {
        self.remote.bucket().map(|bucket| bucket.config().place())
    }

    /// How many images would not be found any more if this bucket were used from now on, or none.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn would_hide(&self, target: Option<&BucketConfig>) -> Result<i64, DbError> {
        let target = target.map(BucketConfig::place);
        if target.is_none() && self.remote.bucket().is_none() {
            return Ok(0);
        }
        self.db.read(move |c| left_behind::would_hide(c, target.as_deref())).await
    }

    /// Images that are not found now because another bucket has them; nothing if there are none.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn left_behind(&self) -> Result<Option<LeftBehind>, DbError> {
        let present = self.present_place();
        self.db.read(move |c| left_behind::left_behind(c, present.as_deref())).await
    }

    /// Whether this image is one of them.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn is_left_behind(&self, id: ImageId) -> Result<bool, DbError> {
        let present = self.present_place();
        self.db.read(move |c| left_behind::is_left_behind(c, id, present.as_deref())).await
    }

    /// Writes it into the log if there are some: a variable may have changed the bucket, and nobody was asked.
    pub async fn tell_left_behind(&self) {
        match self.left_behind().await {
            Ok(Some(LeftBehind { count, place })) => {
                let place = place_label(&place);
                tracing::error!(
                    event = "images_left_behind",
                    count,
                    place,
                    "images are in another bucket than the one that is used, and their links do not work; using that bucket again brings them back"
                );
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "it is not known whether images are in another bucket"),
        }
    }
}
