//! Plain types that every layer speaks: what an image is, and nothing about where it lies or how it travels.

mod activity;
mod alias;
mod bucket;
mod clock;
mod dialect;
mod digest;
mod drawing;
mod event;
mod host;
mod id;
mod image;
mod keychain;
mod media;
mod password_hash;
mod saying;
mod secret;
mod setting;
mod size;

pub use activity::{ActivityRecord, Kind};
pub use alias::{Aliases, DEFAULT_ALIASES};
pub use bucket::{BucketConfig, MARKERS, missing_of_bucket, place_label, python_key};
pub use clock::now;
#[doc(hidden)]
pub use clock::shift_clock;
pub use dialect::Dialect;
pub use digest::Sha256;
pub use drawing::{Format, Resolution, Wishes};
pub use event::{Event, Running};
pub use host::browser_can_open;
pub use id::ImageId;
pub use image::{BlobRecord, ImageRecord, NewImage, Origin, Source, Thumbnail};
pub use keychain::Keychain;
pub use media::{Completeness, MediaType, PixelSize};
pub use password_hash::{is_affordable, is_bcrypt};
pub use saying::Saying;
pub use secret::Secret;
pub use setting::{BUCKET_SECRET, LISTEN, SETTINGS, Setting, Shape, hosts};
pub use size::size_in_words;

/// A blob that can stand in a body: how long it is without looking.
pub trait Measured {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Milliseconds since 1970-01-01 UTC, the only form of time that is stored.
pub type Millis = i64;
