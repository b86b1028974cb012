//! The bucket as the library sees it: which one it is, whether it works, and what is on its way there and back.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use quick_cache::sync::Cache;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::coming::Restoring;
use crate::{
    cloud::{Bucket, BucketError},
    events::Events,
    model::{BucketConfig, Event, ImageId, Millis, now},
};

/// Ids that the bucket does not have and that are remembered; each takes some 50 bytes.
const ABSENT_MAX: usize = 10_000;

/// How long it is remembered that the bucket does not have an id.
const ABSENT_TIME: Duration = Duration::from_secs(60);

/// Ids that are in no row and for which the bucket is asked, at once.
const STRANGERS: usize = 4;

/// Requests for such ids that wait for their turn: a page of images that another gateway drew. Further ones are told to
/// come again.
const STRANGERS_WAITING: usize = 64;

/// Such ids at once that may turn out not to exist: a page of old links. Whoever guesses has no more.
const GUESSES_BURST: f64 = 200.0;

/// Further ones in a second.
const GUESSES_RATE: f64 = 2.0;

/// How long they wait.
const STRANGER_PATIENCE: Duration = Duration::from_secs(10);

/// Calls of the background at once: images that are put, objects that are removed.
const TURNS: usize = 4;

/// Images that are put at once because their links wait for it; these come on top of what the background does.
const FIRSTS: usize = 4;

/// The first wait after the bucket refused everything.
const PAUSE_FIRST: Duration = Duration::from_secs(5);

/// The longest wait.
const PAUSE_LONGEST: Duration = Duration::from_secs(3600);

/// The longest wait if the bucket is only away.
const AWAY_LONGEST: Duration = Duration::from_secs(60);

/// Failures of passing kinds in a row after which the queue waits.
const FAILURES_MAX: u32 = 4;

/// How the bucket is used.
#[derive(Clone, Debug, Default)]
pub struct Use {
    /// Nothing without one.
    pub bucket: Option<Bucket>,
    /// An image is put there before its link is given out.
    pub through: bool,
}

/// What people see of the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketState {
    /// `off`, `unknown`, `ok` or `paused`.
    pub state: &'static str,
    /// Host and name.
    pub name: Option<String>,
    /// Why it is paused.
    pub code: Option<&'static str>,
    /// The same in the server's words.
    pub message: Option<String>,
    /// Since when it is so.
    pub since: Option<Millis>,
    /// When it is tried again.
    pub next_try_at: Option<Millis>,
}

#[derive(Debug)]
struct Condition {
    shown: BucketState,
    /// Failures of passing kinds in a row.
    failures: u32,
    pauses: u32,
    until: Option<Instant>,
    /// What it is paused for passes by itself.
    passes: bool,
    /// One call failed although the last one worked: it is worth a question whether the bucket is away.
    doubted: bool,
}

impl Condition {
    fn new(shown: BucketState) -> Self {
        Self { shown, failures: 0, pauses: 0, until: None, passes: false, doubted: false }
    }
}

/// How many guesses are left, and when they were counted.
struct Guesses(f64, Instant);

impl Guesses {
    /// Takes one; `false` if none is left.
    fn take(&mut self) -> bool {
        self.0 = (self.0 + self.1.elapsed().as_secs_f64() * GUESSES_RATE).min(GUESSES_BURST);
        self.1 = Instant::now();
        let is_left = self.0 >= 1.0;
        self.0 -= if is_left { 1.0 } else { 0.0 };
        is_left
    }
}

/// A handle; clones share it.
#[derive(Clone)]
pub struct Remote(Arc<Inner>);

