//! A chat request made ready: what it asks for, the images it names with their bytes, and the call to an upstream that
//! comes of it.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use serde_json::json;
use tokio::time::Instant;

use super::{
    Client, Relay, RelayError,
    answer::fetch_picture,
    diet::{Candidate, Portion, portion},
    intent::{self, DEFAULT_WORDS, Intent, Signs, Words},
    note::Note,
    once::Claim,
    receive::Scanned,
    waiting::Manner,
    words::language,
};
use crate::{
    library::{Assembled, RestoreError, Taken},
    model::{ImageId, Kind, MediaType, Origin, Sha256, Source, Wishes},
    rewrite::{
        json::{Kind as Json, quote},
        request::{self, Picture},
        shape,
    },
    settings::Settings,
    store::{Blob, Received},
    upstream::{Brief, Call, Endpoint, Traits, Upstream, takes_tools},
};

/// The words that tell of a drawing unless the user has a list of their own.
static BUILT_IN: LazyLock<Words> = LazyLock::new(|| Words::parse(DEFAULT_WORDS));

/// Longest name of a model, in bytes.
const MODEL_MAX: usize = 256;

/// Pictures of other servers that are fetched for one request.
const EXTERNAL_MAX: usize = 8;

/// Members of a request that models which draw do not take.
const TOOLS: [&str; 5] = ["tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"];

/// What a chat request asks.
#[derive(Debug)]
pub struct Question {
    /// The request.
    pub scanned: Scanned,
    /// What was read of it.
    pub read: request::Chat,
    /// The model name that the client used.
    pub model: Option<String>,
    /// Whether the answer shall be a stream.
    pub stream: bool,
    /// More than one choice was asked for.
    pub several: bool,
    /// What flags and the model's alias say of the drawing.
    pub wishes: Wishes,
    /// Whether flags were read, which then leave the text.
    pub takes_flags: bool,
    /// Whether it asks for a drawing.
    pub intent: Intent,
    /// When it came.
    pub began: Instant,
}

/// The images of a question.
#[derive(Debug, Default)]
pub struct Pictures {
    linked: HashMap<ImageId, usize>,
    external: HashMap<String, usize>,
    others: HashMap<usize, (Blob, &'static str)>,
    /// What goes to the upstream.
    pub portion: Portion,
    /// Images of ours among them.
    pub made_from: Vec<ImageId>,
    /// Images of ours that the user shows in this turn.
    pub shown: Vec<ImageId>,
}

impl Question {
    /// Reads a chat request.
    ///
    /// # Errors
    /// [`RelayError::BadRequest`].
    pub fn read(scanned: Scanned, settings: &Settings, upstream: &dyn Upstream, began: Instant) -> Result<Self, RelayError> {
        let document = &scanned.document;
        let mut read = request::read_chat(document, scanned.known())?;
        scanned.check_received()?;
        for picture in &read.pictures {
            if let Picture::Sent(index) = picture {
                check_picture(scanned.intake.get(*index), "messages")?;
            }
        }
        let model = document.string_at(document.root(), "model").map(|m| m.into_owned()).filter(|m| !m.is_empty());
        check_model(model.as_deref())?;
        let stream = match document.root().get("stream").map(|n| &n.kind) {
            None | Some(Json::Null | Json::Bool(false)) => false,
            Some(Json::Bool(true)) => true,
            Some(_) => return Err(RelayError::bad(Some("stream"), "'stream' must be true or false")),
        };
        let (bare, mut flags) = Wishes::take_from(&read.prompt);
        let preset = model.as_deref().and_then(|name| settings.aliases.wishes(name)).cloned().unwrap_or_default();
        let words = settings.intent_words.as_deref().map(Words::parse);
        let shown = &read.pictures[read.pictures.len() - read.latest..][..read.shown];
        let signs = Signs {
            prompt: &read.prompt,
            has_pictures: shown.iter().any(|picture| !matches!(picture, Picture::External(_))),
            has_links: !read.pictures.is_empty(),
            draws_only: !takes_tools(upstream.model()),
        };
        let intent = intent::guess(words.as_ref().unwrap_or(&BUILT_IN), &signs);
        // In other conversations they are words.
        if intent == Intent::Chat || bare.trim().is_empty() {
            flags = Wishes::default();
        }
        let takes_flags = !flags.is_empty();
        if takes_flags {
            read.prompt = bare;
        }
        let wishes = flags.or(preset);
        let several =
            document.root().get("n").is_some_and(|n| document.raw(n) != "1" && !n.is_null()) || wishes.count.is_some_and(|n| n > 1);
        Ok(Self { read, model, stream, several, wishes, takes_flags, intent, began, scanned })
    }

