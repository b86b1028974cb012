//! A streamed answer on its way: upstream to client, pictures to the library. Goes on to its end whether the client is
//! still there or not.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::Instant;

use super::{
    RelayError,
    answer::{ANSWER_MAX, Keeper, Outcome, damaged},
    chat::{redacted, unreadable},
    intent::Intent,
    receive::STEP,
    waiting::Waiting,
};
use crate::{
    library::{Assembled, Intake},
    rewrite::{
        finder::Ending,
        present::without_image,
        scan::{BlobEvent, BlobStep, Nonce, ScanError, ScanLimits},
        sse::write_event,
        stream::{ChatStream, Event, Step},
    },
    upstream::{Answer, Class, Upstream, UpstreamError, ended_in_silence, refusal_in},
};

/// Silence after which what may be a draft is shown all the same.
const UNDECIDED: std::time::Duration = std::time::Duration::from_secs(15);

/// Events that wait behind a picture that may turn out to be a draft.
const HELD_MAX: usize = 64;

/// See the module.
pub struct Pump<'a> {
    machine: ChatStream,
    intake: Intake,
    nonce: Nonce,
    keeper: &'a mut Keeper,
    upstream: Arc<dyn Upstream>,
    waiting: &'a mut Waiting,
    /// Several choices: pictures are not each other's drafts.
    several: bool,
    /// A picture and what follows it, as long as the next one may show that it was a draft.
    held: Vec<Event>,
    /// How an answer ends that has said nothing: what is wrong with it may be told instead.
    ending: Vec<Event>,
    /// When the upstream last sent an event, or bytes of a picture.
    heard: Instant,
    /// Whether a picture of the answer came from elsewhere.
    fetched: bool,
    /// Events without pictures that go out next.
    ready: Vec<u8>,
    /// The upstream's stream has broken: images that are still open will never be whole.
    broken: bool,
}

impl<'a> Pump<'a> {
    /// For one answer; `model` is the name that the client knows.
    pub fn new(
        nonce: Nonce,
        model: Option<String>,
        several: bool,
        keeper: &'a mut Keeper,
        upstream: Arc<dyn Upstream>,
        waiting: &'a mut Waiting,
    ) -> Self {
        Self {
            machine: ChatStream::new(nonce, ScanLimits::default(), model, several),
            intake: Intake::new(keeper.library.files().clone()),
            nonce,
            keeper,
            upstream,
            waiting,
            several,
            held: Vec::new(),
            ending: Vec::new(),
            heard: Instant::now(),
            fetched: false,
            ready: Vec::new(),
            broken: false,
        }
    }

    /// Pumps until the upstream ends; why the answer is not what was asked for, if it is not.
    pub async fn run(mut self, answer: Answer) -> Option<UpstreamError> {
        let mut reader = Reader::new(answer);
        let failure = loop {
            let due = self.waiting.due();
            let chunk = match reader.next(due).await {
                Next::Silence => {
                    if self.heard.elapsed() >= UNDECIDED {
                        self.release().await;
                        self.flush().await;
                    }
                    self.waiting.speak().await;
                    continue;
                }
                Next::End(failure) => break failure,
                Next::Chunk(chunk) => chunk,
            };
            if let Err(error) = self.take(&chunk).await {
                break Some(unreadable(&error));
            }
        };
        self.broken = failure.is_some();
        let rest = self.machine.finish();
        self.perform(rest).await;
        self.release().await;
        let cut =
            || UpstreamError::ours(Class::Connection, "上游的回答在中途断开了", "the upstream's stream ended in the middle of an event");
        let failure = failure.or_else(|| self.machine.was_cut().then(cut));
        self.end(failure).await
    }

    async fn end(&mut self, failure: Option<UpstreamError>) -> Option<UpstreamError> {
        let (lost, kept) = (self.keeper.lost(), self.keeper.received());
        let failure =
            failure.or_else(|| self.refusal()).or_else(|| (lost > 0).then(|| damaged(lost, lost + kept))).or_else(|| self.silence());
        if failure.is_none() {
            for event in std::mem::take(&mut self.ending) {
                self.write(event).await;
            }
        }
        self.flush().await;
        match &failure {
            Some(error) => {
                tracing::warn!(event = "stream_broken", %error, saved = kept, "the upstream's stream was not whole");
                self.waiting.fail(&RelayError::Upstream(error.clone())).await;
            }
            None => self.waiting.out().send(write_event(&[], b"[DONE]").into()).await,
        }
        failure
    }

