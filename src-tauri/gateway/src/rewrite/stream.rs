//! A streamed chat answer on its way to the client, event by event: image bytes leave it as they arrive, the text
//! around them goes on with a reference where each image stood. An image in the text may begin in one event and end
//! many events later; what follows it waits until it is complete, so that the link can be given out.

use std::collections::{BTreeMap, HashSet};

use super::{
    finder::Ending,
    json::{Document, Edits, Node, quote},
    present::{Presenter, Shown},
    response::{IMAGE_LISTS, Known, Part, append_images, echo_model, images_beside, markdown},
    scan::{BlobEvent, BlobStep, Nonce, RUNNING, Reference, ScanError, ScanLimits, Scanner, close_open},
    sse::{Frame, Parser, write_event},
};

/// Most lines beside the data that are kept for one event.
const LINES_MAX: usize = 16;

/// What happens next, in order.
#[derive(Debug)]
pub enum Step {
    /// Something about an image.
    Blob(BlobEvent),
    /// Bytes for the client, references where links go. Every reference in it has been closed before.
    Send(Vec<u8>),
}

/// One text of one choice.
#[derive(Debug, Default)]
struct Channel {
    presenter: Presenter,
    /// What waits for an image to be complete.
    waiting: Vec<Shown>,
}

/// The state machine for one stream.
#[derive(Debug)]
pub struct ChatStream {
    sse: Parser,
    scanner: Scanner,
    nonce: Nonce,
    depth: usize,
    model: Option<String>,
    references: Vec<Reference>,
    open: HashSet<usize>,
    lines: Vec<Vec<u8>>,
    channels: BTreeMap<(usize, usize), Channel>,
    /// `"id":…,"created":…` of the stream, for events of our own.
    head: Option<String>,
    done: bool,
    /// Whether image bytes were in the present event.
    took_bytes: bool,
    steps: Vec<Step>,
}

impl ChatStream {
    /// A machine for one answer; `model` is written where the upstream writes its own name.
    pub fn new(nonce: Nonce, limits: ScanLimits, model: Option<String>) -> Self {
        Self {
            sse: Parser::default(),
            scanner: Scanner::for_stream(nonce, limits),
            nonce,
            depth: limits.depth,
            model,
            references: Vec::new(),
            open: HashSet::new(),
            lines: Vec::new(),
            channels: BTreeMap::new(),
            head: None,
            done: false,
            took_bytes: false,
            steps: Vec::new(),
        }
    }

    /// Takes the next bytes of the upstream's body.
    ///
    /// # Errors
    /// [`ScanError`] when one event is beyond the limits; what was found before it is still to be taken with
    /// [`Self::finish`].
    pub fn feed(&mut self, input: &[u8]) -> Result<Vec<Step>, ScanError> {
        let mut result = Ok(());
        let mut sse = std::mem::take(&mut self.sse);
        sse.feed(input, &mut |frame| {
            if result.is_ok() {
                result = self.frame(frame);
            }
        });
        self.sse = sse;
        result.map(|()| std::mem::take(&mut self.steps))
    }

    /// The upstream's body is over. Whatever was held back comes out, and the end mark if it was never sent and all
    /// `went_well`.
    pub fn finish(&mut self, went_well: bool) -> Vec<Step> {
        let mut sse = std::mem::take(&mut self.sse);
        sse.finish(&mut |frame| {
            // Limits no longer matter: nothing is added but what is already here.
            let _ = self.frame(frame);
        });
        self.end_event();
        if !self.done {
            self.flush_tail();
            if went_well {
                self.send_done();
            }
        }
        std::mem::take(&mut self.steps)
    }

