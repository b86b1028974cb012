//! The Images API: generations and edits. Answers carry links or base64 as the client asks; the pictures are in the
//! library either way.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use futures_util::Stream;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{
    Client, EditRequest, Relay, RelayError, Reply,
    answer::Keeper,
    asked::Asked,
    attempt::{Lacks, lacks_endpoint},
    conversation::json_payload,
    delivery::{Head, Output},
    drawn::images_answer,
    image_pump::ImagePump,
    intent::Intent,
    note::Note,
    once::Claim,
    receive::{Scanned, Sender, nonce, scan},
    waiting::{Manner, Mode, Waiting},
    words::language,
};
use crate::{
    library::Assembled,
    model::{Dialect, ImageId, Kind, Source},
    rewrite::{
        image_stream::HandOver,
        json::{Document, Edits, quote},
        request::no_duplicates,
    },
    settings::{ProgressStyle, Settings},
    upstream::{Answer, Call, Endpoint, Quirk, Traits, Upstream},
};

/// Largest request, in bytes. It is never held in memory.
pub const REQUEST_MAX: u64 = 256 * 1024 * 1024;

/// Most pictures that one edit starts from, as OpenAI has it.
pub(super) const INPUTS_MAX: usize = 16;

/// What is to be drawn.
enum Order {
    /// From text alone: the request.
    Text(Box<Scanned>),
    /// From pictures.
    Pictures(EditRequest),
}

impl Order {
    fn endpoint(&self) -> &'static str {
        match self {
            Self::Text(_) => "generations",
            Self::Pictures(_) => "edits",
        }
    }

    /// What the names of its events begin with.
    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "image_generation",
            Self::Pictures(_) => "image_edit",
        }
    }

    /// The call to `upstream`, in the dialect of the Images API.
    fn call(&self, asked: &Asked, upstream: &dyn Upstream, traits: &Traits) -> Result<Call, RelayError> {
        let stream = asked.stream && traits.streams();
        match self {
            Self::Pictures(request) => request.call(upstream, traits, stream, &asked.brief(request.blobs())),
            Self::Text(scanned) => {
                let document = &scanned.document;
                let mut edits = Edits::default();
                edits.set(document.root(), "model", &quote(upstream.model()));
                for (key, value) in asked.overrides(upstream.model()).into_iter().filter(|(key, _)| !traits.refuses(key)) {
                    edits.set(document.root(), key, &value);
                }
                let mut ours: Vec<&str> = traits.refused().collect();
                if !stream {
                    ours.extend(["stream", "partial_images"]);
                }
                if takes_response_format(upstream.model()) && !traits.refuses("response_format") {
                    if document.root().get("response_format").is_some() {
                        edits.set(document.root(), "response_format", "\"b64_json\"");
                    }
                } else {
                    ours.push("response_format");
                }
                edits.remove(document.root(), &ours);
                let body = Assembled::new(scanned.assemble(&document.edited(edits), &std::collections::HashMap::new()));
                let brief = asked.brief(Vec::new());
                let sent = document.root().members().iter().map(|member| member.key.clone());
                let members = sent.filter(|key| !ours.contains(&key.as_str())).collect();
                Ok(Call { endpoint: Endpoint::Generations, payload: json_payload(body), stream, members, brief })
            }
        }
    }
}

impl Relay {
    /// Answers `POST /v1/images/generations`.
    ///
    /// # Errors
    /// [`RelayError`].
    pub async fn generate<E: Send>(&self, body: impl Stream<Item = Result<Bytes, E>> + Send, client: Client) -> Result<Reply, RelayError> {
        let began = Instant::now();
        let _reading = self.reading()?;
        let scanned = scan(body, self.library.files(), REQUEST_MAX, Sender::Client).await?;
        let document = &scanned.document;
        check_object(document)?;
        scanned.check_received()?;
        let mut asked = Asked::read(&fields(document), &client, &self.settings.snapshot())?;
        asked.prompt = scanned.readable(&asked.prompt);
        asked.parameters = scanned.readable(&asked.parameters);
        let claim = scanned.claim("generations", &client, scanned.document.text());
        self.order(Order::Text(Box::new(scanned)), asked, Vec::new(), client, claim, began).await
    }

