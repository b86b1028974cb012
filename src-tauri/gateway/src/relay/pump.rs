//! A streamed answer on its way: upstream to client, pictures to the library. Goes on to its end whether the client is
//! still there or not.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::{
    CLIENT_QUEUE,
    answer::{ANSWER_MAX, Keeper, damaged},
    receive::STEP,
};
use crate::{
    library::{Assembled, Intake},
    rewrite::{
        finder::Ending,
        present::without_image,
        scan::{BlobEvent, BlobStep, Nonce, ScanError},
        sse::write_event,
        stream::{ChatStream, Event, Step},
    },
    upstream::{Answer, Class, Upstream, UpstreamError},
};

/// Silence in a stream after which a comment tells proxies and clients that it is alive.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a client may leave its answer unread before it counts as gone. The picture is saved all the same.
const STALLED: Duration = Duration::from_secs(60);

/// Events that wait behind a picture that may turn out to be a draft.
const HELD_MAX: usize = 64;

/// What is said then.
pub const KEEP_ALIVE_COMMENT: &[u8] = b": keep-alive\n\n";

/// See the module.
pub struct Pump {
    machine: ChatStream,
    intake: Intake,
    nonce: Nonce,
    keeper: Keeper,
    upstream: Arc<dyn Upstream>,
    client: ToClient,
    /// Several choices: pictures are not each other's drafts.
    several: bool,
    /// A picture and what follows it, as long as the next one may show that it was a draft.
    held: Vec<Event>,
    /// Whether a picture of the answer came from elsewhere.
    fetched: bool,
    /// Events without pictures that go out next.
    ready: Vec<u8>,
    /// The upstream's stream has broken: images that are still open will never be whole.
    broken: bool,
}

impl Pump {
    /// For one answer.
    pub fn new(
        machine: ChatStream,
        intake: Intake,
        nonce: Nonce,
        keeper: Keeper,
        upstream: Arc<dyn Upstream>,
        client: ToClient,
        several: bool,
    ) -> Self {
        Self {
            machine,
            intake,
            nonce,
            keeper,
            upstream,
            client,
            several,
            held: Vec::new(),
            fetched: false,
            ready: Vec::new(),
            broken: false,
        }
    }

    /// Pumps until the upstream ends.
    pub async fn run(mut self, answer: Answer) {
        let mut reader = Reader::new(answer);
        let failure = loop {
            let chunk = match reader.next().await {
                Next::Silence => {
                    self.release().await;
                    self.flush().await;
                    self.client.send(Bytes::from_static(KEEP_ALIVE_COMMENT)).await;
                    continue;
                }
                Next::End(failure) => break failure,
                Next::Chunk(chunk) => chunk,
            };
            if let Err(error) = self.take(&chunk).await {
                break Some(UpstreamError::new(Class::BadAnswer, format!("the upstream's answer cannot be read: {error}")));
            }
        };
        self.broken = failure.is_some();
        let rest = self.machine.finish();
        self.perform(rest).await;
        self.release().await;
        self.flush().await;
        let cut = || UpstreamError::new(Class::Connection, "the upstream's stream ended in the middle of an event");
        let failure = failure.or_else(|| self.machine.was_cut().then(cut));
        self.end(failure).await;
    }

    async fn end(&mut self, failure: Option<UpstreamError>) {
        let (lost, kept) = (self.keeper.lost(), self.keeper.received());
        let failure = failure.or_else(|| (lost > 0).then(|| damaged(lost, lost + kept)));
        match failure {
            Some(error) => {
                tracing::warn!(%error, saved = kept, "the upstream's stream was not whole");
                let event = serde_json::json!({"error": {"message": error.message, "type": "upstream_error", "code": error.class.code(), "param": null}});
                self.client.send(write_event(&[], event.to_string().as_bytes()).into()).await;
            }
            None => self.client.send(write_event(&[], b"[DONE]").into()).await,
        }
        let ms = self.keeper.started.elapsed().as_millis() as u64;
        tracing::info!(images = kept, ms, client_gone = self.client.gone, "chat answered");
    }

    async fn take(&mut self, chunk: &[u8]) -> Result<(), ScanError> {
        for step in chunk.chunks(STEP) {
            let steps = self.machine.feed(step)?;
            self.perform(steps).await;
        }
        self.flush().await;
        Ok(())
    }

