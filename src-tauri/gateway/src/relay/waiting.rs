//! What a client sees while it waits: progress in a stream, white space before JSON, or comments. Knows when something
//! is due and says it; what the answer itself holds is the pump's.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    RelayError,
    delivery::{Head, Output},
    intent::Intent,
    words::{Told, tell},
};
use crate::{
    library::Assembled,
    rewrite::{
        progress::{self, Language},
        sse::write_event,
    },
    settings::ProgressStyle,
    upstream::UpstreamError,
};

/// Silence after which a comment tells proxies and clients that a stream is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What is said then.
const KEEP_ALIVE_COMMENT: &[u8] = b": keep-alive\n\n";

/// How long a drawing request shows nothing: what is refused at once is answered with a status.
const GRACE: Duration = Duration::from_millis(120);

/// Silence that is borne before a request that may be no drawing shows progress, and before a line counts on.
const SILENCE: Duration = Duration::from_secs(3);

/// Seconds after which the line counts every ten instead of every three.
const PATIENT_AFTER: u64 = 30;

/// When the next thing is due if nothing is.
const NEVER: Duration = Duration::from_secs(3600);

/// How a request wants to be waited for.
#[derive(Clone, Debug)]
pub struct Manner {
    /// As text, as thoughts, or not at all.
    pub style: ProgressStyle,
    /// In which language.
    pub language: Language,
    /// Whether it is a drawing.
    pub intent: Intent,
    /// Links to the user's own pictures.
    pub pictures: Vec<String>,
    /// The model name that the client knows.
    pub model: String,
    /// The client puts the answer right behind an earlier one.
    pub continues: bool,
    /// How long the quota runs, in words.
    pub quota_window: Option<String>,
}

/// What the client can be shown before there is an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A chat stream: progress.
    Chat,
    /// Any other stream: comments.
    Comments,
    /// JSON with white space before it.
    LateJson,
    /// Nothing.
    Silent,
}

/// See the module.
#[derive(Debug)]
pub struct Waiting {
    mode: Mode,
    manner: Manner,
    out: Output,
    began: Instant,
    /// When anything was sent.
    said: Instant,
    /// When the upstream last said something.
    spoke: Option<Instant>,
    /// The heading is there.
    opened: bool,
    /// And nothing behind it.
    bare: bool,
    /// The line that counts has no end yet.
    counting: bool,
    /// Seconds that the line showed last.
    counted: u64,
    /// An event has named the role.
    introduced: bool,
    /// The result has been announced.
    announced: bool,
    /// The result has its caption.
    captioned: bool,
    /// What a running stream ended with.
    failed: Option<RelayError>,
    id: String,
}

impl Waiting {
    /// For an answer to `out` that was asked for at `began`.
    pub fn new(mode: Mode, manner: Manner, out: Output, began: Instant) -> Self {
        let id = format!("chatcmpl-picgate-{}", uuid::Uuid::new_v4().simple());
        Self {
            mode,
            manner,
            out,
            began,
            said: began,
            spoke: None,
            opened: false,
            bare: false,
            counting: false,
            counted: 0,
            introduced: false,
            announced: false,
            captioned: false,
            failed: None,
            id,
        }
    }

    /// Shows nothing and nobody: for an answer that is put together first.
    pub fn silent(out: Output) -> Self {
        let manner = Manner {
            style: ProgressStyle::Quiet,
            language: Language::En,
            intent: Intent::Chat,
            pictures: Vec::new(),
            model: String::new(),
            continues: false,
            quota_window: None,
        };
        Self::new(Mode::Silent, manner, out, Instant::now())
    }

    /// How the request wants to be waited for.
    pub fn manner(&self) -> &Manner {
        &self.manner
    }

    /// The answer.
    pub fn out(&self) -> &Output {
        &self.out
    }

    /// Whether silence is filled with progress. Behind the result it is not.
    fn shows(&self) -> bool {
        self.mode == Mode::Chat && self.manner.style != ProgressStyle::Quiet && self.manner.intent != Intent::Chat && !self.announced
    }

