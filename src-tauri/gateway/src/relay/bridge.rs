//! Between the dialects: an upstream that has only the Images API serves conversations, one that has only chat serves
//! the Images API.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    Relay, RelayError,
    answer::Keeper,
    asked::Asked,
    chat::ChatJob,
    conversation::json_payload,
    delivery::Head,
    drawn::{chat_answer, chat_end, chat_event},
    edit::{EditRequest, Input},
    images::INPUTS_MAX,
    note::Note,
    receive::data_url,
    waiting::Waiting,
};
use crate::{
    library::Assembled,
    model::MediaType,
    rewrite::{expand::Piece, json::quote, progress, response},
    store::Blob,
    upstream::{Brief, Call, Class, Endpoint, Traits, Upstream, UpstreamError},
};

/// Pictures that are asked for at once where each needs a request of its own.
const AT_ONCE: usize = 4;

/// Said to a model that knows no masks.
const MASK_NOTE: &str = "The last picture is a mask: change only what is transparent in it.";

impl ChatJob<'_> {
    /// The last user turn as a drawing: its words are the prompt, the images of the conversation are what it starts
    /// from, the latest first.
    pub(super) async fn by_images(&self, keeper: &mut Keeper, waiting: &mut Waiting, note: &mut Note) -> Result<(), RelayError> {
        let (question, upstream) = (self.question, self.upstream.clone());
        if question.read.prompt.is_empty() {
            return Err(RelayError::bad(Some("messages"), "the last user message says nothing that could be drawn"));
        }
        let wishes = question.wishes.clone();
        let model = upstream.model();
        let mut fields: Vec<(String, String)> = vec![("prompt".into(), quote(&question.read.prompt))];
        let mut add = |key: &str, value: Option<String>| fields.extend(value.map(|value| (key.to_owned(), value)));
        add("n", wishes.count.filter(|n| *n > 1).map(|n| n.to_string()));
        let given = config_of(question);
        add("size", wishes.clone().or(given).size_for(model).map(|size| quote(&size)));
        add("quality", wishes.quality_for(model).map(|quality| quote(&quality)));
        add("output_format", wishes.format.map(|format| quote(format.as_str())));
        let sent = self.pictures.portion.sent.iter().rev();
        // The digest matters only for requests that clients send.
        let nameless = crate::model::Sha256([0; 32]);
        let input = |blob: &Blob, media_type| Input { blob: blob.clone(), sha256: nameless, media_type, id: None };
        let images = sent.take(INPUTS_MAX).map(|(_, blob, media_type)| input(blob, *media_type)).collect();
        let request = EditRequest { fields, images, mask: None };
        let brief = Brief { prompt: question.read.prompt.clone(), inputs: request.blobs(), count: 1, ..Brief::default() };
        let make = |traits: &Traits| request.call(&*upstream, traits, false, &brief);
        let answer = waiting.during(Box::pin(self.relay.attempt(&upstream, note, &make))).await?;
        let results = waiting.during(Box::pin(self.relay.drawn_anyhow(answer, keeper, &upstream))).await?;
        let alt = progress::picture_alt(waiting.manner().language);
        if !question.stream {
            let name = question.model_name(self.settings);
            return waiting.json(chat_answer(keeper, &results, alt, &name, self.settings.content_array)).await;
        }
        waiting.out().decide(Head::Events);
        let before = waiting.before_picture();
        waiting.out().send(before).await;
        waiting.out().send_all(chat_event(keeper, &results, alt, waiting)).await;
        let caption = waiting.at_end();
        waiting.out().send(caption).await;
        waiting.out().send_all(chat_end(waiting)).await;
        Ok(())
    }
}

/// What the request's `image_config` asks for.
fn config_of(question: &super::conversation::Question) -> crate::model::Wishes {
    let document = &question.scanned.document;
    let text = |key: &str| document.root().get("image_config").and_then(|config| document.string_at(config, key));
    crate::model::Wishes::from_image_config(text("aspect_ratio").as_deref(), text("image_size").as_deref())
}

/// Pictures that were drawn one by one, each with who kept it.
pub(super) type OneByOne = Vec<(Keeper, Vec<usize>)>;

