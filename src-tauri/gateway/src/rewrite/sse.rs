//! Frames of a server-sent event stream, taken apart and written. The value of a `data:` line is handed on as it
//! arrives and never kept: one line may be tens of megabytes. Follows the HTML standard, section 9.2.6.

use memchr::memchr2;

/// Longest line other than `data:` that is kept; the rest of a longer one is dropped.
const FIELD_MAX: usize = 8 * 1024;

/// What a stream consists of, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Part of the present event's data. Lines of one event are separated by `\n`.
    Data(&'a [u8]),
    /// A line that is no data (`event: …`, `id: …`, `retry: …`, `: comment`), without its line end.
    Line(&'a [u8]),
    /// A blank line: the event is complete.
    End,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum State {
    /// At the start of a line or inside a field name.
    Name,
    /// After `data:`, where one space may be skipped.
    DataStart,
    Data,
    /// A line that is kept whole.
    Other,
}

/// The state machine of one stream.
#[derive(Debug)]
pub struct Parser {
    state: State,
    line: Vec<u8>,
    /// The last byte was `\r`: a `\n` that follows belongs to it.
    after_return: bool,
    /// The present event has a data line already.
    has_data: bool,
    at_start: bool,
}

impl Default for Parser {
    fn default() -> Self {
        Self { state: State::Name, line: Vec::new(), after_return: false, has_data: false, at_start: true }
    }
}

impl Parser {
    /// Takes the next piece of the stream and hands its frames to `each`.
    pub fn feed(&mut self, mut input: &[u8], each: &mut impl FnMut(Frame<'_>)) {
        while let Some(&first) = input.first() {
            if std::mem::take(&mut self.after_return) && first == b'\n' {
                input = &input[1..];
                continue;
            }
            let end = memchr2(b'\n', b'\r', input).unwrap_or(input.len());
            self.in_line(&input[..end], each);
            if end == input.len() {
                return;
            }
            self.after_return = input[end] == b'\r';
            self.end_line(each);
            input = &input[end + 1..];
        }
    }

    fn in_line(&mut self, mut part: &[u8], each: &mut impl FnMut(Frame<'_>)) {
        while !part.is_empty() {
            match self.state {
                State::Data => {
                    each(Frame::Data(part));
                    return;
                }
                State::DataStart => {
                    self.state = State::Data;
                    part = part.strip_prefix(b" ").unwrap_or(part);
                }
                State::Other => {
                    let room = FIELD_MAX.saturating_sub(self.line.len());
                    self.line.extend_from_slice(&part[..part.len().min(room)]);
                    return;
                }
                State::Name => {
                    self.line.push(part[0]);
                    part = &part[1..];
                    if self.at_start && self.line == b"\xEF\xBB\xBF" {
                        self.line.clear();
                        self.at_start = false;
                    } else if self.line == b"data:" {
                        self.line.clear();
                        self.begin_data(each);
                        self.state = State::DataStart;
                    } else if !self.may_be_data() {
                        self.state = State::Other;
                    }
                }
            }
        }
    }

    /// Whether the line so far may become a `data:` line, perhaps behind the stream's byte order mark.
    fn may_be_data(&self) -> bool {
        b"data:".starts_with(&self.line) || self.at_start && b"\xEF\xBB\xBF".starts_with(&self.line)
    }

    fn begin_data(&mut self, each: &mut impl FnMut(Frame<'_>)) {
        if std::mem::replace(&mut self.has_data, true) {
            each(Frame::Data(b"\n"));
        }
    }

    fn end_line(&mut self, each: &mut impl FnMut(Frame<'_>)) {
        self.at_start = false;
        let line = std::mem::take(&mut self.line);
        match std::mem::replace(&mut self.state, State::Name) {
            State::Data | State::DataStart => {}
            State::Name if line == b"data" => self.begin_data(each),
            _ if line.is_empty() => {
                each(Frame::End);
                self.has_data = false;
            }
            _ => each(Frame::Line(&line)),
        }
    }

    /// Ends the stream. An event that was cut off before its blank line is completed: relays forget it often.
    pub fn finish(&mut self, each: &mut impl FnMut(Frame<'_>)) {
        if self.state != State::Name || !self.line.is_empty() {
            self.end_line(each);
        }
        if std::mem::take(&mut self.has_data) {
            each(Frame::End);
        }
    }
}

/// Writes one event: lines as they came, then the data.
pub fn write_event(lines: &[Vec<u8>], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 16 + lines.iter().map(|l| l.len() + 1).sum::<usize>());
    for line in lines {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    if !data.is_empty() {
        for line in data.split(|&b| b == b'\n') {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(line);
            out.push(b'\n');
        }
    }
    out.push(b'\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(stream: &[u8], step: usize) -> Vec<String> {
        let (mut parser, mut seen, mut data, mut open) = (Parser::default(), Vec::new(), Vec::new(), false);
        let mut each = |frame: Frame<'_>| match frame {
            Frame::Data(part) => {
                open = true;
                data.extend_from_slice(part);
            }
            Frame::Line(line) => seen.push(format!("line {}", String::from_utf8_lossy(line))),
            Frame::End => {
                let text = std::mem::take(&mut data);
                if std::mem::take(&mut open) || !text.is_empty() {
                    seen.push(format!("event {}", String::from_utf8_lossy(&text)));
                }
            }
        };
        for chunk in stream.chunks(step) {
            parser.feed(chunk, &mut each);
        }
        parser.finish(&mut each);
        seen
    }

    #[test]
    fn every_line_end_and_chunking_frames_alike() {
        let stream = "\u{feff}: hi\n\nevent: x\ndata: {\"a\":\ndata:1}\nid: 7\n\ndata:  two\n\ndataset: no\ndata\n\ndata: [DONE]";
        let expected = ["line : hi", "line event: x", "line id: 7", "event {\"a\":\n1}", "event  two", "line dataset: no", "event [DONE]"];
        for ends in ["\n", "\r", "\r\n"] {
            let stream = stream.replace('\n', ends);
            for step in [1, 2, 3, 7, 1000] {
                assert_eq!(events(stream.as_bytes(), step), expected, "{ends:?} {step}");
            }
        }
    }
}