    /// The answer, if it only tells of what the client has drawn already and the model could do nothing but draw again.
    pub fn notice(&self, settings: &Settings, upstream: &dyn Upstream) -> Option<String> {
        let words = language(settings, &self.read.prompt);
        super::notice::answer(&self.scanned.document, words).filter(|_| !takes_tools(upstream.model()))
    }

    /// What makes it the same as another. Our own progress text in its history makes no difference, nor does what the
    /// client puts around the user's words: "continue" after a stop is the same question.
    pub fn claim(&self, client: &Client, upstream: &dyn Upstream) -> Option<Claim> {
        let wanted = shape::Wanted {
            linked: &HashMap::new(),
            external: &HashMap::new(),
            model: None,
            takes_flags: self.takes_flags,
            dropped: &HashSet::new(),
            without: if takes_tools(upstream.model()) { &[] } else { &TOOLS },
            with: &[],
        };
        let text = shape::chat(&self.scanned.document, self.scanned.known(), &wanted);
        self.scanned.claim("chat", client, &text)
    }

    /// How it wants to be waited for.
    pub fn manner(&self, settings: &Settings, client: &Client, shown: &[ImageId]) -> Manner {
        Manner {
            style: settings.progress,
            language: language(settings, &self.read.prompt),
            intent: if self.several { Intent::Chat } else { self.intent },
            pictures: shown.iter().map(|id| client.links.link(*id)).collect(),
            model: self.model_name(settings),
            continues: self.read.continues,
            quota_window: settings.quota_window.clone(),
        }
    }

    /// The name that the client knows.
    pub fn model_name(&self, settings: &Settings) -> String {
        self.model.clone().unwrap_or_else(|| settings.gateway_model.clone())
    }

    /// The beginning of its record.
    pub fn note(&self, request: Option<&str>) -> Note {
        let kind = if self.intent == Intent::Chat { Kind::Chat } else { Kind::Drawing };
        let mut note = Note::new("chat", kind, self.stream, self.began).named(request);
        note.asked(self.model.as_deref(), &self.read.prompt);
        note
    }

    /// What is written down with every picture of the answer.
    pub fn origin(&self, pictures: &Pictures, upstream: &dyn Upstream) -> Origin {
        let source = if pictures.portion.sent.is_empty() { Source::Generated } else { Source::Edited };
        Origin {
            prompt: Some(self.read.prompt.clone()).filter(|p| !p.is_empty()),
            model: self.model.clone(),
            upstream: Some(upstream.name().to_owned()),
            upstream_model: Some(upstream.model().to_owned()),
            made_from: pictures.made_from.clone(),
            ..Origin::bare(source)
        }
    }

