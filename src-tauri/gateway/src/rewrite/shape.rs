//! Shapes a chat request for the upstream: links of earlier turns become image parts with real bytes, images of
//! assistant and tool turns move to the next user turn, and what clients add around the user's words goes. Works on
//! skeletons; everything else passes verbatim.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
};

use super::{
    json::{Document, Edits, Node, quote},
    links, progress,
    request::{foreign_part, without_attached_files, without_links},
    response::{IMAGE_LISTS, Known, images_beside},
};
use crate::model::{ImageId, Wishes};

/// What the shaped request shall be.
pub struct Wanted<'a> {
    /// Images of ours that exist, by id: the number of the reference that stands for each.
    pub linked: &'a HashMap<ImageId, usize>,
    /// Images of other servers that were fetched, by address, likewise.
    pub external: &'a HashMap<String, usize>,
    /// The model name of the upstream; `None` leaves the client's.
    pub model: Option<&'a str>,
    /// Whether flags at the end of the last user turn have been read: they leave the text.
    pub takes_flags: bool,
    /// Numbers of images that stay at home: they leave the conversation without taking another place in it.
    pub dropped: &'a HashSet<usize>,
    /// Top-level members that the upstream's model does not take.
    pub without: &'a [&'a str],
    /// Top-level members that are set: names and JSON.
    pub with: &'a [(&'a str, String)],
}

/// Stands where an assistant turn had nothing but images: some upstreams refuse empty turns.
const ONLY_IMAGES: &str = "(image)";

/// Stands where an assistant turn had nothing but our own words, such as an error.
const NO_ANSWER: &str = "(no answer)";

/// The request for the upstream, as a skeleton whose references are to be expanded as data URLs.
pub fn chat(document: &Document, known: Known<'_>, wanted: &Wanted<'_>) -> Vec<u8> {
    let counting = shape(document, known, wanted, HashMap::new());
    let counted = counting.placed.into_inner();
    // An image that stands in several turns is placed once, so it is to be known where it stands last.
    let edits = if counted.values().any(|times| *times > 1) { shape(document, known, wanted, counted).edits } else { counting.edits };
    document.edited(edits)
}

fn shape<'a>(document: &'a Document, known: Known<'a>, wanted: &'a Wanted<'a>, last: HashMap<usize, usize>) -> Shaper<'a> {
    let root = document.root();
    let mut shaper = Shaper { document, known, wanted, edits: Edits::default(), carried: Vec::new(), placed: RefCell::default(), last };
    let messages = root.get("messages").map_or(&[][..], Node::items);
    let is_user = |m: &Node| document.string_at(m, "role").as_deref() == Some("user");
    let last_user = messages.iter().rposition(is_user);
    // Images behind the last user turn ("continue") belong to it, at its end.
    let mut behind: Vec<usize> = Vec::new();
    if let Some(last) = last_user {
        for (at, message) in messages.iter().enumerate().skip(last + 1) {
            // A turn that was stopped before the model said anything is none: what is to go on is the question.
            if only_ours(document, message) {
                shaper.edits.remove_item(messages, at);
            } else {
                behind.extend(shaper.other_turn(message));
            }
        }
    }
    for (at, message) in messages.iter().enumerate().take(last_user.map_or(messages.len(), |at| at + 1)) {
        if is_user(message) {
            let lead = std::mem::take(&mut shaper.carried);
            let trail = if Some(at) == last_user { Some(&behind[..]) } else { None };
            shaper.user_turn(message, &lead, trail);
        } else {
            let images = shaper.other_turn(message);
            shaper.carried.extend(images);
        }
    }
    let mut homeless = std::mem::take(&mut shaper.carried);
    homeless.retain(|index| !wanted.dropped.contains(index));
    if let Some(last) = messages.last().filter(|_| !homeless.is_empty()) {
        let parts = shaper.image_parts(&homeless).join(",");
        let turn = format!("{},{{\"role\":\"user\",\"content\":[{parts}]}}", document.raw(last));
        // No user turn at all: nothing of the last message was edited unless it held these images as text.
        shaper.edits = Edits::default();
        shaper.edits.replace(last, turn);
    }
    if let Some(model) = wanted.model {
        shaper.edits.set(root, "model", &quote(model));
    }
    for (key, value) in wanted.with {
        shaper.edits.set(root, key, value);
    }
    shaper.edits.remove(root, wanted.without);
    shaper
}

