//! The background tasks of chat clients: recognised before anything else, answered here in milliseconds, or by a text
//! model if one is set. They never reach a model that draws.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{
    Relay, RelayError, Reply,
    answer::Keeper,
    conversation::{Question, json_payload},
    link::LinkBase,
    note::Note,
    receive::Scanned,
    task::Task,
};
use crate::{
    library::Assembled,
    model::{Kind, Origin, Source},
    rewrite::{
        completion::from_completion,
        json::{Document, Edits, Kind as Json, Node, quote},
        scan::ScanLimits,
    },
    settings::Settings,
    upstream::{Brief, Call, Endpoint},
};

/// How long a text model may take for a task before it is answered here after all.
const MODEL_MAX: Duration = Duration::from_secs(20);

/// The task that a request is, if it is one. `header` is the value of `X-OpenWebUI-Task`: there and empty, it says that
/// this is none.
pub fn recognise(document: &Document, header: Option<&str>) -> Option<Task> {
    match header {
        Some("") => return None,
        Some(word) => {
            if let Some(task) = Task::from_header(word) {
                return Some(task);
            }
        }
        None => {}
    }
    let root = document.root();
    let streams = root.get("stream").is_some_and(|n| matches!(n.kind, Json::Bool(true)));
    let has_tools = root.get("tools").is_some_and(|n| !n.items().is_empty());
    let messages = root.get("messages").map_or(&[][..], Node::items);
    if streams || has_tools || messages.len() > 2 {
        return None;
    }
    let text = |message: &Node| document.string(message.get("content")?);
    let is = |message: &Node, role: &str| document.string_at(message, "role").as_deref() == Some(role);
    match messages {
        [user] if is(user, "user") => Task::from_text(None, &text(user)?),
        [system, user] if is(system, "system") && is(user, "user") => Task::from_text(text(system).as_deref(), &text(user)?),
        _ => None,
    }
}

impl Relay {
    /// Answers a task.
    ///
    /// # Errors
    /// [`RelayError`] if the request is broken.
    pub(super) async fn background(
        &self,
        task: Task,
        scanned: Scanned,
        request: Option<&str>,
        began: Instant,
    ) -> Result<Reply, RelayError> {
        let settings = self.settings.snapshot();
        let document = &scanned.document;
        let root = document.root();
        let stream = root.get("stream").is_some_and(|n| matches!(n.kind, Json::Bool(true)));
        let model = document.string_at(root, "model").map(|m| m.into_owned()).filter(|m| !m.is_empty());
        super::conversation::check_model(model.as_deref())?;
        let mut note = Note::new("chat", Kind::Task, stream, began).named(request);
        note.asked(model.as_deref(), "");
        note.add("task", task.word().into());
        let by_model = match &settings.task_model {
            Some(text_model) => self.by_text_model(text_model, &scanned, model.clone(), &mut note).await,
            None => None,
        };
        let last = root.get("messages").map_or(&[][..], Node::items).last();
        let text = last.and_then(|m| document.string_at(m, "content")).unwrap_or_default();
        let body = by_model.unwrap_or_else(|| completion(model.as_deref().unwrap_or(&settings.gateway_model), &task.answer(&text)));
        let body = if stream { streamed(body)? } else { body };
        note.finish(&self.activity, None, std::collections::BTreeSet::new(), Ok(()));
        tracing::debug!(task = task.word(), "a task of the client was answered");
        Ok(if stream { Reply::WholeEvents(Assembled::text(body)) } else { Reply::Json(Assembled::text(body), None) })
    }

    /// Answers a question with `text`, without an upstream.
    ///
    /// # Errors
    /// [`RelayError`]
    pub(super) fn at_once(&self, question: &Question, settings: &Settings, request: Option<&str>, text: &str) -> Result<Reply, RelayError> {
        let mut note = question.note(request);
        note.add("answered", "here".into());
        let body = completion(&question.model_name(settings), text);
        note.finish(&self.activity, None, std::collections::BTreeSet::new(), Ok(()));
        if question.stream {
            return Ok(Reply::WholeEvents(Assembled::text(streamed(body)?)));
        }
        Ok(Reply::Json(Assembled::text(body), None))
    }

    /// What the upstream's text model says; `None` if it cannot be had.
    async fn by_text_model(&self, text_model: &str, scanned: &Scanned, model: Option<String>, note: &mut Note) -> Option<Vec<u8>> {
        let (document, upstream) = (&scanned.document, self.upstream());
        let mut edits = Edits::default();
        edits.set(document.root(), "model", &quote(text_model));
        edits.remove(document.root(), &["stream", "stream_options"]);
        let text = document.edited(edits);
        let make = |_: &_| {
            let body = Assembled::new(scanned.assemble(&text, &std::collections::HashMap::new()));
            Ok(Call { endpoint: Endpoint::Chat, payload: json_payload(body), stream: false, members: Vec::new(), brief: Brief::default() })
        };
        let mut keeper = Keeper::new(self.library.clone(), Origin::bare(Source::Generated), LinkBase::new(""));
        let asked = async {
            let answer = self.attempt(&upstream, note, &make).await?;
            self.whole_chat(answer, &mut keeper, &upstream, model, false).await
        };
        match tokio::time::timeout(MODEL_MAX, Box::pin(asked)).await {
            Ok(Ok(whole)) if whole.silence.is_none() && keeper.received() == 0 => Some(whole.text),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the text model did not answer a task of the client; it is answered here");
                None
            }
            _ => None,
        }
    }
}

fn completion(model: &str, content: &str) -> Vec<u8> {
    let message = json!({"role": "assistant", "content": content});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0});
    let id = format!("chatcmpl-picgate-{}", uuid::Uuid::new_v4().simple());
    let created = crate::model::now() / 1000;
    json!({"id": id, "object": "chat.completion", "created": created, "model": model, "choices": [choice], "usage": usage})
        .to_string()
        .into_bytes()
}

fn streamed(body: Vec<u8>) -> Result<Vec<u8>, RelayError> {
    let events = from_completion(&Document::parse(body, ScanLimits::default().depth)?);
    Ok([events.says, events.ends].concat())
}