    /// What the references stand for, by number.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    fn frame(&mut self, frame: Frame<'_>) -> Result<(), ScanError> {
        match frame {
            Frame::Data(part) => {
                let mut events = Vec::new();
                let result = self.scanner.feed(part, &mut events);
                self.absorb(events);
                return result;
            }
            Frame::Line(line) if self.lines.len() < LINES_MAX => self.lines.push(line.to_vec()),
            Frame::Line(_) => {}
            Frame::End => self.end_event(),
        }
        Ok(())
    }

    fn absorb(&mut self, events: Vec<BlobEvent>) {
        for event in events {
            match event.what {
                BlobStep::Open(reference) => {
                    self.references.push(reference);
                    self.open.insert(event.index);
                }
                BlobStep::Close(Ending::Open(mut decoder)) => {
                    // Not in a running text, so nothing can follow.
                    let mut rest = Vec::new();
                    close_open(event.index, &mut decoder, &mut rest);
                    self.absorb(rest);
                    continue;
                }
                BlobStep::Close(_) => {
                    self.open.remove(&event.index);
                }
                BlobStep::Bytes(_) => self.took_bytes = true,
            }
            self.steps.push(Step::Blob(event));
        }
    }

    fn end_event(&mut self) {
        let mut events = Vec::new();
        let skeleton = self.scanner.finish(&mut events);
        self.absorb(events);
        let lines = std::mem::take(&mut self.lines);
        match skeleton.trim_ascii() {
            b"" if lines.is_empty() => {}
            b"" => self.send(&lines, &[]),
            b"[DONE]" => {
                self.flush_tail();
                self.send_done();
            }
            _ => self.event(&lines, skeleton),
        }
        self.took_bytes = false;
    }

    fn send(&mut self, lines: &[Vec<u8>], data: &[u8]) {
        self.steps.push(Step::Send(write_event(lines, data)));
    }

    fn send_done(&mut self) {
        if !std::mem::replace(&mut self.done, true) {
            self.send(&[], b"[DONE]");
        }
    }

    fn event(&mut self, lines: &[Vec<u8>], skeleton: Vec<u8>) {
        let document = match Document::parse(skeleton.clone(), self.depth) {
            Ok(document) => document,
            Err(_) => return self.send(lines, &skeleton),
        };
        self.remember_head(&document);
        let mut edits = Edits::default();
        echo_model(&document, self.model.as_deref(), &mut edits);
        let choices = document.root().get("choices").map_or(&[][..], Node::items);
        let mut worth_sending = choices.is_empty();
        for (position, choice) in choices.iter().enumerate() {
            worth_sending |= self.choice(&document, choice, position, &mut edits);
        }
        if worth_sending {
            let text = document.edited(edits);
            self.send(lines, &text);
        }
    }

    fn remember_head(&mut self, document: &Document) {
        if self.head.is_none() {
            let of = |key| document.root().get(key).map_or("null".into(), |n| document.raw(n).to_owned());
            let model = self.model.as_deref().map_or_else(|| of("model"), quote);
            self.head = Some(format!(r#""id":{},"object":"chat.completion.chunk","created":{},"model":{model}"#, of("id"), of("created")));
        }
    }

    /// Rewrites one choice; whether anything is left of it that a client would miss.
    fn choice(&mut self, document: &Document, choice: &Node, position: usize, edits: &mut Edits) -> bool {
        let index = choice.get("index").and_then(|n| document.raw(n).parse().ok()).unwrap_or(position);
        let finished = choice.get("finish_reason").is_some_and(|n| !n.is_null());
        let Some(delta) = choice.get("delta").or_else(|| choice.get("message")).filter(|d| d.is_object()) else { return true };
        let known = Known { nonce: self.nonce, references: &self.references };
        let beside = images_beside(document, delta, known);
        let mut parts: [Vec<Part>; RUNNING.len()] =
            RUNNING.map(|key| delta.get(key).map(|node| known.content(document, node)).unwrap_or_default());
        if finished {
            let mut events = Vec::new();
            let rest = self.scanner.end_running(&mut events);
            self.absorb(events);
            let known = Known { nonce: self.nonce, references: &self.references };
            for (parts, rest) in parts.iter_mut().zip(rest) {
                parts.extend(known.split(&rest));
            }
        }
        let mut keeps = finished;
        for (field, (key, parts)) in RUNNING.iter().zip(parts).enumerate() {
            let beside = if field == 0 { &beside[..] } else { &[] };
            let text = self.show((index, field), parts, beside, finished);
            let before = delta.get(key);
            let was_text = before.is_some_and(|n| n.is_array() || document.string(n).is_some_and(|t| !t.is_empty()));
            if was_text || !text.is_empty() {
                edits.set(delta, key, &quote(&text));
            }
            keeps |= !text.is_empty();
        }
        if !beside.is_empty() {
            edits.remove(delta, &IMAGE_LISTS);
        }
        let gone = |key: &str| RUNNING.contains(&key) || IMAGE_LISTS.contains(&key);
        keeps |= delta.members().iter().any(|m| !gone(&m.key) && !m.value.is_null());
        // An empty event is passed on like any other, unless it is what an image left behind.
        keeps |= self.open.is_empty() && beside.is_empty() && !self.took_bytes;
        keeps || document.root().get("usage").is_some_and(|u| !u.is_null())
    }

    /// Text of one channel that may go out now, with references to complete images only.
    fn show(&mut self, at: (usize, usize), parts: Vec<Part>, beside: &[usize], finished: bool) -> String {
        let channel = self.channels.entry(at).or_default();
        for part in parts {
            match part {
                Part::Text(text) => channel.presenter.text(&text, &mut channel.waiting),
                Part::Image(index) => channel.presenter.image(index, &mut channel.waiting),
            }
        }
        if finished || !beside.is_empty() {
            channel.presenter.finish(&mut channel.waiting);
        }
        append_images(&mut channel.waiting, beside);
        let is_open = |shown: &Shown| matches!(shown, Shown::Image { index, .. } | Shown::Address(index) if self.open.contains(index));
        let ready = channel.waiting.iter().position(is_open).unwrap_or(channel.waiting.len());
        let shown: Vec<Shown> = channel.waiting.drain(..ready).collect();
        markdown(&shown, self.nonce)
    }

    /// The stream ends without a finish reason: what was held back goes out in an event of our own.
    fn flush_tail(&mut self) {
        let mut events = Vec::new();
        let rest = self.scanner.end_running(&mut events);
        self.absorb(events);
        let known = Known { nonce: self.nonce, references: &self.references };
        let rest: Vec<Vec<Part>> = rest.iter().map(|text| known.split(text)).collect();
        for (field, parts) in rest.into_iter().enumerate() {
            let choices: Vec<usize> = self.channels.keys().filter(|(_, f)| *f == field).map(|(choice, _)| *choice).collect();
            let mut parts = Some(parts);
            for choice in choices {
                let text = self.show((choice, field), parts.take().unwrap_or_default(), &[], true);
                if text.is_empty() {
                    continue;
                }
                let head = self.head.as_deref().unwrap_or(r#""object":"chat.completion.chunk""#);
                let key = RUNNING[field];
                let event =
                    format!(r#"{{{head},"choices":[{{"index":{choice},"delta":{{"{key}":{}}},"finish_reason":null}}]}}"#, quote(&text));
                self.send(&[], event.as_bytes());
            }
        }
    }
}

/// A finished chat completion as the stream that the client asked for: one event with everything, one that ends it.
pub fn from_completion(document: &Document) -> Vec<u8> {
    let root = document.root();
    let of = |key| root.get(key).map_or("null", |n| document.raw(n));
    let head = format!(r#""id":{},"object":"chat.completion.chunk","created":{},"model":{}"#, of("id"), of("created"), of("model"));
    let mut out = Vec::new();
    for (position, choice) in root.get("choices").map_or(&[][..], Node::items).iter().enumerate() {
        let index = choice.get("index").map_or_else(|| position.to_string(), |n| document.raw(n).to_owned());
        let message = choice.get("message").map_or("{}", |n| document.raw(n));
        let reason = choice.get("finish_reason").map_or("\"stop\"", |n| document.raw(n));
        for (delta, reason) in [(message, "null"), ("{}", reason)] {
            let event = format!(r#"{{{head},"choices":[{{"index":{index},"delta":{delta},"finish_reason":{reason}}}]}}"#);
            out.extend(write_event(&[], event.as_bytes()));
        }
    }
    if let Some(usage) = root.get("usage") {
        let event = format!(r#"{{{head},"choices":[],"usage":{}}}"#, document.raw(usage));
        out.extend(write_event(&[], event.as_bytes()));
    }
    out.extend(write_event(&[], b"[DONE]"));
    out
}
