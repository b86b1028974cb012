//! A real S3 server in the process (s3s-fs), and a mischievous network in front of it.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{
    Method, Request, Response,
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

/// What the network, or the server, does wrong from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers with this status and S3's word for it; nothing reaches the server.
    Refuse(u16, &'static str),
    /// The same, only to requests of this method.
    RefuseMethod(Method, u16, &'static str),
    /// Waits before the request goes on.
    Slow(Duration),
    /// Ends the connection without an answer.
    Reset,
    /// Ends the connection after the request was carried out.
    ResetAfter,
    /// Cuts downloads after so many bytes.
    Cut(usize),
    /// Changes one byte of downloads.
    Flip,
    /// Says of objects that they are one byte longer (HEAD).
    LieAboutLength,
    /// Says another ETag (HEAD).
    LieAboutEtag,
    /// Stores an object cut in half and says that all is well.
    StoreHalf,
    /// Another fault, only for requests of this method.
    Only(Method, Box<Fault>),
    /// By its clock it is so much later, and requests of another time are refused.
    Later(Duration),
    /// Sends so many bytes of a download and then nothing until it is told to [go on](FakeBucket::go_on).
    HoldAfter(usize),
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub path: String,
    pub headers: hyper::HeaderMap,
}

struct Shared {
    root: std::path::PathBuf,
    service: s3s::service::S3Service,
    faults: Mutex<Vec<Fault>>,
    /// Faults for the next requests, one each.
    once: Mutex<VecDeque<Fault>>,
    seen: Mutex<Vec<Seen>>,
    running: AtomicUsize,
    most: AtomicUsize,
    go_on: tokio::sync::Notify,
}

pub struct FakeBucket {
    pub address: SocketAddr,
    dir: tempfile::TempDir,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

pub const KEY_ID: &str = "AKID";
pub const SECRET: &str = "canary-bucket-secret-0123456789";
pub const BUCKET: &str = "pictures";
pub const OTHER: &str = "elsewhere";

impl Drop for FakeBucket {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl FakeBucket {
    pub async fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary folder")).await
    }

    /// The same over a folder of the caller's choice. It has two buckets, [`BUCKET`] and [`OTHER`].
    pub async fn start_in(dir: tempfile::TempDir) -> Self {
        for bucket in [BUCKET, OTHER] {
            std::fs::create_dir(dir.path().join(bucket)).expect("makes the bucket");
        }
        let mut builder = s3s::service::S3ServiceBuilder::new(s3s_fs::FileSystem::new(dir.path()).expect("a file system"));
        // What is too far from its own time is for the network in front to say.
        let mut config = s3s::config::S3Config::default();
        config.presigned_url_max_skew_time_secs = u32::MAX;
        builder.set_config(Arc::new(s3s::config::StaticConfigProvider::new(Arc::new(config))));
        builder.set_auth(s3s::auth::SimpleAuth::from_single(KEY_ID, SECRET));
        let shared = Arc::new(Shared {
            root: dir.path().to_owned(),
            service: builder.build(),
            faults: Mutex::default(),
            once: Mutex::default(),
            seen: Mutex::default(),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            go_on: tokio::sync::Notify::new(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let (accepting, handed) = (stop.clone(), shared.clone());
        tokio::spawn(async move {
            while let Some(Ok((socket, _))) = accepting.run_until_cancelled(listener.accept()).await {
                let shared = handed.clone();
                let ended = accepting.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(shared.clone(), request));
                    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
                    let _ = ended.run_until_cancelled(connection).await;
                });
            }
        });
        Self { address, dir, shared, stop }
    }

    /// Variables that make a gateway use it.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("PICGATE_S3_ENDPOINT", format!("http://{}", self.address)),
            ("PICGATE_R2_ACCESS_KEY_ID", KEY_ID.into()),
            ("PICGATE_R2_SECRET_ACCESS_KEY", SECRET.into()),
            ("PICGATE_R2_BUCKET", BUCKET.into()),
        ]
    }

    /// Goes wrong like this from now on.
    pub fn break_with(&self, faults: &[Fault]) {
        *self.shared.faults.lock().unwrap() = faults.to_vec();
    }

    /// Ends a [`Fault::HoldAfter`].
    pub fn go_on(&self) {
        self.shared.go_on.notify_one();
    }

    pub fn heal(&self) {
        self.break_with(&[]);
    }

    /// Goes wrong once for each.
    pub fn break_once(&self, faults: &[Fault]) {
        self.shared.once.lock().unwrap().extend(faults.iter().cloned());
    }

    pub fn seen(&self, method: &Method) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().iter().filter(|seen| seen.method == *method).cloned().collect()
    }

    pub fn forget_seen(&self) {
        self.shared.seen.lock().unwrap().clear();
    }

    /// Most requests that ran at once.
    pub fn most_at_once(&self) -> usize {
        self.shared.most.load(Ordering::Relaxed)
    }

    fn path(&self, key: &str) -> std::path::PathBuf {
        self.dir.path().join(BUCKET).join(key)
    }

    /// Where an object of the bucket `bucket` lies.
    pub fn path_in(&self, bucket: &str, key: &str) -> std::path::PathBuf {
        self.dir.path().join(bucket).join(key)
    }

    pub fn object_in(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path_in(bucket, key)).ok()
    }

    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path(key)).ok()
    }

    /// Puts an object there as somebody else would.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.path(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // What the server had noted of an earlier one: its ETag would be believed.
        let encode = |text: &str| base64_simd::URL_SAFE_NO_PAD.encode_to_string(text);
        let noted = format!(".bucket-{}.object-{}.internal.json", encode(BUCKET), encode(key));
        let _ = std::fs::remove_file(self.dir.path().join(noted));
        std::fs::write(path, bytes).unwrap();
    }

    pub fn remove(&self, key: &str) {
        std::fs::remove_file(self.path(key)).unwrap();
    }

    /// Names of all objects under a folder.
    pub fn keys(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(folder)) else { return Vec::new() };
        let mut keys: Vec<String> = entries
            .flatten()
            .filter(|e| e.path().is_file())
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .filter(|n| !n.starts_with('.'))
            .collect();
        keys.sort();
        keys
    }
}