    /// Answers `POST /v1/images/edits`, once the request has been read by [`Self::read_edit`] or from a form.
    ///
    /// # Errors
    /// [`RelayError`].
    pub async fn edit(&self, request: EditRequest, client: Client) -> Result<Reply, RelayError> {
        let began = Instant::now();
        let asked = Asked::read(&request.fields, &client, &self.settings.snapshot())?;
        if request.images.is_empty() {
            return Err(RelayError::bad(Some("image"), "'image' is missing: an edit needs at least one picture"));
        }
        if request.images.len() > INPUTS_MAX {
            return Err(RelayError::bad(Some("image"), format!("an edit takes at most {INPUTS_MAX} pictures")));
        }
        let made_from = request.images.iter().filter_map(|input| input.id).collect();
        let claim = Some(request.claim(&client));
        let mut request = request;
        for (key, value) in asked.overrides(self.upstream().model()) {
            request.set(key, value);
        }
        self.order(Order::Pictures(request), asked, made_from, client, claim, began).await
    }

    async fn order(
        &self,
        order: Order,
        asked: Asked,
        made_from: Vec<ImageId>,
        client: Client,
        claim: Option<Claim>,
        began: Instant,
    ) -> Result<Reply, RelayError> {
        self.may_begin(&asked.prompt)?;
        let relay = self.clone();
        let endpoint = order.endpoint();
        let job = move |out: Output, permit: OwnedSemaphorePermit| async move {
            let settings = relay.settings.snapshot();
            let mut note = Note::new(endpoint, Kind::Drawing, asked.stream, began).named(client.request.as_deref());
            note.asked(asked.model.as_deref(), &asked.prompt);
            if client.tries {
                note.add("test", true.into());
            }
            let _listed = relay.now_running.add(endpoint, &asked.prompt, asked.model.as_deref());
            let mode = match (asked.stream, settings.json_keep_alive) {
                (true, _) => Mode::Comments,
                (false, true) => Mode::LateJson,
                (false, false) => Mode::Silent,
            };
            let mut waiting = Waiting::new(mode, manner(&asked, &settings), out.clone(), began);
            let upstream = relay.upstream();
            let source = if made_from.is_empty() && matches!(order, Order::Text(_)) { Source::Generated } else { Source::Edited };
            let origin = asked.origin(&*upstream, source, made_from);
            let mut drawing = Drawing {
                relay: &relay,
                order,
                asked,
                keeper: Keeper::new(relay.library.clone(), origin, client.links),
                images: BTreeSet::new(),
                upstream,
            };
            let result = Box::pin(drawing.answer(&mut waiting, &mut note)).await.map_err(|error| waiting.told(error));
            let streamed = waiting.failure();
            let outcome = result.as_ref().map(|_| ()).and_then(|()| streamed.as_ref().map_or(Ok(()), Err));
            let mut images = std::mem::take(&mut drawing.images);
            images.append(&mut drawing.keeper.ids());
            tracing::info!(event = "answered", images = images.len(), ms = began.elapsed().as_millis() as u64, "pictures answered");
            note.finish(&relay.activity, Some(&out), images, outcome);
            drop(permit);
            match result {
                Err(error) if out.is_decided() => {
                    waiting.fail(&error).await;
                    Ok(())
                }
                other => other,
            }
        };
        self.once(endpoint, claim, job).await
    }
}

/// An order on its way to pictures.
struct Drawing<'a> {
    relay: &'a Relay,
    order: Order,
    asked: Asked,
    keeper: Keeper,
    /// Images that others than `keeper` kept.
    images: BTreeSet<ImageId>,
    upstream: Arc<dyn Upstream>,
}

