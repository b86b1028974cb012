//! A streamed chat answer on its way to the client, event by event: image bytes leave it as they arrive, the text
//! around them goes on with a reference where each image stood. An image in the text may begin in one event and end
//! many events later; what follows it waits until it is complete, so that the link can be given out.

mod running;
mod verdict;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
};

use super::{
    base64::Decoder,
    finder::Finder,
    json::{Document, Edits, Node, quote},
    present::{Presenter, Shown},
    response::{IMAGE_LISTS, Known, Part, append_images, echo_model, markdown, number_remote, shown_beside},
    scan::{BlobEvent, BlobStep, Nonce, RUNNING, Reference, ScanError, ScanLimits, Scanner, close_open},
    sink::{Ending, Form},
    sse::{Frame, Parser, write_event},
};

/// Most lines beside the data that are kept for one event.
const LINES_MAX: usize = 16;

/// Choices that are looked at; OpenAI allows 128. What an upstream sends beyond them passes as it is.
pub const CHOICES_MAX: usize = 128;

/// Longest `id` that is written into events of our own.
const ID_MAX: usize = 256;

/// What happens next, in order.
#[derive(Debug)]
pub enum Step {
    /// Something about an image.
    Blob(BlobEvent),
    /// An image is to be downloaded and stands for this reference.
    Fetch {
        /// Number of the reference.
        index: usize,
        /// Where it is.
        url: String,
    },
    /// An event for the client. Every reference in it has been closed or is to be fetched before.
    Send(Event),
    /// The upstream says that it has ended well.
    Done,
}

/// An event for the client.
#[derive(Debug)]
pub struct Event {
    /// As it is written, references where links go.
    pub bytes: Vec<u8>,
    /// Images that it shows.
    pub images: Vec<usize>,
    /// Whether it says something else, or ends the answer: images before it are final.
    pub settles: bool,
    /// Whether it says something that a person reads.
    pub speaks: bool,
    /// Whether it ends a choice.
    pub finishes: bool,
}

/// One text of one choice.
#[derive(Debug, Default)]
struct Channel {
    presenter: Presenter,
    /// What waits for an image to be complete.
    waiting: Vec<Shown>,
    /// In a stream of several choices: finds images in the text of this one.
    finder: Finder,
    /// The image that the finder is in.
    run: usize,
}

/// The state machine for one stream.
#[derive(Debug)]
pub struct ChatStream {
    sse: Parser,
    scanner: Scanner,
    nonce: Nonce,
    depth: usize,
    model: Option<String>,
    /// Whether several choices may be interleaved.
    several: bool,
    references: Vec<Reference>,
    open: HashSet<usize>,
    /// Images whose string has ended before their base64 has; they may go on in the next event of their choice.
    suspended: HashMap<usize, Box<Decoder>>,
    lines: Vec<Vec<u8>>,
    channels: BTreeMap<(usize, usize), Channel>,
    /// `"id":…,"created":…` of the stream, for events of our own.
    head: Option<String>,
    done: bool,
    /// The upstream's body is over: an event that is no JSON was cut off.
    over: bool,
    /// It ended in the middle of an event.
    cut: bool,
    /// Images that began in the present event.
    came: Vec<usize>,
    /// Whether image bytes were in the present event.
    took_bytes: bool,
    /// Images in the present event's text for the client.
    shown: Vec<usize>,
    /// Whether the present event has other text for the client.
    speaks: bool,
    /// Whether the present event has thoughts for the client.
    thinks: bool,
    /// Whether the present event ends a choice.
    finishes: bool,
    /// Whether the answer says anything at all: text, a picture, a call of a tool.
    says: bool,
    /// Why choices ended, as the upstream has it.
    reasons: Vec<String>,
    /// An event that tells of a failure instead of an answer.
    refusal: Option<Vec<u8>>,
    steps: Vec<Step>,
}

