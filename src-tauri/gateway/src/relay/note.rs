//! Gathers what is written down of one request while it is handled.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{RelayError, delivery::Output};
use crate::{
    activity::Activity,
    model::{ActivityRecord, ImageId, Kind, now},
};

/// Longest prompt that is kept, in characters.
const PROMPT_MAX: usize = 4000;

/// See the module.
#[derive(Debug)]
pub struct Note {
    record: ActivityRecord,
    notes: Map<String, Value>,
    began: Instant,
}

impl Note {
    /// Of a request that came at `began`.
    pub fn new(endpoint: &'static str, kind: Kind, streamed: bool, began: Instant) -> Self {
        let at = now() - i64::try_from(began.elapsed().as_millis()).unwrap_or(0);
        Self { record: ActivityRecord { at, endpoint, kind, streamed, ..ActivityRecord::default() }, notes: Map::new(), began }
    }

    /// Its id, which lines of the log carry too.
    pub fn named(mut self, request: Option<&str>) -> Self {
        self.record.request = request.map(str::to_owned);
        self
    }

    /// What was asked: the client's model name and the user's words.
    pub fn asked(&mut self, model: Option<&str>, prompt: &str) {
        self.record.model = model.map(str::to_owned);
        self.record.prompt = Some(prompt.chars().take(PROMPT_MAX).collect()).filter(|p: &String| !p.is_empty());
    }

    /// An upstream is called.
    pub fn called(&mut self, upstream: &str) {
        self.record.upstream = Some(upstream.to_owned());
        self.record.calls += 1;
    }

    /// Something worth knowing.
    pub fn add(&mut self, key: &str, value: Value) {
        self.notes.insert(key.to_owned(), value);
    }

    /// One more of something.
    pub fn count(&mut self, key: &str) {
        let before = self.notes.get(key).and_then(Value::as_u64).unwrap_or(0);
        self.notes.insert(key.to_owned(), json!(before + 1));
    }

    /// For a part of the same request that runs beside others.
    pub fn fork(&self) -> Self {
        Self { record: ActivityRecord::default(), notes: Map::new(), began: self.began }
    }

    /// That part is done.
    pub fn absorb(&mut self, part: Self) {
        self.record.calls += part.record.calls;
        self.record.upstream = self.record.upstream.take().or(part.record.upstream);
        self.notes.extend(part.notes);
    }

    /// The request is done.
    pub fn finish(mut self, activity: &Activity, out: Option<&Output>, images: BTreeSet<ImageId>, result: Result<(), &RelayError>) {
        let since = |at: std::time::Instant| i64::try_from((at - self.began.into_std()).as_millis()).unwrap_or(i64::MAX);
        self.record.outcome = result.map_or_else(RelayError::code, |()| "ok");
        self.record.message = result.err().map(ToString::to_string);
        self.record.images = images.into_iter().collect();
        self.record.first_byte_ms = out.and_then(Output::first_byte).map(since);
        self.record.duration_ms = since(std::time::Instant::now());
        self.record.notes = Value::Object(self.notes).to_string();
        activity.note(self.record);
    }
}
