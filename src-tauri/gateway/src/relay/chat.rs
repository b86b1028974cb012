//! Chat completions: the conversation goes to the upstream with real image bytes, the answer comes back with links.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::Stream;

use super::{
    Client, Relay, RelayError, Reply,
    answer::{ANSWER_MAX, Keeper, fetch_picture},
    images::REQUEST_MAX,
    pump::{Pump, ToClient},
    receive::{Scanned, Sender, nonce, scan},
};
use crate::{
    library::{Assembled, Intake, Taken},
    model::{ImageId, Origin, Source},
    rewrite::{
        completion::{from_completion, to_completion},
        json::{Document, Kind},
        request, response,
        scan::ScanLimits,
        stream::ChatStream,
    },
    store::Blob,
    upstream::{Answer, Brief, Call, Class, Endpoint, Payload, Upstream, UpstreamError, refusal_in, takes_tools},
};

/// Longest name of a model, in bytes.
const MODEL_MAX: usize = 256;

/// Pictures of other servers that are fetched for one request.
const EXTERNAL_MAX: usize = 8;

/// Members of a request that models which draw do not take.
const TOOLS: [&str; 5] = ["tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"];

/// What is asked of the upstream, and what is known of it.
struct Prepared {
    call: Call,
    origin: Origin,
    model: Option<String>,
    /// More than one choice was asked for.
    several: bool,
}

impl Relay {
    /// Answers `POST /v1/chat/completions`.
    ///
    /// # Errors
    /// [`RelayError`], as long as nothing has been answered.
    pub async fn chat<E: Send>(&self, body: impl Stream<Item = Result<Bytes, E>> + Send, client: Client) -> Result<Reply, RelayError> {
        let permit = self.permit()?;
        let scanned = scan(body, self.library.files(), REQUEST_MAX, Sender::Client).await?;
        let prepared = self.prepare(&scanned).await?;
        drop(scanned);
        let relay = self.clone();
        self.detached(async move {
            let reply = relay.dispatch(prepared, client, permit).await;
            if let Err(error) = &reply {
                tracing::debug!(%error, "no answer");
            }
            reply
        })
        .await
    }