    /// What the upstream said of a failure in the middle of its stream.
    fn refusal(&self) -> Option<UpstreamError> {
        let told = serde_json::from_slice(self.machine.refusal()?).ok()?;
        refusal_in(&told).map(|error| redacted(error, &*self.upstream))
    }

    /// An answer without a word or a picture is none: for a drawing always, for a conversation if it was withheld.
    fn silence(&self) -> Option<UpstreamError> {
        if self.machine.says() || self.several {
            return None;
        }
        let error = ended_in_silence(&self.machine.reasons());
        (self.waiting.manner().intent != Intent::Chat || error.class != Class::NoImage).then_some(error)
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
            self.heard = Instant::now();
            match step {
                Step::Blob(event) => self.receive(event).await,
                Step::Fetch { index, url } => {
                    self.flush().await;
                    self.fetched = true;
                    let (keeper, upstream) = (&mut *self.keeper, &*self.upstream);
                    self.waiting.during(keeper.fetch(index, url, upstream)).await;
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

    /// An event with nothing but a picture waits for the next one: relays send drafts before the result.
    async fn event(&mut self, event: Event) {
        if !event.images.is_empty() && !self.several {
            for draft in self.keeper.drafts() {
                for held in &mut self.held {
                    if held.images.contains(&draft) {
                        held.bytes = without_image(&held.bytes, &self.nonce.reference(draft));
                        held.images.retain(|index| *index != draft);
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

    async fn send(&mut self, event: Event) {
        let is_end = event.finishes && event.images.is_empty() && !event.speaks;
        let may_fail = !self.machine.says() || self.keeper.lost() > 0;
        if is_end && !self.several && may_fail || !self.ending.is_empty() {
            self.ending.push(event);
            return;
        }
        self.write(event).await;
    }

    async fn write(&mut self, mut event: Event) {
        let is_there = |index: &usize| !matches!(self.keeper.outcomes.get(index), None | Some(Outcome::Lost));
        let before = if event.images.iter().any(is_there) && !event.finishes {
            self.waiting.before_picture()
        } else if event.finishes {
            self.waiting.at_end()
        } else if event.speaks {
            self.waiting.before_text()
        } else {
            self.waiting.touch();
            Bytes::new()
        };
        self.ready.extend_from_slice(&before);
        self.upstream.redact(&mut event.bytes);
        if self.intake.references().is_empty() && !self.fetched {
            // Text alone: what came together goes together.
            self.ready.extend_from_slice(&event.bytes);
            return;
        }
        self.flush().await;
        let body = Assembled::new(self.keeper.linked(&event.bytes, self.nonce, &self.intake));
        self.waiting.out().send_all(body).await;
    }

    async fn flush(&mut self) {
        let ready = std::mem::take(&mut self.ready);
        self.waiting.out().send(ready.into()).await;
    }
}

/// What comes next from an upstream.
pub enum Next {
    /// Bytes of its answer.
    Chunk(Bytes),
    /// Nothing until then.
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

    /// Waits for what comes next, at most until `due`.
    pub async fn next(&mut self, due: Instant) -> Next {
        match tokio::time::timeout_at(due, self.answer.body.next()).await {
            Err(_silence) => Next::Silence,
            Ok(None) => Next::End(None),
            Ok(Some(Err(error))) => Next::End(Some(error)),
            Ok(Some(Ok(chunk))) => {
                self.seen += chunk.len() as u64;
                if self.seen > ANSWER_MAX {
                    return Next::End(Some(UpstreamError::ours(
                        Class::BadAnswer,
                        "上游的回答没完没了",
                        "the upstream's answer has no end",
                    )));
                }
                Next::Chunk(chunk)
            }
        }
    }
}
