//! What goes from disk by itself: now and then, as jobs that people see. Time alone never removes anything: a clock that
//! jumps ends it until the clock is known to be right.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::registry::{Job, JobKind, Jobs};
use crate::{
    library::{Library, LibraryError},
    model::{Millis, now},
    settings::{LiveSettings, SweepRules},
    store::{copies, meta, set_meta, sweep},
};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(600);

/// How soon after the start; also the first minute after a sleep of the computer.
const FIRST: Duration = Duration::from_secs(60);

/// How often the clock is compared.
const TICK: Duration = Duration::from_secs(30);

/// Wall clock and running clock may differ by so much between two looks, in milliseconds.
const SKEW: Millis = 10 * 60 * 1000;

/// A program that was off for longer has a clock that nobody has checked, in milliseconds.
const OFF_MAX: Millis = 14 * 24 * 3600 * 1000;

/// What was looked at so lately is not removed by a machine, in milliseconds.
const GRACE: Millis = 10 * 60 * 1000;

/// Pause between two looks at how uploads go.
const FOLLOW: Duration = Duration::from_millis(300);

/// The sweep: its rules, its clock, its jobs.
#[derive(Clone)]
pub struct Sweep {
    pub(super) library: Library,
    settings: LiveSettings,
    jobs: Jobs,
    state: std::sync::Arc<std::sync::Mutex<State>>,
    pub(super) remembered: super::amounts::Remembered,
    pub(super) began: std::time::SystemTime,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    next_at: Millis,
    last_at: Option<Millis>,
    clock_is_wrong: bool,
}

/// What people see of it.
#[derive(Clone, Copy, Debug)]
pub struct SweepState {
    /// When it is looked next.
    pub next_at: Millis,
    /// When it was looked last.
    pub last_at: Option<Millis>,
    /// `clock` or `bucket`: why nothing goes.
    pub paused: Option<&'static str>,
}

/// What a job would do now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Preview {
    /// Things and their bytes.
    pub amount: sweep::Amount,
    /// `nothing`, `off`, `no_bucket`, `bucket_paused` or `clock`.
    pub reason: Option<&'static str>,
}

fn add(amount: &mut sweep::Amount, bytes: i64) {
    amount.count += 1;
    amount.bytes += bytes;
}

fn total(candidates: &[sweep::Candidate]) -> sweep::Amount {
    let mut amount = sweep::Amount::default();
    candidates.iter().for_each(|candidate| add(&mut amount, candidate.bytes));
    amount
}

/// How many of them are enough to free so many bytes.
fn enough(mut candidates: Vec<sweep::Candidate>, over: i64) -> Vec<sweep::Candidate> {
    let (mut freed, mut count) = (0, 0);
    while let Some(candidate) = candidates.get(count).filter(|_| freed < over) {
        freed += candidate.bytes;
        count += 1;
    }
    candidates.truncate(count);
    candidates
}