    async fn prepare(&self, scanned: &Scanned) -> Result<Prepared, RelayError> {
        let document = &scanned.document;
        let read = request::read_chat(document, scanned.known())?;
        scanned.check_received()?;
        for index in &read.sent {
            check_picture(scanned.intake.get(*index), "messages")?;
        }
        let (upstream, settings) = (self.upstream(), self.settings.snapshot());
        let first = scanned.intake.references().len();
        let mut numbers: HashMap<ImageId, usize> = HashMap::new();
        let mut linked: Vec<(Blob, &'static str)> = Vec::new();
        let mut made_from = Vec::new();
        for id in read.linked {
            // An id that is not in the library is somebody else's link: it stays as it is.
            let Some((record, blob)) = self.library.open(id).await? else { continue };
            if !blob.exists() {
                tracing::warn!(image = %id, "an image of the conversation is not on disk; its link goes as text");
                continue;
            }
            numbers.insert(id, first + linked.len());
            linked.push((blob, record.blob.media_type.mime()));
            made_from.push(id);
        }
        let mut inputs: Vec<Blob> = linked.iter().map(|(blob, _)| blob.clone()).collect();
        for received in read.sent.iter().filter_map(|index| scanned.intake.image(*index)) {
            if settings.keep_uploads
                && let Some(id) = self.keep_upload(received).await
            {
                made_from.push(id);
            }
            inputs.push(received.blob.clone());
        }
        let mut external: HashMap<String, usize> = HashMap::new();
        if settings.fetch_external_images {
            for url in read.external.into_iter().take(EXTERNAL_MAX) {
                let Some(received) = self.fetch_external(&url).await else { continue };
                if settings.keep_uploads
                    && let Some(id) = self.keep_upload(&received).await
                {
                    made_from.push(id);
                }
                external.insert(url, first + linked.len());
                inputs.push(received.blob.clone());
                linked.push((received.blob, received.media_type.mime()));
            }
        }
        let without: &[&str] = if takes_tools(upstream.model()) { &[] } else { &TOOLS };
        let wanted = request::Wanted { linked: &numbers, external: &external, model: Some(upstream.model()), without };
        let text = request::chat(document, scanned.known(), &wanted);
        let body = Assembled::new(scanned.assemble(&text, &linked));
        let model = document.string_at(document.root(), "model").map(|m| m.into_owned()).filter(|m| !m.is_empty());
        check_model(model.as_deref())?;
        let stream = match document.root().get("stream").map(|n| &n.kind) {
            None | Some(Kind::Null | Kind::Bool(false)) => false,
            Some(Kind::Bool(true)) => true,
            Some(_) => return Err(RelayError::bad(Some("stream"), "'stream' must be true or false")),
        };
        let source = if inputs.is_empty() { Source::Generated } else { Source::Edited };
        let origin = Origin {
            prompt: Some(read.prompt.clone()).filter(|p| !p.is_empty()),
            model: model.clone(),
            upstream: Some(upstream.name().to_owned()),
            upstream_model: Some(upstream.model().to_owned()),
            made_from,
            ..Origin::bare(source)
        };
        let brief = Brief { prompt: read.prompt, inputs, count: 1, ..Brief::default() };
        let call = Call { endpoint: Endpoint::Chat, payload: json_payload(body), stream, brief };
        let model = model.or_else(|| Some(settings.gateway_model.clone()));
        let several = document.root().get("n").is_some_and(|n| document.raw(n) != "1" && !n.is_null());
        Ok(Prepared { call, origin, model, several })
    }

    async fn dispatch(&self, prepared: Prepared, client: Client, permit: tokio::sync::OwnedSemaphorePermit) -> Result<Reply, RelayError> {
        let Prepared { call, origin, model, several } = prepared;
        let (wants_stream, upstream) = (call.stream, self.upstream());
        let keeper = Keeper::new(self.library.clone(), origin, client.links);
        let answer = upstream.send(call).await?;
        if !answer.is_stream {
            let reply = self.whole(answer, keeper, &*upstream, model, several, wants_stream).await;
            drop(permit);
            return reply;
        }
        let nonce = nonce().ok_or(RelayError::Panicked)?;
        let (client, receiver) = ToClient::new();
        let machine = ChatStream::new(nonce, ScanLimits::default(), model, several);
        let pump = Pump::new(machine, Intake::new(self.library.files().clone()), nonce, keeper, upstream, client, several);
        let run = async move {
            pump.run(answer).await;
            drop(permit);
        };
        self.jobs.spawn(tracing::Instrument::in_current_span(run));
        if wants_stream {
            return Ok(Reply::Events(receiver));
        }
        // Some relays stream whether they are asked to or not.
        collect(receiver).await
    }

    /// A whole answer of JSON, for either kind of request.
    async fn whole(
        &self,
        answer: Answer,
        mut keeper: Keeper,
        upstream: &dyn Upstream,
        model: Option<String>,
        several: bool,
        wants_stream: bool,
    ) -> Result<Reply, RelayError> {
        let scanned = self.scan_answer(answer, &mut keeper).await?;
        for index in 0..scanned.intake.references().len() {
            keeper.keep(index, &scanned.intake, None).await;
        }
        // Beside pictures that are there an error is a remark.
        if let Some(error) = refusal(&scanned.document).filter(|_| keeper.received() == 0) {
            return Err(redacted(error, upstream).into());
        }
        keeper.check()?;
        let without = if several { Vec::new() } else { keeper.drafts() };
        let mut remote = Vec::new();
        let mut text = response::chat(&scanned.document, scanned.known(), model.as_deref(), &without, &mut remote);
        for (at, url) in remote.into_iter().enumerate() {
            keeper.fetch(scanned.intake.references().len() + at, url, upstream).await;
        }
        if wants_stream {
            text = from_completion(&Document::parse(text, ScanLimits::default().depth)?);
        }
        upstream.redact(&mut text);
        let body = Assembled::new(keeper.linked(&text, scanned.nonce, &scanned.intake));
        if !wants_stream {
            return Ok(Reply::Json(body));
        }
        let (mut client, receiver) = ToClient::new();
        self.jobs.spawn(async move { client.send_all(&body).await });
        Ok(Reply::Events(receiver))
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

    /// A picture of another server that the user names. If it cannot be had, its address stays what it is: text.
    async fn fetch_external(&self, url: &str) -> Option<crate::store::Received> {
        match fetch_picture(self.external.guarded(url), &self.library).await {
            Ok(received) => Some(received),
            Err(error) => {
                tracing::warn!(error, "a picture that the user names could not be fetched; its address goes as text");
                None
            }
        }
    }

    /// Keeps a picture that the user sent. That this fails is no reason not to draw.
    pub(super) async fn keep_upload(&self, received: &crate::store::Received) -> Option<ImageId> {
        match self.library.save(received, Origin::bare(Source::Uploaded)).await {
            Ok(saved) => Some(saved.id),
            Err(error) => {
                tracing::warn!(%error, "a picture that the user sent could not be kept");
                None
            }
        }
    }
}

/// The whole answer that a stream of events comes to.
async fn collect(mut events: tokio::sync::mpsc::Receiver<Bytes>) -> Result<Reply, RelayError> {
    let mut text = Vec::new();
    while let Some(part) = events.recv().await {
        text.extend_from_slice(&part);
        if text.len() > ScanLimits::default().skeleton {
            // The rest is saved all the same.
            return Err(UpstreamError::new(Class::BadAnswer, "the upstream's answer is longer than can be put together").into());
        }
    }
    let completion = to_completion(&text).map_err(|refusal| {
        let unknown = || UpstreamError::new(Class::BadAnswer, "the upstream's answer says nothing");
        refusal_in(&refusal).unwrap_or_else(unknown)
    })?;
    Ok(Reply::Json(Assembled::text(completion)))
}

/// A name is a name: nothing that would be set aside as if it were a file.
pub(super) fn check_model(model: Option<&str>) -> Result<(), RelayError> {
    match model {
        Some(model) if model.len() > MODEL_MAX => Err(RelayError::bad(Some("model"), format!("'model' is longer than {MODEL_MAX} bytes"))),
        _ => Ok(()),
    }
}

/// A body of JSON that can be sent more than once.
pub(super) fn json_payload(body: Assembled) -> Payload {
    payload("application/json".into(), body)
}

/// A body that can be sent more than once.
pub(super) fn payload(content_type: String, body: Assembled) -> Payload {
    Payload { content_type, make: Box::new(move || http_body_util::BodyExt::boxed(body.body())) }
}

/// What a broken answer is for the client. A failure that the upstream itself told of keeps its class.
pub(super) fn bad_answer(error: super::receive::ScanBodyError<UpstreamError>) -> RelayError {
    use super::receive::ScanBodyError as E;
    RelayError::Upstream(match error {
        E::Body(error) => error,
        E::Json(_) | E::CutOff => {
            UpstreamError::new(Class::BadAnswer, "the upstream's answer is no valid JSON; is its base URL right? It usually ends in /v1")
        }
        other => UpstreamError::new(Class::BadAnswer, format!("the upstream's answer cannot be read: {other}")),
    })
}

/// Refuses what calls itself a picture and is none.
pub(super) fn check_picture(taken: Option<&Taken>, param: &'static str) -> Result<(), RelayError> {
    let bad = |message: &str, code| Err(RelayError::BadRequest { message: message.to_owned(), param: Some(param), code });
    match taken {
        Some(Taken::Refused(_)) => bad("a picture is of no supported type (png, jpeg, gif, webp, avif, heic)", "unsupported_image_type"),
        Some(Taken::Torn(_)) => bad("a picture's base64 is damaged", "invalid_image"),
        Some(Taken::Lost(error)) => Err(error.into()),
        _ => Ok(()),
    }
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
