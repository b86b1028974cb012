//! Providers that draw. Each takes a call in OpenAI's dialect and answers with bytes as they come; what those mean is
//! for others to read. Knows nothing of the library, of links or of clients.

pub mod demo;
pub mod error;
mod failure;
pub mod fetch;
mod health;
mod openai;
mod probe;
pub mod quirks;
mod route;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};
use http_body_util::combinators::BoxBody;
use url::Url;

pub use demo::Demo;
pub use error::{Class, UpstreamError};
pub use failure::{ended_in_silence, read_failure, refusal_in};
pub use health::{HealthState, Healths};
pub use openai::{OpenAi, OpenAiConfig};
pub use probe::{Answerer, Probe, ProbeLink, is_picgate, time_at, who_answers};
pub use quirks::{Learnt, Quirk, Traits};
pub use route::{Routes, takes_tools};

use crate::{model::Dialect, store::Blob};

/// Which endpoint of OpenAI's API is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST chat/completions`
    Chat,
    /// `POST images/generations`
    Generations,
    /// `POST images/edits`
    Edits,
}

impl Endpoint {
    /// The path below the base URL.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::Generations => "images/generations",
            Self::Edits => "images/edits",
        }
    }
}

/// A body that can be made anew for a second attempt.
#[derive(Clone)]
pub struct Payload {
    /// `application/json` or `multipart/form-data; boundary=…`.
    pub content_type: String,
    /// Makes the body; its length is exact.
    pub make: Arc<dyn Fn() -> BoxBody<Bytes, std::io::Error> + Send + Sync>,
}

/// What is to be drawn, for an upstream that draws by itself.
#[derive(Clone, Debug, Default)]
pub struct Brief {
    /// The user's words.
    pub prompt: String,
    /// Pictures to start from, in order.
    pub inputs: Vec<Blob>,
    /// `1024x1024`, `auto`, or nothing.
    pub size: Option<String>,
    /// How many pictures.
    pub count: u32,
    /// `png`, `jpeg` or nothing.
    pub output_format: Option<String>,
    /// Glimpses to show on the way.
    pub partial_images: u32,
}

/// One request.
#[derive(Clone)]
pub struct Call {
    /// Where to.
    pub endpoint: Endpoint,
    /// What goes over the wire.
    pub payload: Payload,
    /// Whether the answer shall be a stream of events.
    pub stream: bool,
    /// Names of the members that it sends, or of the fields of its form.
    pub members: Vec<String>,
    /// The same in short.
    pub brief: Brief,
}

/// An answer whose status says success.
pub struct Answer {
    /// Whether it is a stream of events.
    pub is_stream: bool,
    /// The body as it comes.
    pub body: BoxStream<'static, Result<Bytes, UpstreamError>>,
}

/// A provider.
pub trait Upstream: Send + Sync + 'static {
    /// What the user calls it.
    fn name(&self) -> &str;

    /// The model that is asked for.
    fn model(&self) -> &str;

    /// What it is known by where it is remembered: changes with its address and model.
    fn identity(&self) -> String;

    /// Which part of the API it has, if the user says so.
    fn dialect(&self) -> Option<Dialect>;

    /// Where its addresses are relative to; `None` for one that has none.
    fn base(&self) -> Option<&Url>;

    /// Whether a client may be sent to this address: not into the user's own network, unless the upstream is there.
    fn may_send_to(&self, url: &str) -> bool;

    /// Blackens our key in `text`: some providers write it into what they answer.
    fn redact(&self, text: &mut Vec<u8>);

    /// Sends a call. Answers with a status other than 2xx come back as [`UpstreamError`].
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Answer, UpstreamError>>;

    /// The models that it offers; asking costs nothing.
    fn models(&self) -> BoxFuture<'_, Result<Vec<String>, UpstreamError>>;

    /// Downloads a picture that an answer names by its address.
    fn download<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<fetch::Download, fetch::FetchError>>;
}
