//! Tries a bucket as the program will use it, step by step, and says at which one it ends.

use super::{
    bucket::{Bucket, Upload},
    error::{BucketError, Fault},
};
use crate::model::MediaType;

/// A step, and why it failed.
#[derive(Clone, Debug)]
pub struct CheckStep {
    /// `reach`, `write`, `read` or `delete`.
    pub step: &'static str,
    /// Nothing if it went well.
    pub error: Option<BucketError>,
}

/// Writes, reads and deletes an object of its own at `path`, a file that holds `bytes`.
pub async fn check(bucket: &Bucket, path: std::path::PathBuf, bytes: &[u8], name: &str) -> Vec<CheckStep> {
    use md5::{Digest, Md5};
    use sha2::Sha256 as Hasher;
    let key = format!("{}picgate-check-{name}", bucket.config().prefix);
    let mut steps = Vec::new();
    // An object that is not there: only an answer with that code tells bucket, key and secret to be right.
    let reached = match bucket.get(&key).await {
        Err(error) if error.fault == Fault::NoObject => None,
        Err(error) => Some(error),
        Ok(_) => None,
    };
    let ended = reached.is_some();
    steps.push(CheckStep { step: "reach", error: reached });
    if ended {
        return steps;
    }
    let md5: [u8; 16] = Md5::digest(bytes).into();
    let upload = Upload { path, bytes: bytes.len() as u64, md5, media_type: MediaType::Png, metadata: Default::default() };
    let written = bucket.put(&key, &upload, true).await.err();
    let ended = written.is_some();
    steps.push(CheckStep { step: "write", error: written });
    if ended {
        return steps;
    }
    let sha256 = crate::model::Sha256(Hasher::digest(bytes).into());
    let read = match bucket.verify(&key, upload.bytes, &md5, sha256).await {
        Ok(()) => bucket.verify_by_reading(&key, upload.bytes, sha256).await.err(),
        Err(error) => Some(error),
    };
    steps.push(CheckStep { step: "read", error: read });
    steps.push(CheckStep { step: "delete", error: bucket.delete(&key).await.err() });
    steps
}
