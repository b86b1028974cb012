//! An answer between the job that makes it and the clients that read it: written once, read by as many as asked for the
//! same thing, each at its own pace. Whoever comes late reads it from the beginning.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use http_body_util::BodyExt;
use tokio::sync::Notify;

use super::RelayError;
use crate::library::{Assembled, ReadBody};

/// Pieces that wait for a slow client before the upstream is slowed down.
const CLIENT_QUEUE: usize = 32;

/// How long a client may leave its answer unread before it counts as gone. The picture is saved all the same.
const STALLED: Duration = Duration::from_secs(60);

/// The same where other clients wait for the same answer.
const HINDERING: Duration = Duration::from_secs(2);

/// Most bytes of text that are kept for those who may come late. Pictures count as their links.
const REPLAY_MAX: usize = 4 * 1024 * 1024;

/// Small pieces are handed over together up to this many bytes.
const TOGETHER: usize = 16 * 1024;

/// What kind of answer it is, once that is known.
#[derive(Clone, Debug)]
pub enum Head {
    /// A stream of events.
    Events,
    /// Whole: JSON of a known length.
    Json(Assembled),
    /// JSON with white space before it, as it comes.
    LateJson,
    /// None, and why.
    Failed(Arc<RelayError>),
}

#[derive(Debug)]
enum Entry {
    Bytes(Bytes),
    Body(Assembled),
}

#[derive(Debug, Default)]
struct State {
    head: Option<Head>,
    entries: VecDeque<Entry>,
    /// Entries that are no longer kept.
    dropped: usize,
    /// Bytes of text in `entries`.
    bytes: usize,
    /// Whether everything is kept for those who come late.
    replays: bool,
    /// By number of the reader: the next entry that it takes; `None` when it has gone.
    readers: Vec<Option<usize>>,
    /// Nothing more is written.
    over: bool,
    /// A client has taken all of it.
    delivered: bool,
    /// It is no answer that anybody wants twice.
    failed: bool,
    first_byte: Option<Instant>,
}

impl State {
    fn end(&self) -> usize {
        self.dropped + self.entries.len()
    }

    fn slowest(&self) -> Option<usize> {
        self.readers.iter().flatten().copied().min()
    }

    /// Forgets what nobody will read.
    fn trim(&mut self) {
        if self.replays && self.bytes > REPLAY_MAX {
            self.replays = false;
        }
        if self.replays {
            return;
        }
        let needed = self.slowest().unwrap_or_else(|| self.end());
        while self.dropped < needed
            && let Some(entry) = self.entries.pop_front()
        {
            self.bytes -= entry.text_len();
            self.dropped += 1;
        }
    }
}

impl Entry {
    fn text_len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Body(body) => body.text_len(),
        }
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Something was written.
    written: Notify,
    /// A reader has moved on or gone.
    read: Notify,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The job's end; clones write to the same answer.
#[derive(Clone, Debug)]
pub struct Output(Arc<Shared>);

impl Output {
    /// An answer that nobody reads yet. `replays`: all of it is kept, so that others can join.
    pub fn new(replays: bool) -> Self {
        let state = Mutex::new(State { replays, ..State::default() });
        Self(Arc::new(Shared { state, written: Notify::new(), read: Notify::new() }))
    }

    /// A reader from the beginning; `None` if the beginning is no longer there.
    pub fn reader(&self) -> Option<Reading> {
        let mut state = self.0.state();
        if state.dropped > 0 {
            return None;
        }
        state.readers.push(Some(0));
        let number = state.readers.len() - 1;
        drop(state);
        Some(Reading { shared: self.0.clone(), number, current: None })
    }

    /// Decides what kind of answer it is; the first decision holds.
    pub fn decide(&self, head: Head) {
        let mut state = self.0.state();
        if matches!(head, Head::Json(_)) {
            state.first_byte.get_or_insert_with(Instant::now);
        }
        state.head.get_or_insert(head);
        drop(state);
        self.0.written.notify_waiters();
    }

    /// Whether the answer has begun.
    pub fn is_decided(&self) -> bool {
        self.0.state().head.is_some()
    }

    /// Whether it is whole JSON.
    pub fn is_json(&self) -> bool {
        matches!(self.0.state().head, Some(Head::Json(_)))
    }

    /// Nothing more comes.
    pub fn end(&self) {
        self.0.state().over = true;
        self.0.written.notify_waiters();
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.0.state().over
    }

    /// It tells of a failure: whoever asks again wants another try.
    pub fn fail(&self) {
        self.0.state().failed = true;
    }

    /// Whether it tells of a failure.
    pub fn has_failed(&self) -> bool {
        let state = self.0.state();
        state.failed || matches!(state.head, Some(Head::Failed(_)))
    }

    /// Whether some client has taken all of it.
    pub fn is_delivered(&self) -> bool {
        self.0.state().delivered
    }

    /// When the first byte was there to be taken.
    pub fn first_byte(&self) -> Option<Instant> {
        self.0.state().first_byte
    }

    /// Bytes of text that it holds in memory.
    pub fn weight(&self) -> usize {
        let state = self.0.state();
        let whole = if let Some(Head::Json(body)) = &state.head { body.text_len() } else { 0 };
        state.bytes + whole
    }

    /// Whether nobody reads it.
    pub fn is_alone(&self) -> bool {
        self.0.state().readers.iter().all(Option::is_none)
    }