type Answer = Response<http_body_util::combinators::UnsyncBoxBody<Bytes, std::io::Error>>;

fn full(bytes: impl Into<Bytes>) -> http_body_util::combinators::UnsyncBoxBody<Bytes, std::io::Error> {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, std::io::Error> {
    let now = shared.running.fetch_add(1, Ordering::Relaxed) + 1;
    shared.most.fetch_max(now, Ordering::Relaxed);
    let result = answer_one(&shared, request).await;
    shared.running.fetch_sub(1, Ordering::Relaxed);
    result
}

async fn answer_one(shared: &Arc<Shared>, request: Request<Incoming>) -> Result<Answer, std::io::Error> {
    let method = request.method().clone();
    let seen = Seen { method: method.clone(), path: request.uri().path().to_owned(), headers: request.headers().clone() };
    shared.seen.lock().unwrap().push(seen);
    let mut faults = shared.faults.lock().unwrap().clone();
    faults.extend(shared.once.lock().unwrap().pop_front());
    let concerned = |fault| match fault {
        Fault::Only(which, fault) if which == method => Some(*fault),
        Fault::Only(..) => None,
        fault => Some(fault),
    };
    let faults: Vec<Fault> = faults.into_iter().filter_map(concerned).collect();
    let mut half = false;
    for fault in &faults {
        match fault {
            Fault::Refuse(status, code) => return Ok(refusal(*status, code)),
            Fault::RefuseMethod(which, status, code) if *which == method => return Ok(refusal(*status, code)),
            Fault::Slow(time) => tokio::time::sleep(*time).await,
            Fault::Reset => return Err(std::io::Error::other("reset")),
            Fault::Later(by) => {
                if let Some(refusal) = refused_for_its_time(&request, *by) {
                    return Ok(refusal);
                }
            }
            Fault::StoreHalf if method == Method::PUT => half = true,
            _ => {}
        }
    }
    let key = request.uri().path().trim_start_matches('/').to_owned();
    let answered = shared.service.call(request.map(s3s::Body::from)).await.map_err(|e| std::io::Error::other(format!("{e:?}")))?;
    if half {
        let path = shared.root.join(key);
        let bytes = std::fs::read(&path)?;
        std::fs::write(&path, &bytes[..bytes.len() / 2])?;
    }
    if faults.contains(&Fault::ResetAfter) {
        return Err(std::io::Error::other("reset"));
    }
    let (mut parts, body) = answered.into_parts();
    if let Some(later) = faults.iter().find_map(|fault| if let Fault::Later(by) = fault { Some(*by) } else { None }) {
        let date = httpdate::fmt_http_date(std::time::SystemTime::now() + later);
        parts.headers.insert("date", date.parse().unwrap());
    }
    if method == Method::HEAD && parts.status.is_success() {
        if faults.contains(&Fault::LieAboutLength) {
            let length: u64 = parts.headers["content-length"].to_str().unwrap().parse().unwrap();
            parts.headers.insert("content-length", (length + 1).into());
        }
        if faults.contains(&Fault::LieAboutEtag) {
            parts.headers.insert("etag", "\"00000000000000000000000000000000\"".parse().unwrap());
        }
    }
    if method != Method::GET || !parts.status.is_success() {
        return Ok(Response::from_parts(parts, body.map_err(std::io::Error::other).boxed_unsync()));
    }
    let cut = faults.iter().find_map(|fault| if let Fault::Cut(after) = fault { Some(*after) } else { None });
    let hold = faults.iter().find_map(|fault| if let Fault::HoldAfter(after) = fault { Some(*after) } else { None });
    if cut.is_none() && hold.is_none() && !faults.contains(&Fault::Flip) {
        return Ok(Response::from_parts(parts, body.map_err(std::io::Error::other).boxed_unsync()));
    }
    let mut bytes = BodyExt::collect(body).await.map_err(std::io::Error::other)?.to_bytes().to_vec();
    if faults.contains(&Fault::Flip) {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }
    if let Some(after) = hold {
        let (start, rest) = (Bytes::copy_from_slice(&bytes[..after]), Bytes::copy_from_slice(&bytes[after..]));
        let shared = shared.clone();
        let rest = futures_util::stream::once(async move {
            shared.go_on.notified().await;
            Ok(Frame::data(rest))
        });
        let start = futures_util::stream::iter([Ok(Frame::data(start))]);
        return Ok(Response::from_parts(parts, StreamBody::new(start.chain(rest)).boxed_unsync()));
    }
    let Some(after) = cut else { return Ok(Response::from_parts(parts, full(bytes))) };
    bytes.truncate(after);
    let start = futures_util::stream::iter([Ok(Frame::data(Bytes::from(bytes)))]);
    // A pause, or the server would not send what it has before it gives up.
    let end = futures_util::stream::once(async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Err(std::io::Error::other("cut"))
    });
    Ok(Response::from_parts(parts, StreamBody::new(start.chain(end)).boxed_unsync()))
}

/// What S3 does with a request that was signed more than 15 minutes from its own time.
fn refused_for_its_time(request: &Request<Incoming>, later: Duration) -> Option<Answer> {
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
    let signed = request.headers().get("x-amz-date")?.to_str().ok()?;
    let signed = time::PrimitiveDateTime::parse(signed, format).ok()?.assume_utc();
    let now = std::time::SystemTime::now() + later;
    if (time::OffsetDateTime::from(now) - signed).abs() < Duration::from_secs(15 * 60) {
        return None;
    }
    let mut refusal = refusal(403, "RequestTimeTooSkewed");
    refusal.headers_mut().insert("date", httpdate::fmt_http_date(now).parse().unwrap());
    Some(refusal)
}

fn refusal(status: u16, code: &str) -> Answer {
    let xml =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>as the test wants it</Message></Error>");
    Response::builder().status(status).header("content-type", "application/xml").body(full(xml)).unwrap()
}
