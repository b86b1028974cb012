//! Markers: small objects that tell other gateways on the same bucket why the object of an image is not there. Without one
//! nobody knows whether a person deleted it or a mistake did.

use aws_sdk_s3::primitives::ByteStream;
use md5::{Digest, Md5};

use super::{
    super::error::{BucketError, Fault, sorted},
    Bucket,
};
use crate::model::ImageId;

/// Why the object of an image is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// A person deleted the image.
    Deleted,
    /// A person does not want its copy there.
    Excluded,
}

impl Marker {
    const fn text(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Excluded => "excluded",
        }
    }
}

impl Bucket {
    /// Leaves a marker for an image; one that is there is replaced.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn mark(&self, id: ImageId, marker: Marker) -> Result<(), BucketError> {
        match self.mark_once(id, marker).await {
            Err(error) if Self::learns_time(&error) => self.mark_once(id, marker).await,
            marked => marked,
        }
    }

    async fn mark_once(&self, id: ImageId, marker: Marker) -> Result<(), BucketError> {
        let text = marker.text();
        let put = self
            .client
            .put_object()
            .bucket(&self.config.name)
            .key(self.config.marker_key(id))
            .content_type("text/plain")
            .content_md5(base64_simd::STANDARD.encode_to_string(Md5::digest(text)))
            .body(ByteStream::from_static(text.as_bytes()))
            .customize()
            .config_override(self.short());
        put.send().await.map(|_| ()).map_err(sorted)
    }

    /// The marker of an image, if there is one.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn marker(&self, id: ImageId) -> Result<Option<Marker>, BucketError> {
        match self.peek(&self.config.marker_key(id)).await {
            Ok(peeked) => Ok([Marker::Deleted, Marker::Excluded].into_iter().find(|marker| marker.text().as_bytes() == peeked.head)),
            Err(error) if error.fault == Fault::NoObject => Ok(None),
            // That one object cannot be read says nothing of the bucket.
            Err(error) if error.fault.concerns_all() => Err(BucketError::new(Fault::Other, error.words)),
            Err(error) => Err(error),
        }
    }

    /// Removes the marker of an image; one that is not there is as good.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn unmark(&self, id: ImageId) -> Result<(), BucketError> {
        self.delete(&self.config.marker_key(id)).await
    }
}
