//! Finds images in running text: watches for `data:…;base64,`, looks at the first decoded bytes, and splits what
//! passes into text, image bytes and, so that nothing large stays in memory, very long runs of other base64.
//!
//! It sees characters and, beside them, how they were written (a JSON escape may stand for one character); what is
//! not an image goes out exactly as it was written. It refuses to know where the text comes from.

use memchr::memchr2;

use super::base64::{Decoder, Spaces, is_letter};
pub use super::sink::{Ending, Form, Sink, close};
use crate::model::MediaType;

/// Longest `data:` header that is looked at, in characters; real ones are under 60.
const HEADER_MAX: usize = 256;

/// Most that is held back while the first bytes of a run are awaited; only a flood of white space gets there.
const HELD_MAX: usize = 64 * 1024;

/// A run of base64 letters longer than this is kept outside the text (audio, PDF, video, an image nobody can name).
pub const SPILL_AFTER: usize = 64 * 1024;

#[derive(Debug)]
enum Mode {
    Text,
    /// Inside what may be `data:…;base64,`.
    Header,
    /// Inside base64 whose first bytes have not all been seen.
    Probe {
        decoder: Box<Decoder>,
        form: Form,
        decoded: Vec<u8>,
    },
    /// Inside the base64 of an image.
    Image(Box<Decoder>),
    /// Inside the base64 of something that calls itself an image.
    Refused(Box<Decoder>),
    /// Inside a long run of something else.
    Verbatim,
}

/// The state machine. One for each string, or one for each choice of a stream.
#[derive(Debug)]
pub struct Finder {
    mode: Mode,
    /// As written: the candidate that is held back in `Header` and `Probe`.
    held: Vec<u8>,
    /// The same as characters, lower case, for matching.
    header: Vec<u8>,
    /// How many bytes of `held` each of them took.
    lengths: Vec<u8>,
    /// The character before the present one.
    previous: u8,
    /// The character before the candidate: a bracket or quote there tells where the run ends.
    before: u8,
    /// Letters of base64 in a row in plain text.
    letters: usize,
    /// Whether long runs leave the text.
    spills: bool,
}

impl Default for Finder {
    fn default() -> Self {
        Self::text()
    }
}

impl Finder {
    /// A finder in running text.
    pub fn text() -> Self {
        Self {
            mode: Mode::Text,
            held: Vec::new(),
            header: Vec::new(),
            lengths: Vec::new(),
            previous: 0,
            before: 0,
            letters: 0,
            spills: true,
        }
    }

    /// Long runs of base64 that are no image stay in the text.
    pub fn without_spilling(self) -> Self {
        Self { spills: false, ..self }
    }

    /// A finder in the middle of an image's base64, taken over from an [`Ending::Open`].
    pub fn resume(decoder: Box<Decoder>) -> Self {
        Self { mode: Mode::Image(decoder), ..Self::text() }
    }

    /// A finder at the start of a string whose whole value may be a data URL: white space inside it is skipped.
    pub fn value() -> Self {
        Self { previous: b'"', ..Self::text() }
    }

    /// A finder at the start of a field that is known to hold base64 (or a data URL, or something else after all).
    pub fn field() -> Self {
        let decoder = Box::new(Decoder::new(Spaces::Skip));
        Self { mode: Mode::Probe { decoder, form: Form::Bare, decoded: Vec::new() }, ..Self::value() }
    }

    /// Characters that were written as they are.
    pub fn plain(&mut self, mut input: &[u8], sink: &mut impl Sink) {
        while !input.is_empty() {
            let taken = match &mut self.mode {
                Mode::Text => self.plain_text(input, sink),
                Mode::Header => {
                    self.header_char(Some(input[0]), &input[..1], sink);
                    1
                }
                Mode::Probe { .. } => self.probe(input, sink),
                Mode::Image(decoder) => {
                    let mut bytes = Vec::with_capacity(input.len() / 4 * 3 + 3);
                    let taken = decoder.feed(input, &mut bytes);
                    if !bytes.is_empty() {
                        sink.bytes(bytes);
                    }
                    if taken < input.len() {
                        self.close_image(sink);
                    }
                    taken
                }
                Mode::Refused(decoder) => {
                    let taken = decoder.feed(input, &mut Vec::new());
                    if taken > 0 {
                        sink.bytes(input[..taken].to_vec());
                    }
                    if taken < input.len() {
                        self.close_verbatim(sink);
                    }
                    taken
                }
                Mode::Verbatim => {
                    let taken = input.iter().position(|&b| !is_letter(b)).unwrap_or(input.len());
                    if taken > 0 {
                        sink.bytes(input[..taken].to_vec());
                    }
                    if taken < input.len() {
                        self.close_verbatim(sink);
                    }
                    taken
                }
            };
            input = &input[taken..];
        }
    }

