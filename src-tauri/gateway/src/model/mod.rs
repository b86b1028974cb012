//! Plain types that every layer speaks: what an image is, and nothing about where it lies or how it travels.

mod digest;
mod host;
mod id;
mod image;
mod media;
mod secret;

pub use digest::Sha256;
pub use host::browser_can_open;
pub use id::ImageId;
pub use image::{BlobRecord, ImageRecord, NewImage, Origin, Source, Thumbnail};
pub use media::{Completeness, MediaType, PixelSize};
pub use secret::Secret;

/// Milliseconds since 1970-01-01 UTC, the only form of time that is stored.
pub type Millis = i64;
