//! Shapes answers for the client: images of a chat message become markdown in its text, images of the Images API
//! become links or base64. Works on skeletons; what it does not name passes verbatim.

use super::{
    expand::references,
    finder::Form,
    json::{Document, Edits, Node, quote},
    present::{Presenter, Shown},
    scan::{Nonce, Reference},
    sse::write_event,
};

/// A piece of a message as the upstream sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text.
    Text(String),
    /// An image in the text.
    Image(usize),
}

/// What an answer's references are, for the functions below.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The body's nonce.
    pub nonce: Nonce,
    /// By number.
    pub references: &'a [Reference],
}

impl Known<'_> {
    fn is_image(&self, index: usize) -> bool {
        self.references.get(index).is_some_and(|r| r.form != Form::Verbatim)
    }

    /// Splits running text at its images; verbatim runs stay in it.
    pub fn split(&self, text: &str) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut at = 0;
        for (span, index) in references(text.as_bytes(), self.nonce) {
            if self.is_image(index) {
                parts.push(Part::Text(text[at..span.start].to_owned()));
                parts.push(Part::Image(index));
                at = span.end;
            }
        }
        parts.push(Part::Text(text[at..].to_owned()));
        parts
    }

    /// The image that a whole value stands for.
    pub fn image(&self, value: &str) -> Option<usize> {
        match references(value.as_bytes(), self.nonce)[..] {
            [(ref span, index)] if *span == (0..value.len()) && self.is_image(index) => Some(index),
            _ => None,
        }
    }

    /// The image that an object or string of a content array, or of `images`, stands for: any of the spellings of
    /// OpenAI, OpenRouter, LiteLLM, Anthropic and relays.
    pub fn image_in(&self, document: &Document, part: &Node) -> Option<usize> {
        if let Some(text) = document.string(part) {
            return self.image(&text);
        }
        ["image_url", "url", "image", "source", "data", "b64_json", "result"].iter().find_map(|key| self.image_in(document, part.get(key)?))
    }

    /// The parts of a `content` value: a string, an array of parts, or nothing.
    pub fn content(&self, document: &Document, content: &Node) -> Vec<Part> {
        if let Some(text) = document.string(content) {
            return self.split(&text);
        }
        let mut parts = Vec::new();
        for item in content.items() {
            if let Some(index) = self.image_in(document, item) {
                parts.push(Part::Image(index));
            } else if let Some(text) = document.string(item).or_else(|| document.string_at(item, "text")) {
                parts.extend(self.split(&text));
            } else if let Some(url) = item.get("image_url").and_then(|u| document.string(u).or_else(|| document.string_at(u, "url"))) {
                parts.push(Part::Text(format!("![image]({url})")));
            }
        }
        parts
    }
}

/// Gives every image that is elsewhere a number, as if it had been in the body; `number` hears its address.
pub fn number_remote(shown: &mut [Shown], mut number: impl FnMut(String) -> usize) {
    for piece in shown {
        if let Shown::Remote { url, alt } = piece {
            *piece = Shown::Image { index: number(std::mem::take(url)), alt: std::mem::take(alt) };
        }
    }
}

/// Text for the client with references where the links go.
pub fn markdown(shown: &[Shown], nonce: Nonce) -> String {
    let mut text = String::new();
    for piece in shown {
        match piece {
            Shown::Text(more) => text.push_str(more),
            Shown::Image { index, alt } => text.push_str(&format!("![{alt}]({})", nonce.reference(*index))),
            Shown::Address(index) => text.push_str(&nonce.reference(*index)),
            Shown::Remote { url, alt } => text.push_str(&format!("![{alt}]({url})")),
        }
    }
    text
}

/// Puts images that came beside the text behind it, each in a paragraph of its own.
pub fn append_images(shown: &mut Vec<Shown>, images: Vec<Shown>) {
    for image in images {
        let has_text = shown.iter().any(|s| !matches!(s, Shown::Text(t) if t.trim().is_empty()));
        if has_text {
            shown.push(Shown::Text("\n\n".into()));
        }
        shown.push(image);
    }
}

/// The keys under which images come beside the text.
pub const IMAGE_LISTS: [&str; 2] = ["images", "image"];

