//! The upstream: answers that were made before anybody asks, written by one thread for each connection. All that is
//! left to do for an answer is 64 letters of base64.

use std::{
    collections::HashMap,
    io,
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sha2::{Digest, Sha256};

use crate::{
    children,
    http::{Conn, Length},
    pictures::{self, HEAD_LETTERS, Template, base64},
};

/// How much of a request is searched for the name of the answer that is wanted.
const SEARCHED: usize = 4096;

/// What an answer is asked for by, in a prompt or a message.
const MARK: &[u8] = b"bench:";

/// Characters of base64 in one event of a split picture.
const DELTA: usize = 4096;

/// Written together with the head of an answer.
const FIRST: usize = 64 * 1024;

/// Whoever reads a token finds the time of its departure behind this, in nanoseconds.
pub const STAMP: u8 = b'@';
/// Digits of that time.
pub const STAMP_DIGITS: usize = 19;

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const LAST: &str = "0\r\n\r\n";

/// An answer with a hole where the picture's first letters go.
struct Answer {
    template: Arc<Template>,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Answer {
    fn new(template: &Arc<Template>, letters: &str, whole: String) -> Self {
        let hole = whole.find(&letters[..HEAD_LETTERS]).expect("the picture is in its answer");
        let mut before = whole.into_bytes();
        let after = before.split_off(hole + HEAD_LETTERS);
        before.truncate(hole);
        Self { template: template.clone(), before, after }
    }

    fn send(&self, number: u32, to: &mut Conn) -> io::Result<()> {
        let cut = self.after.len().min(FIRST);
        let unique = base64(&self.template.head(number));
        to.send(&[&self.before, unique.as_bytes(), &self.after[..cut]].concat())?;
        to.send(&self.after[cut..])
    }
}

/// One event as one chunk.
fn event(data: &str) -> String {
    let event = format!("data: {data}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len())
}

fn delta(delta: &str) -> String {
    event(&format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#
    ))
}

fn json(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn completion(content: &str) -> String {
    json(&format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"up","choices":[{{"index":0,"message":{{"role":"assistant","content":"{content}"}},"finish_reason":"stop"}}]}}"#
    ))
}

fn answers() -> HashMap<String, Answer> {
    let mut answers = HashMap::new();
    for name in ["200k", "2m", "24m", "real2m"] {
        let template = Arc::new(pictures::template(name));
        let letters = base64(&template.bytes);
        let whole = json(&format!(r#"{{"created":1,"data":[{{"b64_json":"{letters}"}}]}}"#));
        answers.insert(format!("image-{name}"), Answer::new(&template, &letters, whole));
        if name != "2m" {
            continue;
        }
        let images = format!(r#"{{"images":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{letters}"}}}}]}}"#);
        let done = event("[DONE]");
        let whole = format!("{STREAM}{}{}{done}{LAST}", delta(r#"{"content":"Here it is."}"#), delta(&images));
        answers.insert("stream-whole".into(), Answer::new(&template, &letters, whole));
        let mut split = format!("{STREAM}{}", delta(r#"{"content":"![image](data:image/png;base64,"}"#));
        for piece in letters.as_bytes().chunks(DELTA) {
            split.push_str(&delta(&format!(r#"{{"content":"{}"}}"#, String::from_utf8_lossy(piece))));
        }
        split.push_str(&format!("{}{done}{LAST}", delta(r#"{"content":")"}"#)));
        answers.insert("stream-split".into(), Answer::new(&template, &letters, split));
    }
    answers
}

/// Serves until the process that started it is gone.
pub fn run() {
    let answers = Arc::new(answers());
    let numbers = Arc::new(AtomicU32::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    children::ready(&listener);
    for stream in listener.incoming().flatten() {
        let (answers, numbers) = (answers.clone(), numbers.clone());
        // A connection that ends is how every client says goodbye.
        thread::spawn(move || serve(stream, &answers, &numbers));
    }
}

fn serve(stream: TcpStream, answers: &HashMap<String, Answer>, numbers: &AtomicU32) -> io::Result<()> {
    let mut conn = Conn::over(stream)?;
    loop {
        let head = conn.head()?;
        let wanted = wanted(&mut conn, head.length)?;
        let words: Vec<&str> = wanted.name.split(' ').collect();
        match words.as_slice() {
            // `text {tokens} {microseconds between two}`
            ["text", tokens, pause] => tokens_to(&mut conn, tokens.parse().unwrap_or(0), pause.parse().unwrap_or(0))?,
            ["read"] => conn.send(completion("read").as_bytes())?,
            ["digests"] => conn.send(completion(&digests(&wanted.body)).as_bytes())?,
            [name] if answers.contains_key(*name) => answers[*name].send(numbers.fetch_add(1, Ordering::Relaxed), &mut conn)?,
            _ => conn.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?,
        }
    }
}

struct Wanted {
    name: String,
    /// Only as much as is needed.
    body: Vec<u8>,
}

fn wanted(conn: &mut Conn, length: Length) -> io::Result<Wanted> {
    let mut wanted = Wanted { name: String::new(), body: Vec::new() };
    conn.body(length, &mut |bytes| {
        if wanted.body.len() < SEARCHED || wanted.name == "digests" {
            wanted.body.extend_from_slice(bytes);
        }
        if wanted.name.is_empty()
            && let Some(at) = memchr::memmem::find(&wanted.body, MARK)
        {
            let name = wanted.body[at + MARK.len()..].split(|&b| b == b'"' || b == b'\\').next().unwrap_or_default();
            wanted.name = String::from_utf8_lossy(name).into_owned();
        }
    })?;
    Ok(wanted)
}

/// The digests of the pictures in a conversation, so that it can be seen that they arrived.
fn digests(body: &[u8]) -> String {
    const BEFORE: &[u8] = b";base64,";
    let pictures = memchr::memmem::find_iter(body, BEFORE).map(|at| {
        let letters = body[at + BEFORE.len()..].split(|&b| b == b'"').next().unwrap_or_default();
        let bytes = base64_simd::STANDARD.decode_to_vec(letters).unwrap_or_default();
        Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect::<String>()
    });
    pictures.collect::<Vec<_>>().join(" ")
}

/// Each token leaves by itself, as a model produces them, and says when.
fn tokens_to(conn: &mut Conn, tokens: usize, pause: u64) -> io::Result<()> {
    let zeros = "0".repeat(STAMP_DIGITS);
    let mut token = delta(&format!(r#"{{"content":" word{}{zeros}"}}"#, STAMP as char)).into_bytes();
    let stamp = memchr::memchr(STAMP, &token).expect("a stamp") + 1;
    conn.send(STREAM.as_bytes())?;
    for _ in 0..tokens {
        if pause > 0 {
            thread::sleep(Duration::from_micros(pause));
            token[stamp..stamp + STAMP_DIGITS].copy_from_slice(format!("{:019}", nanos()).as_bytes());
        }
        conn.send(&token)?;
    }
    conn.send(format!("{}{LAST}", event("[DONE]")).as_bytes())
}

/// Now, on a clock that all processes of this machine share.
pub fn nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
}
