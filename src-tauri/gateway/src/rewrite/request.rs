//! Shapes a chat request for the upstream: links of earlier turns become image parts with real bytes, images of
//! assistant and tool turns move to the next user turn, and what clients add around the user's words goes. Works on
//! skeletons; everything else passes verbatim.

use std::{borrow::Cow, collections::HashMap};

use super::{
    json::{Document, Edits, Node, quote},
    links,
    response::{IMAGE_LISTS, Known, images_beside},
    scan::Nonce,
};
use crate::model::ImageId;

/// Why a request cannot be shaped: which parameter, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadRequest {
    /// The parameter, as OpenAI's `param`.
    pub param: &'static str,
    /// For a person.
    pub message: String,
}

/// Refuses a request with two members of the same name where the two sides could read different ones.
///
/// # Errors
/// [`BadRequest`] that names the first of `keys` that stands twice.
pub fn no_duplicates(root: &Node, keys: &[&'static str]) -> Result<(), BadRequest> {
    match keys.iter().find(|key| root.members().iter().filter(|m| m.key == **key).count() > 1) {
        Some(param) => Err(BadRequest { param, message: format!("'{param}' stands twice in the request") }),
        None => Ok(()),
    }
}

/// What is read from a chat request before anything is decided.
#[derive(Debug, Default)]
pub struct Chat {
    /// The last user turn's words, without what clients put around them.
    pub prompt: String,
    /// Our links anywhere in the conversation, each once, oldest first.
    pub linked: Vec<ImageId>,
    /// References to images that the client sent along, each once, oldest first.
    pub sent: Vec<usize>,
    /// Addresses of images on other servers in user turns, each once, oldest first.
    pub external: Vec<String>,
}

/// Reads a chat request.
///
/// # Errors
/// [`BadRequest`] if `messages` is not a list of objects with at least one item.
pub fn read_chat(document: &Document, known: Known<'_>) -> Result<Chat, BadRequest> {
    let bad = |message: &str| BadRequest { param: "messages", message: message.to_owned() };
    let root = document.root();
    no_duplicates(root, &["model", "messages", "stream", "n"])?;
    let messages = root.get("messages").ok_or_else(|| bad("'messages' is missing"))?;
    if !messages.is_array() || messages.items().is_empty() {
        return Err(bad("'messages' must be a list with at least one message"));
    }
    let mut chat = Chat::default();
    for message in messages.items() {
        if !message.is_object() {
            return Err(bad("every item of 'messages' must be an object"));
        }
        for text in strings(document, message) {
            chat.linked.extend(links::find(&text).into_iter().map(|f| f.id));
        }
        let content = message.get("content");
        let mut sent: Vec<usize> = images_beside(document, message, known);
        sent.extend(content.map_or(&[][..], Node::items).iter().filter_map(|part| known.image_in(document, part)));
        if let Some(text) = content.and_then(|c| document.string(c)) {
            sent.extend(
                super::expand::references(text.as_bytes(), known.nonce)
                    .into_iter()
                    .map(|(_, index)| index)
                    .filter(|i| known.references[*i].media.is_some()),
            );
        }
        chat.sent.extend(sent);
        if document.string_at(message, "role").as_deref() == Some("user") {
            chat.prompt = words(document, message, known.nonce);
            for text in strings(document, message) {
                chat.external.extend(links::external(&text).into_iter().map(|(_, url)| url));
            }
            let parts = content.map_or(&[][..], Node::items);
            chat.external.extend(parts.iter().filter_map(|part| foreign_part(document, part)));
        }
    }
    let mut seen = std::collections::HashSet::new();
    chat.linked.retain(|id| seen.insert(*id));
    let mut seen = std::collections::HashSet::new();
    chat.external.retain(|url| seen.insert(url.clone()));
    Ok(chat)
}

/// The address of an `image_url` part that is on another server.
fn foreign_part(document: &Document, part: &Node) -> Option<String> {
    let url = part.get("image_url").and_then(|u| document.string(u).or_else(|| document.string_at(u, "url")))?;
    let is_foreign = (url.starts_with("http://") || url.starts_with("https://")) && links::whole(&url).is_none();
    is_foreign.then(|| url.into_owned())
}

/// Every string in which a link may stand: content, parts, image addresses, tool arguments.
fn strings<'a>(document: &'a Document, message: &'a Node) -> Vec<Cow<'a, str>> {
    fn walk<'a>(document: &'a Document, node: &'a Node, out: &mut Vec<Cow<'a, str>>) {
        out.extend(document.string(node));
        node.items().iter().for_each(|item| walk(document, item, out));
        node.members().iter().for_each(|member| walk(document, &member.value, out));
    }
    let mut out = Vec::new();
    for key in ["content", "images", "image", "tool_calls"] {
        if let Some(node) = message.get(key) {
            walk(document, node, &mut out);
        }
    }
    out
}