    /// Writes bytes as they are.
    pub async fn send(&self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.push(Entry::Bytes(bytes)).await;
        }
    }

    /// Writes a body that is read when it is sent.
    pub async fn send_all(&self, body: Assembled) {
        if !body.is_empty() {
            match body.into_text() {
                Ok(text) => self.push(Entry::Bytes(text.into())).await,
                Err(body) => self.push(Entry::Body(body)).await,
            }
        }
    }

    async fn push(&self, entry: Entry) {
        {
            let mut state = self.0.state();
            state.bytes += entry.text_len();
            state.entries.push_back(entry);
            state.first_byte.get_or_insert_with(Instant::now);
            state.trim();
        }
        self.0.written.notify_waiters();
        self.wait_for_room().await;
    }

    /// Waits while the slowest reader is far behind what is no longer kept for all; one that takes nothing for long is given
    /// up, and sooner if others wait because of it.
    async fn wait_for_room(&self) {
        let (mut waited_since, mut was) = (Instant::now(), None);
        loop {
            let moved = self.0.read.notified();
            let (behind, others) = {
                let state = self.0.state();
                let far = state.slowest().filter(|at| !state.replays && state.end() - at > CLIENT_QUEUE);
                (far, state.readers.iter().flatten().count() > 1)
            };
            let Some(behind) = behind else { return };
            if was != Some(behind) {
                (waited_since, was) = (Instant::now(), Some(behind));
            }
            let left = if others { HINDERING } else { STALLED }.saturating_sub(waited_since.elapsed());
            if tokio::time::timeout(left, moved).await.is_ok() {
                continue;
            }
            let mut state = self.0.state();
            for reader in &mut state.readers {
                if *reader == Some(behind) {
                    *reader = None;
                }
            }
            state.trim();
            drop(state);
            tracing::debug!("a client takes nothing; the answer goes on without it");
            self.0.written.notify_waiters();
            return;
        }
    }
}

/// A client's end.
#[derive(Debug)]
pub struct Reading {
    shared: Arc<Shared>,
    number: usize,
    current: Option<Box<ReadBody>>,
}

enum Taken {
    Bytes(Bytes),
    Body(Box<ReadBody>),
    Over,
    Gone,
}

impl Reading {
    /// Waits until it is known what kind of answer it is.
    pub async fn head(&self) -> Head {
        loop {
            let written = self.shared.written.notified();
            {
                let state = self.shared.state();
                if let Some(head) = &state.head {
                    return head.clone();
                }
                if state.over {
                    return Head::Failed(Arc::new(RelayError::Panicked));
                }
            }
            written.await;
        }
    }

    /// The whole answer has been taken by the client.
    pub fn delivered(&self) {
        self.shared.state().delivered = true;
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// When a picture cannot be read back from disk, or when this reader was given up.
    pub async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if let Some(body) = &mut self.current {
                match body.frame().await.map(|frame| frame.map(http_body::Frame::into_data)) {
                    Some(Ok(Ok(bytes))) => return Some(Ok(bytes)),
                    Some(Ok(Err(_))) => continue,
                    Some(Err(error)) => {
                        tracing::error!(%error, "an answer could not be read back from disk");
                        return Some(Err(error));
                    }
                    None => self.current = None,
                }
            }
            let written = self.shared.written.notified();
            match self.take() {
                Some(Taken::Bytes(bytes)) => return Some(Ok(bytes)),
                Some(Taken::Body(body)) => self.current = Some(body),
                Some(Taken::Over) => return None,
                Some(Taken::Gone) => return Some(Err(io::Error::other("the client took nothing for too long"))),
                None => written.await,
            }
        }
    }

    /// What is there; `None` if it is to be waited for.
    fn take(&self) -> Option<Taken> {
        let mut state = self.shared.state();
        let Some(at) = state.readers[self.number] else { return Some(Taken::Gone) };
        let first = at - state.dropped;
        let taken = match state.entries.get(first) {
            None if state.over => {
                state.delivered = true;
                return Some(Taken::Over);
            }
            None => return None,
            Some(Entry::Body(body)) => (Taken::Body(Box::new(body.body())), 1),
            Some(Entry::Bytes(_)) => together(state.entries.range(first..)),
        };
        state.readers[self.number] = Some(at + taken.1);
        state.trim();
        drop(state);
        self.shared.read.notify_waiters();
        Some(taken.0)
    }

    /// The same as a stream.
    pub fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        stream::unfold(Some(self), |reading| async move {
            let mut reading = reading?;
            match reading.next().await? {
                Ok(bytes) => Some((Ok(bytes), Some(reading))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}

/// Small pieces in a row as one, and how many they were.
fn together<'a>(entries: impl Iterator<Item = &'a Entry>) -> (Taken, usize) {
    let (mut first, mut joined, mut count): (Option<&Bytes>, BytesMut, usize) = (None, BytesMut::new(), 0);
    for entry in entries {
        let Entry::Bytes(bytes) = entry else { break };
        match first {
            None => first = Some(bytes),
            Some(_) if first.map_or(0, Bytes::len).max(joined.len()) + bytes.len() > TOGETHER => break,
            Some(one) => {
                if joined.is_empty() {
                    joined.extend_from_slice(one);
                }
                joined.extend_from_slice(bytes);
            }
        }
        count += 1;
    }
    let bytes = if joined.is_empty() { first.cloned().unwrap_or_default() } else { joined.freeze() };
    (Taken::Bytes(bytes), count)
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.readers[self.number] = None;
        state.trim();
        drop(state);
        self.shared.read.notify_waiters();
    }
}
