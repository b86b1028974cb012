//! Chat completions: the conversation goes to the upstream with real image bytes, the answer comes back with links.

use bytes::Bytes;
use futures_util::Stream;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{
    Client, Relay, RelayError, Reply,
    answer::{ANSWER_MAX, Keeper},
    attempt::{Lacks, lacks_endpoint},
    conversation::{Pictures, Question},
    delivery::{Head, Output, Reading},
    images::REQUEST_MAX,
    intent::Intent,
    note::Note,
    pump::Pump,
    receive::{Scanned, Sender, nonce, scan},
    waiting::{Mode, Waiting},
};
use crate::{
    library::Assembled,
    model::Dialect,
    rewrite::{
        completion::{from_completion, to_completion},
        json::Document,
        response,
        scan::ScanLimits,
    },
    settings::Settings,
    upstream::{Answer, Class, Quirk, Upstream, UpstreamError, ended_in_silence, refusal_in},
};

impl Relay {
    /// Answers `POST /v1/chat/completions`.
    ///
    /// # Errors
    /// [`RelayError`], as long as nothing has been answered.
    pub async fn chat<E: Send>(&self, body: impl Stream<Item = Result<Bytes, E>> + Send, client: Client) -> Result<Reply, RelayError> {
        let began = Instant::now();
        let _reading = self.reading()?;
        let scanned = scan(body, self.library.files(), REQUEST_MAX, Sender::Client).await?;
        if let Some(task) = super::background::recognise(&scanned.document, client.task.as_deref()) {
            // Nobody reads the words: it is the client that asked.
            self.may_begin("")?;
            return self.background(task, scanned, client.request.as_deref(), began).await;
        }
        let settings = self.settings.snapshot();
        let upstream = self.upstream();
        let question = Question::read(scanned, &settings, &*upstream, began)?;
        self.may_begin(&question.read.prompt)?;
        if let Some(text) = question.notice(&settings, &*upstream) {
            return self.at_once(&question, &settings, client.request.as_deref(), &text);
        }
        let claim = question.claim(&client, &*upstream);
        let relay = self.clone();
        self.once("chat", claim, move |out, permit| relay.chat_job(question, settings, client, out, permit)).await
    }

    async fn chat_job(
        self,
        question: Question,
        settings: std::sync::Arc<Settings>,
        client: Client,
        out: Output,
        permit: OwnedSemaphorePermit,
    ) -> Result<(), RelayError> {
        let mut note = question.note(client.request.as_deref());
        let upstream = self.upstream();
        let _listed = self.now_running.add("chat", &question.read.prompt, question.model.as_deref());
        let pictures = self.pictures(&question, &settings, &mut note).await?;
        let mode = match (question.stream, settings.json_keep_alive) {
            (true, _) => Mode::Chat,
            (false, true) => Mode::LateJson,
            (false, false) => Mode::Silent,
        };
        let mut waiting = Waiting::new(mode, question.manner(&settings, &client, &pictures.shown), out.clone(), question.began);
        let mut keeper = Keeper::new(self.library.clone(), question.origin(&pictures, &*upstream), client.links.clone());
        let mut job = ChatJob { relay: &self, question: &question, pictures: &pictures, settings: &settings, upstream };
        let result = Box::pin(job.answer(&mut keeper, &mut waiting, &mut note)).await;
        let result = result.map_err(|error| waiting.told(error));
        let streamed = waiting.failure();
        let outcome = result.as_ref().map(|_| ()).and_then(|()| streamed.as_ref().map_or(Ok(()), Err));
        note.finish(&self.activity, Some(&out), keeper.ids(), outcome);
        let ms = question.began.elapsed().as_millis() as u64;
        tracing::info!(event = "answered", images = keeper.received(), ms, client_gone = out.is_alone(), "chat answered");
        drop(permit);
        match result {
            Err(error) if out.is_decided() => {
                waiting.fail(&error).await;
                Ok(())
            }
            other => other,
        }
    }
}

/// A question on its way to an answer.
pub(super) struct ChatJob<'a> {
    pub(super) relay: &'a Relay,
    pub(super) question: &'a Question,
    pub(super) pictures: &'a Pictures,
    pub(super) settings: &'a Settings,
    pub(super) upstream: std::sync::Arc<dyn Upstream>,
}

