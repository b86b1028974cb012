//! Takes a JSON body apart as it arrives: image bytes go one way, what remains is the skeleton. Works at any chunking,
//! keeps neither the body nor an image in memory, and copies everything that is no image byte for byte.
//!
//! It is no validator: nesting is counted, strings are followed, and [`super::json`] judges the skeleton afterwards.

use memchr::memchr2;

use super::finder::{Ending, Finder, Form, Sink};
pub use super::reference::{BlobEvent, BlobStep, Nonce, Reference, ScanError, ScanLimits, close_open};
use crate::model::MediaType;

/// Longest object key that is compared; longer ones are nobody's image field.
const KEY_MAX: usize = 32;

/// Which fields hold an image without saying so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Key {
    /// Bare base64, whatever stands around it: `b64_json`, `bytesBase64Encoded`, …
    Base64,
    /// A whole value that may be a data URL, a link or base64: `url`, `image_url`, `image`, `result`, …
    Value,
    /// Text of a stream's choice, which goes on in later events; only in a `delta`.
    Running(usize),
    /// What holds such texts.
    Delta,
    /// Any other text.
    Other,
}

/// Keys of the texts that go on from event to event in a stream.
pub const RUNNING: [&str; 3] = ["content", "reasoning_content", "reasoning"];

fn classify(key: &[u8]) -> Key {
    match key {
        b"b64_json"
        | b"bytesBase64Encoded"
        | b"partial_image_b64"
        | b"data"
        | b"result"
        | b"image"
        | b"images"
        | b"mask"
        | b"b64"
        | b"image_base64" => Key::Base64,
        b"delta" => Key::Delta,
        b"content" => Key::Running(0),
        b"reasoning_content" => Key::Running(1),
        b"reasoning" => Key::Running(2),
        b"url" | b"image_url" | b"input_image" | b"uri" | b"file_data" => Key::Value,
        _ => Key::Other,
    }
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    array: bool,
    /// For an object: the key whose value comes next; for an array: the key it stands under.
    key: Key,
    /// In an object: a string that comes now is a key.
    wants_key: bool,
    /// The object under the key `delta`.
    delta: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    Backslash,
    Unicode { seen: u8, value: u16 },
}

/// The state machine for one body, or for the events of one stream.
#[derive(Debug)]
pub struct Scanner {
    limits: ScanLimits,
    frames: Vec<Frame>,
    string: Option<InString>,
    escape: Escape,
    written: Vec<u8>,
    out: Output,
    /// In a stream: the finders that live on from event to event.
    running: Option<[Slot; RUNNING.len()]>,
    /// Whether long runs that are no image leave the running texts.
    spills: bool,
}

#[derive(Debug)]
enum InString {
    Key(Vec<u8>),
    Value(Finder),
    Running(usize, Finder),
}

/// A finder that waits for the next event, and the number of the run it is in.
#[derive(Debug, Default)]
struct Slot {
    finder: Finder,
    run: usize,
}

/// Where the finder's findings go: the skeleton and the list of blob events.
#[derive(Debug)]
struct Output {
    nonce: Nonce,
    skeleton: Vec<u8>,
    next: usize,
    /// The run that is open.
    run: usize,
    events: Vec<BlobEvent>,
}

impl Output {
    fn push(&mut self, index: usize, what: BlobStep) {
        self.events.push(BlobEvent { index, what });
    }
}

impl Sink for Output {
    fn text(&mut self, written: &[u8]) {
        self.skeleton.extend_from_slice(written);
    }

    fn open(&mut self, form: Form, media: Option<MediaType>) {
        let reference = self.nonce.reference(self.next);
        self.skeleton.extend_from_slice(reference.as_bytes());
        self.run = self.next;
        self.push(self.run, BlobStep::Open(Reference { form, media }));
        self.next += 1;
    }

    fn bytes(&mut self, bytes: Vec<u8>) {
        self.push(self.run, BlobStep::Bytes(bytes));
    }

    fn close(&mut self, ending: Ending) {
        self.push(self.run, BlobStep::Close(ending));
    }
}

impl Scanner {
    /// A scanner whose references are numbered from 0.
    pub fn new(nonce: Nonce, limits: ScanLimits) -> Self {
        let out = Output { nonce, skeleton: Vec::new(), next: 0, run: 0, events: Vec::new() };
        Self {
            limits,
            frames: Vec::new(),
            string: None,
            escape: Escape::None,
            written: Vec::with_capacity(6),
            out,
            running: None,
            spills: true,
        }
    }

