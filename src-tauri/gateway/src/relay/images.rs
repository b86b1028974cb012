//! The Images API: generations and edits. Answers carry links or base64 as the client asks; the pictures are in the
//! library either way.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Client, EditRequest, Input, Relay, RelayError, Reply,
    answer::{Keeper, Outcome},
    asked::Asked,
    chat::{check_picture, json_payload, redacted, refusal},
    image_pump::ImagePump,
    pump::ToClient,
    receive::{Scanned, Sender, data_url, nonce, scan},
};
use crate::{
    library::{Assembled, Intake},
    model::{ImageId, Source},
    rewrite::{
        expand::{Piece, expand},
        image_stream::{HandOver, ImageStream},
        json::{Document, Edits, Node, quote},
        links,
        request::no_duplicates,
        response::{self, Item},
        scan::ScanLimits,
    },
    store::{Blob, Part, Received},
    upstream::{Answer, Call, Class, Endpoint, Upstream, UpstreamError},
};

/// Largest request, in bytes. It is never held in memory.
pub const REQUEST_MAX: u64 = 256 * 1024 * 1024;

/// Most pictures that one edit starts from, as OpenAI has it.
const INPUTS_MAX: usize = 16;

/// Members that are ours to decide and not the upstream's.
pub(super) const OURS: [&str; 1] = ["response_format"];

impl Relay {
    /// Answers `POST /v1/images/generations`.
    ///
    /// # Errors
    /// [`RelayError`].
    pub async fn generate<E: Send>(&self, body: impl Stream<Item = Result<Bytes, E>> + Send, client: Client) -> Result<Reply, RelayError> {
        let permit = self.permit()?;
        let scanned = scan(body, self.library.files(), REQUEST_MAX, Sender::Client).await?;
        let document = &scanned.document;
        check_object(document)?;
        scanned.check_received()?;
        let mut asked = Asked::read(&fields(document), &client)?;
        asked.prompt = scanned.readable(&asked.prompt);
        asked.parameters = scanned.readable(&asked.parameters);
        let upstream = self.upstream();
        let mut edits = Edits::default();
        edits.set(document.root(), "model", &quote(upstream.model()));
        let sent_format = document.root().get("response_format").is_some();
        let mut ours = OURS.to_vec();
        if sent_format && takes_response_format(upstream.model()) {
            edits.set(document.root(), "response_format", "\"b64_json\"");
            ours.retain(|key| *key != "response_format");
        }
        edits.remove(document.root(), &ours);
        let body = Assembled::new(scanned.assemble(&document.edited(edits), &[]));
        let brief = asked.brief(Vec::new());
        let call = Call { endpoint: Endpoint::Generations, payload: json_payload(body), stream: asked.stream, brief };
        let origin = asked.origin(&*upstream, Source::Generated, Vec::new());
        drop(scanned);
        let relay = self.clone();
        self.detached(async move {
            let keeper = Keeper::new(relay.library.clone(), origin, client.links);
            let answer = upstream.send(call).await?;
            relay.answered(answer, keeper, upstream, &asked, "image_generation", permit).await
        })
        .await
    }

    /// Answers `POST /v1/images/edits`, once the request has been read by [`Self::read_edit`] or from a form.
    ///
    /// # Errors
    /// [`RelayError`].
    pub async fn edit(&self, request: EditRequest, client: Client, permit: OwnedSemaphorePermit) -> Result<Reply, RelayError> {
        let asked = Asked::read(&request.fields, &client)?;
        if request.images.is_empty() {
            return Err(RelayError::bad(Some("image"), "'image' is missing: an edit needs at least one picture"));
        }
        if request.images.len() > INPUTS_MAX {
            return Err(RelayError::bad(Some("image"), format!("an edit takes at most {INPUTS_MAX} pictures")));
        }
        let upstream = self.upstream();
        let inputs: Vec<Blob> = request.images.iter().map(|input| input.blob.clone()).collect();
        let made_from = request.images.iter().filter_map(|input| input.id).collect();
        let origin = asked.origin(&*upstream, Source::Edited, made_from);
        let relay = self.clone();
        self.detached(async move {
            let keeper = Keeper::new(relay.library.clone(), origin, client.links);
            let call = |payload| Call { endpoint: Endpoint::Edits, payload, stream: asked.stream, brief: asked.brief(inputs.clone()) };
            let as_json = relay.edits_as_json(&*upstream);
            let mut answer = upstream.send(call(request.payload(upstream.model(), as_json)?)).await;
            if let Err(error) = &answer
                && refuses_form(error)
                && !as_json
            {
                tracing::info!(upstream = upstream.name(), "the upstream takes edits as JSON only; remembered");
                relay.remember_json_edits(&*upstream);
                answer = upstream.send(call(request.payload(upstream.model(), true)?)).await;
            }
            relay.answered(answer?, keeper, upstream, &asked, "image_edit", permit).await
        })
        .await
    }

