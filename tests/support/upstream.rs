//! An upstream that records what it is asked and answers as it was told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use futures_util::stream;
use serde_json::Value;
use tokio::{net::TcpListener, sync::Notify};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Recorded {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the gateway sends JSON")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// The parts of a form: name, file name, type and bytes.
    pub async fn form(&self) -> Vec<(String, Option<String>, Option<String>, Bytes)> {
        use axum::extract::{FromRequest, Multipart};
        let mut request = Request::new(Body::from(self.body.clone()));
        request.headers_mut().insert(header::CONTENT_TYPE, self.headers[header::CONTENT_TYPE].clone());
        let mut form = Multipart::from_request(request, &()).await.expect("a form");
        let mut parts = Vec::new();
        while let Some(field) = form.next_field().await.expect("a part") {
            let name = field.name().unwrap_or_default().to_owned();
            let (file, media) = (field.file_name().map(str::to_owned), field.content_type().map(str::to_owned));
            parts.push((name, file, media, field.bytes().await.expect("bytes")));
        }
        parts
    }
}

/// A piece of an answer's body.
#[derive(Clone, Debug)]
pub enum Chunk {
    Bytes(Bytes),
    /// Goes on when told.
    Wait(Arc<Notify>),
    /// The connection breaks.
    Cut,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Scripted {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub chunks: Vec<Chunk>,
    /// Not even its head goes out before.
    pub held: Option<Arc<Notify>>,
}

impl Scripted {
    pub fn json(body: &Value) -> Self {
        Self::body("application/json", body.to_string())
    }

    pub fn body(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status: 200, content_type, headers: Vec::new(), chunks: vec![Chunk::Bytes(body.into())], held: None }
    }

    pub fn events(events: impl IntoIterator<Item = Value>) -> Self {
        let text: String = events.into_iter().map(|e| format!("data: {e}\n\n")).collect();
        Self::body("text/event-stream", format!("{text}data: [DONE]\n\n"))
    }

    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Answers when told.
    pub fn held(mut self, go: &Arc<Notify>) -> Self {
        self.held = Some(go.clone());
        self
    }

    /// The same body in pieces of `size` bytes.
    pub fn in_pieces(mut self, size: usize) -> Self {
        let whole: Vec<u8> = self.chunks.iter().flat_map(|c| if let Chunk::Bytes(b) = c { b.to_vec() } else { Vec::new() }).collect();
        self.chunks = whole.chunks(size).map(|c| Chunk::Bytes(Bytes::copy_from_slice(c))).collect();
        self
    }
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Recorded>>,
    answers: Mutex<VecDeque<Scripted>>,
    files: Mutex<Vec<(String, &'static str, Bytes)>>,
}

/// The upstream. Stops with the test.
pub struct FakeUpstream {
    shared: Arc<Shared>,
    pub base_url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for FakeUpstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeUpstream {
    pub async fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let base_url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        Self { shared, base_url, task }
    }

    /// What it answers next.
    pub fn answers(&self, scripted: Scripted) {
        self.shared.answers.lock().expect("unpoisoned").push_back(scripted);
    }

    /// Answers that wait.
    pub fn waiting(&self) -> usize {
        self.shared.answers.lock().expect("unpoisoned").len()
    }

    /// A file that it serves by GET.
    pub fn serves(&self, path: &str, content_type: &'static str, bytes: Vec<u8>) {
        self.shared.files.lock().expect("unpoisoned").push((path.to_owned(), content_type, bytes.into()));
    }

    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.requests.lock().expect("unpoisoned").clone()
    }

    pub fn last(&self) -> Recorded {
        self.requests().pop().expect("a request")
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let file = shared.files.lock().expect("unpoisoned").iter().find(|(path, ..)| path == parts.uri.path()).cloned();
    if let Some((_, content_type, bytes)) = file {
        return Response::builder().header(header::CONTENT_TYPE, content_type).body(Body::from(bytes)).expect("a response");
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let recorded = Recorded { method: parts.method.to_string(), path: parts.uri.path().to_owned(), headers: parts.headers, body };
    shared.requests.lock().expect("unpoisoned").push(recorded);
    let next = shared.answers.lock().expect("unpoisoned").pop_front();
    let Some(scripted) = next else {
        return Response::builder().status(StatusCode::IM_A_TEAPOT).body(Body::from("nothing was scripted")).expect("a response");
    };
    if let Some(held) = &scripted.held {
        held.notified().await;
    }
    let chunks = stream::unfold(scripted.chunks.into_iter(), |mut chunks| async move {
        match chunks.next()? {
            Chunk::Bytes(bytes) => Some((Ok(bytes), chunks)),
            Chunk::Wait(go) => {
                go.notified().await;
                Some((Ok(Bytes::new()), chunks))
            }
            Chunk::Cut => Some((Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)), chunks)),
        }
    });
    let mut response = Response::builder().status(scripted.status).header(header::CONTENT_TYPE, scripted.content_type);
    for (name, value) in &scripted.headers {
        response = response.header(*name, value);
    }
    response.body(Body::from_stream(chunks)).expect("a response")
}
