//! Answers of the Images API: their pictures saved, and written out for a client of either dialect.

use std::sync::Arc;

use serde_json::json;

use super::{
    Relay, RelayError,
    answer::{Keeper, Outcome},
    asked::Asked,
    chat::{redacted, refusal},
    delivery::Output,
    image_pump::ImagePump,
    receive::{Scanned, data_url, nonce},
    waiting::Waiting,
};
use crate::{
    library::Assembled,
    rewrite::{
        expand::{Piece, expand},
        image_stream::HandOver,
        json::{Document, quote},
        response::{self, Item},
        scan::ScanLimits,
        sse::write_event,
    },
    store::Blob,
    upstream::{Answer, Class, Upstream, UpstreamError},
};

/// What an upstream's whole answer came to: for each of its items the number of its picture, if it was received.
pub(super) struct Drawn {
    scanned: Scanned,
    items: Vec<Option<usize>>,
}

impl Relay {
    /// Receives a whole answer of the Images API.
    ///
    /// # Errors
    /// When it refuses, or holds no picture that can be read.
    pub(super) async fn drawn(&self, answer: Answer, keeper: &mut Keeper, upstream: &dyn Upstream) -> Result<Drawn, RelayError> {
        let scanned = self.scan_answer(answer, keeper).await?;
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
            return Err(UpstreamError::ours(
                Class::BadAnswer,
                "上游的回答里没有图片列表",
                "the upstream's answer holds no list of pictures",
            )
            .into());
        };
        if items.is_empty() {
            let withheld = "the upstream withheld every picture without saying why (silent moderation)";
            return Err(UpstreamError::ours(Class::BlockedOutput, "上游扣下了所有图片，没有说明原因（静默审核）", withheld).into());
        }
        let own = scanned.intake.references().len();
        let mut received = Vec::with_capacity(items.len());
        for (at, (item, revised)) in items.into_iter().enumerate() {
            let revised = revised.map(|text| scanned.readable(&text));
            let index = match item {
                Item::Image(index) => {
                    keeper.keep(index, &scanned.intake, revised).await;
                    Some(index)
                }
                Item::Url(url) => {
                    keeper.fetch(own + at, url, upstream).await;
                    Some(own + at)
                }
                Item::Nothing => None,
            };
            received.push(index.filter(|index| !matches!(keeper.outcomes.get(index), None | Some(Outcome::Lost))));
        }
        let missing = received.iter().filter(|index| index.is_none()).count();
        if missing == received.len() {
            return Err(UpstreamError::ours(
                Class::BadAnswer,
                "上游的回答里没有可以读取的图片",
                "the upstream's answer holds no picture that can be read",
            )
            .into());
        }
        if missing > 0 {
            tracing::error!(missing, "pictures of the answer are damaged");
        }
        Ok(Drawn { scanned, items: received })
    }

    /// Receives an answer of the Images API however it comes; the numbers of its pictures, in order.
    pub(super) async fn drawn_anyhow(
        &self,
        answer: Answer,
        keeper: &mut Keeper,
        upstream: &Arc<dyn Upstream>,
    ) -> Result<Vec<usize>, RelayError> {
        if !answer.is_stream {
            let drawn = self.drawn(answer, keeper, &**upstream).await?;
            return Ok(drawn.items.into_iter().flatten().collect());
        }
        let nonce = nonce().ok_or(RelayError::Panicked)?;
        let mut waiting = Waiting::silent(Output::new(false));
        let failure = Box::pin(ImagePump::new(nonce, HandOver::Link, keeper, upstream.clone(), &mut waiting).run(answer)).await;
        keeper.check()?;
        let results = keeper.results();
        match failure {
            _ if !results.is_empty() => Ok(results),
            Some(error) => Err(error.into()),
            None => Err(UpstreamError::ours(Class::BadAnswer, "上游的回答里没有图片", "the upstream's stream held no picture").into()),
        }
    }
}

impl Drawn {
    /// The same answer for a client of the Images API: JSON, or the events that it would have been. `kind` begins their
    /// names.
    pub(super) fn for_client(self, keeper: &Keeper, upstream: &dyn Upstream, asked: &Asked, kind: &str) -> Result<Assembled, RelayError> {
        let nonce = self.scanned.nonce;
        let value = |index: Option<usize>| index.map(|index| (key(keeper, index, asked.base64), nonce.reference(index)));
        let values: Vec<_> = self.items.into_iter().map(value).collect();
        let mut text = response::images(&self.scanned.document, &values);
        if asked.stream {
            text = response::images_as_stream(&Document::parse(text, ScanLimits::default().depth)?, kind);
        }
        upstream.redact(&mut text);
        Ok(Assembled::new(expand(&text, nonce, |index| picture(keeper, index, asked.base64))))
    }
}

