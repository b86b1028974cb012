//! Bytes on their way to disk: written and hashed by a thread of their own while more are received.

use std::{
    fs::File,
    io::{self, Write},
};

use sha2::{Digest, Sha256 as Hasher};
use tokio::{sync::mpsc, task::JoinHandle};

use super::files::{Blob, Files};
use crate::model::{Completeness, MediaType, Sha256};

/// Chunks that wait for the disk, each at most one network read; beyond it the sender waits, and so the network.
const QUEUE: usize = 4;

/// Largest single image, in bytes.
pub const IMAGE_MAX: u64 = 64 * 1024 * 1024;

/// Why bytes did not get to disk.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// Larger than [`IMAGE_MAX`].
    #[error("the image is larger than {} MB", IMAGE_MAX / 1024 / 1024)]
    TooLarge,
    /// More of them than one body may hold.
    #[error("the body holds too many pictures")]
    TooMany,
    /// The disk said no.
    #[error("the image cannot be written: {0}")]
    Io(#[from] io::Error),
    /// The bytes are no picture that is kept.
    #[error("the bytes are not an image of a supported type")]
    NotAnImage,
}

/// Bytes that have been received whole, in a temporary file.
#[derive(Clone, Debug)]
pub struct Received {
    /// Where they are.
    pub blob: Blob,
    /// Their digest.
    pub sha256: Sha256,
    /// Their type.
    pub media_type: MediaType,
    /// Whether the file ends as its format should.
    pub complete: bool,
}

/// Text that has been set aside, to be replayed as it was written.
#[derive(Clone, Debug)]
pub struct Verbatim(pub Blob);

/// A file that is being received.
#[derive(Debug)]
pub struct Part {
    sender: mpsc::Sender<Vec<u8>>,
    task: JoinHandle<Result<Written, PartError>>,
}

#[derive(Debug)]
struct Written {
    blob: Blob,
    sha256: Sha256,
    completeness: Completeness,
}

impl Part {
    /// Starts a temporary file.
    pub fn open(files: &Files) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let files = files.clone();
        Self { sender, task: tokio::task::spawn_blocking(move || write(&files, receiver)) }
    }

    /// Hands over the next bytes; waits while the disk is behind. Errors show at the end.
    pub async fn write(&self, bytes: Vec<u8>) {
        // A closed channel means that the thread has failed, which `finish` reports.
        let _ = self.sender.send(bytes).await;
    }

    async fn written(self) -> Result<Written, PartError> {
        drop(self.sender);
        self.task.await.map_err(|e| PartError::Io(io::Error::other(e)))?
    }

    /// Ends an image.
    ///
    /// # Errors
    /// [`PartError`]; the file is gone then.
    pub async fn finish(self) -> Result<Received, PartError> {
        let Written { blob, sha256, completeness } = self.written().await?;
        let media_type = MediaType::sniff(completeness.head()).ok_or(PartError::NotAnImage)?;
        Ok(Received { blob, sha256, media_type, complete: completeness.looks_complete() })
    }

    /// Ends a run of text.
    ///
    /// # Errors
    /// [`PartError`]; the file is gone then.
    pub async fn finish_verbatim(self) -> Result<Verbatim, PartError> {
        self.written().await.map(|written| Verbatim(written.blob))
    }
}

fn write(files: &Files, mut chunks: mpsc::Receiver<Vec<u8>>) -> Result<Written, PartError> {
    let path = files.temporary_path();
    // From here on the file goes with this value, also on the way out of an error.
    let mut file = File::create_new(&path)?;
    let guard = Blob::temporary(path, 0);
    let (mut hasher, mut completeness) = (Hasher::new(), Completeness::new());
    while let Some(chunk) = chunks.blocking_recv() {
        if completeness.len() + chunk.len() as u64 > IMAGE_MAX {
            return Err(PartError::TooLarge);
        }
        file.write_all(&chunk)?;
        hasher.update(&chunk);
        completeness.feed(&chunk);
    }
    let blob = guard.with_len(completeness.len());
    Ok(Written { blob, sha256: Sha256(hasher.finalize().into()), completeness })
}
