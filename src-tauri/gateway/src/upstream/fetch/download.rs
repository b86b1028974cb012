//! A running download: hands out the body in chunks and enforces the limits.
//!
//! Refuses to know what the bytes are: the caller sniffs the type. Sizes are
//! counted on what the HTTP client yields, so a client that decompresses is
//! held to the decoded size.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::error::FetchError;
use super::{Limits, later};

/// A download whose answer was 2xx. Dropping it ends the connection and frees
/// the download slot; the deadline is only enforced while chunks are asked for.
pub struct Download {
    state: State,
    content_length: Option<u64>,
    received: u64,
    cap: u64,
    idle: Duration,
    deadline: Instant,
}

enum State {
    /// The response and, for guarded hops, the slot it occupies.
    Running(Box<Response>, Option<OwnedSemaphorePermit>),
    Finished,
    /// Repeated on every further call, so that an error cannot be mistaken for the end.
    Failed(FetchError),
}

impl Download {
    /// Wraps a 2xx response; checks what its head already gives away.
    pub(super) fn open(
        response: Response,
        permit: Option<OwnedSemaphorePermit>,
        limits: &Limits,
        deadline: Instant,
    ) -> Result<Self, FetchError> {
        let cap = limits.max_bytes;
        if is_encoded(&response) {
            return Err(FetchError::Encoded);
        }
        let content_length = response.content_length();
        if content_length.is_some_and(|length| length > cap) {
            return Err(FetchError::TooLarge { cap });
        }
        let state = State::Running(Box::new(response), permit);
        Ok(Self { state, content_length, received: 0, cap, idle: limits.idle, deadline })
    }

    /// The announced length in bytes, at most the cap. The body may be shorter
    /// (then [`FetchError::Interrupted`] follows), never longer.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// The next piece of the body, `None` once it is complete.
    ///
    /// # Errors
    /// [`FetchError::TooLarge`], [`FetchError::Timeout`] (idle or total) or
    /// [`FetchError::Interrupted`]; the connection is closed and the same
    /// error is returned from then on.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        let outcome = match &mut self.state {
            State::Running(response, _permit) => {
                let until = later(self.idle).min(self.deadline);
                // Polled before the timer, so a body that is always ready would
                // outrun the deadline without this check.
                if Instant::now() >= self.deadline { Err(FetchError::Timeout) } else { receive(response, until).await }
            }
            State::Finished => return Ok(None),
            State::Failed(error) => return Err(*error),
        };
        let outcome = outcome.and_then(|chunk| self.count(chunk));
        match &outcome {
            Ok(Some(_)) => {}
            Ok(None) => self.state = State::Finished,
            Err(error) => self.state = State::Failed(*error),
        }
        outcome
    }

    fn count(&mut self, chunk: Option<Bytes>) -> Result<Option<Bytes>, FetchError> {
        if let Some(chunk) = &chunk {
            let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            self.received = self.received.saturating_add(length);
            if self.received > self.cap {
                return Err(FetchError::TooLarge { cap: self.cap });
            }
        }
        Ok(chunk)
    }
}

impl fmt::Debug for Download {
    /// Leaves out the response, which would print the address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("content_length", &self.content_length).field("received", &self.received).finish_non_exhaustive()
    }
}

async fn receive(response: &mut Response, until: Instant) -> Result<Option<Bytes>, FetchError> {
    match timeout_at(until, response.chunk()).await {
        Err(_elapsed) => Err(FetchError::Timeout),
        Ok(Ok(chunk)) => Ok(chunk),
        Ok(Err(error)) if error.is_timeout() => Err(FetchError::Timeout),
        Ok(Err(_)) => Err(FetchError::Interrupted),
    }
}

/// Whether the body is still encoded. A client that decodes removes the header.
fn is_encoded(response: &Response) -> bool {
    response
        .headers()
        .get_all(reqwest::header::CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity") && !value.is_empty())
}