impl ChatStream {
    /// A machine for one answer; `model` is written where the upstream writes its own name. `several`: the request
    /// asked for more than one choice.
    pub fn new(nonce: Nonce, limits: ScanLimits, model: Option<String>, several: bool) -> Self {
        Self {
            sse: Parser::default(),
            scanner: if several { Scanner::for_choices(nonce, limits) } else { Scanner::for_stream(nonce, limits) },
            nonce,
            depth: limits.depth,
            model,
            several,
            references: Vec::new(),
            open: HashSet::new(),
            suspended: HashMap::new(),
            lines: Vec::new(),
            channels: BTreeMap::new(),
            head: None,
            done: false,
            over: false,
            cut: false,
            came: Vec::new(),
            took_bytes: false,
            shown: Vec::new(),
            speaks: false,
            thinks: false,
            finishes: false,
            says: false,
            reasons: Vec::new(),
            refusal: None,
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

    /// The upstream's body is over. Whatever was held back comes out.
    pub fn finish(&mut self) -> Vec<Step> {
        self.over = true;
        let mut sse = std::mem::take(&mut self.sse);
        sse.finish(&mut |frame| {
            // Limits no longer matter: nothing is added but what is already here.
            let _ = self.frame(frame);
        });
        self.end_event();
        if !self.done {
            self.flush_tail();
        }
        std::mem::take(&mut self.steps)
    }

    /// Images whose base64 has not ended.
    pub fn open(&self) -> &HashSet<usize> {
        &self.open
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
        for mut event in events {
            if self.cut && matches!(event.what, BlobStep::Close(Ending::Whole)) {
                event.what = BlobStep::Close(Ending::Torn);
            }
            match event.what {
                BlobStep::Open(reference) => {
                    self.references.push(reference);
                    if reference.form != Form::Verbatim {
                        self.came.push(event.index);
                        self.open.insert(event.index);
                    }
                }
                BlobStep::Close(Ending::Open(decoder)) => {
                    self.suspended.insert(event.index, decoder);
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

    /// Closes images that cannot go on: they were not in a running text, or nothing follows.
    fn close_suspended(&mut self) {
        let mut suspended: Vec<_> = self.suspended.drain().collect();
        suspended.sort_unstable_by_key(|(index, _)| *index);
        for (index, mut decoder) in suspended {
            let mut rest = Vec::new();
            close_open(index, &mut decoder, &mut rest);
            self.absorb(rest);
        }
    }

    fn end_event(&mut self) {
        let mut events = Vec::new();
        let skeleton = self.scanner.finish(&mut events);
        self.absorb(events);
        let lines = std::mem::take(&mut self.lines);
        match skeleton.trim_ascii() {
            b"" if lines.is_empty() => {}
            b"" => self.send(&lines, &[], false),
            b"[DONE]" => {
                self.flush_tail();
                self.steps.push(Step::Done);
                self.done = true;
            }
            _ => self.event(&lines, skeleton),
        }
        self.close_suspended();
        self.came.clear();
        self.took_bytes = false;
    }

    fn send(&mut self, lines: &[Vec<u8>], data: &[u8], ends: bool) {
        let images = std::mem::take(&mut self.shown);
        let (speaks, thinks) = (std::mem::take(&mut self.speaks), std::mem::take(&mut self.thinks));
        let finishes = std::mem::take(&mut self.finishes);
        self.says |= speaks || !images.is_empty();
        let bytes = write_event(lines, data);
        self.steps.push(Step::Send(Event { bytes, images, settles: speaks || ends, speaks: speaks || thinks, finishes }));
    }

    fn event(&mut self, lines: &[Vec<u8>], skeleton: Vec<u8>) {
        let document = match Document::parse_lenient(skeleton.clone(), self.depth) {
            Ok(document) => document,
            Err(_) if self.over => return self.cut_event(),
            Err(_) => return self.send(lines, &skeleton, true),
        };
        let tells_of_failure = document.root().get("error").is_some_and(|error| !error.is_null() && error.items().is_empty());
        if tells_of_failure && document.root().get("choices").is_none_or(|choices| choices.items().is_empty()) {
            // Told in our words at the end.
            self.refusal.get_or_insert(skeleton);
            return;
        }
        self.remember_head(&document);
        let mut edits = Edits::default();
        echo_model(&document, self.model.as_deref(), &mut edits);
        let choices = document.root().get("choices").map_or(&[][..], Node::items);
        let mut worth_sending = choices.is_empty();
        let mut ends = choices.is_empty();
        for (position, choice) in choices.iter().enumerate() {
            worth_sending |= self.choice(&document, choice, position, &mut edits);
            ends |= has_ended(choice);
        }
        if worth_sending {
            let text = document.edited(edits);
            self.send(lines, &text, ends);
        }
    }

    /// The stream is over in the middle of an event. Images in it that are whole are shown.
    fn cut_event(&mut self) {
        self.cut = true;
        let whole: Vec<Shown> = std::mem::take(&mut self.came)
            .into_iter()
            .filter(|index| !self.open.contains(index))
            .map(|index| Shown::Image { index, alt: "image".into() })
            .collect();
        if !whole.is_empty() {
            let text = self.show((0, 0), Vec::new(), whole, true);
            self.send_own(0, 0, &text);
        }
    }

    /// Whether the stream ended in the middle of an event.
    pub fn was_cut(&self) -> bool {
        self.cut
    }

    fn remember_head(&mut self, document: &Document) {
        if self.head.is_none() {
            let of = |key| short(document, key).to_owned();
            let model = self.model.as_deref().map_or_else(|| of("model"), quote);
            self.head = Some(format!(r#""id":{},"object":"chat.completion.chunk","created":{},"model":{model}"#, of("id"), of("created")));
        }
    }

    /// Rewrites one choice; whether anything is left of it that a client would miss.
    fn choice(&mut self, document: &Document, choice: &Node, position: usize, edits: &mut Edits) -> bool {
        let index = choice.get("index").and_then(|n| document.raw(n).parse().ok()).unwrap_or(position);
        let finished = has_ended(choice);
        if finished {
            self.finishes = true;
            let reasons = ["finish_reason", "native_finish_reason"].iter().filter_map(|key| document.string_at(choice, key));
            let reasons: Vec<String> = reasons.map(Cow::into_owned).collect();
            self.reasons.extend(reasons.into_iter().take(CHOICES_MAX.saturating_sub(self.reasons.len())));
        }
        if index >= CHOICES_MAX {
            return true;
        }
        let Some(delta) = choice.get("delta").or_else(|| choice.get("message")).filter(|d| d.is_object()) else { return true };
        let known = Known { nonce: self.nonce, references: &self.references };
        let beside = shown_beside(document, delta, known);
        let has_beside = !beside.is_empty();
        let mut parts: [Vec<Part>; RUNNING.len()] =
            RUNNING.map(|key| delta.get(key).map(|node| known.content(document, node)).unwrap_or_default());
        if self.several {
            for (field, parts) in parts.iter_mut().enumerate() {
                *parts = self.look_again((index, field), std::mem::take(parts), finished);
            }
        } else if finished {
            for (parts, rest) in parts.iter_mut().zip(self.end_running()) {
                parts.extend(rest);
            }
        }
        let mut keeps = finished;
        let mut beside = Some(beside);
        for (field, (key, parts)) in RUNNING.iter().zip(parts).enumerate() {
            let beside = if field == 0 { beside.take().unwrap_or_default() } else { Vec::new() };
            let text = self.show((index, field), parts, beside, finished);
            let before = delta.get(key);
            let was_text = before.is_some_and(|n| n.is_array() || document.string(n).is_some_and(|t| !t.is_empty()));
            if was_text || !text.is_empty() {
                edits.set(delta, key, &quote(&text));
            }
            keeps |= !text.is_empty();
        }
        if has_beside {
            edits.remove(delta, &IMAGE_LISTS);
        }
        let gone = |key: &str| RUNNING.contains(&key) || IMAGE_LISTS.contains(&key);
        let others = delta.members().iter().filter(|m| !gone(&m.key) && !m.value.is_null());
        self.says |= others.clone().any(|m| m.key != "role");
        keeps |= others.count() > 0;
        // An empty event is passed on like any other, unless it is what an image left behind.
        keeps |= self.open.is_empty() && !has_beside && !self.took_bytes;
        keeps || document.root().get("usage").is_some_and(|u| !u.is_null())
    }

    /// Text of one channel that may go out now, with references to complete images only.
    fn show(&mut self, at: (usize, usize), parts: Vec<Part>, beside: Vec<Shown>, finished: bool) -> String {
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
        let mut shown: Vec<Shown> = channel.waiting.drain(..ready).collect();
        number_remote(&mut shown, |url| {
            let index = self.scanner.take_number();
            self.references.push(Reference { form: Form::DataUrl, media: None });
            self.steps.push(Step::Fetch { index, url });
            index
        });
        for piece in &shown {
            match piece {
                Shown::Image { index, .. } if at.1 == 0 => self.shown.push(*index),
                Shown::Text(text) if at.1 == 0 => self.speaks |= !text.trim().is_empty(),
                Shown::Text(text) => self.thinks |= !text.trim().is_empty(),
                _ => {}
            }
        }
        markdown(&shown, self.nonce)
    }

    /// The stream ends without a finish reason: what was held back goes out in an event of our own.
    fn flush_tail(&mut self) {
        let mut rest = self.end_running().map(Some);
        let all: Vec<(usize, usize)> = self.channels.keys().copied().collect();
        for (choice, field) in all {
            let mut parts = rest[field].take().unwrap_or_default();
            if self.several {
                parts = self.look_again((choice, field), parts, true);
            }
            let text = self.show((choice, field), parts, Vec::new(), true);
            if text.is_empty() {
                continue;
            }
            self.send_own(choice, field, &text);
        }
    }
}

/// A top-level value that is repeated in every event of our own.
pub(super) fn short<'a>(document: &'a Document, key: &str) -> &'a str {
    document.root().get(key).map(|n| document.raw(n)).filter(|raw| raw.len() <= ID_MAX).unwrap_or("null")
}

impl ChatStream {
    /// An event that the upstream did not send.
    fn send_own(&mut self, choice: usize, field: usize, text: &str) {
        let head = self.head.as_deref().unwrap_or(r#""object":"chat.completion.chunk""#);
        let (key, text) = (RUNNING[field], quote(text));
        let event = format!(r#"{{{head},"choices":[{{"index":{choice},"delta":{{"{key}":{text}}},"finish_reason":null}}]}}"#);
        self.send(&[], event.as_bytes(), false);
    }
}

fn has_ended(choice: &Node) -> bool {
    choice.get("finish_reason").is_some_and(|n| !n.is_null())
}