impl Relay {
    /// A drawing of the Images API by an upstream that has chat alone: one request for each picture.
    ///
    /// # Errors
    /// The first failure, if not a single picture came of it.
    pub(super) async fn draw_by_chat(
        &self,
        request: &EditRequest,
        asked: &Asked,
        keeper: &Keeper,
        upstream: &Arc<dyn Upstream>,
        note: &mut Note,
    ) -> Result<OneByOne, RelayError> {
        use futures_util::{StreamExt, stream};
        let one = |_| async {
            let (mut keeper, mut note) = (keeper.anew(), note.fork());
            let result = Box::pin(self.draw_one_by_chat(request, asked, &mut keeper, upstream, &mut note)).await;
            (keeper, note, result)
        };
        // Each future is boxed so that what a request needs does not multiply.
        let done: Vec<_> = stream::iter(0..asked.count).map(one).buffered(AT_ONCE).collect().await;
        let (mut pictures, mut failure) = (OneByOne::new(), None);
        for (keeper, own, result) in done {
            note.absorb(own);
            match result {
                Ok(results) => pictures.push((keeper, results)),
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
        match failure {
            Some(error) if pictures.is_empty() => Err(error),
            Some(error) => {
                tracing::warn!(%error, got = pictures.len(), wanted = asked.count, "not all pictures were drawn");
                Ok(pictures)
            }
            None => Ok(pictures),
        }
    }

    async fn draw_one_by_chat(
        &self,
        request: &EditRequest,
        asked: &Asked,
        keeper: &mut Keeper,
        upstream: &Arc<dyn Upstream>,
        note: &mut Note,
    ) -> Result<Vec<usize>, RelayError> {
        let make = |traits: &Traits| Ok(request.as_chat(asked, &**upstream, traits));
        let answer = self.attempt(upstream, note, &make).await?;
        let whole = self.whole_chat(answer, keeper, upstream, None, false).await?;
        let results = keeper.results();
        if !results.is_empty() {
            return Ok(results);
        }
        if let Some(error) = whole.silence {
            return Err(error.into());
        }
        let document = crate::rewrite::json::Document::parse(whole.text, crate::rewrite::scan::ScanLimits::default().depth)?;
        let said: String = response::said(&document).chars().take(500).collect();
        Err(UpstreamError::new(Class::NoImage, said).into())
    }
}

impl EditRequest {
    /// The call to an upstream that has chat alone.
    fn as_chat(&self, asked: &Asked, upstream: &dyn Upstream, traits: &Traits) -> Call {
        let mut members = Map::new();
        let mut add = |key: &str, value: Option<Value>| {
            if let Some(value) = value.filter(|_| !traits.refuses(key)) {
                members.insert(key.to_owned(), value);
            }
        };
        add("modalities", Some(json!(["image", "text"])));
        let wishes = asked.wishes();
        if let Some((aspect, size)) = wishes.image_config_for(upstream.model()) {
            let mut config = Map::new();
            config.extend(aspect.map(|aspect| ("aspect_ratio".to_owned(), json!(aspect))));
            config.extend(size.map(|size| ("image_size".to_owned(), json!(size))));
            add("image_config", Some(Value::Object(config)).filter(|c| c.as_object().is_some_and(|c| !c.is_empty())));
        }
        add("seed", wishes.seed.map(|seed| json!(seed)));
        add("stream", Some(json!(false)));
        let sent = members.keys().cloned().collect();
        let tail = Value::Object(members).to_string();
        let text = |text: String| Piece::Text(text.into_bytes());
        let mut pieces = vec![text(format!("{{\"model\":{},\"messages\":[{{\"role\":\"user\",\"content\":", quote(upstream.model())))];
        let inputs: Vec<(&Blob, MediaType)> = self.images.iter().chain(&self.mask).map(|input| (&input.blob, input.media_type)).collect();
        let mut prompt = asked.prompt.clone();
        if self.mask.is_some() {
            prompt.push_str("\n\n");
            prompt.push_str(MASK_NOTE);
        }
        if inputs.is_empty() {
            pieces.push(text(quote(&prompt)));
        } else {
            pieces.push(text("[".into()));
            for (blob, media_type) in &inputs {
                pieces.push(text("{\"type\":\"image_url\",\"image_url\":{\"url\":\"".into()));
                pieces.extend(data_url((*blob).clone(), media_type.mime()));
                pieces.push(text("\"}},".into()));
            }
            pieces.push(text(format!("{{\"type\":\"text\",\"text\":{}}}]", quote(&prompt))));
        }
        pieces.push(text(format!("}}],{}", &tail[1..])));
        let brief = asked.brief(inputs.into_iter().map(|(blob, _)| blob.clone()).collect());
        Call { endpoint: Endpoint::Chat, payload: json_payload(Assembled::new(pieces)), stream: false, members: sent, brief }
    }
}
