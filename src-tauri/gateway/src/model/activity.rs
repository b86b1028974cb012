//! What is written down of a request that was handled.

use super::ImageId;

/// What a request was about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A background task of the client.
    Task,
    /// A conversation.
    #[default]
    Chat,
    /// A picture was wanted.
    Drawing,
}

impl Kind {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Chat => "chat",
            Self::Drawing => "drawing",
        }
    }
}

/// One request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActivityRecord {
    /// The id of the request, which lines of the log carry too.
    pub request: Option<String>,
    /// When it came, milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// `chat`, `generations` or `edits`.
    pub endpoint: &'static str,
    /// What it was about.
    pub kind: Kind,
    /// Whether the answer was to be a stream.
    pub streamed: bool,
    /// The model name that the client used.
    pub model: Option<String>,
    /// Who was asked.
    pub upstream: Option<String>,
    /// The user's words.
    pub prompt: Option<String>,
    /// `ok`, or the code of the error.
    pub outcome: &'static str,
    /// What the client was told of the error.
    pub message: Option<String>,
    /// Images in the answer.
    pub images: Vec<ImageId>,
    /// Calls to upstreams that were made for it.
    pub calls: u32,
    /// Milliseconds until the first byte of the answer, if there was one.
    pub first_byte_ms: Option<i64>,
    /// Milliseconds until it was done.
    pub duration_ms: i64,
    /// What else was done: a JSON object.
    pub notes: String,
}
