//! Whether an object holds the bytes that it should.

use super::{
    super::error::{BucketError, Fault},
    Bucket,
};
use crate::model::Sha256;

impl Bucket {
    /// Whether an object, whose bytes should be these, is whole there: its length, and a digest that the server computed.
    /// What we sent along as metadata proves nothing.
    ///
    /// # Errors
    /// [`BucketError`]; [`Fault::WrongBytes`] if it is another one, [`Fault::NoObject`] if there is none.
    pub async fn verify(&self, key: &str, bytes: u64, md5: &[u8; 16], sha256: Sha256) -> Result<(), BucketError> {
        let found = self.head(key).await?;
        if found.bytes != bytes {
            return Err(BucketError::new(Fault::WrongBytes, format!("the object has {} bytes instead of {bytes}", found.bytes)));
        }
        let expected: String = md5.iter().map(|byte| format!("{byte:02x}")).collect();
        if found.etag == expected {
            return Ok(());
        }
        // Some servers answer with something else than an MD5 (encrypted buckets): then the bytes themselves tell.
        self.verify_by_reading(key, bytes, sha256).await
    }

    /// The same by fetching it.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub async fn verify_by_reading(&self, key: &str, bytes: u64, sha256: Sha256) -> Result<(), BucketError> {
        use sha2::{Digest, Sha256 as Hasher};
        let mut download = self.get(key).await?;
        let (mut hasher, mut length) = (Hasher::new(), 0u64);
        while let Some(chunk) = download.next().await? {
            length += chunk.len() as u64;
            if length > bytes {
                break;
            }
            hasher.update(&chunk);
        }
        let same = length == bytes && Sha256(hasher.finalize().into()) == sha256;
        if same { Ok(()) } else { Err(BucketError::new(Fault::WrongBytes, "the object holds other bytes")) }
    }
}
