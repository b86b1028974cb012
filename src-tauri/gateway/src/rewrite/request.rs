//! Reads a chat request: the user's words, and every image that the conversation names in one way or another.

use std::{borrow::Cow, collections::HashSet};

use super::{
    json::{Document, Node},
    links, progress,
    response::{Known, images_beside},
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
    /// Images anywhere in the conversation, each once, oldest first.
    pub pictures: Vec<Picture>,
    /// How many of them, at the end, belong to the last user turn or stand behind it.
    pub latest: usize,
    /// How many of those are of the user turn itself.
    pub shown: usize,
    /// The last turn is the assistant's: its text is to go on.
    pub continues: bool,
}

/// An image of the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Picture {
    /// A link of ours.
    Linked(ImageId),
    /// The client sent it along: the number of its reference.
    Sent(usize),
    /// An image of another server that a user turn names by its address.
    External(String),
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
    let is_user = |message: &Node| document.string_at(message, "role").as_deref() == Some("user");
    let last_user = messages.items().iter().rposition(is_user);
    let (mut chat, mut found, mut before, mut after) = (Chat::default(), Vec::new(), 0, 0);
    for (at, message) in messages.items().iter().enumerate() {
        if !message.is_object() {
            return Err(bad("every item of 'messages' must be an object"));
        }
        if Some(at) == last_user {
            before = found.len();
            chat.prompt = words(document, message, known.nonce);
        }
        pictures_in(document, message, known, is_user(message), &mut found);
        if Some(at) == last_user {
            after = found.len();
        }
    }
    chat.continues = messages.items().last().and_then(|last| document.string_at(last, "role")).as_deref() == Some("assistant");
    // Of an image that stands in several turns the last one counts.
    let mut seen = HashSet::new();
    let mut kept: Vec<(usize, Picture)> = found.into_iter().enumerate().rev().filter(|(_, picture)| seen.insert(picture.clone())).collect();
    kept.reverse();
    chat.latest = kept.iter().filter(|(at, _)| last_user.is_some() && *at >= before).count();
    chat.shown = kept.iter().filter(|(at, _)| (before..after).contains(at)).count();
    chat.pictures = kept.into_iter().map(|(_, picture)| picture).collect();
    Ok(chat)
}

/// The images of one turn, in the order in which they stand, as far as that can be told.
fn pictures_in(document: &Document, message: &Node, known: Known<'_>, is_user: bool, found: &mut Vec<Picture>) {
    let content = message.get("content");
    for text in strings(document, message) {
        let ours = if is_user { None } else { progress::strip(&text) };
        let text = ours.as_deref().unwrap_or(&text);
        found.extend(links::find(text).into_iter().map(|f| Picture::Linked(f.id)));
        if is_user {
            found.extend(links::external(text).into_iter().map(|(_, url)| Picture::External(url)));
        }
    }
    let parts = content.map_or(&[][..], Node::items);
    if is_user {
        found.extend(parts.iter().filter_map(|part| foreign_part(document, part)).map(Picture::External));
    }
    found.extend(images_beside(document, message, known).into_iter().map(Picture::Sent));
    found.extend(parts.iter().filter_map(|part| known.image_in(document, part)).map(Picture::Sent));
    if let Some(text) = content.and_then(|c| document.string(c)) {
        let references = super::expand::references(text.as_bytes(), known.nonce).into_iter().map(|(_, index)| index);
        found.extend(references.filter(|i| known.references[*i].media.is_some()).map(Picture::Sent));
    }
}

/// The address of an `image_url` part that is on another server.
pub(super) fn foreign_part(document: &Document, part: &Node) -> Option<String> {
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
pub(super) fn without_attached_files(text: &str) -> Cow<'_, str> {
    const OPEN: &str = "<attached_files>";
    const CLOSE: &str = "</attached_files>";
    let Some(start) = text.find(OPEN) else { return Cow::Borrowed(text) };
    let Some(end) = text[start..].find(CLOSE).map(|at| start + at + CLOSE.len()) else { return Cow::Borrowed(text) };
    Cow::Owned(format!("{}{}", &text[..start], text[end..].trim_start()))
}

/// The text without the links that `ours` says yes to, and their ids. Gaps that this leaves are closed.
pub(super) fn without_links(text: &str, ours: &impl Fn(&ImageId) -> bool) -> (String, Vec<ImageId>) {
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