    /// Reads an edit that was sent as JSON.
    ///
    /// # Errors
    /// [`RelayError`].
    pub async fn read_edit<E: Send>(&self, body: impl Stream<Item = Result<Bytes, E>> + Send) -> Result<EditRequest, RelayError> {
        let scanned = scan(body, self.library.files(), REQUEST_MAX, Sender::Client).await?;
        let document = &scanned.document;
        check_object(document)?;
        let mut request = EditRequest { fields: fields(document), ..EditRequest::default() };
        scanned.check_received()?;
        request.fields.retain(|(name, _)| !matches!(name.as_str(), "image" | "images" | "mask"));
        // A form has no place for a picture in the middle of another field.
        if let Some((name, _)) = request.fields.iter().find(|(_, value)| scanned.readable(value) != *value) {
            let message = format!("'{name}' holds a picture or is too long; pictures may stand in 'image', 'images' and 'mask'");
            return Err(RelayError::bad(None, message));
        }
        for (key, param) in [("image", "image"), ("images", "images")] {
            let Some(node) = document.root().get(key) else { continue };
            for item in if node.is_array() { node.items() } else { std::slice::from_ref(node) } {
                request.images.push(self.input(&scanned, item, param).await?);
            }
        }
        if let Some(mask) = document.root().get("mask").filter(|n| !n.is_null()) {
            request.mask = Some(self.input(&scanned, mask, "mask").await?);
        }
        Ok(request)
    }

    async fn input(&self, scanned: &Scanned, node: &Node, param: &'static str) -> Result<Input, RelayError> {
        let document = &scanned.document;
        if let Some(index) = scanned.known().image_in(document, node) {
            check_picture(scanned.intake.get(index), param)?;
            let received = scanned.intake.image(index).ok_or_else(|| RelayError::bad(Some(param), "is not a picture"))?;
            return Ok(self.received(received.clone()).await);
        }
        let inner = ["image_url", "url"].iter().find_map(|key| node.get(key)).unwrap_or(node);
        let url = document.string(inner).or_else(|| document.string_at(inner, "url"));
        let unusable =
            |message: &str| RelayError::BadRequest { message: format!("'{param}' {message}"), param: Some(param), code: "invalid_image" };
        let Some(url) = url else { return Err(unusable("must be a link to an image of this gateway, a data URL or base64")) };
        match links::whole(&url) {
            Some(id) => self.linked(id, param).await,
            None if url.starts_with("http") => {
                Err(unusable("is the address of another server; send the picture itself or a link of this gateway"))
            }
            None => Err(unusable("is neither a link of this gateway nor a picture in base64")),
        }
    }

    async fn linked(&self, id: ImageId, param: &'static str) -> Result<Input, RelayError> {
        let found = self.library.open(id).await?;
        let missing = || RelayError::BadRequest { message: format!("there is no image {id}"), param: Some(param), code: "image_not_found" };
        let (record, blob) = found.ok_or_else(missing)?;
        if !blob.exists() {
            return Err(missing());
        }
        Ok(Input { blob, media_type: record.blob.media_type, id: Some(id) })
    }

    /// A picture that came with the request.
    async fn received(&self, received: Received) -> Input {
        let id = if self.settings.snapshot().keep_uploads { self.keep_upload(&received).await } else { None };
        Input { blob: received.blob, media_type: received.media_type, id }
    }

    /// Receives one file of a form.
    ///
    /// # Errors
    /// [`RelayError`].
    pub async fn receive_file<E: Send>(&self, file: impl Stream<Item = Result<Bytes, E>> + Send) -> Result<Input, RelayError> {
        let mut part = Part::open(self.library.files());
        futures_util::pin_mut!(file);
        while let Some(chunk) = futures_util::StreamExt::next(&mut file).await {
            part.write(chunk.map_err(|_| RelayError::CutOff)?.to_vec()).await;
        }
        let received = part.finish().await.map_err(|e| RelayError::from(&e))?;
        Ok(self.received(received).await)
    }