/// Whether a turn of the assistant is nothing but our own progress.
fn only_ours(document: &Document, message: &Node) -> bool {
    let is_assistant = document.string_at(message, "role").as_deref() == Some("assistant");
    let content = message.get("content");
    let whole = content.and_then(|content| document.string(content));
    let parts = content.map_or(&[][..], Node::items);
    let all_text = !parts.is_empty() && parts.iter().all(|part| part.get("text").is_some());
    let joined = || parts.iter().filter_map(|part| document.string_at(part, "text")).collect::<Vec<_>>().join("\n\n").into();
    let text = whole.or_else(|| all_text.then(joined));
    let has_others = message.members().iter().any(|m| !matches!(m.key.as_str(), "role" | "content") && !m.value.is_null());
    is_assistant && !has_others && text.is_some_and(|text| progress::strip(&text).is_some_and(|rest| rest.trim().is_empty()))
}

struct Shaper<'a> {
    document: &'a Document,
    known: Known<'a>,
    wanted: &'a Wanted<'a>,
    edits: Edits,
    /// Images of turns that cannot hold them, on their way to the next user turn.
    carried: Vec<usize>,
    /// How often each image was to be placed so far.
    placed: RefCell<HashMap<usize, usize>>,
    /// How often each image is to be placed in all; empty while that is counted.
    last: HashMap<usize, usize>,
}