    /// One character that was written as an escape; `None` for one beyond ASCII.
    pub fn escaped(&mut self, character: Option<u8>, written: &[u8], sink: &mut impl Sink) {
        let byte = character.unwrap_or(0x80);
        match &mut self.mode {
            Mode::Text => self.text_char(byte, written, sink),
            Mode::Header => self.header_char(character, written, sink),
            Mode::Probe { decoder, decoded, .. } => {
                if decoder.feed(&[byte], decoded) == 1 {
                    self.keep(byte, written);
                    self.decide_early(sink);
                } else {
                    self.decide(sink);
                    self.escaped(character, written, sink);
                }
            }
            Mode::Image(decoder) => {
                let mut bytes = Vec::new();
                let taken = decoder.feed(&[byte], &mut bytes);
                if !bytes.is_empty() {
                    sink.bytes(bytes);
                }
                if taken == 0 {
                    self.close_image(sink);
                    self.text_char(byte, written, sink);
                }
            }
            Mode::Refused(decoder) => {
                if decoder.feed(&[byte], &mut Vec::new()) == 1 {
                    sink.bytes(written.to_vec());
                } else {
                    self.close_verbatim(sink);
                    self.text_char(byte, written, sink);
                }
            }
            Mode::Verbatim => {
                if is_letter(byte) {
                    sink.bytes(written.to_vec());
                } else {
                    self.close_verbatim(sink);
                    self.text_char(byte, written, sink);
                }
            }
        }
    }

    /// The string is over but the text goes on in another: a verbatim run ends, everything else waits.
    pub fn pause(&mut self, sink: &mut impl Sink) {
        if matches!(self.mode, Mode::Verbatim) {
            self.close_verbatim(sink);
        }
    }

    /// The string is over. An image that has not seen its end is closed as [`Ending::Open`].
    pub fn end(&mut self, sink: &mut impl Sink) {
        if matches!(self.mode, Mode::Probe { .. }) {
            self.decide(sink);
        }
        match std::mem::replace(&mut self.mode, Mode::Text) {
            Mode::Header => self.replay(false, sink),
            Mode::Image(decoder) => sink.close(Ending::Open(decoder)),
            Mode::Verbatim | Mode::Refused(_) => sink.close(Ending::Whole),
            Mode::Text | Mode::Probe { .. } => {}
        }
    }

    fn close_verbatim(&mut self, sink: &mut impl Sink) {
        sink.close(Ending::Whole);
        self.mode = Mode::Text;
        self.letters = 0;
        self.previous = 0;
    }

    /// Writes plain characters up to a possible `data:` and returns how many it took.
    fn plain_text(&mut self, input: &[u8], sink: &mut impl Sink) -> usize {
        let mut at = 0;
        while let Some(found) = memchr2(b'd', b'D', &input[at..]) {
            let start = at + found;
            let before = if start == 0 { self.previous } else { input[start - 1] };
            if may_start(before, &input[start..]) {
                self.write(&input[..start], sink);
                if matches!(self.mode, Mode::Text) {
                    self.before = before;
                    self.hold(input[start], &input[start..=start]);
                    return start + 1;
                }
                return start;
            }
            at = start + 1;
        }
        self.write(input, sink);
        input.len()
    }

    fn text_char(&mut self, byte: u8, written: &[u8], sink: &mut impl Sink) {
        if matches!(byte, b'd' | b'D') && may_start(self.previous, b"d") {
            self.before = self.previous;
            self.hold(byte, written);
        } else {
            self.write_char(byte, written, sink);
        }
    }

    fn write_char(&mut self, byte: u8, written: &[u8], sink: &mut impl Sink) {
        if self.spills && is_letter(byte) && self.letters >= SPILL_AFTER {
            self.spill(written, sink);
        } else {
            self.letters = if is_letter(byte) { self.letters + 1 } else { 0 };
            self.previous = byte;
            sink.text(written);
        }
    }

    fn hold(&mut self, byte: u8, written: &[u8]) {
        self.mode = Mode::Header;
        self.forget();
        self.keep(byte, written);
    }

    fn keep(&mut self, byte: u8, written: &[u8]) {
        self.held.extend_from_slice(written);
        self.header.push(byte.to_ascii_lowercase());
        self.lengths.push(written.len() as u8);
    }

    fn forget(&mut self) {
        self.held.clear();
        self.header.clear();
        self.lengths.clear();
    }

    /// Text that needs no more looking at, apart from runs that are too long to keep.
    fn write(&mut self, text: &[u8], sink: &mut impl Sink) {
        let Some(&last) = text.last() else { return };
        self.previous = last;
        if !self.spills || self.letters + text.len() <= SPILL_AFTER {
            let run = text.iter().rev().take_while(|&&b| is_letter(b)).count();
            self.letters = if run == text.len() { self.letters + run } else { run };
            sink.text(text);
            return;
        }
        for (at, &byte) in text.iter().enumerate() {
            self.letters = if is_letter(byte) { self.letters + 1 } else { 0 };
            if self.letters > SPILL_AFTER {
                sink.text(&text[..at]);
                self.spill(&text[at..=at], sink);
                return self.plain(&text[at + 1..], sink);
            }
        }
        sink.text(text);
    }

    fn spill(&mut self, written: &[u8], sink: &mut impl Sink) {
        self.mode = Mode::Verbatim;
        sink.open(Form::Verbatim, None);
        sink.bytes(written.to_vec());
    }