impl ChatJob<'_> {
    /// Asks the upstream in the dialect that it has, and writes the answer out.
    async fn answer(&mut self, keeper: &mut Keeper, waiting: &mut Waiting, note: &mut Note) -> Result<(), RelayError> {
        let upstream = self.upstream.clone();
        let fixed = upstream.dialect();
        let known = fixed.or_else(|| self.relay.learnt.of(&*upstream).dialect());
        if known == Some(Dialect::Images) {
            note.add("bridged", "images".into());
            let result = self.by_images(keeper, waiting, note).await;
            match &result {
                // What was learnt is no longer true.
                Err(error) if fixed.is_none() && lacks_endpoint(error) > Lacks::No => {
                    self.relay.learnt.forget(&*upstream, Quirk::ImagesOnly).await;
                }
                _ => return result,
            }
        }
        let make = |traits: &_| Ok(self.question.call(self.pictures, &*upstream, traits));
        let answer = waiting.during(Box::pin(self.relay.attempt(&upstream, note, &make))).await;
        let refusal = match answer {
            Ok(answer) => return self.by_chat(answer, keeper, waiting).await,
            Err(refusal) => refusal,
        };
        let lacks = lacks_endpoint(&refusal);
        // A question that is no drawing is not drawn because a server in between stumbled.
        let may_draw = lacks == Lacks::Surely || lacks == Lacks::Perhaps && self.question.intent != Intent::Chat;
        if known.is_some() || !may_draw {
            return Err(refusal);
        }
        note.add("bridged", "images".into());
        match self.by_images(keeper, waiting, note).await {
            Ok(()) if lacks == Lacks::Surely => {
                self.relay.learnt.learn(&*upstream, Quirk::ImagesOnly).await;
                Ok(())
            }
            Ok(()) => {
                self.relay.learnt.suspect(&*upstream, Quirk::ImagesOnly);
                Ok(())
            }
            // It has neither: most likely its base URL is wrong.
            Err(error) if lacks_endpoint(&error) > Lacks::No || matches!(error, RelayError::BadRequest { .. }) => Err(refusal),
            Err(error) => Err(error),
        }
    }

    async fn by_chat(&self, answer: Answer, keeper: &mut Keeper, waiting: &mut Waiting) -> Result<(), RelayError> {
        let (question, upstream) = (self.question, self.upstream.clone());
        let model = Some(question.model_name(self.settings));
        if answer.is_stream && question.stream {
            waiting.out().decide(Head::Events);
            let nonce = nonce().ok_or(RelayError::Panicked)?;
            // A failure has been told to the client already.
            Box::pin(Pump::new(nonce, model, question.several, keeper, upstream, waiting).run(answer)).await;
            return Ok(());
        }
        let whole = self.relay.whole_chat(answer, keeper, &upstream, model, question.several);
        let whole = waiting.during(Box::pin(whole)).await?;
        if keeper.received() == 0
            && let Some(error) = whole.silence
            && (question.intent != Intent::Chat || error.class != Class::NoImage)
        {
            return Err(redacted(error, &*upstream).into());
        }
        let written = |text: &[u8]| match &whole.scanned {
            Some(scanned) => Assembled::new(keeper.linked(text, scanned.nonce, &scanned.intake)),
            None => Assembled::text(text),
        };
        if !question.stream {
            let text = match &whole.scanned {
                Some(scanned) if self.settings.content_array => {
                    response::with_parts(&Document::parse(whole.text, ScanLimits::default().depth)?, scanned.nonce)
                }
                _ => whole.text,
            };
            return waiting.json(written(&text)).await;
        }
        let events = from_completion(&Document::parse(whole.text, ScanLimits::default().depth)?);
        waiting.out().decide(Head::Events);
        let before = if keeper.received() > 0 { waiting.before_picture() } else { waiting.before_text() };
        waiting.out().send(before).await;
        waiting.out().send_all(written(&events.says)).await;
        let caption = waiting.at_end();
        waiting.out().send(caption).await;
        waiting.out().send_all(written(&events.ends)).await;
        Ok(())
    }
}

/// A whole chat answer, its pictures saved.
pub(super) struct Whole {
    /// What it was taken apart into; `None` if it came as a stream and was put together.
    pub(super) scanned: Option<Scanned>,
    /// The skeleton for the client.
    pub(super) text: Vec<u8>,
    /// Why it says nothing, if it does.
    pub(super) silence: Option<UpstreamError>,
}

impl Relay {
    /// Receives a chat answer whole, however it comes.
    pub(super) async fn whole_chat(
        &self,
        answer: Answer,
        keeper: &mut Keeper,
        upstream: &std::sync::Arc<dyn Upstream>,
        model: Option<String>,
        several: bool,
    ) -> Result<Whole, RelayError> {
        if answer.is_stream {
            return self.collect(answer, keeper, upstream, model, several).await;
        }
        let scanned = self.scan_answer(answer, keeper).await?;
        for index in 0..scanned.intake.references().len() {
            keeper.keep(index, &scanned.intake, None).await;
        }
        // Beside pictures that are there an error is a remark.
        if let Some(error) = refusal(&scanned.document).filter(|_| keeper.received() == 0) {
            return Err(redacted(error, &**upstream).into());
        }
        keeper.check()?;
        let silence = response::silence(&scanned.document, scanned.known());
        let silence = silence.map(|reasons| ended_in_silence(&reasons.iter().map(String::as_str).collect::<Vec<_>>()));
        let without = if several { Vec::new() } else { keeper.drafts() };
        let mut remote = Vec::new();
        let mut text = response::chat(&scanned.document, scanned.known(), model.as_deref(), &without, &mut remote);
        for (at, url) in remote.into_iter().enumerate() {
            keeper.fetch(scanned.intake.references().len() + at, url, &**upstream).await;
        }
        upstream.redact(&mut text);
        Ok(Whole { scanned: Some(scanned), text, silence })
    }