fn words(document: &Document, message: &Node, nonce: Nonce) -> String {
    let Some(content) = message.get("content") else { return String::new() };
    let texts: Vec<String> = match document.string(content) {
        Some(text) => vec![text.into_owned()],
        None => content.items().iter().filter_map(|part| document.string_at(part, "text")).map(Cow::into_owned).collect(),
    };
    let text = texts.iter().map(|t| without_attached_files(t)).collect::<Vec<_>>().join("\n");
    let text = String::from_utf8_lossy(&drop_references(text.as_bytes(), nonce)).into_owned();
    without_links(&text, &|_| true).0.trim().to_owned()
}

fn drop_references(text: &[u8], nonce: Nonce) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for (span, _) in super::expand::references(text, nonce) {
        out.extend_from_slice(&text[at..span.start]);
        at = span.end;
    }
    out.extend_from_slice(&text[at..]);
    out
}

/// Open WebUI puts a list of uploaded files before the user's words; it is of no use to a model.
fn without_attached_files(text: &str) -> Cow<'_, str> {
    const OPEN: &str = "<attached_files>";
    const CLOSE: &str = "</attached_files>";
    let Some(start) = text.find(OPEN) else { return Cow::Borrowed(text) };
    let Some(end) = text[start..].find(CLOSE).map(|at| start + at + CLOSE.len()) else { return Cow::Borrowed(text) };
    Cow::Owned(format!("{}{}", &text[..start], text[end..].trim_start()))
}

/// The text without the links that `ours` says yes to, and their ids. Gaps that this leaves are closed.
fn without_links(text: &str, ours: &impl Fn(&ImageId) -> bool) -> (String, Vec<ImageId>) {
    let (mut out, mut ids, mut at) = (String::with_capacity(text.len()), Vec::new(), 0);
    for found in links::find(text).into_iter().filter(|f| ours(&f.id)) {
        out.push_str(&text[at..found.span.start]);
        out.push_str(&text[found.text]);
        at = found.span.end;
        ids.push(found.id);
        if out.is_empty() || out.ends_with('\n') {
            at += text[at..].len() - text[at..].trim_start_matches('\n').len();
        }
    }
    out.push_str(&text[at..]);
    (out, ids)
}

/// What the shaped request shall be.
pub struct Wanted<'a> {
    /// Images of ours that exist, by id: the number of the reference that stands for each.
    pub linked: &'a HashMap<ImageId, usize>,
    /// Images of other servers that were fetched, by address, likewise.
    pub external: &'a HashMap<String, usize>,
    /// The model name of the upstream; `None` leaves the client's.
    pub model: Option<&'a str>,
    /// Top-level members that the upstream's model does not take.
    pub without: &'a [&'a str],
}

/// Stands where an assistant turn had nothing but images: some upstreams refuse empty turns.
const ONLY_IMAGES: &str = "(image)";

/// The request for the upstream, as a skeleton whose references are to be expanded as data URLs.
pub fn chat(document: &Document, known: Known<'_>, wanted: &Wanted<'_>) -> Vec<u8> {
    let root = document.root();
    let mut shaper = Shaper { document, known, wanted, edits: Edits::default(), carried: Vec::new() };
    let messages = root.get("messages").map_or(&[][..], Node::items);
    let is_user = |m: &Node| document.string_at(m, "role").as_deref() == Some("user");
    let last_user = messages.iter().rposition(is_user);
    // Images behind the last user turn ("continue") belong to it, at its end.
    let behind: Vec<usize> = match last_user {
        Some(at) => messages[at + 1..].iter().flat_map(|m| shaper.other_turn(m)).collect(),
        None => Vec::new(),
    };
    for (at, message) in messages.iter().enumerate().take(last_user.map_or(messages.len(), |at| at + 1)) {
        if is_user(message) {
            let lead = std::mem::take(&mut shaper.carried);
            let trail = if Some(at) == last_user { &behind[..] } else { &[] };
            shaper.user_turn(message, &lead, trail);
        } else {
            let images = shaper.other_turn(message);
            shaper.carried.extend(images);
        }
    }
    let homeless = std::mem::take(&mut shaper.carried);
    if let Some(last) = messages.last().filter(|_| !homeless.is_empty()) {
        let parts = homeless.iter().map(|i| shaper.image_part(*i)).collect::<Vec<_>>().join(",");
        let turn = format!("{},{{\"role\":\"user\",\"content\":[{parts}]}}", document.raw(last));
        // No user turn at all: nothing of the last message was edited unless it held these images as text.
        shaper.edits = Edits::default();
        shaper.edits.replace(last, turn);
    }
    if let Some(model) = wanted.model {
        shaper.edits.set(root, "model", &quote(model));
    }
    shaper.edits.remove(root, wanted.without);
    document.edited(shaper.edits)
}