    fn header_char(&mut self, character: Option<u8>, written: &[u8], sink: &mut impl Sink) {
        const SCHEME: &[u8] = b"data:";
        let byte = character.unwrap_or(0x80).to_ascii_lowercase();
        let at = self.header.len();
        if at >= SCHEME.len() && byte == b',' && is_base64_header(&self.header) {
            self.keep(byte, written);
            let spaces = if matches!(self.before, b'(' | b'"' | b'\'' | b'<' | b'=') { Spaces::Skip } else { Spaces::End };
            self.mode = Mode::Probe { decoder: Box::new(Decoder::new(spaces)), form: Form::DataUrl, decoded: Vec::new() };
            return;
        }
        let fits = match SCHEME.get(at) {
            Some(&expected) => byte == expected,
            None => at < HEADER_MAX && (byte.is_ascii_alphanumeric() || b"/+.-_;=*\"' ".contains(&byte)),
        };
        if fits {
            self.keep(byte, written);
            return;
        }
        // `data:data:image/…`: the second one is the real one.
        if byte == b':' && self.header.ends_with(b"data") && self.held.len() == self.header.len() && at > 4 {
            let (outer, inner) = self.held.split_at(at - 4);
            sink.text(outer);
            let inner = inner.to_vec();
            self.forget();
            for byte in inner.into_iter().chain(*b":") {
                self.keep(byte, &[byte]);
            }
            return;
        }
        self.replay(false, sink);
        if written.len() == 1 {
            self.plain(written, sink);
        } else {
            self.escaped(character, written, sink);
        }
    }

    /// The candidate was none: it goes out as it was written, looked at once more if `again`.
    fn replay(&mut self, again: bool, sink: &mut impl Sink) {
        self.mode = Mode::Text;
        let held = std::mem::take(&mut self.held);
        let header = std::mem::take(&mut self.header);
        let mut at = 0;
        for (byte, length) in header.into_iter().zip(std::mem::take(&mut self.lengths)) {
            let written = &held[at..at + usize::from(length)];
            at += usize::from(length);
            if again || !matches!(self.mode, Mode::Text) {
                self.escaped(Some(byte), written, sink);
            } else {
                self.write_char(byte, written, sink);
            }
        }
    }

    fn probe(&mut self, input: &[u8], sink: &mut impl Sink) -> usize {
        let Mode::Probe { decoder, decoded, .. } = &mut self.mode else { return 0 };
        let few = &input[..input.len().min(MediaType::SNIFF_LEN)];
        let taken = decoder.feed(few, decoded);
        for &byte in &few[..taken] {
            self.keep(byte, &[byte]);
        }
        if taken < few.len() {
            self.decide(sink);
        } else {
            self.decide_early(sink);
        }
        taken
    }

    fn decide_early(&mut self, sink: &mut impl Sink) {
        if let Mode::Probe { decoded, .. } = &self.mode
            && (decoded.len() >= MediaType::SNIFF_LEN || self.held.len() >= HELD_MAX)
        {
            self.decide(sink);
        }
    }

    /// Enough has been decoded, or there is no more: is it an image?
    fn decide(&mut self, sink: &mut impl Sink) {
        let Mode::Probe { decoder, form, decoded } = std::mem::replace(&mut self.mode, Mode::Text) else { return };
        let mut head = decoded.clone();
        decoder.clone().finish(&mut head);
        head.truncate(MediaType::SNIFF_LEN);
        match MediaType::sniff(&head) {
            Some(media) => {
                self.forget();
                sink.open(form, Some(media));
                sink.bytes(decoded);
                self.mode = Mode::Image(decoder);
            }
            // Too short to tell is no image either, but somebody may just be writing about data URLs.
            None if form == Form::DataUrl && self.header.starts_with(b"data:image/") && head.len() == MediaType::SNIFF_LEN => {
                sink.open(Form::Refused, None);
                sink.bytes(std::mem::take(&mut self.held));
                self.forget();
                self.mode = Mode::Refused(decoder);
            }
            // A field may hold a data URL or a link after all.
            None => self.replay(form == Form::Bare, sink),
        }
    }

    fn close_image(&mut self, sink: &mut impl Sink) {
        if let Mode::Image(mut decoder) = std::mem::replace(&mut self.mode, Mode::Text) {
            close(&mut decoder, sink);
        }
        self.letters = 0;
        self.previous = 0;
    }
}

/// A `d` may begin a data URL unless it stands inside a word or what follows it rules that out.
fn may_start(before: u8, from: &[u8]) -> bool {
    let shown = from.len().min(5);
    !before.is_ascii_alphanumeric() && from[..shown].eq_ignore_ascii_case(&b"data:"[..shown])
}

/// `data:` header, lower case, up to the comma: the last parameter must be `base64`.
fn is_base64_header(header: &[u8]) -> bool {
    header.trim_ascii_end().strip_suffix(b"base64").is_some_and(|rest| rest.trim_ascii_end().ends_with(b";"))
}