impl Drawing<'_> {
    async fn answer(&mut self, waiting: &mut Waiting, note: &mut Note) -> Result<(), RelayError> {
        let upstream = self.upstream.clone();
        let fixed = upstream.dialect();
        let known = fixed.or_else(|| self.relay.learnt.of(&*upstream).dialect());
        if known == Some(Dialect::Chat) {
            let result = self.by_chat(waiting, note).await;
            match &result {
                // What was learnt is no longer true.
                Err(error) if fixed.is_none() && lacks_endpoint(error) > Lacks::No => {
                    self.relay.learnt.forget(&*upstream, Quirk::ChatOnly).await;
                }
                _ => return result,
            }
        }
        let (order, asked) = (&self.order, &self.asked);
        let make = |traits: &Traits| order.call(asked, &*upstream, traits);
        let refusal = match waiting.during(Box::pin(self.relay.attempt(&upstream, note, &make))).await {
            Ok(answer) => return self.by_images(answer, waiting).await,
            Err(refusal) => refusal,
        };
        let lacks = lacks_endpoint(&refusal);
        if known.is_some() || lacks == Lacks::No {
            return Err(refusal);
        }
        match self.by_chat(waiting, note).await {
            Ok(()) if lacks == Lacks::Surely => {
                self.relay.learnt.learn(&*upstream, Quirk::ChatOnly).await;
                Ok(())
            }
            Ok(()) => {
                self.relay.learnt.suspect(&*upstream, Quirk::ChatOnly);
                Ok(())
            }
            // It has neither: most likely its base URL is wrong.
            Err(error) if lacks_endpoint(&error) > Lacks::No => Err(refusal),
            Err(error) => Err(error),
        }
    }

    async fn by_images(&mut self, answer: Answer, waiting: &mut Waiting) -> Result<(), RelayError> {
        let (asked, upstream) = (&self.asked, self.upstream.clone());
        if asked.stream && answer.is_stream {
            waiting.out().decide(Head::Events);
            let nonce = nonce().ok_or(RelayError::Panicked)?;
            let hand_over = if asked.base64 { HandOver::Base64 } else { HandOver::Link };
            // A failure has been told to the client already.
            Box::pin(ImagePump::new(nonce, hand_over, &mut self.keeper, upstream, waiting).run(answer)).await;
            return Ok(());
        }
        if answer.is_stream {
            // Some relays stream whether they are asked to or not.
            let results = waiting.during(Box::pin(self.relay.drawn_anyhow(answer, &mut self.keeper, &upstream))).await?;
            let results: Vec<_> = results.into_iter().map(|index| (&self.keeper, index)).collect();
            return finished(images_answer(&results, asked, self.order.kind()), asked, waiting).await;
        }
        let drawn = waiting.during(Box::pin(self.relay.drawn(answer, &mut self.keeper, &*upstream))).await?;
        finished(drawn.for_client(&self.keeper, &*upstream, asked, self.order.kind())?, asked, waiting).await
    }

    /// The upstream has chat alone.
    async fn by_chat(&mut self, waiting: &mut Waiting, note: &mut Note) -> Result<(), RelayError> {
        note.add("bridged", "chat".into());
        let nothing = EditRequest::default();
        let request = if let Order::Pictures(request) = &self.order { request } else { &nothing };
        let drawn = self.relay.draw_by_chat(request, &self.asked, &self.keeper, &self.upstream, note);
        let drawn = waiting.during(Box::pin(drawn)).await?;
        let results: Vec<_> = drawn.iter().flat_map(|(keeper, results)| results.iter().map(move |index| (keeper, *index))).collect();
        self.images.extend(drawn.iter().flat_map(|(keeper, _)| keeper.ids()));
        finished(images_answer(&results, &self.asked, self.order.kind()), &self.asked, waiting).await
    }
}

async fn finished(body: Assembled, asked: &Asked, waiting: &mut Waiting) -> Result<(), RelayError> {
    if !asked.stream {
        return waiting.json(body).await;
    }
    waiting.out().decide(Head::Events);
    waiting.out().send_all(body).await;
    Ok(())
}

fn manner(asked: &Asked, settings: &Settings) -> Manner {
    Manner {
        style: ProgressStyle::Quiet,
        language: language(settings, &asked.prompt),
        intent: Intent::Draw,
        pictures: Vec::new(),
        model: asked.model.clone().unwrap_or_else(|| settings.gateway_model.clone()),
        continues: false,
        quota_window: settings.quota_window.clone(),
    }
}

pub(super) fn check_object(document: &Document) -> Result<(), RelayError> {
    if !document.root().is_object() {
        return Err(RelayError::bad(None, "the body must be a JSON object"));
    }
    no_duplicates(document.root(), &["model", "prompt", "n", "size", "response_format", "stream", "image", "images", "mask"])?;
    Ok(())
}

pub(super) fn fields(document: &Document) -> Vec<(String, String)> {
    document.root().members().iter().map(|m| (m.key.clone(), document.raw(&m.value).to_owned())).collect()
}

/// DALL·E 2 and 3 and most relays take `response_format`; OpenAI's `gpt-image-*` refuse it.
pub(super) fn takes_response_format(model: &str) -> bool {
    !model.to_ascii_lowercase().contains("gpt-image")
}
