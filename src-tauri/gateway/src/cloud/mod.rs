//! A bucket that speaks S3: Cloudflare R2 first, any other as well. One call, one answer: no retries, no queue, and no
//! idea of what an image is; those are the library's.

mod bucket;
mod check;
mod error;
mod limits;
mod words;

pub use bucket::{Bucket, Downloading, Found, Listed, Marker, Peeked, Upload};
pub use check::{CheckStep, check};
pub use error::{BucketError, Fault};
pub use words::{explain, not_configured};
