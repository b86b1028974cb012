//! The floor: a program that does only the unavoidable. It takes a request of the Images API, passes it on, decodes
//! the picture while it arrives, writes it to a file, gives that its name and answers with a link. No parser, no
//! database, no limits, no second dialect: nobody could use it, and nobody can be much faster.

use std::{
    fs::File,
    io::{self, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use base64_simd::{AsOut, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{children, http::Conn};

/// What stands before the picture.
const FIELD: &[u8] = b"\"b64_json\":\"";

/// Files so far, for their names.
static FILES: AtomicU64 = AtomicU64::new(0);

/// Serves until the process that started it is gone.
pub fn run(upstream: SocketAddr, folder: PathBuf, fsync: bool, sha256: bool) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    children::ready(&listener);
    for stream in listener.incoming().flatten() {
        let folder = folder.clone();
        thread::spawn(move || serve(stream, upstream, &folder, fsync, sha256));
    }
}

fn serve(stream: TcpStream, upstream: SocketAddr, folder: &Path, fsync: bool, sha256: bool) -> io::Result<()> {
    // Two buffers of 256 KB: what arrives, and what it decodes to.
    let (mut client, mut upstream) = (Conn::over(stream)?, Conn::open(upstream)?);
    let mut decoded = Vec::with_capacity(256 * 1024);
    loop {
        let mut request = client.head()?;
        let length = request.length;
        let mut passed = std::mem::take(&mut request.text).into_bytes();
        client.body(length, &mut |bytes| passed.extend_from_slice(bytes))?;
        let name = format!("{:08}", FILES.fetch_add(1, Ordering::Relaxed));
        let temporary = folder.join(format!("{name}.part"));
        let mut saving = Saving {
            file: File::create_new(&temporary)?,
            hasher: sha256.then(Sha256::new),
            carry: Vec::new(),
            state: State::Before,
            failed: None,
        };
        upstream.exchange(&passed, &mut |bytes| saving.take(bytes, &mut decoded))?;
        if let Some(error) = saving.failed {
            return Err(error);
        }
        if let Some(hasher) = saving.hasher {
            std::hint::black_box(hasher.finalize());
        }
        if fsync {
            saving.file.sync_data()?;
        }
        let path = folder.join(&name);
        std::fs::rename(&temporary, &path)?;
        let body = format!(r#"{{"created":1,"data":[{{"url":"file://{}"}}]}}"#, path.display());
        client.send(
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes(),
        )?;
    }
}

#[derive(PartialEq)]
enum State {
    Before,
    Inside,
    Behind,
}

struct Saving {
    file: File,
    hasher: Option<Sha256>,
    /// What is left over: of the text before the picture, or of a group of four letters.
    carry: Vec<u8>,
    state: State,
    failed: Option<io::Error>,
}

impl Saving {
    fn take(&mut self, bytes: &[u8], decoded: &mut Vec<u8>) {
        let (mut bytes, whole) = (bytes, self.start(bytes));
        if let Some(whole) = &whole {
            bytes = whole;
        }
        if self.state != State::Inside {
            return;
        }
        if let Some(end) = memchr::memchr(b'"', bytes) {
            self.state = State::Behind;
            bytes = &bytes[..end];
            while let [rest @ .., b'='] = bytes {
                bytes = rest;
            }
        }
        let result = self.decode(bytes, decoded);
        self.failed = self.failed.take().or(result.err());
    }

    /// Looks for the field; what stands behind it, once that is found.
    fn start(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.state != State::Before {
            return None;
        }
        self.carry.extend_from_slice(bytes);
        let at = memchr::memmem::find(&self.carry, FIELD)?;
        self.state = State::Inside;
        let whole = self.carry.split_off(at + FIELD.len());
        self.carry.clear();
        Some(whole)
    }

    fn decode(&mut self, mut letters: &[u8], decoded: &mut Vec<u8>) -> io::Result<()> {
        while !self.carry.is_empty() && self.carry.len() < 4 && !letters.is_empty() {
            self.carry.push(letters[0]);
            letters = &letters[1..];
        }
        let last = self.state == State::Behind;
        if self.carry.len() == 4 || last {
            let group = std::mem::take(&mut self.carry);
            self.write(&group, decoded)?;
        }
        let groups = if last { letters.len() } else { letters.len() / 4 * 4 };
        self.carry.extend_from_slice(&letters[groups..]);
        self.write(&letters[..groups], decoded)
    }

    fn write(&mut self, letters: &[u8], decoded: &mut Vec<u8>) -> io::Result<()> {
        decoded.resize(letters.len().div_ceil(4) * 3, 0);
        let bytes = STANDARD_NO_PAD.decode(letters, decoded.as_mut_slice().as_out()).map_err(io::Error::other)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&*bytes);
        }
        self.file.write_all(bytes)
    }
}