struct Inner {
    present: ArcSwap<Use>,
    condition: Mutex<Condition>,
    events: Events,
    run: String,
    wake: Notify,
    /// Objects that are being put: they are not removed meanwhile.
    putting: Mutex<HashSet<String>>,
    restoring: Mutex<HashMap<ImageId, Arc<Restoring>>>,
    absent: Cache<ImageId, Instant>,
    strangers: Semaphore,
    strangers_waiting: Semaphore,
    guesses: Mutex<Guesses>,
    firsts: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Remote {
    /// No bucket yet.
    pub fn new(events: Events) -> Self {
        let shown = BucketState { state: "off", name: None, code: None, message: None, since: None, next_try_at: None };
        Self(Arc::new(Inner {
            present: ArcSwap::default(),
            condition: Mutex::new(Condition::new(shown)),
            events,
            run: uuid::Uuid::new_v4().to_string(),
            wake: Notify::new(),
            putting: Mutex::default(),
            restoring: Mutex::default(),
            absent: Cache::new(ABSENT_MAX),
            strangers: Semaphore::new(STRANGERS),
            strangers_waiting: Semaphore::new(STRANGERS_WAITING),
            guesses: Mutex::new(Guesses(GUESSES_BURST, Instant::now())),
            firsts: Arc::new(Semaphore::new(FIRSTS)),
            turns: Arc::new(Semaphore::new(TURNS)),
        }))
    }

    fn condition(&self) -> MutexGuard<'_, Condition> {
        self.0.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names this run of the program in leases.
    pub fn run(&self) -> &str {
        &self.0.run
    }

    /// The bucket, if there is one.
    pub fn bucket(&self) -> Option<Bucket> {
        self.0.present.load().bucket.clone()
    }

    /// Whether an image is put there before its link is given out.
    pub fn is_through(&self) -> bool {
        let present = self.0.present.load();
        present.through && present.bucket.is_some()
    }

    /// The same, unless the bucket is known to be away: a paid picture does not wait for that.
    pub(super) fn copies_first(&self) -> bool {
        self.is_through() && self.pause().is_none()
    }

    /// Leave to put an image whose link waits for it.
    pub(super) async fn first(&self) -> Option<OwnedSemaphorePermit> {
        self.0.firsts.clone().acquire_owned().await.ok()
    }

    /// Leave to call the bucket from the background.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.0.turns.clone().acquire_owned().await.ok()
    }

    /// Uses another bucket, or the same with other keys; `false` if nothing is new.
    pub(super) fn set(&self, config: Option<BucketConfig>, through: bool) -> bool {
        let before = self.0.present.load_full();
        if before.bucket.as_ref().map(Bucket::config) == config.as_ref() {
            if before.through != through {
                self.0.present.store(Arc::new(Use { bucket: before.bucket.clone(), through }));
            }
            return false;
        }
        let shown = BucketState {
            state: if config.is_some() { "unknown" } else { "off" },
            name: config.as_ref().map(BucketConfig::label),
            code: None,
            message: None,
            since: Some(now()),
            next_try_at: None,
        };
        let mut condition = self.condition();
        self.0.present.store(Arc::new(Use { bucket: config.map(Bucket::new), through }));
        *condition = Condition::new(shown);
        drop(condition);
        self.0.absent.clear();
        // Who asks from now on does not wait for the bucket of before.
        self.restoring().clear();
        self.tell();
        self.wake();
        true
    }

    fn tell(&self) {
        self.0.events.tell(Event::Bucket);
    }

    /// What people see.
    pub fn state(&self) -> BucketState {
        self.condition().shown.clone()
    }

    /// Whether the last call worked: only then anything may go from disk.
    pub fn works(&self) -> bool {
        self.condition().shown.state == "ok"
    }

