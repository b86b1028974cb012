//! What several answers of the admin API have in common.

use serde::Serialize;
use utoipa::ToSchema;

use super::words::{CloudState, ImageSource, ThumbnailState};
use crate::{
    http::App,
    model::Thumbnail,
    store::{Listed, copies::CopyState},
};

/// An image as lists show it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Image {
    /// A UUID; the link is `/images/{id}`.
    pub id: String,
    /// Pixels, if the file says so.
    pub width: Option<u32>,
    /// Pixels, if the file says so.
    pub height: Option<u32>,
    /// Length of the file.
    pub bytes: u64,
    /// `image/png`, …
    pub media_type: String,
    /// How it came to us.
    pub source: ImageSource,
    /// The user's words.
    pub prompt: Option<String>,
    /// The model name that the client used.
    pub model: Option<String>,
    /// Milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// Milliseconds since 1970-01-01 UTC.
    pub accessed_at: i64,
    /// Whether the bytes are on disk.
    pub local: bool,
    /// Whether they are in a bucket that is not the one that is used; choosing that one again brings them back.
    pub elsewhere: bool,
    /// The copy in the bucket.
    pub cloud: CloudState,
    /// The small picture at `/images/{id}/thumbnail`.
    pub thumbnail: ThumbnailState,
}

impl Image {
    /// As lists show it. Without a bucket nothing waits for one.
    pub fn shown(listed: Listed, app: &App) -> Self {
        let has_bucket = app.library.remote().bucket().is_some();
        let cloud = match listed.copy {
            _ if !has_bucket => "none",
            CopyState::Stored => "stored",
            CopyState::Pending { failed: true } => "failed",
            CopyState::Pending { failed: false } => "pending",
            CopyState::Excluded => "none",
        };
        Self {
            id: listed.id.to_string(),
            width: listed.blob.size.map(|size| size.width),
            height: listed.blob.size.map(|size| size.height),
            bytes: listed.blob.bytes,
            media_type: listed.blob.media_type.mime().to_owned(),
            source: listed.source.into(),
            prompt: listed.prompt,
            model: listed.model,
            created_at: listed.created_at,
            accessed_at: listed.accessed_at,
            local: listed.local,
            elsewhere: listed.evicted && (listed.left || (!has_bucket && listed.copy == CopyState::Stored)),
            cloud: cloud.into(),
            thumbnail: ThumbnailState::from(match listed.blob.thumbnail {
                Thumbnail::Made => "made",
                Thumbnail::Pending => "pending",
                Thumbnail::Failed => "failed",
            }),
        }
    }
}
