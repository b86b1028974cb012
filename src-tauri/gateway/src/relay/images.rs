//! The Images API: generations and edits. Answers carry links or base64 as the client asks; the pictures are in the
//! library either way.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Client, Relay, RelayError, Reply,
    answer::{Keeper, Outcome, download},
    chat::{check_picture, json_payload, payload, refusal},
    image_pump::ImagePump,
    pump::ToClient,
    receive::{Scanned, data_url, nonce, scan},
};
use crate::{
    library::{Assembled, Intake},
    model::{ImageId, MediaType, Origin, Source},
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
    upstream::{Answer, Brief, Call, Class, Endpoint, Payload, Upstream, UpstreamError},
};

/// Largest request, in bytes. It is never held in memory.
pub const REQUEST_MAX: u64 = 256 * 1024 * 1024;

/// Most pictures that one edit starts from, as OpenAI has it.
const INPUTS_MAX: usize = 16;

/// Members that are ours to decide and not the upstream's.
const OURS: [&str; 1] = ["response_format"];

/// A picture that an edit starts from.
#[derive(Clone, Debug)]
pub struct Input {
    blob: Blob,
    media_type: MediaType,
    /// The image of ours that it is.
    id: Option<ImageId>,
}

/// An edit, however it was sent.
#[derive(Debug, Default)]
pub struct EditRequest {
    /// Everything but pictures: name and JSON text.
    fields: Vec<(String, String)>,
    images: Vec<Input>,
    mask: Option<Input>,
}

/// What a client asked for, apart from the drawing itself.
struct Asked {
    prompt: String,
    model: Option<String>,
    base64: bool,
    size: Option<String>,
    count: u32,
    output_format: Option<String>,
    stream: bool,
    partial_images: u32,
    parameters: String,
}

