//! An image on its way back from the bucket, as those see it who wait for it: how far it is, and its bytes as they come.

use std::{
    io::{self, Read, Seek, SeekFrom},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::watch;

use super::restore::RestoreError;
use crate::{cloud::Fault, model::ImageRecord, store::Seen};

/// Bytes at the end that are handed on only when all of them are known to be right.
const HELD_BACK: u64 = 16 * 1024;

/// Bytes that are read back at once.
const READ: u64 = 128 * 1024;

/// How an image is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nobody has answered yet.
    Asked,
    /// The bytes have begun to come.
    Coming,
    /// All of it is here and right.
    Done,
    /// It is not.
    Failed(Fault),
}

/// An image on its way back.
pub(super) struct Restoring {
    pub(super) progress: watch::Receiver<Progress>,
    /// What it is, as soon as that is known.
    pub(super) record: watch::Receiver<Option<ImageRecord>>,
    /// How much of it can be read, and where.
    pub(super) seen: watch::Receiver<Seen>,
}

/// Reads an image that is on its way.
#[derive(Clone)]
pub struct Coming(pub(super) Arc<Restoring>);

impl Restoring {
    /// Waits until bytes come.
    pub(super) async fn begun(&self) -> Result<(), RestoreError> {
        self.until(|progress| !matches!(progress, Progress::Asked)).await
    }

    pub(super) async fn finished(&self) -> Result<(), RestoreError> {
        self.until(|progress| matches!(progress, Progress::Done | Progress::Failed(_))).await
    }

    pub(super) async fn until(&self, enough: impl FnMut(&Progress) -> bool) -> Result<(), RestoreError> {
        let mut progress = self.progress.clone();
        let reached = progress.wait_for(enough).await.map(|p| p.clone()).unwrap_or(Progress::Failed(Fault::Other));
        match reached {
            Progress::Failed(Fault::NoObject) => Err(RestoreError::Gone),
            Progress::Failed(fault) => Err(RestoreError::Away(fault)),
            _ => Ok(()),
        }
    }

    /// What it is: known from the start, by what the object says, or once all of it is here.
    pub(super) async fn known(&self) -> Result<ImageRecord, RestoreError> {
        if let Some(record) = self.record.borrow().clone() {
            return Ok(record);
        }
        self.finished().await?;
        self.record.borrow().clone().ok_or(RestoreError::Gone)
    }
}

impl Coming {
    /// The bytes `range`, as they come.
    pub fn slice(&self, range: std::ops::Range<u64>, total: u64) -> ComingBody {
        ComingBody { coming: self.clone(), at: range.start, end: range.end, total, step: Step::Idle(None) }
    }

    /// Waits for bytes at `at` and reads some.
    async fn next(
        self,
        file: Option<crate::store::BlobReader>,
        at: u64,
        end: u64,
        total: u64,
    ) -> io::Result<(crate::store::BlobReader, Bytes)> {
        let (mut progress, mut seen) = (self.0.progress.clone(), self.0.seen.clone());
        let last = total.saturating_sub(HELD_BACK);
        let free = loop {
            let ended = match &*progress.borrow_and_update() {
                Progress::Failed(fault) => return Err(io::Error::other(format!("the image does not come back: {}", fault.code()))),
                progress => *progress == Progress::Done,
            };
            let here = seen.borrow_and_update().bytes;
            let free = if ended { total } else { here.min(last) };
            if free > at {
                break free;
            }
            // Either one tells of every step; a closed one has told its last.
            tokio::select! {
                changed = progress.changed() => changed.map_err(io::Error::other)?,
                Ok(()) = seen.changed() => {}
            }
        };
        let until = free.min(end).min(at + READ);
        let blob = seen.borrow().blob.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; (until - at) as usize];
            let mut fill = |file: &mut crate::store::BlobReader| {
                file.seek(SeekFrom::Start(at))?;
                file.read_exact(&mut bytes)
            };
            // The file that was open ends early if the disk filled up: the bytes went on in memory.
            let file = match file.map(|mut file| fill(&mut file).map(|()| file)) {
                Some(Ok(file)) => file,
                _ => {
                    let mut file = blob.ok_or_else(|| io::Error::other("the image is not on disk"))?.open()?;
                    fill(&mut file)?;
                    file
                }
            };
            Ok((file, Bytes::from(bytes)))
        });
        read.await.map_err(io::Error::other)?
    }
}

type Reading = Pin<Box<dyn Future<Output = io::Result<(crate::store::BlobReader, Bytes)>> + Send>>;

enum Step {
    Idle(Option<crate::store::BlobReader>),
    Reading(Reading),
}

/// The body of an answer whose image is on its way. It ends with an error, and so short, if the image turns out wrong.
pub struct ComingBody {
    coming: Coming,
    at: u64,
    end: u64,
    total: u64,
    step: Step,
}

impl Body for ComingBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if this.at >= this.end {
            return Poll::Ready(None);
        }
        if let Step::Idle(file) = &mut this.step {
            let next = this.coming.clone().next(file.take(), this.at, this.end, this.total);
            this.step = Step::Reading(Box::pin(next));
        }
        let Step::Reading(reading) = &mut this.step else { return Poll::Ready(None) };
        let (file, bytes) = std::task::ready!(reading.as_mut().poll(cx))?;
        this.at += bytes.len() as u64;
        this.step = Step::Idle(Some(file));
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.at)
    }
}