impl Sweep {
    /// Nothing was looked at yet.
    pub fn new(library: Library, settings: LiveSettings, jobs: Jobs, began: std::time::SystemTime) -> Self {
        let state = State { next_at: now() + FIRST.as_millis() as Millis, ..State::default() };
        Self {
            library,
            settings,
            jobs,
            state: std::sync::Arc::new(std::sync::Mutex::new(state)),
            remembered: super::amounts::Remembered::default(),
            began,
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The jobs.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    pub(super) fn rules(&self) -> SweepRules {
        self.settings.snapshot().sweep
    }

    /// What people see of it.
    pub fn view(&self) -> SweepState {
        let state = *self.state();
        let paused = match self.library.remote().state().state {
            _ if state.clock_is_wrong => Some("clock"),
            "paused" => Some("bucket"),
            _ => None,
        };
        SweepState { next_at: state.next_at, last_at: state.last_at, paused }
    }

    /// A person says that the clock is right.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn trust_clock(&self) -> Result<(), LibraryError> {
        self.library.db().write(|t| set_meta(t, "last_tick", &now().to_string())).await?;
        self.state().clock_is_wrong = false;
        Ok(())
    }

    /// Looks now and then until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        if let Err(error) = self.begin().await {
            tracing::error!(%error, "the last look at the clock cannot be read; nothing is removed");
            self.state().clock_is_wrong = true;
        }
        let mut seen = (now(), Instant::now());
        let mut due = Instant::now() + FIRST;
        while stop.run_until_cancelled(tokio::time::sleep(TICK)).await.is_some() {
            let (wall, elapsed) = (now(), seen.1.elapsed());
            let skew = (wall - seen.0) - elapsed.as_millis() as Millis;
            seen = (wall, Instant::now());
            if skew.abs() > SKEW {
                // A computer that slept looks the same; it waits for its first minute.
                due = due.max(Instant::now() + FIRST);
            }
            if !self.tick(skew).await {
                continue;
            }
            if Instant::now() >= due {
                due = Instant::now() + EVERY;
                {
                    let mut state = self.state();
                    (state.last_at, state.next_at) = (Some(wall), wall + EVERY.as_millis() as Millis);
                }
                self.look(true).await;
            }
        }
    }

    /// Compares the clock with the last look; whether it can be trusted. `skew` is what the wall clock went further than
    /// the running one since then.
    async fn tick(&self, skew: Millis) -> bool {
        let wall = now();
        let last = self.library.db().read(|c| meta(c, "last_tick")).await.ok().flatten().and_then(|text| text.parse::<Millis>().ok());
        let jumped = last.is_some_and(|last| wall - last > OFF_MAX || last - wall > SKEW);
        self.judge(jumped || !(-SKEW..=OFF_MAX).contains(&skew));
        if self.state().clock_is_wrong {
            return false;
        }
        if let Err(error) = self.library.db().write(move |t| set_meta(t, "last_tick", &wall.to_string())).await {
            tracing::warn!(%error, "the time cannot be noted");
        }
        true
    }

    /// Looks at once, as it does now and then.
    pub async fn look_now(&self) {
        if self.tick(0).await {
            self.look(true).await;
        }
    }

    async fn begin(&self) -> Result<(), LibraryError> {
        if self.library.db().read(|c| meta(c, "last_tick")).await?.is_none() {
            self.trust_clock().await?;
        }
        self.tick(0).await;
        Ok(())
    }

    fn judge(&self, jumped: bool) {
        let mut state = self.state();
        if jumped && !state.clock_is_wrong {
            state.clock_is_wrong = true;
            drop(state);
            tracing::warn!(
                event = "clock_jumped",
                "the clock has jumped, or the program was off for long; nothing is removed until somebody confirms the time on the page Cache"
            );
        }
    }

    /// Begins what the rules ask for, as jobs.
    pub async fn look(&self, automatic: bool) {
        let rules = self.settings.snapshot().sweep;
        let wanted = [
            (JobKind::CleanExpired, rules.ttl.is_some()),
            (JobKind::EnforceCap, rules.cap.is_some()),
            (JobKind::ForgetMetadata, rules.retention.is_some()),
        ];
        for kind in wanted.into_iter().filter_map(|(kind, wanted)| wanted.then_some(kind)) {
            // A job that would do nothing is none.
            if self.preview(kind).await.is_ok_and(|preview| preview.reason.is_none()) {
                self.start(kind, automatic, false);
            }
        }
    }

    /// What a job would do now.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn preview(&self, kind: JobKind) -> Result<Preview, LibraryError> {
        let rules = self.settings.snapshot().sweep;
        let db = self.library.db();
        let bucket = self.library.remote().state().state;
        let clock = self.state().clock_is_wrong;
        let needs_bucket = match bucket {
            "off" => Some("no_bucket"),
            "ok" => None,
            _ => Some("bucket_paused"),
        };
        let (amount, hindered) = match kind {
            JobKind::CleanExpired => match rules.ttl {
                None => (sweep::Amount::default(), Some("off")),
                Some(ttl) => {
                    let cutoff = (now() - ttl).min(now() - GRACE);
                    (total(&db.read(move |c| sweep::expired(c, cutoff)).await?), needs_bucket.or(clock.then_some("clock")))
                }
            },
            JobKind::EnforceCap => match rules.cap {
                None => (sweep::Amount::default(), Some("off")),
                Some(_) => {
                    // What was looked at since may be shown as if it went; it does not.
                    let (safe, last) = self.over_cap(rules).await?;
                    let (mut amount, last) = (total(&safe), total(&last));
                    amount.count += last.count;
                    amount.bytes += last.bytes;
                    (amount, needs_bucket.filter(|_| !rules.last_copies))
                }
            },
            JobKind::ForgetMetadata => match rules.retention {
                None => (sweep::Amount::default(), Some("off")),
                Some(retention) => {
                    let cutoff = now() - retention;
                    (db.read(move |c| sweep::forgettable_amount(c, cutoff)).await?, needs_bucket.or(clock.then_some("clock")))
                }
            },
            JobKind::ClearLocal => (total(&db.read(|c| sweep::all_local(c, true)).await?), needs_bucket),
            JobKind::UploadPending | JobKind::RetryFailed => {
                let figures = db.read(|c| copies::copy_figures(c, true)).await?;
                let amount = match kind {
                    JobKind::UploadPending => sweep::Amount { count: figures.pending, bytes: figures.pending_bytes },
                    _ => sweep::Amount { count: figures.failed, bytes: figures.failed_bytes },
                };
                (amount, needs_bucket.filter(|reason| *reason == "no_bucket"))
            }
            JobKind::CheckFiles | JobKind::MakeThumbnails | JobKind::Import => return Ok(Preview::default()),
        };
        let reason = hindered.or((amount.count == 0).then_some("nothing"));
        Ok(Preview { amount, reason })
    }

    /// What has to go for the cap: first what is in the bucket, then, if the user chose that, what is not.
    async fn over_cap(&self, rules: SweepRules) -> Result<(Vec<sweep::Candidate>, Vec<sweep::Candidate>), LibraryError> {
        let Some(cap) = rules.cap else { return Ok((Vec::new(), Vec::new())) };
        let (cap, cutoff, last_too) = (cap as i64, now() - GRACE, rules.last_copies);
        let works = self.library.remote().works();
        let found = self.library.db().read(move |c| {
            let over = crate::store::image_figures(c)?.bytes - cap;
            if over <= 0 {
                return Ok((Vec::new(), Vec::new()));
            }
            let safe = if works { enough(sweep::longest_unused(c, cutoff, false)?, over) } else { Vec::new() };
            let left = over - total(&safe).bytes;
            let last = if last_too && left > 0 { enough(sweep::longest_unused(c, cutoff, true)?, left) } else { Vec::new() };
            Ok((safe, last))
        });
        Ok(found.await?)
    }

    /// Begins a job; `None` if one of its kind runs, or if it is none of the sweep's.
    pub fn start(&self, kind: JobKind, automatic: bool, last_copies: bool) -> Option<super::JobView> {
        if kind == JobKind::Import {
            return None;
        }
        let sweep = self.clone();
        self.jobs.start(kind, automatic, move |job| async move {
            let done = match kind {
                JobKind::CleanExpired => sweep.clean_expired(&job).await,
                JobKind::EnforceCap => sweep.enforce_cap(&job).await,
                JobKind::ForgetMetadata => sweep.forget(&job).await,
                JobKind::ClearLocal => sweep.clear_local(&job, last_copies).await,
                JobKind::UploadPending => sweep.upload(&job, false).await,
                JobKind::RetryFailed => sweep.upload(&job, true).await,
                JobKind::CheckFiles => sweep.check_files(&job).await,
                JobKind::MakeThumbnails => sweep.make_thumbnails(&job).await,
                JobKind::Import => Ok(()),
            };
            done.map_err(|error| {
                tracing::error!(%error, job = kind.word(), "a job failed");
                error.to_string()
            })
        })
    }

    async fn evict_all(&self, job: &Job, candidates: Vec<sweep::Candidate>, unused_since: Option<Millis>) -> Result<(), LibraryError> {
        for candidate in candidates {
            if job.is_cancelled() {
                break;
            }
            // What is wanted just now stays, and so does what the bucket has lost: that is no failure.
            match self.library.evict(candidate.sha256, unused_since).await? {
                true => job.step(candidate.bytes as u64, true),
                false => job.spared(),
            }
        }
        Ok(())
    }

    async fn clean_expired(&self, job: &Job) -> Result<(), LibraryError> {
        let trusted = self.tick(0).await;
        let Some(ttl) = self.settings.snapshot().sweep.ttl.filter(|_| trusted) else { return Ok(()) };
        self.library.access().flush(self.library.db()).await?;
        let cutoff = (now() - ttl).min(now() - GRACE);
        let expired = self.library.db().read(move |c| sweep::expired(c, cutoff)).await?;
        job.total(expired.len());
        self.evict_all(job, expired, Some(cutoff)).await
    }

    async fn enforce_cap(&self, job: &Job) -> Result<(), LibraryError> {
        let trusted = self.tick(0).await;
        self.library.access().flush(self.library.db()).await?;
        let (safe, mut last) = self.over_cap(self.settings.snapshot().sweep).await?;
        // What was saved just now counts as old for a clock that went ahead.
        last.retain(|_| trusted);
        let cutoff = now() - GRACE;
        job.total(safe.len() + last.len());
        self.evict_all(job, safe, Some(cutoff)).await?;
        for candidate in last {
            if job.is_cancelled() {
                break;
            }
            let gone = self.library.drop_last_copy(candidate, Some(cutoff)).await?;
            job.step(candidate.bytes as u64, gone);
        }
        Ok(())
    }

    async fn forget(&self, job: &Job) -> Result<(), LibraryError> {
        let rules = self.settings.snapshot().sweep;
        // Asked just now: the clock may have jumped since it was looked at last, and what goes here may go for good.
        let trusted = self.tick(0).await;
        let Some(retention) = rules.retention.filter(|_| trusted) else { return Ok(()) };
        let cutoff = now() - retention;
        job.total(self.library.db().read(move |c| sweep::forgettable_amount(c, cutoff)).await?.count.max(0) as usize);
        let mut done = 0;
        while !job.is_cancelled() {
            match self.library.forget_some(cutoff, rules.objects_too).await? {
                0 => break,
                some => done += some as u64,
            }
            job.reached(done);
        }
        Ok(())
    }

    async fn clear_local(&self, job: &Job, last_copies: bool) -> Result<(), LibraryError> {
        let safe = self.library.db().read(|c| sweep::all_local(c, true)).await?;
        let last = if last_copies { self.library.db().read(|c| sweep::all_local(c, false)).await? } else { Vec::new() };
        job.total(safe.len() + last.len());
        self.evict_all(job, safe, None).await?;
        for candidate in last {
            if job.is_cancelled() {
                break;
            }
            let gone = self.library.drop_last_copy(candidate, None).await?;
            job.step(candidate.bytes as u64, gone);
        }
        Ok(())
    }

    /// Makes what waits due now and watches it go. Uploads go on if the job ends.
    async fn upload(&self, job: &Job, failed_only: bool) -> Result<(), LibraryError> {
        let db = self.library.db();
        let total = db.write(move |t| copies::retry(t, failed_only, now())).await?;
        job.total(total);
        self.library.remote().try_now();
        loop {
            let figures = db.read(|c| copies::copy_figures(c, false)).await?;
            let left = figures.pending.max(0) as u64;
            job.reached((total as u64).saturating_sub(left));
            let bucket = self.library.remote().state();
            // What was tried in vain by now waits for its next attempt, which is not part of this.
            let busy = db.read(|c| copies::is_busy(c, now())).await?;
            if left == 0 || !busy {
                let failed = figures.failed.max(0) as usize;
                (0..failed.min(total)).for_each(|_| job.failed_step());
                return Ok(());
            }
            if bucket.state == "paused" && self.library.remote().pause().is_some() {
                let words = bucket.message.unwrap_or_default();
                return Err(LibraryError::Disk(std::io::Error::other(format!("the bucket cannot be used: {words}"))));
            }
            if job.stop().run_until_cancelled(tokio::time::sleep(FOLLOW)).await.is_none() {
                return Ok(());
            }
        }
    }

    async fn make_thumbnails(&self, job: &Job) -> Result<(), LibraryError> {
        let again = self.library.db().write(crate::store::thumbnails_again).await?;
        job.total(again.len());
        for (sha256, media_type) in again {
            if job.is_cancelled() {
                break;
            }
            let made = self.library.thumbnails().make_now(self.library.db(), sha256, media_type).await;
            job.step(0, made);
        }
        Ok(())
    }
}