    /// A scanner for the events of a stream with a single choice: an image in the text of [`RUNNING`] keys may begin
    /// in one event and end in another. Text that may begin an image is held back until the next event.
    pub fn for_stream(nonce: Nonce, limits: ScanLimits) -> Self {
        Self { running: Some(Default::default()), ..Self::new(nonce, limits) }
    }

    /// A scanner for the events of a stream with several choices. Which choice a text belongs to is often told behind
    /// it, so images that go on from event to event are put together by the caller; long runs stay in the text.
    pub fn for_choices(nonce: Nonce, limits: ScanLimits) -> Self {
        Self { spills: false, ..Self::new(nonce, limits) }
    }

    /// Ends the texts that run on from event to event. What was held back of each, with references, comes back in
    /// the order of [`RUNNING`]; an image that is still open ends here.
    pub fn end_running(&mut self, events: &mut Vec<BlobEvent>) -> [String; RUNNING.len()] {
        let mut texts: [String; RUNNING.len()] = Default::default();
        for (slot, text) in self.running.iter_mut().flatten().zip(&mut texts) {
            let before = std::mem::take(&mut self.out.skeleton);
            self.out.run = slot.run;
            std::mem::take(&mut slot.finder).end(&mut self.out);
            let written = std::mem::replace(&mut self.out.skeleton, before);
            // As written in JSON; the escapes of what is held back are resolved here.
            let quoted = format!("\"{}\"", String::from_utf8_lossy(&written));
            *text = serde_json::from_str(&quoted).unwrap_or_default();
        }
        for event in self.out.events.drain(..) {
            match event.what {
                BlobStep::Close(Ending::Open(mut decoder)) => close_open(event.index, &mut decoder, events),
                _ => events.push(event),
            }
        }
        texts
    }

    /// Takes the next piece of the body and appends what happened to `events`.
    ///
    /// # Errors
    /// [`ScanError`] as soon as a limit is passed; the scanner is of no use afterwards.
    pub fn feed(&mut self, mut input: &[u8], events: &mut Vec<BlobEvent>) -> Result<(), ScanError> {
        let mut result = Ok(());
        while !input.is_empty() && result.is_ok() {
            if self.string.is_some() {
                let taken = self.in_string(input);
                input = &input[taken..];
            } else {
                match self.structure(input) {
                    Ok(taken) => input = &input[taken..],
                    Err(error) => result = Err(error),
                }
            }
            if self.out.skeleton.len() > self.limits.skeleton {
                result = Err(ScanError::TooLarge(self.limits.skeleton));
            }
        }
        events.append(&mut self.out.events);
        result
    }

    /// Ends the body (or one event of a stream) and hands out its skeleton; numbering goes on. A string that has not
    /// ended is ended here: the skeleton is then no valid JSON, and an open image is closed as [`Ending::Open`].
    pub fn finish(&mut self, events: &mut Vec<BlobEvent>) -> Vec<u8> {
        match self.string.take() {
            Some(InString::Value(mut finder)) => finder.end(&mut self.out),
            Some(InString::Running(at, finder)) => self.put_back(at, finder),
            _ => {}
        }
        self.escape = Escape::None;
        self.frames.clear();
        events.append(&mut self.out.events);
        std::mem::take(&mut self.out.skeleton)
    }

    /// Whether a string has begun and not ended.
    pub fn is_in_string(&self) -> bool {
        self.string.is_some()
    }

    /// Whether the JSON has begun and not ended.
    pub fn is_inside(&self) -> bool {
        self.string.is_some() || !self.frames.is_empty()
    }

    /// A reference number for an image that is not in the body: one that is to be downloaded.
    pub fn take_number(&mut self) -> usize {
        self.out.next += 1;
        self.out.next - 1
    }