/// Images in `message.images` (or the singular of old LiteLLM).
pub fn images_beside(document: &Document, message: &Node, known: Known<'_>) -> Vec<usize> {
    IMAGE_LISTS
        .iter()
        .filter_map(|key| message.get(key))
        .flat_map(|list| if list.is_array() { list.items() } else { std::slice::from_ref(list) })
        .filter_map(|item| known.image_in(document, item))
        .collect()
}

/// The same for an answer: also those that the upstream keeps at an address of its own.
pub fn shown_beside(document: &Document, message: &Node, known: Known<'_>) -> Vec<Shown> {
    let alt = || "image".to_owned();
    let mut shown: Vec<Shown> =
        images_beside(document, message, known).into_iter().map(|index| Shown::Image { index, alt: alt() }).collect();
    for list in IMAGE_LISTS.iter().filter_map(|key| message.get(key)) {
        for item in if list.is_array() { list.items() } else { std::slice::from_ref(list) } {
            let inner = item.get("image_url").or_else(|| item.get("url")).unwrap_or(item);
            let url = document.string(inner).or_else(|| document.string_at(inner, "url"));
            if let Some(url) = url.filter(|u| u.starts_with("http://") || u.starts_with("https://")) {
                shown.push(Shown::Remote { url: url.into_owned(), alt: alt() });
            }
        }
    }
    shown
}

/// A chat completion for the client: `content` a string with markdown, no `images`, the client's model name.
/// Images in `without` are left out. Addresses of images that are elsewhere are added to `remote`; their references
/// are numbered on from those of the body.
pub fn chat(document: &Document, known: Known<'_>, model: Option<&str>, without: &[usize], remote: &mut Vec<String>) -> Vec<u8> {
    let mut edits = Edits::default();
    echo_model(document, model, &mut edits);
    for choice in document.root().get("choices").map_or(&[][..], Node::items) {
        if let Some(message) = choice.get("message").filter(|m| m.is_object()) {
            message_edits(document, message, known, without, remote, &mut edits);
        }
    }
    document.edited(edits)
}

fn message_edits(document: &Document, message: &Node, known: Known<'_>, without: &[usize], remote: &mut Vec<String>, edits: &mut Edits) {
    let mut number = |url: String| {
        remote.push(url);
        known.references.len() + remote.len() - 1
    };
    let kept =
        |parts: Vec<Part>| -> Vec<Part> { parts.into_iter().filter(|p| !matches!(p, Part::Image(i) if without.contains(i))).collect() };
    let has_lists = IMAGE_LISTS.iter().any(|key| message.get(key).is_some());
    let mut beside = shown_beside(document, message, known);
    let had_beside = !beside.is_empty();
    beside.retain(|shown| !matches!(shown, Shown::Image { index, .. } if without.contains(index)));
    let content = message.get("content");
    let parts = content.map(|c| known.content(document, c)).unwrap_or_default();
    let is_list = content.is_some_and(Node::is_array);
    let mut shown = present_all(kept(parts));
    if had_beside || is_list || shown.iter().any(|s| !matches!(s, Shown::Text(_))) {
        append_images(&mut shown, beside);
        number_remote(&mut shown, &mut number);
        edits.set(message, "content", &quote(&markdown(&shown, known.nonce)));
    }
    if has_lists && had_beside {
        edits.remove(message, &IMAGE_LISTS);
    }
    for key in ["reasoning_content", "reasoning"] {
        let Some(node) = message.get(key) else { continue };
        let parts = document.string(node).map(|text| known.split(&text)).unwrap_or_default();
        if parts.iter().any(|p| matches!(p, Part::Image(_))) {
            edits.replace_string(node, &markdown(&present_all(kept(parts)), known.nonce));
        }
    }
}