    async fn perform(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Blob(event) => self.receive(event).await,
                Step::Fetch { index, url } => {
                    self.flush().await;
                    self.fetch(index, url).await;
                }
                Step::Send(event) => self.event(event).await,
                // Said once, at the very end.
                Step::Done => {}
            }
        }
    }

    async fn receive(&mut self, mut event: BlobEvent) {
        if self.broken
            && let BlobStep::Close(ending) = &mut event.what
        {
            *ending = Ending::Torn;
        }
        if matches!(event.what, BlobStep::Open(_)) {
            self.flush().await;
        }
        if let Some(index) = self.intake.take(event).await {
            self.keeper.keep(index, &self.intake, None).await;
        }
    }

    async fn fetch(&mut self, index: usize, url: String) {
        self.fetched = true;
        let (keeper, upstream) = (&mut self.keeper, &*self.upstream);
        let fetch = keeper.fetch(index, url, upstream);
        tokio::pin!(fetch);
        while tokio::time::timeout(KEEP_ALIVE, &mut fetch).await.is_err() {
            self.client.send(Bytes::from_static(KEEP_ALIVE_COMMENT)).await;
        }
    }

    /// An event with nothing but a picture waits for the next one: relays send drafts before the result.
    async fn event(&mut self, event: Event) {
        if !event.images.is_empty() && !self.several {
            for draft in self.keeper.drafts() {
                for held in &mut self.held {
                    if held.images.contains(&draft) {
                        held.bytes = without_image(&held.bytes, &self.nonce.reference(draft));
                    }
                }
            }
        }
        let shows_only = !event.images.is_empty() && !event.settles && !self.several;
        if shows_only || !self.held.is_empty() && !event.settles && self.held.len() < HELD_MAX {
            self.held.push(event);
            return;
        }
        self.release().await;
        self.send(event).await;
    }

    async fn release(&mut self) {
        for event in std::mem::take(&mut self.held) {
            self.send(event).await;
        }
    }

    async fn send(&mut self, mut event: Event) {
        self.upstream.redact(&mut event.bytes);
        if self.intake.references().is_empty() && !self.fetched {
            // Text alone: what came together goes together.
            self.ready.extend_from_slice(&event.bytes);
            return;
        }
        self.flush().await;
        let body = Assembled::new(self.keeper.linked(&event.bytes, self.nonce, &self.intake));
        self.client.send_all(&body).await;
    }
}

impl Pump {
    async fn flush(&mut self) {
        let ready = std::mem::take(&mut self.ready);
        self.client.send(ready.into()).await;
    }
}

/// What comes next from an upstream.
pub enum Next {
    /// Bytes of its answer.
    Chunk(Bytes),
    /// Nothing for [`KEEP_ALIVE`].
    Silence,
    /// No more, and why if it is not the end.
    End(Option<UpstreamError>),
}

/// Reads an upstream's answer up to [`ANSWER_MAX`].
pub struct Reader {
    answer: Answer,
    seen: u64,
}

impl Reader {
    /// At the beginning of `answer`.
    pub fn new(answer: Answer) -> Self {
        Self { answer, seen: 0 }
    }

    /// Waits for what comes next.
    pub async fn next(&mut self) -> Next {
        match tokio::time::timeout(KEEP_ALIVE, self.answer.body.next()).await {
            Err(_silence) => Next::Silence,
            Ok(None) => Next::End(None),
            Ok(Some(Err(error))) => Next::End(Some(error)),
            Ok(Some(Ok(chunk))) => {
                self.seen += chunk.len() as u64;
                if self.seen > ANSWER_MAX {
                    return Next::End(Some(UpstreamError::new(Class::BadAnswer, "the upstream's answer has no end")));
                }
                Next::Chunk(chunk)
            }
        }
    }
}

/// The client's end of a stream. Once it is gone, everything goes on without it.
pub struct ToClient {
    sender: Sender<Bytes>,
    gone: bool,
}

impl ToClient {
    /// An end, and the other one.
    pub fn new() -> (Self, Receiver<Bytes>) {
        let (sender, receiver) = mpsc::channel(CLIENT_QUEUE);
        (Self { sender, gone: false }, receiver)
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: Bytes) {
        if !self.gone && !bytes.is_empty() {
            self.gone = self.sender.send_timeout(bytes, STALLED).await.is_err();
        }
    }

    /// Sends a body piece by piece.
    pub async fn send_all(&mut self, body: &Assembled) {
        let mut reading = body.body();
        while !self.gone
            && let Some(frame) = http_body_util::BodyExt::frame(&mut reading).await
        {
            match frame.map(http_body::Frame::into_data) {
                Ok(Ok(bytes)) => self.send(bytes).await,
                Ok(Err(_)) => {}
                Err(error) => {
                    tracing::error!(%error, "an answer could not be read back from disk");
                    return;
                }
            }
        }
    }
}