struct Shaper<'a> {
    document: &'a Document,
    known: Known<'a>,
    wanted: &'a Wanted<'a>,
    edits: Edits,
    /// Images of turns that cannot hold them, on their way to the next user turn.
    carried: Vec<usize>,
}

impl Shaper<'_> {
    fn image_part(&self, index: usize) -> String {
        format!(r#"{{"type":"image_url","image_url":{{"url":"{}"}}}}"#, self.known.nonce.reference(index))
    }

    fn ours(&self, id: &ImageId) -> bool {
        self.wanted.linked.contains_key(id)
    }

    fn numbers(&self, ids: &[ImageId]) -> Vec<usize> {
        ids.iter().filter_map(|id| self.wanted.linked.get(id).copied()).collect()
    }

    /// Data URLs and links leave the text and come back as numbers, in the order in which they stood.
    fn text_without_images(&self, text: &str) -> (String, Vec<usize>) {
        let (mut text, ids) = without_links(text, &|id| self.ours(id));
        let mut numbers = self.numbers(&ids);
        let external = if self.wanted.external.is_empty() { Vec::new() } else { links::external(&text) };
        for (span, url) in external.into_iter().rev() {
            if let Some(index) = self.wanted.external.get(&url) {
                text.replace_range(span, "");
                numbers.push(*index);
            }
        }
        let sent = super::expand::references(text.as_bytes(), self.known.nonce);
        let images: Vec<usize> =
            sent.into_iter().map(|(_, i)| i).filter(|i| self.known.references.get(*i).is_some_and(|r| r.media.is_some())).collect();
        if images.is_empty() {
            return (text, numbers);
        }
        let mut out = text;
        for index in images {
            let reference = self.known.nonce.reference(index);
            let start = out.find(&reference).unwrap_or(0);
            let end = start + reference.len();
            let open = out[..start].rfind("![").filter(|&at| out[at..start].ends_with("](")).unwrap_or(start);
            let close = if open < start && out[end..].starts_with(')') { end + 1 } else { end };
            out.replace_range(open..close, "");
            numbers.push(index);
        }
        (out, numbers)
    }

    /// Takes the images out of an assistant, tool or system turn. Tools and system turns keep their text.
    fn other_turn(&mut self, message: &Node) -> Vec<usize> {
        let role = self.document.string_at(message, "role");
        let is_assistant = role.as_deref() == Some("assistant");
        let mut images = Vec::new();
        if let Some(content) = message.get("content") {
            if let Some(text) = self.document.string(content) {
                let (rest, numbers) = self.text_without_images(&text);
                images.extend(&numbers);
                if !numbers.is_empty() && (is_assistant || numbers.iter().any(|n| *n < self.known.references.len())) {
                    let rest = if rest.trim().is_empty() { ONLY_IMAGES } else { &rest };
                    self.edits.replace_string(content, rest);
                }
            } else if content.is_array() {
                images.extend(self.other_parts(content));
            }
        }
        let beside = images_beside(self.document, message, self.known);
        let beside_links: Vec<ImageId> = IMAGE_LISTS.iter().filter_map(|k| message.get(k)).flat_map(|n| self.ids_in(n)).collect();
        if !beside.is_empty() || !beside_links.is_empty() {
            images.extend(beside);
            images.extend(self.numbers(&beside_links));
            self.edits.remove(message, &IMAGE_LISTS);
        }
        if let Some(calls) = message.get("tool_calls") {
            images.extend(self.numbers(&self.ids_in(calls)));
        }
        images
    }

    fn ids_in(&self, node: &Node) -> Vec<ImageId> {
        let mut ids: Vec<ImageId> =
            self.document.string(node).map(|t| links::find(&t).into_iter().map(|f| f.id).collect()).unwrap_or_default();
        ids.extend(node.items().iter().flat_map(|n| self.ids_in(n)));
        ids.extend(node.members().iter().flat_map(|m| self.ids_in(&m.value)));
        ids.retain(|id| self.ours(id));
        ids
    }

    /// The number of the image that a content part is: sent along, or linked.
    fn image_of(&self, part: &Node) -> Option<usize> {
        if let Some(index) = self.known.image_in(self.document, part) {
            return Some(index);
        }
        if let Some(index) = foreign_part(self.document, part).and_then(|url| self.wanted.external.get(&url)) {
            return Some(*index);
        }
        let url = part.get("image_url").and_then(|u| self.document.string(u).or_else(|| self.document.string_at(u, "url")))?;
        self.wanted.linked.get(&links::whole(&url)?).copied()
    }

    fn other_parts(&mut self, content: &Node) -> Vec<usize> {
        let (mut images, mut kept) = (Vec::new(), Vec::new());
        for part in content.items() {
            if let Some(index) = self.image_of(part) {
                images.push(index);
            } else if let Some(text) = self.document.string_at(part, "text") {
                let (rest, numbers) = self.text_without_images(&text);
                kept.push(if numbers.is_empty() { self.document.raw(part).to_owned() } else { text_part(&rest) });
                images.extend(numbers);
            } else {
                kept.push(self.document.raw(part).to_owned());
            }
        }
        if !images.is_empty() {
            if kept.is_empty() {
                kept.push(text_part(ONLY_IMAGES));
            }
            self.edits.replace(content, format!("[{}]", kept.join(",")));
        }
        images
    }

    /// Images of earlier turns first, then the user's own parts, then images of what came behind.
    fn user_turn(&mut self, message: &Node, lead: &[usize], trail: &[usize]) {
        let Some(content) = message.get("content") else {
            if !lead.is_empty() || !trail.is_empty() {
                let parts: Vec<String> = lead.iter().chain(trail).map(|i| self.image_part(*i)).collect();
                self.edits.set(message, "content", &format!("[{}]", parts.join(",")));
            }
            return;
        };
        let mut parts: Vec<String> = lead.iter().map(|i| self.image_part(*i)).collect();
        if let Some(text) = self.document.string(content) {
            let stripped = without_attached_files(&text);
            let (rest, numbers) = self.text_without_images(&stripped);
            if parts.is_empty() && trail.is_empty() && numbers.is_empty() {
                if rest != text {
                    self.edits.replace_string(content, &rest);
                }
                return;
            }
            parts.extend(numbers.iter().map(|i| self.image_part(*i)));
            if !rest.trim().is_empty() {
                parts.push(text_part(rest.trim()));
            }
        } else {
            let before = parts.len();
            let mut changed = false;
            for part in content.items() {
                changed |= self.user_part(part, &mut parts);
            }
            if !changed && before == 0 && trail.is_empty() {
                return;
            }
        }
        parts.extend(trail.iter().map(|i| self.image_part(*i)));
        self.edits.replace(content, format!("[{}]", parts.join(",")));
    }

    /// One part of a user turn; whether it is written otherwise than it came.
    fn user_part(&self, part: &Node, parts: &mut Vec<String>) -> bool {
        if let Some(index) = self.image_of(part) {
            let sent_as_usual = index < self.known.references.len() && part.get("image_url").is_some_and(Node::is_object);
            parts.push(if sent_as_usual { self.document.raw(part).to_owned() } else { self.image_part(index) });
            return !sent_as_usual;
        }
        let Some(text) = self.document.string_at(part, "text") else {
            parts.push(self.document.raw(part).to_owned());
            return false;
        };
        let stripped = without_attached_files(&text);
        let (rest, numbers) = self.text_without_images(&stripped);
        if rest == text {
            parts.push(self.document.raw(part).to_owned());
            return false;
        }
        parts.extend(numbers.iter().map(|i| self.image_part(*i)));
        if !rest.trim().is_empty() {
            parts.push(text_part(rest.trim()));
        }
        true
    }
}

fn text_part(text: &str) -> String {
    format!(r#"{{"type":"text","text":{}}}"#, quote(text))
}