    /// An answer of the Images API, whole or as a stream, for a client that asked for one or the other. `kind` begins
    /// the names of events.
    async fn answered(
        &self,
        answer: Answer,
        keeper: Keeper,
        upstream: Arc<dyn Upstream>,
        asked: &Asked,
        kind: &'static str,
        permit: OwnedSemaphorePermit,
    ) -> Result<Reply, RelayError> {
        if asked.stream && answer.is_stream {
            let nonce = nonce().ok_or(RelayError::Panicked)?;
            let (client, events) = ToClient::new();
            let hand_over = if asked.base64 { HandOver::Base64 } else { HandOver::Link };
            let machine = ImageStream::new(nonce, ScanLimits::default(), hand_over);
            let pump = ImagePump::new(machine, Intake::new(self.library.files().clone()), nonce, keeper, upstream, client, hand_over);
            let run = async move {
                pump.run(answer).await;
                drop(permit);
            };
            self.jobs.spawn(tracing::Instrument::in_current_span(run));
            return Ok(Reply::Events(events));
        }
        if answer.is_stream {
            // Some relays stream whether they are asked to or not.
            return self.collect(answer, keeper, upstream, asked).await;
        }
        let body = self.pictures(answer, keeper, &*upstream, asked, kind).await?;
        drop(permit);
        if !asked.stream {
            return Ok(Reply::Json(body));
        }
        let (mut client, events) = ToClient::new();
        self.jobs.spawn(async move { client.send_all(&body).await });
        Ok(Reply::Events(events))
    }

    /// The whole answer that a stream comes to.
    async fn collect(&self, answer: Answer, keeper: Keeper, upstream: Arc<dyn Upstream>, asked: &Asked) -> Result<Reply, RelayError> {
        let nonce = nonce().ok_or(RelayError::Panicked)?;
        let machine = ImageStream::new(nonce, ScanLimits::default(), HandOver::Link);
        let (nobody, _) = ToClient::new();
        let intake = Intake::new(self.library.files().clone());
        let pump = ImagePump::new(machine, intake, nonce, keeper, upstream, nobody, HandOver::Link);
        let (keeper, refusal) = pump.run(answer).await;
        keeper.check()?;
        if keeper.received() == 0 {
            if let Some(error) = refusal {
                return Err(error.into());
            }
            return Err(UpstreamError::new(Class::BadAnswer, "the upstream's stream held no picture").into());
        }
        let (key, mut pieces) = (if asked.base64 { "b64_json" } else { "url" }, Vec::new());
        let mut indices: Vec<usize> = keeper.outcomes.keys().copied().collect();
        indices.sort_unstable();
        let mut head = format!("{{\"created\":{},\"data\":[", crate::model::now() / 1000);
        for index in indices {
            pieces.push(Piece::Text(format!("{head}{{\"{key}\":\"").into_bytes()));
            pieces.extend(picture(&keeper, index, asked.base64));
            head = "\"},".into();
        }
        pieces.push(Piece::Text(b"\"}]}".to_vec()));
        Ok(Reply::Json(Assembled::new(pieces)))
    }

