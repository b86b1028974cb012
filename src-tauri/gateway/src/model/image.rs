//! What the library knows of an image (row, id, link) and of the blob (bytes) it points to.

use super::{ImageId, MediaType, Millis, PixelSize, Sha256};

/// How an image came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Drawn by an upstream from text alone.
    Generated,
    /// Drawn by an upstream from other images.
    Edited,
    /// Sent by the user.
    Uploaded,
    /// Found in a data folder or taken over from another program.
    Imported,
}

impl Source {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Edited => "edited",
            Self::Uploaded => "uploaded",
            Self::Imported => "imported",
        }
    }

    /// The inverse of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Generated, Self::Edited, Self::Uploaded, Self::Imported].into_iter().find(|s| s.as_str() == word)
    }
}

/// Whether a blob's thumbnail exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thumbnail {
    /// Not tried yet.
    Pending,
    /// On disk.
    Made,
    /// The picture cannot be decoded; not tried again.
    Failed,
}

impl Thumbnail {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Made => "made",
            Self::Failed => "failed",
        }
    }

    /// The inverse of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Made, Self::Failed].into_iter().find(|s| s.as_str() == word)
    }
}

/// Bytes on disk, stored once however many images have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRecord {
    /// Name, ETag and proof.
    pub sha256: Sha256,
    /// Length in bytes.
    pub bytes: u64,
    /// Told from the bytes, never from what somebody claimed.
    pub media_type: MediaType,
    /// From the header; `None` when it could not be read.
    pub size: Option<PixelSize>,
    /// Whether the file ends as its format should (a JPEG cut in half still decodes).
    pub complete: bool,
    /// State of the thumbnail.
    pub thumbnail: Thumbnail,
}

/// An image as it is stored.
#[derive(Clone, Debug)]
pub struct ImageRecord {
    /// The id in the link.
    pub id: ImageId,
    /// The bytes it points to.
    pub blob: BlobRecord,
    /// How it came to us.
    pub source: Source,
    /// When it was saved.
    pub created_at: Millis,
}

/// What is known about where an image comes from. Everything is optional but the source.
#[derive(Clone, Debug)]
pub struct Origin {
    /// How it came to us.
    pub source: Source,
    /// What the user asked for.
    pub prompt: Option<String>,
    /// What the upstream made of it.
    pub revised_prompt: Option<String>,
    /// The model name that the client used.
    pub model: Option<String>,
    /// The upstream's name in our settings.
    pub upstream: Option<String>,
    /// The model name that was sent to the upstream.
    pub upstream_model: Option<String>,
    /// Parameters asked and got, a JSON object.
    pub parameters: Option<String>,
    /// Milliseconds from the dispatch of the request to the last byte of the image.
    pub duration_ms: Option<i64>,
    /// Images it was made from, in order.
    pub made_from: Vec<ImageId>,
}

impl Origin {
    /// An origin of which nothing but the source is known.
    pub fn bare(source: Source) -> Self {
        Self {
            source,
            prompt: None,
            revised_prompt: None,
            model: None,
            upstream: None,
            upstream_model: None,
            parameters: None,
            duration_ms: None,
            made_from: Vec::new(),
        }
    }
}

/// An image about to be inserted.
#[derive(Clone, Debug)]
pub struct NewImage {
    /// The id its link will carry.
    pub id: ImageId,
    /// Its bytes, already durable under their final name.
    pub blob: BlobRecord,
    /// Where it comes from.
    pub origin: Origin,
    /// Now.
    pub created_at: Millis,
}