/// If a whole chat answer says nothing at all (no text, no image, no call of a tool): why its choices ended.
pub fn silence(document: &Document, known: Known<'_>) -> Option<Vec<String>> {
    let root = document.root();
    let mut reasons = Vec::new();
    for choice in root.get("choices")?.items() {
        let says = |message: &Node| {
            let is_text = |key: &str| message.get(key).and_then(|n| document.string(n)).is_some_and(|t| !t.trim().is_empty());
            let is_list = |key: &str| message.get(key).is_some_and(|n| !n.items().is_empty());
            is_text("content") || is_text("refusal") || is_list("content") || is_list("tool_calls") || message.get("audio").is_some()
        };
        let message = choice.get("message");
        if message.is_some_and(|m| says(m) || !shown_beside(document, m, known).is_empty()) {
            return None;
        }
        reasons.extend(["finish_reason", "native_finish_reason"].iter().filter_map(|key| document.string_at(choice, key)).map(Into::into));
    }
    Some(reasons)
}

/// The text of a whole chat answer, for people.
pub fn said(document: &Document) -> String {
    let choices = document.root().get("choices").map_or(&[][..], Node::items);
    choices.first().and_then(|c| c.get("message")).and_then(|m| document.string_at(m, "content")).unwrap_or_default().into_owned()
}