    /// How long the queue waits; nothing if it does not.
    pub fn pause(&self) -> Option<Duration> {
        self.condition().until.map(|until| until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// The condition, if this is still the bucket that is used, with the same keys: what was asked of another one says nothing
    /// of this.
    fn condition_of(&self, bucket: &Bucket) -> Option<MutexGuard<'_, Condition>> {
        let condition = self.condition();
        self.0.present.load().bucket.as_ref().is_some_and(|present| present.config() == bucket.config()).then_some(condition)
    }

    /// Whether a call failed since the last one that worked; asked once.
    pub fn take_doubt(&self) -> bool {
        std::mem::take(&mut self.condition().doubted)
    }

    /// Something could be read there. That says nothing about writing: keys may be allowed the one and not the other.
    pub fn answered(&self, bucket: &Bucket) {
        let Some(condition) = self.condition_of(bucket) else { return };
        let ends = condition.shown.state != "paused" || condition.passes;
        drop(condition);
        if ends {
            self.worked(bucket);
        }
    }

    /// A call worked.
    pub fn worked(&self, bucket: &Bucket) {
        let Some(mut condition) = self.condition_of(bucket) else { return };
        let was = condition.shown.state;
        (condition.failures, condition.pauses, condition.until, condition.doubted) = (0, 0, None, false);
        if was == "ok" || was == "off" {
            return;
        }
        let name = condition.shown.name.take();
        condition.shown = BucketState { state: "ok", name, code: None, message: None, since: Some(now()), next_try_at: None };
        drop(condition);
        if was == "paused" {
            tracing::info!(event = "bucket_well", "the bucket works again");
        }
        self.tell();
        self.wake();
    }

    /// A call for one object failed. Whether the queue waits from now on.
    pub fn failed(&self, bucket: &Bucket, error: &BucketError) -> bool {
        let all = error.fault.concerns_all();
        if !all {
            if !error.fault.passes() {
                return false;
            }
            let Some(mut condition) = self.condition_of(bucket) else { return false };
            condition.failures += 1;
            if condition.failures < FAILURES_MAX {
                if condition.shown.state == "ok" && condition.failures == 1 {
                    condition.doubted = true;
                    self.wake();
                }
                return false;
            }
        }
        self.refused(bucket, error)
    }

    /// The bucket itself cannot be used. Whether the queue waits from now on.
    pub fn refused(&self, bucket: &Bucket, error: &BucketError) -> bool {
        let all = !error.fault.passes();
        let Some(mut condition) = self.condition_of(bucket) else { return false };
        condition.doubted = false;
        if condition.shown.state == "off" {
            return false;
        }
        // Calls that were under way when it began are part of the same pause.
        if condition.until.is_some_and(|until| until > Instant::now()) {
            return true;
        }
        let longest = if all { PAUSE_LONGEST } else { AWAY_LONGEST };
        let pause = PAUSE_FIRST.saturating_mul(1 << condition.pauses.min(12)).min(longest);
        condition.pauses += 1;
        condition.passes = !all;
        condition.until = Some(Instant::now() + pause);
        let was = (condition.shown.state, condition.shown.code);
        let since = condition.shown.since.filter(|_| was.0 == "paused").or(Some(now()));
        condition.shown = BucketState {
            state: "paused",
            name: condition.shown.name.take(),
            code: Some(error.fault.code()),
            message: Some(error.words.clone()),
            since,
            next_try_at: Some(now() + pause.as_millis() as Millis),
        };
        drop(condition);
        // One alert for one cause, however many images wait.
        if was != ("paused", Some(error.fault.code())) {
            tracing::error!(event = "bucket_ill", code = error.fault.code(), error = error.words, "the bucket cannot be used; copies wait");
        }
        self.tell();
        true
    }

    /// Ends a pause: a person asks for it.
    pub fn try_now(&self) {
        let mut condition = self.condition();
        (condition.until, condition.pauses, condition.failures) = (None, 0, 0);
        condition.shown.next_try_at = None;
        drop(condition);
        self.wake();
    }

    /// There is something to do.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Waits for something to do.
    pub async fn woken(&self) {
        self.0.wake.notified().await;
    }

    /// Notes that an object is being put; `None` if it is already.
    pub(super) fn putting(&self, key: &str) -> Option<Putting> {
        let mut keys = self.0.putting.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert(key.to_owned()).then(|| Putting { remote: self.clone(), key: key.to_owned() })
    }

    pub(super) fn restoring(&self) -> MutexGuard<'_, HashMap<ImageId, Arc<Restoring>>> {
        self.0.restoring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This fetch has ended; after a change of the bucket another one may have its place.
    pub(super) fn no_longer_restoring(&self, id: ImageId, ended: &Arc<Restoring>) {
        let mut under_way = self.restoring();
        if under_way.get(&id).is_some_and(|known| Arc::ptr_eq(known, ended)) {
            under_way.remove(&id);
        }
    }

    /// Whether it is known that the bucket does not have this id.
    pub(super) fn is_absent(&self, id: ImageId) -> bool {
        self.0.absent.get(&id).is_some_and(|at| at.elapsed() < ABSENT_TIME)
    }

    pub(super) fn absent(&self, id: ImageId) {
        self.0.absent.insert(id, Instant::now());
    }

    pub(super) fn no_longer_absent(&self, id: ImageId) {
        self.0.absent.remove(&id);
        // It was no guess.
        self.guesses().0 += 1.0;
    }

    fn guesses(&self) -> MutexGuard<'_, Guesses> {
        self.0.guesses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave to ask for an id that no row has; nothing if too many wait for it, or for too long, or too many
    /// turned out not to exist.
    pub(super) async fn stranger(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let _place = self.0.strangers_waiting.try_acquire().ok()?;
        if !self.guesses().take() {
            return None;
        }
        tokio::time::timeout(STRANGER_PATIENCE, self.0.strangers.acquire()).await.ok()?.ok()
    }
}

/// An object that is being put.
pub(super) struct Putting {
    remote: Remote,
    key: String,
}

impl Drop for Putting {
    fn drop(&mut self) {
        self.remote.0.putting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_guesses_ids_has_a_burst_and_what_was_there_was_no_guess() {
        let remote = Remote::new(Events::default());
        for _ in 0..1000 {
            assert!(remote.stranger().await.is_some());
            remote.no_longer_absent(ImageId::random());
        }
        let mut asked = 0.0;
        while remote.stranger().await.is_some() {
            asked += 1.0;
        }
        assert!((GUESSES_BURST..GUESSES_BURST + 50.0).contains(&asked), "{asked}");
        remote.guesses().1 -= Duration::from_secs(1);
        assert!(remote.stranger().await.is_some(), "some more with time");
    }
}