/// A picture that was drawn: who kept it, and its number there.
pub(super) type Picture<'a> = (&'a Keeper, usize);

/// Pictures that did not come in an answer of this dialect, as one. `kind` begins the names of events.
pub(super) fn images_answer(results: &[Picture<'_>], asked: &Asked, kind: &str) -> Assembled {
    let created = crate::model::now() / 1000;
    let (mut pieces, mut text) = (Vec::new(), String::new());
    for (at, (keeper, index)) in results.iter().enumerate() {
        let key = key(keeper, *index, asked.base64);
        if asked.stream {
            text.push_str(&format!("event: {kind}.completed\ndata: {{\"type\":\"{kind}.completed\",\"created_at\":{created},\"{key}\":\""));
        } else {
            let before = if at == 0 { format!("{{\"created\":{created},\"data\":[") } else { ",".into() };
            text.push_str(&format!("{before}{{\"{key}\":\""));
        }
        pieces.push(Piece::Text(std::mem::take(&mut text).into_bytes()));
        pieces.extend(picture(keeper, *index, asked.base64));
        text.push_str(if asked.stream { "\"}\n\n" } else { "\"}" });
    }
    if !asked.stream {
        text.push_str("]}");
    }
    pieces.push(Piece::Text(text.into_bytes()));
    Assembled::new(pieces)
}

/// Pictures as the text of a chat answer, the inside of a JSON string.
fn markdown(keeper: &Keeper, results: &[usize], alt: &str) -> Vec<Piece<Blob>> {
    let mut pieces = Vec::new();
    for (at, index) in results.iter().enumerate() {
        let gap = if at > 0 { "\\n\\n" } else { "" };
        pieces.push(Piece::Text(format!("{gap}![{alt}](").into_bytes()));
        pieces.extend(picture(keeper, *index, false));
        pieces.push(Piece::Text(b")".to_vec()));
    }
    pieces
}

/// Pictures as a whole chat completion; its content a list of parts if `parts`.
pub(super) fn chat_answer(keeper: &Keeper, results: &[usize], alt: &str, model: &str, parts: bool) -> Assembled {
    let (created, id) = (crate::model::now() / 1000, uuid::Uuid::new_v4().simple());
    let head = format!(
        "{{\"id\":\"chatcmpl-picgate-{id}\",\"object\":\"chat.completion\",\"created\":{created},\"model\":{},\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":",
        quote(model)
    );
    let mut pieces = vec![Piece::Text(head.into_bytes())];
    let text = |pieces: &mut Vec<Piece<Blob>>, text: &str| pieces.push(Piece::Text(text.as_bytes().to_vec()));
    if parts {
        for (at, index) in results.iter().enumerate() {
            text(&mut pieces, if at == 0 { "[" } else { "," });
            text(&mut pieces, "{\"type\":\"image_url\",\"image_url\":{\"url\":\"");
            pieces.extend(picture(keeper, *index, false));
            text(&mut pieces, "\"}}");
        }
        text(&mut pieces, "]");
    } else {
        text(&mut pieces, "\"");
        pieces.extend(markdown(keeper, results, alt));
        text(&mut pieces, "\"");
    }
    text(&mut pieces, "},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0,\"total_tokens\":0}}");
    Assembled::new(pieces)
}

/// Pictures as an event of a chat stream.
pub(super) fn chat_event(keeper: &Keeper, results: &[usize], alt: &str, waiting: &Waiting) -> Assembled {
    // The marker is replaced by the text, which may be long: a picture that could not be stored is handed over inline.
    const MARK: &str = "\u{1}";
    let event = waiting.event(json!({"role": "assistant", "content": MARK}), serde_json::Value::Null);
    let text = String::from_utf8_lossy(&event).into_owned();
    let (before, after) = text.split_once("\\u0001").unwrap_or((&text, ""));
    let mut pieces = vec![Piece::Text(before.as_bytes().to_vec())];
    pieces.extend(markdown(keeper, results, alt));
    pieces.push(Piece::Text(after.as_bytes().to_vec()));
    Assembled::new(pieces)
}

/// How a chat stream of our own ends.
pub(super) fn chat_end(waiting: &Waiting) -> Assembled {
    let end = waiting.event(json!({}), json!("stop"));
    Assembled::text([&end[..], &write_event(&[], b"[DONE]")].concat())
}

/// The member that holds a picture.
fn key(keeper: &Keeper, index: usize, base64: bool) -> &'static str {
    let is_address = matches!(keeper.outcomes.get(&index), Some(Outcome::Address(_)));
    if base64 && !is_address { "b64_json" } else { "url" }
}

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