/// A chat completion whose contents are lists of parts instead of markdown, for clients that want it so.
pub fn with_parts(document: &Document, nonce: Nonce) -> Vec<u8> {
    let mut edits = Edits::default();
    for choice in document.root().get("choices").map_or(&[][..], Node::items) {
        let Some(content) = choice.get("message").and_then(|m| m.get("content")) else { continue };
        let Some(text) = document.string(content) else { continue };
        let (mut parts, mut at) = (Vec::new(), 0);
        let push_text = |parts: &mut Vec<String>, text: &str| {
            if !text.trim().is_empty() {
                parts.push(format!(r#"{{"type":"text","text":{}}}"#, quote(text.trim())));
            }
        };
        for (span, index) in references(text.as_bytes(), nonce) {
            let open = text[at..span.start].rfind("![").map(|open| at + open).filter(|open| text[*open..span.start].ends_with("]("));
            let Some(open) = open.filter(|_| text[span.end..].starts_with(')')) else { continue };
            push_text(&mut parts, &text[at..open]);
            parts.push(format!(r#"{{"type":"image_url","image_url":{{"url":"{}"}}}}"#, nonce.reference(index)));
            at = span.end + 1;
        }
        push_text(&mut parts, &text[at..]);
        edits.replace(content, format!("[{}]", parts.join(",")));
    }
    document.edited(edits)
}

fn present_all(parts: Vec<Part>) -> Vec<Shown> {
    let (mut presenter, mut shown) = (Presenter::default(), Vec::new());
    for part in parts {
        match part {
            Part::Text(text) => presenter.text(&text, &mut shown),
            Part::Image(index) => presenter.image(index, &mut shown),
        }
    }
    presenter.finish(&mut shown);
    shown
}

/// Puts the model name that the client used where the upstream wrote its own.
pub fn echo_model(document: &Document, model: Option<&str>, edits: &mut Edits) {
    if let (Some(model), Some(node)) = (model, document.root().get("model")) {
        edits.replace_string(node, model);
    }
}

/// What one item of the Images API's `data` holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Base64 or a data URL.
    Image(usize),
    /// An address to be downloaded from.
    Url(String),
    /// Something that is no image.
    Nothing,
}

/// The items of an Images API answer with their revised prompts; `None` if there is no `data` list.
pub fn image_items(document: &Document, known: Known<'_>) -> Option<Vec<(Item, Option<String>)>> {
    let data = document.root().get("data").filter(|d| d.is_array())?;
    let item = |node: &Node| {
        let text = |key| document.string_at(node, key);
        let in_field = text("b64_json").as_deref().and_then(|v| known.image(v));
        let in_url = text("url").as_deref().and_then(|v| known.image(v));
        let revised = text("revised_prompt").map(|t| t.into_owned());
        let found = match (in_field.or(in_url), text("url")) {
            (Some(index), _) => Item::Image(index),
            (None, Some(url)) if !url.is_empty() && !url.starts_with("data:") => Item::Url(url.into_owned()),
            _ => Item::Nothing,
        };
        (found, revised)
    };
    Some(data.items().iter().map(item).collect())
}

/// An Images API answer for the client: every item of `data` gets exactly one of `url` and `b64_json`, the key and
/// value that stand for it in `values`; items without one are left out.
pub fn images(document: &Document, values: &[Option<(&str, String)>]) -> Vec<u8> {
    let mut edits = Edits::default();
    if let Some(data) = document.root().get("data") {
        let items: Vec<String> = data
            .items()
            .iter()
            .zip(values)
            .filter_map(|(item, value)| {
                let (key, value) = value.as_ref()?;
                let rest: Vec<String> = item
                    .members()
                    .iter()
                    .filter(|m| m.key != "url" && m.key != "b64_json")
                    .map(|m| format!("{}:{}", quote(&m.key), document.raw(&m.value)))
                    .collect();
                let head = format!("{}:{}", quote(key), quote(value));
                Some(format!("{{{}}}", [vec![head], rest].concat().join(",")))
            })
            .collect();
        edits.replace(data, format!("[{}]", items.join(",")));
    }
    document.edited(edits)
}

/// An Images API answer as the stream that the client asked for: one `{kind}.completed` event for each picture.
pub fn images_as_stream(document: &Document, kind: &str) -> Vec<u8> {
    let root = document.root();
    let shared = root.members().iter().filter(|m| !matches!(m.key.as_str(), "data" | "created"));
    let shared: Vec<String> = shared.map(|m| format!(",{}:{}", quote(&m.key), document.raw(&m.value))).collect();
    let created = root.get("created").map_or("0", |n| document.raw(n));
    let mut out = Vec::new();
    for item in root.get("data").map_or(&[][..], Node::items) {
        let own: Vec<String> = item.members().iter().map(|m| format!(",{}:{}", quote(&m.key), document.raw(&m.value))).collect();
        let event = format!("{{\"type\":\"{kind}.completed\",\"created_at\":{created}{}{}}}", own.concat(), shared.concat());
        out.extend(write_event(&[format!("event: {kind}.completed").into_bytes()], event.as_bytes()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MediaType;

    const NONCE: Nonce = Nonce([1; 16]);

    fn shaped(answer: &str, count: usize) -> String {
        let references = vec![Reference { form: Form::DataUrl, media: Some(MediaType::Png) }; count];
        let mut text = answer.to_owned();
        for index in 0..count {
            text = text.replace(&format!("§{index}"), &NONCE.reference(index));
        }
        let document = Document::parse(text.into_bytes(), 128).expect("JSON");
        let out = chat(&document, Known { nonce: NONCE, references: &references }, Some("picgate"), &[], &mut Vec::new());
        let mut out = String::from_utf8(out).expect("UTF-8");
        for index in 0..count {
            out = out.replace(&NONCE.reference(index), &format!("§{index}"));
        }
        out
    }

    #[test]
    fn every_place_of_an_image_in_a_message_becomes_markdown() {
        for (sent, shown) in [
            (r#"{"content":"Here","images":[{"type":"image_url","image_url":{"url":"§0"}}]}"#, r#"{"content":"Here\n\n![image](§0)"}"#),
            (
                r#"{"content":null,"images":[{"image_url":{"url":"§0"}},{"image_url":"§1"}],"x":1.0}"#,
                r#"{"content":"![image](§0)\n\n![image](§1)","x":1.0}"#,
            ),
            (r#"{"role":"assistant","image":{"image_url":{"url":"§0"}}}"#, r#"{"role":"assistant","content":"![image](§0)"}"#),
            (r#"{"content":"done\n![a](§0)"}"#, r#"{"content":"done\n![a](§0)"}"#),
            (
                r#"{"content":[{"type":"text","text":"hi "},{"type":"image_url","image_url":"§0"},{"type":"image","source":{"type":"base64","data":"§1"}}]}"#,
                r#"{"content":"hi ![image](§0)![image](§1)"}"#,
            ),
            (r#"{"content":"","reasoning_content":"..![](§0)"}"#, r#"{"content":"","reasoning_content":"..![image](§0)"}"#),
            (r#"{"content":"plain \u00e9","n":1e5}"#, r#"{"content":"plain \u00e9","n":1e5}"#),
        ] {
            let wrap = |m: &str, model: &str| format!(r#"{{"model":"{model}","choices":[{{"message":{m},"index":0}}]}}"#);
            assert_eq!(shaped(&wrap(sent, "up"), 2), wrap(shown, "picgate"));
        }
    }
}