impl Relay {
    /// Answers `POST /v1/images/generations`.
    ///
    /// # Errors
    /// [`RelayError`].
    pub async fn generate<E: Send>(&self, body: impl Stream<Item = Result<Bytes, E>> + Send, client: Client) -> Result<Reply, RelayError> {
        let permit = self.permit()?;
        let scanned = scan(body, self.library.files(), REQUEST_MAX).await?;
        let document = &scanned.document;
        check_object(document)?;
        let fields: Vec<(String, String)> = fields(document);
        let asked = asked(&fields, &client)?;
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
        let brief = brief(&asked, Vec::new());
        let call = Call { endpoint: Endpoint::Generations, payload: json_payload(body), stream: asked.stream, brief };
        let origin = origin(&asked, &*upstream, Source::Generated, Vec::new());
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
    pub async fn edit(&self, request: EditRequest, client: Client) -> Result<Reply, RelayError> {
        let permit = self.permit()?;
        let asked = asked(&request.fields, &client)?;
        if request.images.is_empty() {
            return Err(RelayError::bad(Some("image"), "'image' is missing: an edit needs at least one picture"));
        }
        if request.images.len() > INPUTS_MAX {
            return Err(RelayError::bad(Some("image"), format!("an edit takes at most {INPUTS_MAX} pictures")));
        }
        let upstream = self.upstream();
        let inputs: Vec<Blob> = request.images.iter().map(|input| input.blob.clone()).collect();
        let made_from = request.images.iter().filter_map(|input| input.id).collect();
        let origin = origin(&asked, &*upstream, Source::Edited, made_from);
        let relay = self.clone();
        self.detached(async move {
            let keeper = Keeper::new(relay.library.clone(), origin, client.links);
            let call = |payload| Call { endpoint: Endpoint::Edits, payload, stream: asked.stream, brief: brief(&asked, inputs.clone()) };
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
        let scanned = scan(body, self.library.files(), REQUEST_MAX).await?;
        let document = &scanned.document;
        check_object(document)?;
        let mut request = EditRequest { fields: fields(document), ..EditRequest::default() };
        request.fields.retain(|(name, _)| !matches!(name.as_str(), "image" | "images" | "mask"));
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
        let unusable = |message: &str| RelayError::BadRequest { message: message.to_owned(), param: Some(param), code: "invalid_image" };
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
        let part = Part::open(self.library.files());
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
        let body = self.pictures(answer, keeper, &*upstream, asked, kind).await?;
        drop(permit);
        if !asked.stream {
            return Ok(Reply::Json(body));
        }
        let (mut client, events) = ToClient::new();
        self.jobs.spawn(async move { client.send_all(&body).await });
        Ok(Reply::Events(events))
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
        if answer.is_stream {
            return Err(UpstreamError::new(Class::BadAnswer, "the upstream answered with a stream that was not asked for").into());
        }
        let scanned = self.scan_answer(answer, &mut keeper).await?;
        if let Some(error) = refusal(&scanned.document) {
            return Err(error.into());
        }
        let items = response::image_items(&scanned.document, scanned.known())
            .ok_or_else(|| UpstreamError::new(Class::BadAnswer, "the upstream's answer holds no list of pictures"))?;
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
            let key = if asked.base64 { "b64_json" } else { "url" };
            values.push(match item {
                Item::Image(index) => {
                    keeper.keep(index, &scanned.intake, revised).await;
                    keeper.outcomes.get(&index).filter(|o| !matches!(o, Outcome::Lost)).map(|_| (key, scanned.nonce.reference(index)))
                }
                Item::Url(url) => match download(upstream, &self.library, &url).await {
                    Ok(received) => {
                        let outcome = keeper.save(&received, revised).await;
                        keeper.outcomes.insert(own + at, outcome);
                        Some((key, scanned.nonce.reference(own + at)))
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a picture could not be downloaded from the upstream; the client gets its address");
                        Some(("url", url))
                    }
                },
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
fn takes_response_format(model: &str) -> bool {
    !model.to_ascii_lowercase().contains("gpt-image")
}

/// 415, or the words in which relays refuse a form.
fn refuses_form(error: &UpstreamError) -> bool {
    let text = error.message.to_ascii_lowercase();
    error.status == Some(415)
        || error.not_started && (text.contains("multipart") || error.code.as_deref() == Some("convert_request_failed"))
}

fn asked(fields: &[(String, String)], client: &Client) -> Result<Asked, RelayError> {
    let raw = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| *v != "null");
    let text = |name: &'static str| match raw(name) {
        None => Ok(None),
        Some(raw) => match serde_json::from_str::<String>(raw) {
            Ok(text) => Ok(Some(text).filter(|t| !t.is_empty())),
            Err(_) => Err(RelayError::bad(Some(name), format!("'{name}' must be a string"))),
        },
    };
    let prompt = text("prompt")?.ok_or_else(|| RelayError::bad(Some("prompt"), "'prompt' is missing"))?;
    let count = match raw("n") {
        None => 1,
        Some(raw) => raw
            .parse()
            .ok()
            .filter(|n| (1..=10).contains(n))
            .ok_or_else(|| RelayError::bad(Some("n"), "'n' must be a number from 1 to 10"))?,
    };
    let model = text("model")?;
    let base64 = match text("response_format")?.as_deref() {
        Some("b64_json") => true,
        Some("url") => false,
        Some(_) => return Err(RelayError::bad(Some("response_format"), "'response_format' must be 'url' or 'b64_json'")),
        None => client.prefers_base64 || model.as_deref().is_some_and(|m| m.to_ascii_lowercase().starts_with("gpt-image")),
    };
    let stream = raw("stream") == Some("true");
    let bad_partials = || RelayError::bad(Some("partial_images"), "'partial_images' must be a number from 0 to 3");
    let partial_images = match raw("partial_images") {
        None => 0,
        Some(raw) => raw.parse().ok().filter(|n| *n <= 3).ok_or_else(bad_partials)?,
    };
    // Whoever streams wants to see, and OpenAI's streams know base64 alone.
    let base64 = if stream { text("response_format")?.as_deref() != Some("url") } else { base64 };
    let known = ["prompt", "model", "image", "images", "mask", "response_format", "stream"];
    let parameters: Vec<String> =
        fields.iter().filter(|(n, _)| !known.contains(&n.as_str())).map(|(n, v)| format!("{}:{v}", quote(n))).collect();
    let parameters = format!("{{{}}}", parameters.join(","));
    Ok(Asked {
        prompt,
        model,
        base64,
        size: text("size")?,
        count,
        output_format: text("output_format")?,
        stream,
        partial_images,
        parameters,
    })
}

fn brief(asked: &Asked, inputs: Vec<Blob>) -> Brief {
    Brief {
        prompt: asked.prompt.clone(),
        inputs,
        size: asked.size.clone(),
        count: asked.count,
        output_format: asked.output_format.clone(),
        partial_images: asked.partial_images,
    }
}

fn origin(asked: &Asked, upstream: &dyn Upstream, source: Source, made_from: Vec<ImageId>) -> Origin {
    Origin {
        prompt: Some(asked.prompt.clone()),
        model: asked.model.clone(),
        upstream: Some(upstream.name().to_owned()),
        upstream_model: Some(upstream.model().to_owned()),
        parameters: Some(asked.parameters.clone()),
        made_from,
        ..Origin::bare(source)
    }
}

impl EditRequest {
    /// A text field of a form.
    pub fn field(&mut self, name: String, value: &str) {
        // Forms know only text; JSON knows numbers and booleans.
        let is_bare = matches!(name.as_str(), "n" | "output_compression" | "partial_images" | "stream")
            && serde_json::from_str::<serde_json::Value>(value).is_ok();
        self.fields.push((name, if is_bare { value.to_owned() } else { quote(value) }));
    }

    /// A picture of a form: `image`, `image[]`, `image[0]`…, or `mask`.
    pub fn file(&mut self, name: &str, input: Input) {
        if name == "mask" {
            self.mask = Some(input);
        } else {
            self.images.push(input);
        }
    }

    /// Whether a field of this name holds a picture.
    pub fn is_picture(name: &str) -> bool {
        matches!(name, "image" | "mask" | "images") || name.starts_with("image[") || name.starts_with("images[")
    }

    fn payload(&self, model: &str, as_json: bool) -> Result<Payload, RelayError> {
        let passed = self.fields.iter().filter(|(name, _)| name != "model" && !OURS.contains(&name.as_str()));
        let mut fields: Vec<(String, String)> = passed.cloned().collect();
        fields.insert(0, ("model".into(), quote(model)));
        let wants_format = self.fields.iter().any(|(name, _)| name == "response_format") && takes_response_format(model);
        if wants_format {
            fields.push(("response_format".into(), "\"b64_json\"".into()));
        }
        if as_json { Ok(self.as_json(&fields)) } else { self.as_form(&fields) }
    }

    fn as_json(&self, fields: &[(String, String)]) -> Payload {
        let mut pieces = vec![Piece::Text(b"{".to_vec())];
        let text = |pieces: &mut Vec<Piece<Blob>>, text: String| pieces.push(Piece::Text(text.into_bytes()));
        for (name, value) in fields {
            text(&mut pieces, format!("{}:{value},", quote(name)));
        }
        text(&mut pieces, "\"images\":[".into());
        for (at, input) in self.images.iter().enumerate() {
            text(&mut pieces, format!("{}{{\"image_url\":\"", if at > 0 { "," } else { "" }));
            pieces.extend(data_url(input.blob.clone(), input.media_type.mime()));
            text(&mut pieces, "\"}".into());
        }
        text(&mut pieces, "]".into());
        if let Some(mask) = &self.mask {
            text(&mut pieces, ",\"mask\":{\"image_url\":\"".into());
            pieces.extend(data_url(mask.blob.clone(), mask.media_type.mime()));
            text(&mut pieces, "\"}".into());
        }
        text(&mut pieces, "}".into());
        json_payload(Assembled::new(pieces))
    }

    fn as_form(&self, fields: &[(String, String)]) -> Result<Payload, RelayError> {
        let boundary = format!("picgate-{}", uuid::Uuid::new_v4().simple());
        let mut pieces = Vec::new();
        let mut text = String::new();
        for (name, value) in fields {
            // Text of a form is bare; anything else of JSON is written as it is.
            let value = serde_json::from_str::<String>(value).unwrap_or_else(|_| value.clone());
            text.push_str(&format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{value}\r\n", form_name(name)));
        }
        let image_name = if self.images.len() > 1 { "image[]" } else { "image" };
        let images = self.images.iter().map(|input| (image_name, input));
        for (name, input) in images.chain(self.mask.iter().map(|mask| ("mask", mask))) {
            let file = format!("{}.{}", name.trim_end_matches("[]"), input.media_type.extension());
            text.push_str(&format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\nContent-Type: {}\r\n\r\n",
                input.media_type.mime()
            ));
            pieces.push(Piece::Text(std::mem::take(&mut text).into_bytes()));
            pieces.push(Piece::Raw(input.blob.clone()));
            text.push_str("\r\n");
        }
        text.push_str(&format!("--{boundary}--\r\n"));
        pieces.push(Piece::Text(text.into_bytes()));
        Ok(payload(format!("multipart/form-data; boundary={boundary}"), Assembled::new(pieces)))
    }
}

/// Escapes as browsers do (HTML standard, multipart/form-data encoding).
fn form_name(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
