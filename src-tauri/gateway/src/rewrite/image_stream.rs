//! A streamed answer of the Images API, event by event: partial images pass through, finished ones leave it as they
//! arrive and are put back as the client asked. Knows nothing of files or links.

use super::{
    finder::Ending,
    json::{Document, Edits, quote},
    response::Known,
    scan::{BlobEvent, BlobStep, Nonce, Reference, ScanError, ScanLimits, Scanner, close_open},
    sse::{Frame, Parser, write_event},
};

/// Most lines beside the data that are kept for one event.
const LINES_MAX: usize = 16;

/// What happens next, in order.
#[derive(Debug)]
pub enum ImageStep {
    /// Something about an image.
    Blob(BlobEvent),
    /// A finished image that the upstream keeps at an address of its own stands for this reference.
    Fetch {
        /// Number of the reference.
        index: usize,
        /// Where it is.
        url: String,
    },
    /// A finished image is to be saved; `index` has been closed or fetched.
    Finished {
        /// Number of the reference.
        index: usize,
        /// What the upstream made of the prompt.
        revised_prompt: Option<String>,
    },
    /// An event for the client, references where images go.
    Send(Vec<u8>),
}

/// How finished images are handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOver {
    /// As `b64_json`.
    Base64,
    /// As `url`.
    Link,
}

/// The state machine for one stream.
#[derive(Debug)]
pub struct ImageStream {
    sse: Parser,
    scanner: Scanner,
    nonce: Nonce,
    depth: usize,
    hand_over: HandOver,
    references: Vec<Reference>,
    lines: Vec<Vec<u8>>,
    /// Images of the present event whose base64 has ended.
    whole: Vec<usize>,
    /// The upstream's body is over.
    over: bool,
    steps: Vec<ImageStep>,
}

impl ImageStream {
    /// A machine for one answer.
    pub fn new(nonce: Nonce, limits: ScanLimits, hand_over: HandOver) -> Self {
        Self {
            sse: Parser::default(),
            scanner: Scanner::new(nonce, limits),
            nonce,
            depth: limits.depth,
            hand_over,
            references: Vec::new(),
            lines: Vec::new(),
            whole: Vec::new(),
            over: false,
            steps: Vec::new(),
        }
    }

    /// Takes the next bytes of the upstream's body.
    ///
    /// # Errors
    /// [`ScanError`] when one event is beyond the limits.
    pub fn feed(&mut self, input: &[u8]) -> Result<Vec<ImageStep>, ScanError> {
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

    /// The upstream's body is over.
    pub fn finish(&mut self) -> Vec<ImageStep> {
        self.over = true;
        let mut sse = std::mem::take(&mut self.sse);
        sse.finish(&mut |frame| {
            // What cannot be taken any more is dropped with the stream.
            let _ = self.frame(frame);
        });
        self.end_event();
        std::mem::take(&mut self.steps)
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
                BlobStep::Close(Ending::Open(mut decoder)) => {
                    let mut rest = Vec::new();
                    close_open(event.index, &mut decoder, &mut rest);
                    self.absorb(rest);
                }
                BlobStep::Close(Ending::Whole) => {
                    self.whole.push(event.index);
                    self.steps.push(ImageStep::Blob(event));
                }
                BlobStep::Open(reference) => {
                    self.references.push(reference);
                    self.steps.push(ImageStep::Blob(event));
                }
                _ => self.steps.push(ImageStep::Blob(event)),
            }
        }
    }

    fn end_event(&mut self) {
        let mut events = Vec::new();
        // A string that has not ended was cut off, and the image in it.
        let cut_off = self.scanner.is_in_string();
        let before = self.whole.len();
        let skeleton = self.scanner.finish(&mut events);
        self.absorb(events);
        if cut_off {
            self.whole.truncate(before);
        }
        let lines = std::mem::take(&mut self.lines);
        match skeleton.trim_ascii() {
            b"" if lines.is_empty() => {}
            b"[DONE]" => {}
            b"" => self.steps.push(ImageStep::Send(write_event(&lines, &[]))),
            _ => self.event(&lines, skeleton),
        }
        self.whole.clear();
    }

    fn event(&mut self, lines: &[Vec<u8>], skeleton: Vec<u8>) {
        let Ok(document) = Document::parse_lenient(skeleton.clone(), self.depth) else {
            // Cut off behind a picture: that one is whole. A glimpse is none.
            if memchr::memmem::find(&skeleton, b"partial_image").is_none() {
                self.steps.extend(self.whole.iter().map(|index| ImageStep::Finished { index: *index, revised_prompt: None }));
            }
            if !self.over {
                self.steps.push(ImageStep::Send(write_event(lines, &skeleton)));
            }
            return;
        };
        let root = document.root();
        let named = lines.iter().find_map(|line| std::str::from_utf8(line).ok()?.strip_prefix("event:"));
        let kind = document.string_at(root, "type").map_or_else(|| named.unwrap_or_default().trim().to_owned(), |t| t.into_owned());
        // `partial_succeeded` is one finished image; `partial_image` is a glimpse.
        let is_partial = kind.ends_with(".partial_image");
        let known = Known { nonce: self.nonce, references: &self.references };
        let in_field = ["b64_json", "url"].iter().find_map(|key| known.image(&document.string_at(root, key)?));
        let url = document.string_at(root, "url").filter(|u| !u.is_empty() && !u.starts_with("data:")).map(|u| u.into_owned());
        let revised_prompt = document.string_at(root, "revised_prompt").map(|t| t.into_owned());
        let revised_prompt = revised_prompt.filter(|text| !text.contains(&self.nonce.prefix()));
        let index = match (in_field, url) {
            (Some(index), _) => Some(index),
            (None, Some(url)) if !is_partial => {
                let index = self.scanner.take_number();
                self.references.push(Reference { form: super::finder::Form::DataUrl, media: None });
                self.steps.push(ImageStep::Fetch { index, url });
                Some(index)
            }
            _ => None,
        };
        // Wherever else they stand, finished pictures are finished pictures.
        let elsewhere = self.whole.iter().filter(|other| !is_partial && Some(**other) != index);
        self.steps.extend(elsewhere.map(|index| ImageStep::Finished { index: *index, revised_prompt: None }));
        let mut edits = Edits::default();
        if let Some(index) = index.filter(|_| !is_partial) {
            self.steps.push(ImageStep::Finished { index, revised_prompt });
            let (key, other) = match self.hand_over {
                HandOver::Base64 => ("b64_json", "url"),
                HandOver::Link => ("url", "b64_json"),
            };
            let value = quote(&self.nonce.reference(index));
            match root.get(key) {
                Some(_) => {
                    edits.set(root, key, &value);
                    edits.remove(root, &[other]);
                }
                None => {
                    // In the place of the other one, under the new name.
                    if let Some(member) = root.members().iter().rev().find(|m| m.key == other) {
                        edits.replace_member(member, key, &value);
                    }
                }
            }
        }
        let text = document.edited(edits);
        self.steps.push(ImageStep::Send(write_event(lines, &text)));
    }
}