    /// When there is something to be said.
    pub fn due(&self) -> Instant {
        match self.mode {
            Mode::Silent => Instant::now() + NEVER,
            Mode::Comments | Mode::LateJson => self.said + KEEP_ALIVE,
            Mode::Chat if !self.shows() => {
                let first = !self.out.is_decided() && self.manner.intent != Intent::Chat;
                self.said + if first { SILENCE } else { KEEP_ALIVE }
            }
            Mode::Chat if self.opened => self.began + self.next_count(),
            Mode::Chat => match (self.manner.intent, self.spoke) {
                (_, Some(spoke)) => spoke + SILENCE,
                (Intent::Draw, None) => self.began + GRACE,
                (_, None) => self.began + SILENCE,
            },
        }
    }

    /// The next time at which the line counts: every three seconds, later every ten, and never into a text that flows.
    fn next_count(&self) -> Duration {
        let silent_until = self.spoke.map_or(0, |at| (at + SILENCE - self.began).as_secs() + 1);
        let earliest = silent_until.max(self.counted + 1);
        let step = if earliest <= PATIENT_AFTER { SILENCE.as_secs() } else { 10 };
        Duration::from_secs(earliest.div_ceil(step) * step)
    }

    /// Waits for `future`, and says meanwhile what is due.
    pub async fn during<F: Future>(&mut self, future: F) -> F::Output {
        tokio::pin!(future);
        loop {
            match tokio::time::timeout_at(self.due(), &mut future).await {
                Ok(value) => return value,
                Err(_due) => self.speak().await,
            }
        }
    }

    /// Says what is due.
    pub async fn speak(&mut self) {
        match self.mode {
            Mode::Silent => {}
            Mode::LateJson => {
                self.out.decide(Head::LateJson);
                self.send(Bytes::from_static(b"\n")).await;
            }
            _ if !self.shows() => {
                self.out.decide(Head::Events);
                self.send(Bytes::from_static(KEEP_ALIVE_COMMENT)).await;
            }
            _ => {
                self.out.decide(Head::Events);
                let text = self.progress();
                let event = self.chunk(&text);
                self.send(event).await;
            }
        }
    }

    fn progress(&mut self) -> String {
        if !self.opened && self.spoke.is_none() {
            (self.opened, self.bare) = (true, true);
            self.counted = self.began.elapsed().as_secs();
            let gap = if self.manner.continues { "\n\n" } else { "" };
            return format!("{gap}{}", progress::opening(self.manner.language, &self.manner.pictures));
        }
        self.opened = true;
        self.counted = self.began.elapsed().as_secs();
        let first = !std::mem::replace(&mut self.counting, true);
        let tick = progress::tick(self.manner.language, self.counted, first);
        // Behind text it is a paragraph of its own; the heading ends its line itself.
        let behind_text = first && !std::mem::take(&mut self.bare);
        if behind_text { format!("\n{tick}") } else { tick }
    }

    async fn send(&mut self, bytes: Bytes) {
        self.said = Instant::now();
        self.out.send(bytes).await;
    }

    /// The upstream says something: a line that counts ends before it. To be sent first.
    pub fn before_text(&mut self) -> Bytes {
        self.touch();
        self.spoke = Some(self.said);
        match (std::mem::take(&mut self.counting), std::mem::take(&mut self.bare)) {
            (true, _) => self.chunk(progress::TICK_END),
            (false, true) => self.chunk("\n"),
            (false, false) => Bytes::new(),
        }
    }

    /// Something is sent.
    pub fn touch(&mut self) {
        self.said = Instant::now();
    }

    /// The first picture comes: it is announced. To be sent before it.
    pub fn before_picture(&mut self) -> Bytes {
        if !self.opened || std::mem::replace(&mut self.announced, true) {
            return self.before_text();
        }
        let behind_text = self.spoke.is_some() && !self.counting;
        let mut bytes = self.before_text().to_vec();
        let gap = if behind_text { "\n\n" } else { "" };
        bytes.extend_from_slice(&self.chunk(&format!("{gap}{}", progress::success(self.manner.language))));
        bytes.into()
    }