    /// The call to `upstream`, in the chat dialect.
    pub fn call(&self, pictures: &Pictures, upstream: &dyn Upstream, traits: &Traits) -> Call {
        let document = &self.scanned.document;
        let mut without: Vec<&str> = traits.refused().collect();
        if !takes_tools(upstream.model()) {
            without.extend(TOOLS);
        }
        let stream = self.stream && traits.streams();
        if self.stream && !stream {
            without.extend(["stream", "stream_options"]);
        }
        let mut with = self.members(upstream.model());
        with.retain(|(key, _)| !traits.refuses(key));
        let wanted = shape::Wanted {
            linked: &pictures.linked,
            external: &pictures.external,
            model: Some(upstream.model()),
            takes_flags: self.takes_flags,
            dropped: &pictures.portion.dropped,
            without: &without,
            with: &with,
        };
        let text = shape::chat(document, self.scanned.known(), &wanted);
        let body = Assembled::new(self.scanned.assemble(&text, &pictures.others));
        let own = document.root().members().iter().map(|member| member.key.as_str());
        let members = own.chain(with.iter().map(|(key, _)| *key)).filter(|key| !without.contains(key)).map(str::to_owned).collect();
        Call { endpoint: Endpoint::Chat, payload: json_payload(body), stream, members, brief: self.brief(pictures) }
    }

    /// The same in short.
    fn brief(&self, pictures: &Pictures) -> Brief {
        Brief {
            prompt: self.read.prompt.clone(),
            inputs: pictures.portion.sent.iter().map(|(_, blob, _)| blob.clone()).collect(),
            size: self.wishes.size_for("demo"),
            count: 1,
            output_format: self.wishes.format.map(|format| format.as_str().to_owned()),
            partial_images: 0,
        }
    }

    /// What the wishes come to in a chat request. What the client says of the same stays beside it.
    fn members(&self, model: &str) -> Vec<(&'static str, String)> {
        let mut members = Vec::new();
        if let Some((aspect, size)) = self.wishes.image_config_for(model) {
            let document = &self.scanned.document;
            let given = document.root().get("image_config").map(|n| document.raw(n)).and_then(|raw| serde_json::from_str(raw).ok());
            let mut config: serde_json::Map<String, serde_json::Value> = given.unwrap_or_default();
            config.extend(aspect.map(|aspect| ("aspect_ratio".to_owned(), json!(aspect))));
            config.extend(size.map(|size| ("image_size".to_owned(), json!(size))));
            members.push(("image_config", serde_json::Value::Object(config).to_string()));
        }
        members.extend(self.wishes.count.map(|count| ("n", count.to_string())));
        members.extend(self.wishes.seed.map(|seed| ("seed", seed.to_string())));
        members.extend(self.wishes.quality.as_ref().map(|quality| ("quality", quote(quality))));
        members
    }
}

impl Relay {
    /// Fetches the images that a question names, keeps those that the user sent, and chooses what goes along.
    ///
    /// # Errors
    /// [`RelayError::Db`].
    pub(super) async fn pictures(&self, question: &Question, settings: &Settings, note: &mut Note) -> Result<Pictures, RelayError> {
        let read = &question.read;
        let (mut pictures, mut candidates, mut made_from) = (Pictures::default(), Vec::new(), Vec::new());
        let mut next = question.scanned.intake.references().len();
        let mut fetches = 0;
        let oldest_latest = read.pictures.len() - read.latest;
        let shown = oldest_latest..oldest_latest + read.shown;
        let keeps = settings.keep_uploads && question.intent != Intent::Chat;
        for (at, picture) in read.pictures.iter().enumerate() {
            let (number, blob, sha256, media_type, id) = match picture {
                Picture::Sent(index) => {
                    let Some(received) = question.scanned.intake.image(*index) else { continue };
                    let id = if keeps { self.keep_upload(received).await } else { None };
                    (*index, received.blob.clone(), received.sha256, received.media_type, id)
                }
                Picture::Linked(id) => {
                    let Some((blob, sha256, media_type)) = self.linked_picture(*id).await? else { continue };
                    pictures.linked.insert(*id, next);
                    next += 1;
                    (next - 1, blob, sha256, media_type, Some(*id))
                }
                Picture::External(url) => {
                    if !settings.fetch_external_images || fetches == EXTERNAL_MAX {
                        continue;
                    }
                    fetches += 1;
                    let Some(received) = self.fetch_external(url).await else { continue };
                    let id = if keeps { self.keep_upload(&received).await } else { None };
                    pictures.external.insert(url.clone(), next);
                    next += 1;
                    (next - 1, received.blob, received.sha256, received.media_type, id)
                }
            };
            pictures.others.insert(number, (blob.clone(), media_type.mime()));
            made_from.extend(id.map(|id| (number, id)));
            pictures.shown.extend(id.filter(|_| shown.contains(&at)));
            candidates.push(Candidate { number, blob, sha256, media_type, latest: at >= oldest_latest });
        }
        let count = candidates.len();
        pictures.portion = portion(&self.library, candidates, settings.history_images, settings.history_bytes).await;
        let portion = &pictures.portion;
        pictures.made_from = made_from.into_iter().filter(|(number, _)| !portion.dropped.contains(number)).map(|(_, id)| id).collect();
        for (number, blob) in &portion.reduced {
            pictures.others.insert(*number, (blob.clone(), MediaType::Jpeg.mime()));
        }
        if count > 0 {
            let history =
                json!({"images": count, "sent": portion.sent.len(), "reduced": portion.reduced.len(), "dropped": portion.dropped.len()});
            note.add("history", history);
        }
        Ok(pictures)
    }