impl Shaper<'_> {
    fn image_part(&self, index: usize) -> String {
        format!(r#"{{"type":"image_url","image_url":{{"url":"{}"}}}}"#, self.known.nonce.reference(index))
    }

    /// Parts for images that go along; each image once, where it stands last.
    fn image_parts(&self, indices: &[usize]) -> Vec<String> {
        let goes = |index: &&usize| {
            let mut placed = self.placed.borrow_mut();
            let times = placed.entry(**index).or_insert(0);
            *times += 1;
            !self.wanted.dropped.contains(*index) && self.last.get(*index).is_none_or(|last| last == times)
        };
        indices.iter().filter(goes).map(|index| self.image_part(*index)).collect()
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
                let stripped = if is_assistant { progress::strip(&text) } else { None };
                let (rest, numbers) = self.text_without_images(stripped.as_deref().unwrap_or(&text));
                images.extend(&numbers);
                let sent = numbers.iter().any(|n| *n < self.known.references.len());
                if stripped.is_some() || !numbers.is_empty() && (is_assistant || sent) {
                    let nothing = if numbers.is_empty() { NO_ANSWER } else { ONLY_IMAGES };
                    let rest = if stripped.is_some() { rest.trim() } else { &rest };
                    let rest = if rest.trim().is_empty() { nothing } else { rest };
                    self.edits.replace_string(content, rest);
                }
            } else if content.is_array() {
                images.extend(self.other_parts(content));
            }
        }
        for key in ["reasoning_content", "reasoning"] {
            let thoughts = message.get(key).filter(|_| is_assistant);
            if let Some((node, rest)) = thoughts.and_then(|node| Some((node, progress::strip(&self.document.string(node)?)?))) {
                self.edits.replace_string(node, rest.trim());
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
        let (mut images, mut kept, mut changed) = (Vec::new(), Vec::new(), false);
        for part in content.items() {
            if let Some(index) = self.image_of(part) {
                images.push(index);
            } else if let Some(text) = self.document.string_at(part, "text") {
                let stripped = progress::strip(&text);
                let (rest, numbers) = self.text_without_images(stripped.as_deref().unwrap_or(&text));
                let as_it_was = numbers.is_empty() && stripped.is_none();
                changed |= !as_it_was;
                if as_it_was {
                    kept.push(self.document.raw(part).to_owned());
                } else if !rest.trim().is_empty() {
                    kept.push(text_part(rest.trim()));
                }
                images.extend(numbers);
            } else {
                kept.push(self.document.raw(part).to_owned());
            }
        }
        if !images.is_empty() || changed {
            if kept.is_empty() {
                kept.push(text_part(if images.is_empty() { NO_ANSWER } else { ONLY_IMAGES }));
            }
            self.edits.replace(content, format!("[{}]", kept.join(",")));
        }
        images
    }

    /// Images of earlier turns first, then the user's own parts, then images of what came behind. `trail` is there for
    /// the last user turn only, whose flags have been read.
    fn user_turn(&mut self, message: &Node, lead: &[usize], trail: Option<&[usize]>) {
        let (is_last, trail) = (trail.is_some(), trail.unwrap_or_default());
        let mut parts = self.image_parts(lead);
        let behind = self.image_parts(trail);
        let Some(content) = message.get("content") else {
            if !parts.is_empty() || !behind.is_empty() {
                parts.extend(behind);
                self.edits.set(message, "content", &format!("[{}]", parts.join(",")));
            }
            return;
        };
        if let Some(text) = self.document.string(content) {
            let (rest, numbers) = self.users_words(&text, is_last);
            let own = self.image_parts(&numbers);
            if parts.is_empty() && behind.is_empty() && own.is_empty() {
                if rest != text {
                    self.edits.replace_string(content, if rest.trim().is_empty() { ONLY_IMAGES } else { &rest });
                }
                return;
            }
            parts.extend(own);
            if !rest.trim().is_empty() {
                parts.push(text_part(rest.trim()));
            }
        } else {
            let before = parts.len();
            let mut changed = false;
            let last_text = content.items().iter().rposition(|part| part.get("text").is_some());
            for (at, part) in content.items().iter().enumerate() {
                changed |= self.user_part(part, &mut parts, is_last && Some(at) == last_text);
            }
            if !changed && before == 0 && behind.is_empty() {
                return;
            }
            if parts.is_empty() && behind.is_empty() {
                parts.push(text_part(ONLY_IMAGES));
            }
        }
        parts.extend(behind);
        self.edits.replace(content, format!("[{}]", parts.join(",")));
    }

    /// A user's text without what the client put around it, without images, and without flags if they were read.
    fn users_words(&self, text: &str, with_flags: bool) -> (String, Vec<usize>) {
        let stripped = without_attached_files(text);
        let (rest, numbers) = self.text_without_images(&stripped);
        if !with_flags || !self.wanted.takes_flags {
            return (rest, numbers);
        }
        let (bare, wishes) = Wishes::take_from(&rest);
        (if wishes.is_empty() { rest } else { bare }, numbers)
    }

    /// One part of a user turn; whether it is written otherwise than it came.
    fn user_part(&self, part: &Node, parts: &mut Vec<String>, with_flags: bool) -> bool {
        if let Some(index) = self.image_of(part) {
            if self.wanted.dropped.contains(&index) {
                return true;
            }
            let sent_as_usual = index < self.known.references.len() && part.get("image_url").is_some_and(Node::is_object);
            parts.push(if sent_as_usual { self.document.raw(part).to_owned() } else { self.image_part(index) });
            return !sent_as_usual;
        }
        let Some(text) = self.document.string_at(part, "text") else {
            parts.push(self.document.raw(part).to_owned());
            return false;
        };
        let (rest, numbers) = self.users_words(&text, with_flags);
        if rest == text {
            parts.push(self.document.raw(part).to_owned());
            return false;
        }
        parts.extend(self.image_parts(&numbers));
        if !rest.trim().is_empty() {
            parts.push(text_part(rest.trim()));
        }
        true
    }
}

fn text_part(text: &str) -> String {
    format!(r#"{{"type":"text","text":{}}}"#, quote(text))
}