    /// The whole answer that a stream of events comes to: some relays stream whether they are asked to or not.
    async fn collect(
        &self,
        answer: Answer,
        keeper: &mut Keeper,
        upstream: &std::sync::Arc<dyn Upstream>,
        model: Option<String>,
        several: bool,
    ) -> Result<Whole, RelayError> {
        let nonce = nonce().ok_or(RelayError::Panicked)?;
        let out = Output::new(false);
        let reading = out.reader().ok_or(RelayError::Panicked)?;
        let mut waiting = Waiting::silent(out.clone());
        let pump = async {
            let failure = Pump::new(nonce, model, several, keeper, upstream.clone(), &mut waiting).run(answer).await;
            out.end();
            failure
        };
        let (failure, text) = tokio::join!(Box::pin(pump), gather(reading));
        let text = text?;
        let whole = to_completion(&text).map_err(|refusal| refusal_in(&refusal));
        match (whole, failure) {
            (Ok(text), None) => Ok(Whole { scanned: None, text, silence: None }),
            // What was paid for is handed over, with what there is of the rest.
            (Ok(text), Some(error)) if keeper.received() > 0 => {
                tracing::warn!(event = "stream_broken", %error, "the upstream's stream was not whole");
                Ok(Whole { scanned: None, text, silence: None })
            }
            (_, Some(error)) | (Err(Some(error)), None) => Err(error.into()),
            (Err(None), None) => {
                Err(UpstreamError::ours(Class::BadAnswer, "上游的回答里什么都没有", "the upstream's answer says nothing").into())
            }
        }
    }

    /// Takes an upstream's whole answer apart. If it breaks off, pictures that were complete are saved all the same.
    pub(super) async fn scan_answer(&self, answer: Answer, keeper: &mut Keeper) -> Result<Scanned, RelayError> {
        match scan(answer.body, self.library.files(), ANSWER_MAX, Sender::Upstream).await {
            Ok(scanned) => Ok(scanned),
            Err(mut broken) => {
                broken.intake.abandon().await;
                for index in 0..broken.intake.references().len() {
                    keeper.keep(index, &broken.intake, None).await;
                }
                tracing::warn!(saved = keeper.received(), "the upstream's answer is broken; what was complete of it is in the library");
                Err(bad_answer(broken.error))
            }
        }
    }
}

/// The text of a stream.
async fn gather(mut reading: Reading) -> Result<Vec<u8>, RelayError> {
    let mut text = Vec::new();
    while let Some(Ok(part)) = reading.next().await {
        text.extend_from_slice(&part);
        if text.len() > ScanLimits::default().skeleton {
            // The rest is saved all the same.
            return Err(UpstreamError::ours(
                Class::BadAnswer,
                "上游的回答太长，无法拼成整体",
                "the upstream's answer is longer than can be put together",
            )
            .into());
        }
    }
    Ok(text)
}

/// What a broken answer is for the client. A failure that the upstream itself told of keeps its class.
pub(super) fn bad_answer(error: super::receive::ScanBodyError<UpstreamError>) -> RelayError {
    use super::receive::ScanBodyError as E;
    RelayError::Upstream(match error {
        E::Body(error) => error,
        E::Json(_) | E::CutOff => UpstreamError::ours(
            Class::BadAnswer,
            "上游的回答不是有效的 JSON；请检查上游地址，它通常以 /v1 结尾",
            "the upstream's answer is no valid JSON; is its base URL right? It usually ends in /v1",
        ),
        other => unreadable(&other),
    })
}

/// What is told of an answer that is beyond what can be read.
pub(super) fn unreadable(why: &dyn std::fmt::Display) -> UpstreamError {
    UpstreamError::ours(Class::BadAnswer, format!("无法读取上游的回答（{why}）"), format!("the upstream's answer cannot be read: {why}"))
}

/// Without our key in its words.
pub(super) fn redacted(mut error: UpstreamError, upstream: &dyn Upstream) -> UpstreamError {
    let mut message = std::mem::take(&mut error.message).into_bytes();
    upstream.redact(&mut message);
    error.message = String::from_utf8_lossy(&message).into_owned();
    error
}

/// The refusal in an answer whose status says success.
pub(super) fn refusal(document: &Document) -> Option<UpstreamError> {
    document.root().get("error")?;
    refusal_in(&serde_json::from_slice(document.text()).ok()?)
}
