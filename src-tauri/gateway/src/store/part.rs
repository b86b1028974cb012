//! Bytes on their way to disk: written and hashed by a thread of their own while more are received.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    sync::Arc,
};

use bytes::Bytes;
use sha2::{Digest, Sha256 as Hasher};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, watch},
    task::JoinHandle,
};

use super::files::{Blob, Files};
use crate::model::{Completeness, MediaType, Sha256};

/// Chunks that wait for the disk; beyond it the sender waits, and so the network.
const QUEUE: usize = 2;

/// Bytes that are gathered before the thread is woken.
const GATHER: usize = 32 * 1024;

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
    /// Leave to be in memory, for as long as it is.
    _rescue: Option<Arc<OwnedSemaphorePermit>>,
}

/// Text that has been set aside, to be replayed as it was written.
#[derive(Clone, Debug)]
pub struct Verbatim(pub Blob);

/// How far a file has come, for who reads it meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Where it is read from.
    pub blob: Option<Blob>,
    /// Bytes that can be read.
    pub bytes: u64,
}

/// A file that is being received.
#[derive(Debug)]
pub struct Part {
    sender: mpsc::Sender<Vec<u8>>,
    /// Bytes that are too few to wake the thread for.
    gathered: Vec<u8>,
    task: JoinHandle<Result<Written, PartError>>,
}

#[derive(Debug)]
struct Written {
    blob: Blob,
    sha256: Sha256,
    completeness: Completeness,
    rescue: Option<Arc<OwnedSemaphorePermit>>,
}

impl Part {
    /// Starts a temporary file.
    pub fn open(files: &Files) -> Self {
        Self::watched(files, None)
    }

    /// Starts a temporary file that others read while it comes.
    pub fn watched(files: &Files, seen: Option<watch::Sender<Seen>>) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let files = files.clone();
        Self { sender, gathered: Vec::new(), task: tokio::task::spawn_blocking(move || write(&files, receiver, seen.as_ref())) }
    }

    /// Hands over the next bytes; waits while the disk is behind. Errors show at the end.
    pub async fn write(&mut self, bytes: Vec<u8>) {
        if self.gathered.is_empty() && bytes.len() >= GATHER {
            self.send(bytes).await;
            return;
        }
        self.gathered.extend_from_slice(&bytes);
        if self.gathered.len() >= GATHER {
            let gathered = std::mem::take(&mut self.gathered);
            self.send(gathered).await;
        }
    }

    async fn send(&self, bytes: Vec<u8>) {
        // A closed channel means that the thread has failed, which `finish` reports.
        let _ = self.sender.send(bytes).await;
    }

    async fn written(mut self) -> Result<Written, PartError> {
        let rest = std::mem::take(&mut self.gathered);
        if !rest.is_empty() {
            self.send(rest).await;
        }
        drop(self.sender);
        self.task.await.map_err(|e| PartError::Io(io::Error::other(e)))?
    }

    /// Ends an image.
    ///
    /// # Errors
    /// [`PartError`]; the file is gone then.
    pub async fn finish(self) -> Result<Received, PartError> {
        let Written { blob, sha256, completeness, rescue } = self.written().await?;
        let media_type = MediaType::sniff(completeness.head()).ok_or(PartError::NotAnImage)?;
        Ok(Received { blob, sha256, media_type, complete: completeness.looks_complete(), _rescue: rescue })
    }

    /// Ends a run of text.
    ///
    /// # Errors
    /// [`PartError`]; the file is gone then.
    pub async fn finish_verbatim(self) -> Result<Verbatim, PartError> {
        self.written().await.map(|written| Verbatim(written.blob))
    }
}

fn write(files: &Files, mut chunks: mpsc::Receiver<Vec<u8>>, seen: Option<&watch::Sender<Seen>>) -> Result<Written, PartError> {
    let mut place = Writing::begin(files)?;
    let (mut hasher, mut completeness) = (Hasher::new(), Completeness::new());
    while let Some(chunk) = chunks.blocking_recv() {
        if completeness.len() + chunk.len() as u64 > IMAGE_MAX {
            return Err(PartError::TooLarge);
        }
        place.append(files, &chunk, completeness.len())?;
        hasher.update(&chunk);
        completeness.feed(&chunk);
        if let (Some(seen), Some((_, blob))) = (seen, &place.file) {
            seen.send_replace(Seen { blob: Some(blob.clone()), bytes: completeness.len() });
        }
    }
    let rescue = place.rescue.take().map(Arc::new);
    Ok(Written { blob: place.into_blob(completeness.len()), sha256: Sha256(hasher.finalize().into()), completeness, rescue })
}

/// Where the bytes go: a temporary file, or memory once the disk has failed. They were paid for.
struct Writing {
    file: Option<(File, Blob)>,
    memory: Vec<u8>,
    rescue: Option<OwnedSemaphorePermit>,
}

impl Writing {
    fn begin(files: &Files) -> Result<Self, PartError> {
        let path = files.temporary_path();
        let mut place = Self { file: None, memory: Vec::new(), rescue: None };
        match File::options().read(true).write(true).create_new(true).open(&path) {
            // From here on the file goes with this value, also on the way out of an error.
            Ok(file) => place.file = Some((file, Blob::temporary(path, 0))),
            Err(error) => place.flee(files, 0, error)?,
        }
        Ok(place)
    }

    fn append(&mut self, files: &Files, chunk: &[u8], before: u64) -> Result<(), PartError> {
        if let Some((file, _)) = &mut self.file {
            match file.write_all(chunk) {
                Ok(()) => return Ok(()),
                Err(error) => self.flee(files, before, error)?,
            }
        }
        self.memory.extend_from_slice(chunk);
        Ok(())
    }

    /// The disk has failed: what is on it so far is read back, and the file makes room.
    fn flee(&mut self, files: &Files, written: u64, error: io::Error) -> Result<(), PartError> {
        let Some(rescue) = files.rescue() else { return Err(error.into()) };
        tracing::error!(%error, "the disk takes no more; a picture is kept in memory until it is handed over");
        self.rescue = Some(rescue);
        if let Some((mut file, _gone_with_this)) = self.file.take() {
            self.memory.resize(written as usize, 0);
            file.seek(SeekFrom::Start(0))?;
            file.read_exact(&mut self.memory)?;
        }
        Ok(())
    }

    fn into_blob(self, len: u64) -> Blob {
        match self.file {
            Some((_, blob)) => blob.with_len(len),
            None => Blob::memory(Bytes::from(self.memory)),
        }
    }
}