    /// The answer ends: what stands below the result. To be sent before the event that ends it.
    pub fn at_end(&mut self) -> Bytes {
        let captioned = self.announced && self.manner.style == ProgressStyle::Content && !std::mem::replace(&mut self.captioned, true);
        let mut bytes = self.before_text().to_vec();
        if captioned {
            bytes.extend_from_slice(&self.chunk(&progress::caption(self.manner.language)));
        }
        bytes.into()
    }

    /// An event with `text` where progress goes.
    fn chunk(&mut self, text: &str) -> Bytes {
        let key = if self.manner.style == ProgressStyle::Reasoning { "reasoning_content" } else { "content" };
        let mut delta = json!({ key: text });
        if !std::mem::replace(&mut self.introduced, true) && self.spoke.is_none() {
            delta["role"] = json!("assistant");
        }
        self.event(delta, Value::Null)
    }

    /// An event of our own.
    pub fn event(&self, delta: Value, reason: Value) -> Bytes {
        let created = crate::model::now() / 1000;
        let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
        let event =
            json!({"id": self.id, "object": "chat.completion.chunk", "created": created, "model": self.manner.model, "choices": [choice]});
        write_event(&[], event.to_string().as_bytes()).into()
    }

    /// The words for a failure.
    pub fn tell(&self, error: &UpstreamError) -> Told {
        tell(error, self.manner.language, &self.manner.model, self.manner.quota_window.as_deref())
    }

    /// The same failure with the words for it.
    pub fn told(&self, error: RelayError) -> RelayError {
        let RelayError::Upstream(error) = error else { return error };
        let told = self.tell(&error);
        let english = tell(&error, Language::En, &self.manner.model, None);
        RelayError::Told { message: told.message(self.manner.language), reason: english.message(Language::En), error: Box::new(error) }
    }

    /// What a running stream ended with, if it failed.
    pub fn failure(&mut self) -> Option<RelayError> {
        self.failed.take()
    }

    /// The whole answer, as JSON.
    ///
    /// # Errors
    /// None; it is the end of whoever makes one.
    pub async fn json(&mut self, body: Assembled) -> Result<(), RelayError> {
        self.out.decide(Head::Json(body.clone()));
        if !self.out.is_json() {
            // White space has gone out before it.
            self.out.send_all(body).await;
        }
        Ok(())
    }

    /// Ends a running stream with a failure: as a card where people read along, else as an event without `choices`,
    /// which clients show as an error.
    pub async fn fail(&mut self, error: &RelayError) {
        self.out.fail();
        if let RelayError::Upstream(error) = error {
            self.failed = Some(self.told(RelayError::Upstream(error.clone())));
        }
        if self.mode == Mode::Silent {
            return;
        }
        let words = match error {
            RelayError::Upstream(error) => Some(self.tell(error)),
            RelayError::Told { error, .. } => Some(self.tell(error)),
            _ => None,
        };
        let message = words.as_ref().map_or_else(|| error.to_string(), |told| told.message(self.manner.language));
        let is_card = self.mode == Mode::Chat && self.manner.style == ProgressStyle::Content && self.manner.intent != Intent::Chat;
        if let (true, Some(told)) = (is_card, &words) {
            let mut bytes = self.before_text().to_vec();
            bytes.extend_from_slice(&self.event(json!({"content": format!("\n\n{}", told.card())}), Value::Null));
            bytes.extend_from_slice(&self.event(json!({}), json!("stop")));
            bytes.extend_from_slice(&write_event(&[], b"[DONE]"));
            return self.send(bytes.into()).await;
        }
        let (code, kind) = (error.code(), error.kind());
        let error = json!({"message": message, "type": kind, "code": code, "param": null});
        let bytes = match self.mode {
            Mode::LateJson => json!({ "error": error }).to_string().into_bytes(),
            Mode::Comments => write_event(&[b"event: error".to_vec()], json!({"type": "error", "error": error}).to_string().as_bytes()),
            Mode::Chat | Mode::Silent => write_event(&[], json!({ "error": error }).to_string().as_bytes()),
        };
        self.send(bytes.into()).await;
    }
}