    fn structure(&mut self, input: &[u8]) -> Result<usize, ScanError> {
        let mut at = 0;
        while at < input.len() {
            let byte = input[at];
            at += 1;
            match byte {
                b'{' | b'[' => {
                    if self.frames.len() == self.limits.depth {
                        return Err(ScanError::TooDeep(self.limits.depth));
                    }
                    // An array hands its key down: `"images": ["…", "…"]`.
                    let above = self.frames.last().map_or(Key::Other, |f| f.key);
                    let key = if byte == b'[' { above } else { Key::Other };
                    let delta = byte == b'{' && above == Key::Delta;
                    self.frames.push(Frame { array: byte == b'[', key, wants_key: byte == b'{', delta });
                }
                b'}' | b']' => {
                    self.frames.pop();
                }
                b',' => {
                    if let Some(frame) = self.frames.last_mut() {
                        frame.wants_key = !frame.array;
                    }
                }
                b':' => {
                    if let Some(frame) = self.frames.last_mut() {
                        frame.wants_key = false;
                    }
                }
                b'"' => {
                    self.out.skeleton.extend_from_slice(&input[..at]);
                    self.begin_string();
                    return Ok(at);
                }
                _ => {}
            }
        }
        self.out.skeleton.extend_from_slice(input);
        Ok(at)
    }

    fn begin_string(&mut self) {
        self.string = Some(match self.frames.last() {
            Some(frame) if frame.wants_key => InString::Key(Vec::new()),
            Some(Frame { key: Key::Base64, .. }) => InString::Value(Finder::field()),
            Some(Frame { key: Key::Value, .. }) => InString::Value(Finder::value()),
            Some(Frame { key: Key::Running(at), delta: true, .. }) => match &mut self.running {
                Some(slots) => {
                    let slot = std::mem::take(&mut slots[*at]);
                    self.out.run = slot.run;
                    InString::Running(*at, slot.finder)
                }
                None if !self.spills => InString::Value(Finder::text().without_spilling()),
                None => InString::Value(Finder::text()),
            },
            _ => InString::Value(Finder::text()),
        });
    }

    /// Keeps a finder for the next event. Only an image may stay open across events.
    fn put_back(&mut self, at: usize, mut finder: Finder) {
        finder.pause(&mut self.out);
        if let Some(slots) = &mut self.running {
            slots[at] = Slot { finder, run: self.out.run };
        }
    }

    fn in_string(&mut self, input: &[u8]) -> usize {
        if self.escape != Escape::None {
            self.in_escape(input[0]);
            return 1;
        }
        let stop = memchr2(b'"', b'\\', input);
        let plain = &input[..stop.unwrap_or(input.len())];
        match &mut self.string {
            Some(InString::Key(key)) => {
                key.extend_from_slice(&plain[..plain.len().min((KEY_MAX + 1).saturating_sub(key.len()))]);
                self.out.skeleton.extend_from_slice(plain);
            }
            Some(InString::Value(finder) | InString::Running(_, finder)) => finder.plain(plain, &mut self.out),
            None => {}
        }
        let Some(stop) = stop else { return input.len() };
        if input[stop] == b'\\' {
            self.escape = Escape::Backslash;
            self.written.clear();
            self.written.push(b'\\');
        } else {
            self.end_string();
        }
        stop + 1
    }

    fn end_string(&mut self) {
        match self.string.take() {
            Some(InString::Key(key)) => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.key = classify(&key);
                    frame.wants_key = false;
                }
            }
            Some(InString::Value(mut finder)) => finder.end(&mut self.out),
            Some(InString::Running(at, finder)) => self.put_back(at, finder),
            None => {}
        }
        self.out.skeleton.push(b'"');
    }

    fn in_escape(&mut self, byte: u8) {
        self.written.push(byte);
        let character = match self.escape {
            Escape::Backslash if byte == b'u' => {
                self.escape = Escape::Unicode { seen: 0, value: 0 };
                return;
            }
            Escape::Unicode { seen, value } => {
                let Some(digit) = (byte as char).to_digit(16) else { return self.end_escape(None) };
                let value = value << 4 | digit as u16;
                if seen < 3 {
                    self.escape = Escape::Unicode { seen: seen + 1, value };
                    return;
                }
                u8::try_from(value).ok().filter(u8::is_ascii)
            }
            _ => match byte {
                b'n' => Some(b'\n'),
                b'r' => Some(b'\r'),
                b't' => Some(b'\t'),
                b'b' => Some(8),
                b'f' => Some(12),
                other => Some(other).filter(u8::is_ascii),
            },
        };
        self.end_escape(character);
    }

    fn end_escape(&mut self, character: Option<u8>) {
        self.escape = Escape::None;
        match &mut self.string {
            Some(InString::Value(finder) | InString::Running(_, finder)) => finder.escaped(character, &self.written, &mut self.out),
            Some(InString::Key(key)) => {
                key.extend(character);
                key.truncate(KEY_MAX + 1);
                self.out.skeleton.extend_from_slice(&self.written);
            }
            None => {}
        }
    }
}
