//! As much of HTTP/1.1 as both ends of this benchmark need: keep-alive, lengths, chunks, and a deadline for every
//! exchange. Threads that block, for nothing is faster to hand bytes over when there are no more than 64 of them.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// Longest exchange.
const DEADLINE: Duration = Duration::from_secs(30);

/// Bytes read at a time.
const BUFFER: usize = 256 * 1024;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    Fixed(u64),
    Chunked,
}

/// The head of a request or an answer.
#[derive(Debug)]
pub struct Head {
    pub text: String,
    pub length: Length,
}

impl Head {
    /// The status of an answer.
    pub fn status(&self) -> u16 {
        self.text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    /// A header's value, if there is one.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.text.lines().skip(1).find_map(|line| line.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case(name))).map(|(_, v)| v.trim())
    }
}

/// One end of a connection.
pub struct Conn {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    deadline: Option<Instant>,
}

fn broken(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.to_owned())
}

impl Conn {
    /// A client's end.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Self::over(stream)
    }

    /// A server's end: waits for requests as long as need be.
    pub fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; BUFFER], start: 0, end: 0, deadline: None })
    }

    /// Writes; several parts cost several packets.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.deadline.is_some_and(|at| Instant::now() > at) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        match self.stream.read(&mut self.buffer[self.end..])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                self.end += n;
                Ok(())
            }
        }
    }

    /// Up to and including `mark`.
    fn until(&mut self, mark: &[u8]) -> io::Result<String> {
        let mut seen = 0;
        loop {
            let have = &self.buffer[self.start..self.end];
            if let Some(at) = memchr::memmem::find(&have[seen..], mark) {
                let len = seen + at + mark.len();
                let text = String::from_utf8_lossy(&have[..len]).into_owned();
                self.start += len;
                return Ok(text);
            }
            seen = have.len().saturating_sub(mark.len());
            if have.len() > 16 * 1024 {
                return Err(broken("a head without end"));
            }
            self.fill()?;
        }
    }

    /// The next head.
    pub fn head(&mut self) -> io::Result<Head> {
        let mut head = Head { text: self.until(b"\r\n\r\n")?, length: Length::Fixed(0) };
        if head.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
            head.length = Length::Chunked;
        } else if let Some(len) = head.header("content-length") {
            head.length = Length::Fixed(len.parse().map_err(|_| broken("a length that is no number"))?);
        }
        Ok(head)
    }

    /// The body, in pieces as they arrive. Returns its length.
    pub fn body(&mut self, length: Length, each: &mut dyn FnMut(&[u8])) -> io::Result<u64> {
        let mut total = 0;
        match length {
            Length::Fixed(len) => total = self.exactly(len, each)?,
            Length::Chunked => loop {
                let size = self.until(b"\r\n")?;
                let size = u64::from_str_radix(size.trim(), 16).map_err(|_| broken("a chunk whose size is no number"))?;
                total += self.exactly(size, each)?;
                self.exactly(2, &mut |_| {})?;
                if size == 0 {
                    break;
                }
            },
        }
        Ok(total)
    }

    fn exactly(&mut self, len: u64, each: &mut dyn FnMut(&[u8])) -> io::Result<u64> {
        let mut left = len;
        while left > 0 {
            if self.start == self.end {
                self.fill()?;
            }
            let take = left.min((self.end - self.start) as u64) as usize;
            each(&self.buffer[self.start..self.start + take]);
            self.start += take;
            left -= take as u64;
        }
        Ok(len)
    }

    /// A request and its answer, whose body is handed over in pieces.
    pub fn exchange(&mut self, request: &[u8], each: &mut dyn FnMut(&[u8])) -> io::Result<Head> {
        self.deadline = Some(Instant::now() + DEADLINE);
        self.send(&unlike_any(request))?;
        let head = self.head()?;
        let has_body = !request.starts_with(b"HEAD ") && !matches!(head.status(), 204 | 304);
        if has_body {
            self.body(head.length, each)?;
        }
        Ok(head)
    }

    /// The same for answers that are kept, which must be good.
    pub fn ask(&mut self, request: &[u8]) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        let head = self.exchange(request, &mut |bytes| body.extend_from_slice(bytes)).map_err(|e| e.to_string())?;
        if matches!(head.status(), 200 | 206) {
            Ok(body)
        } else {
            Err(format!("{} {}", head.status(), String::from_utf8_lossy(&body[..body.len().min(300)])))
        }
    }
}

/// What stands in a request where each gets a number of its own: identical drawings would share one answer.
pub const NUMBER: &str = "#00000000";

/// The request with a number that no other has.
fn unlike_any(request: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let Some(at) = memchr::memmem::find(request, NUMBER.as_bytes()) else { return request.into() };
    let mut own = request.to_vec();
    let number = format!("#{:08}", COUNT.fetch_add(1, Ordering::Relaxed) % 100_000_000);
    own[at..at + NUMBER.len()].copy_from_slice(number.as_bytes());
    own.into()
}

/// A request with a body of JSON.
pub fn post(path: &str, body: &str) -> Vec<u8> {
    let key = crate::children::KEY;
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A request without a body.
pub fn get(method: &str, path: &str, header: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{header}\r\n").into_bytes()
}
