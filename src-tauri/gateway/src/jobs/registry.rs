//! Long work that a person watches: what runs, how far it is, how it ended, and how to end it early.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    events::Events,
    model::{Event, Millis, now},
};

/// Jobs that have ended and are remembered.
const REMEMBERED: usize = 50;

/// Steps between two tellings of how far a job is.
const TOLD_EVERY: u64 = 20;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Removes from disk what was not looked at for long.
    CleanExpired,
    /// Removes from disk what is beyond the cap.
    EnforceCap,
    /// Forgets what is old.
    ForgetMetadata,
    /// Removes all from disk that is in the bucket.
    ClearLocal,
    /// Uploads what waits.
    UploadPending,
    /// Uploads what failed.
    RetryFailed,
    /// Compares disk and database.
    CheckFiles,
    /// Tries thumbnails again that failed or are gone.
    MakeThumbnails,
    /// Takes over what the Python program kept.
    Import,
}

impl JobKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::CleanExpired,
        Self::EnforceCap,
        Self::ForgetMetadata,
        Self::ClearLocal,
        Self::UploadPending,
        Self::RetryFailed,
        Self::CheckFiles,
        Self::MakeThumbnails,
        Self::Import,
    ];

    /// A stable word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::CleanExpired => "clean_expired",
            Self::EnforceCap => "enforce_cap",
            Self::ForgetMetadata => "forget_metadata",
            Self::ClearLocal => "clear_local",
            Self::UploadPending => "upload_pending",
            Self::RetryFailed => "retry_failed",
            Self::CheckFiles => "check_files",
            Self::MakeThumbnails => "make_thumbnails",
            Self::Import => "import",
        }
    }

    /// The inverse of [`Self::word`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// How a job stands.
#[derive(Clone, Debug)]
pub struct JobView {
    /// Its number, from 1 on.
    pub id: u64,
    /// What it does.
    pub kind: JobKind,
    /// `running`, `done`, `failed` or `cancelled`.
    pub state: &'static str,
    /// Whether nobody asked for it.
    pub automatic: bool,
    /// Steps done.
    pub done: u64,
    /// Steps in all, as far as known.
    pub total: u64,
    /// Bytes of the steps done.
    pub bytes: u64,
    /// Steps that did not work.
    pub failed: u64,
    /// Why it ended early.
    pub message: Option<String>,
    /// When it began.
    pub started_at: Millis,
    /// When it ended.
    pub ended_at: Option<Millis>,
}

struct Entry {
    view: JobView,
    stop: CancellationToken,
}

/// A handle; clones share it.
#[derive(Clone)]
pub struct Jobs {
    entries: Arc<Mutex<VecDeque<Entry>>>,
    events: Events,
    tracker: TaskTracker,
    stop: CancellationToken,
}

/// What a job holds while it runs.
#[derive(Clone)]
pub struct Job {
    jobs: Jobs,
    id: u64,
    stop: CancellationToken,
}

impl Jobs {
    /// Nothing runs. Tasks belong to `tracker` and end with `stop`.
    pub fn new(events: Events, tracker: TaskTracker, stop: CancellationToken) -> Self {
        Self { entries: Arc::default(), events, tracker, stop }
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that run or ended lately, the newest first.
    pub fn list(&self) -> Vec<JobView> {
        self.entries().iter().rev().map(|entry| entry.view.clone()).collect()
    }

    /// One of them.
    pub fn get(&self, id: u64) -> Option<JobView> {
        self.entries().iter().find(|entry| entry.view.id == id).map(|entry| entry.view.clone())
    }

    /// Begins one; `None` if one of that kind runs already. `work` gives how it ended.
    pub fn start<F>(&self, kind: JobKind, automatic: bool, work: impl FnOnce(Job) -> F) -> Option<JobView>
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let stop = self.stop.child_token();
        let view = {
            let mut entries = self.entries();
            if entries.iter().any(|entry| entry.view.kind == kind && entry.view.state == "running") {
                return None;
            }
            let id = entries.back().map_or(1, |last| last.view.id + 1);
            let view = JobView {
                id,
                kind,
                state: "running",
                automatic,
                done: 0,
                total: 0,
                bytes: 0,
                failed: 0,
                message: None,
                started_at: now(),
                ended_at: None,
            };
            while entries.len() > REMEMBERED && entries.front().is_some_and(|first| first.view.state != "running") {
                entries.pop_front();
            }
            entries.push_back(Entry { view: view.clone(), stop: stop.clone() });
            view
        };
        let job = Job { jobs: self.clone(), id: view.id, stop: stop.clone() };
        let working = work(job.clone());
        self.tracker.spawn(async move {
            let ended = working.await;
            let (state, message) = match ended {
                Ok(()) if stop.is_cancelled() => ("cancelled", None),
                Ok(()) => ("done", None),
                Err(message) => ("failed", Some(message)),
            };
            job.change(|view| {
                view.state = state;
                view.message = message;
                view.ended_at = Some(now());
            });
            job.tell();
        });
        self.events.tell(Event::Job(view.id));
        Some(view)
    }

    /// Ends a job early; `false` if none of that number runs.
    pub fn cancel(&self, id: u64) -> bool {
        let entries = self.entries();
        let running = entries.iter().find(|entry| entry.view.id == id && entry.view.state == "running");
        running.inspect(|entry| entry.stop.cancel()).is_some()
    }
}

impl Job {
    fn change(&self, change: impl FnOnce(&mut JobView)) {
        if let Some(entry) = self.jobs.entries().iter_mut().find(|entry| entry.view.id == self.id) {
            change(&mut entry.view);
        }
    }

    fn tell(&self) {
        self.jobs.events.tell(Event::Job(self.id));
    }

    /// Whether it is to end.
    pub fn is_cancelled(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// What ends it early.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// So many steps there are.
    pub fn total(&self, total: usize) {
        self.change(|view| view.total = total as u64);
        self.tell();
    }

    /// So many of them are done.
    pub fn reached(&self, done: u64) {
        self.change(|view| view.done = done);
        self.tell();
    }

    /// So many steps are done, so many of them in vain, and so many bytes.
    pub fn stands(&self, done: u64, failed: u64, bytes: u64) {
        let mut told = false;
        self.change(|view| {
            told = view.done / TOLD_EVERY != done / TOLD_EVERY || done == view.total;
            (view.done, view.failed, view.bytes) = (done, failed, bytes);
        });
        if told {
            self.tell();
        }
    }

    /// There turned out to be one step less to do.
    pub fn spared(&self) {
        self.change(|view| view.total = view.total.saturating_sub(1));
    }

    /// A step did not work and is not counted as done.
    pub fn failed_step(&self) {
        self.change(|view| view.failed += 1);
    }

    /// A step is done.
    pub fn step(&self, bytes: u64, worked: bool) {
        let mut told = false;
        self.change(|view| {
            view.done += 1;
            view.bytes += if worked { bytes } else { 0 };
            view.failed += u64::from(!worked);
            told = view.done % TOLD_EVERY == 1 || view.done == view.total;
        });
        if told {
            self.tell();
        }
    }
}
