//! The requests that are being answered, for who watches.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    events::Events,
    model::{Event, Running, now},
};

/// Longest prompt that is shown, in characters.
const PROMPT_MAX: usize = 300;

/// A handle; clones share the list.
#[derive(Clone, Debug)]
pub struct NowRunning {
    list: Arc<Mutex<BTreeMap<u64, Running>>>,
    next: Arc<AtomicU64>,
    events: Events,
}

/// A request on the list, until this is dropped.
#[derive(Debug)]
pub struct OnTheList {
    id: u64,
    list: NowRunning,
}

impl NowRunning {
    /// An empty list whose changes are told.
    pub fn new(events: Events) -> Self {
        Self { list: Arc::default(), next: Arc::default(), events }
    }

    /// Puts a request on it.
    pub fn add(&self, endpoint: &'static str, prompt: &str, model: Option<&str>) -> OnTheList {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let prompt = Some(prompt.chars().take(PROMPT_MAX).collect()).filter(|p: &String| !p.is_empty());
        let running = Running { id, endpoint, prompt, model: model.map(str::to_owned), began_at: now() };
        self.list.lock().unwrap_or_else(PoisonError::into_inner).insert(id, running);
        self.events.tell(Event::Running);
        OnTheList { id, list: self.clone() }
    }

    /// All of them, the oldest first.
    pub fn list(&self) -> Vec<Running> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Drop for OnTheList {
    fn drop(&mut self) {
        self.list.list.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
        self.list.events.tell(Event::Running);
    }
}