    /// A whole answer of the Images API, for the client: JSON, or the events that it would have been.
    async fn pictures(
        &self,
        answer: Answer,
        mut keeper: Keeper,
        upstream: &dyn Upstream,
        asked: &Asked,
        kind: &str,
    ) -> Result<Assembled, RelayError> {
        let scanned = self.scan_answer(answer, &mut keeper).await?;
        let items = response::image_items(&scanned.document, scanned.known());
        let has_pictures = items.as_ref().is_some_and(|items| items.iter().any(|(item, _)| *item != Item::Nothing));
        // Beside pictures that are there an error is a remark.
        if let Some(error) = refusal(&scanned.document).filter(|_| !has_pictures) {
            return Err(redacted(error, upstream).into());
        }
        let Some(items) = items else {
            for index in 0..scanned.intake.references().len() {
                keeper.keep(index, &scanned.intake, None).await;
            }
            return Err(UpstreamError::new(Class::BadAnswer, "the upstream's answer holds no list of pictures").into());
        };
        if items.is_empty() {
            return Err(UpstreamError::new(
                Class::BlockedOutput,
                "the upstream withheld every picture without saying why (silent moderation)",
            )
            .into());
        }
        let own = scanned.intake.references().len();
        let mut values = Vec::with_capacity(items.len());
        for (at, (item, revised)) in items.into_iter().enumerate() {
            let revised = revised.map(|text| scanned.readable(&text));
            let key = if asked.base64 { "b64_json" } else { "url" };
            values.push(match item {
                Item::Image(index) => {
                    keeper.keep(index, &scanned.intake, revised).await;
                    keeper.outcomes.get(&index).filter(|o| !matches!(o, Outcome::Lost)).map(|_| (key, scanned.nonce.reference(index)))
                }
                Item::Url(url) => {
                    keeper.fetch(own + at, url, upstream).await;
                    match keeper.outcomes.get(&(own + at)) {
                        Some(Outcome::Lost) | None => None,
                        Some(Outcome::Address(_)) => Some(("url", scanned.nonce.reference(own + at))),
                        Some(_) => Some((key, scanned.nonce.reference(own + at))),
                    }
                }
                Item::Nothing => None,
            });
        }
        let missing = values.iter().filter(|v| v.is_none()).count();
        if missing == values.len() {
            return Err(UpstreamError::new(Class::BadAnswer, "the upstream's answer holds no picture that can be read").into());
        }
        if missing > 0 {
            tracing::error!(missing, "pictures of the answer are damaged");
        }
        let mut text = response::images(&scanned.document, &values);
        if asked.stream {
            text = response::images_as_stream(&Document::parse(text, ScanLimits::default().depth)?, kind);
        }
        upstream.redact(&mut text);
        let pieces = expand(&text, scanned.nonce, |index| picture(&keeper, index, asked.base64));
        tracing::info!(images = keeper.received(), ms = keeper.started.elapsed().as_millis() as u64, "pictures answered");
        Ok(Assembled::new(pieces))
    }

    fn edits_as_json(&self, upstream: &dyn Upstream) -> bool {
        self.json_edits.lock().is_ok_and(|known| known.contains(upstream.name()))
    }

    fn remember_json_edits(&self, upstream: &dyn Upstream) {
        if let Ok(mut known) = self.json_edits.lock() {
            known.insert(upstream.name().to_owned());
        }
    }
}

/// Upstreams, by name, that refused an edit as a form.
pub type JsonEdits = HashSet<String>;

/// What stands for a picture in the answer.
pub(super) fn picture(keeper: &Keeper, index: usize, base64: bool) -> Vec<Piece<Blob>> {
    match keeper.outcomes.get(&index) {
        Some(Outcome::Saved(saved)) if base64 => vec![Piece::Base64(saved.blob.clone())],
        Some(Outcome::Saved(saved)) => vec![Piece::Text(keeper.links.link(saved.id).into_bytes())],
        Some(Outcome::Inline(received)) if base64 => vec![Piece::Base64(received.blob.clone())],
        Some(Outcome::Inline(received)) => data_url(received.blob.clone(), received.media_type.mime()),
        Some(Outcome::Address(url)) => vec![Piece::Text(url.clone().into_bytes())],
        Some(Outcome::Lost) | None => Vec::new(),
    }
}

fn check_object(document: &Document) -> Result<(), RelayError> {
    if !document.root().is_object() {
        return Err(RelayError::bad(None, "the body must be a JSON object"));
    }
    no_duplicates(document.root(), &["model", "prompt", "n", "size", "response_format", "stream", "image", "images", "mask"])?;
    Ok(())
}

fn fields(document: &Document) -> Vec<(String, String)> {
    document.root().members().iter().map(|m| (m.key.clone(), document.raw(&m.value).to_owned())).collect()
}

/// DALL·E 2 and 3 and most relays take `response_format`; OpenAI's `gpt-image-*` refuse it.
pub(super) fn takes_response_format(model: &str) -> bool {
    !model.to_ascii_lowercase().contains("gpt-image")
}

/// 415, or the words in which relays refuse a form.
fn refuses_form(error: &UpstreamError) -> bool {
    let text = error.message.to_ascii_lowercase();
    error.status == Some(415)
        || error.not_started && (text.contains("multipart") || error.code.as_deref() == Some("convert_request_failed"))
}