    async fn linked_picture(&self, id: ImageId) -> Result<Option<(Blob, Sha256, MediaType)>, RelayError> {
        // An id that is not in the library is somebody else's link: it stays as it is.
        let found = match self.library.open(id).await {
            Ok(found) => found,
            // A drawing without it would be paid for and be another one than was wanted.
            Err(RestoreError::Gone) if self.library.is_left_behind(id).await? => return Err(RelayError::left_behind(id, None)),
            Err(RestoreError::Gone) => {
                tracing::warn!(event = "conversation_lost", image = %id, "an image of the conversation is lost; its link goes as text");
                None
            }
            Err(RestoreError::Away(fault)) => return Err(RelayError::BucketAway(fault.code())),
            Err(RestoreError::Library(error)) => return Err(error.into()),
        };
        let Some((record, blob)) = found else { return Ok(None) };
        Ok(Some((blob, record.blob.sha256, record.blob.media_type)))
    }

    /// A picture of another server that the user names. If it cannot be had, its address stays what it is: text.
    async fn fetch_external(&self, url: &str) -> Option<Received> {
        match fetch_picture(self.external.guarded(url), &self.library).await {
            Ok(received) => Some(received),
            Err(error) => {
                tracing::warn!(
                    event = "source_unfetched",
                    error,
                    "a picture that the user names could not be fetched; its address goes as text"
                );
                None
            }
        }
    }

    /// Keeps a picture that the user sent. That this fails is no reason not to draw.
    pub(super) async fn keep_upload(&self, received: &Received) -> Option<ImageId> {
        match self.library.save(received, Origin::bare(Source::Uploaded)).await {
            Ok(saved) => Some(saved.id),
            Err(error) => {
                tracing::warn!(%error, "a picture that the user sent could not be kept");
                None
            }
        }
    }
}

/// A name is a name: nothing that would be set aside as if it were a file.
pub(super) fn check_model(model: Option<&str>) -> Result<(), RelayError> {
    match model {
        Some(model) if model.len() > MODEL_MAX => Err(RelayError::bad(Some("model"), format!("'model' is longer than {MODEL_MAX} bytes"))),
        _ => Ok(()),
    }
}

/// A body of JSON that can be sent more than once.
pub(super) fn json_payload(body: Assembled) -> crate::upstream::Payload {
    payload("application/json".into(), body)
}

/// A body that can be sent more than once.
pub(super) fn payload(content_type: String, body: Assembled) -> crate::upstream::Payload {
    crate::upstream::Payload { content_type, make: std::sync::Arc::new(move || http_body_util::BodyExt::boxed(body.body())) }
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
