//! One client request, there and back: takes the body apart, asks the upstream, saves every picture of the answer and
//! hands out links. What was dispatched is finished and saved even if the client has gone.

mod answer;
mod asked;
mod attempt;
mod background;
mod bridge;
mod chat;
mod conversation;
mod delivery;
mod diet;
mod drawn;
mod edit;
mod edit_inputs;
mod error;
mod image_pump;
pub mod images;
mod intent;
mod link;
mod note;
mod notice;
mod once;
mod pump;
mod receive;
mod running;
mod task;
mod waiting;
mod words;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use self::{
    delivery::{Head, Output},
    once::{Claim, Once, Turn},
    running::NowRunning,
};
use crate::{
    activity::Activity,
    events::Events,
    library::{Assembled, Library},
    model::Event,
    settings::LiveSettings,
    upstream::{HealthState, Healths, Learnt, Routes, Upstream, UpstreamError, fetch::Fetcher},
};

pub use delivery::Reading;
pub use edit::{EditRequest, Input};
pub use error::RelayError;
pub use link::LinkBase;
pub use once::KEY_MAX;

/// Requests that are being drawn at once; further ones are asked to come back.
pub const RUNNING_MAX: usize = 128;

/// Requests that are being received at once; further ones are asked to come back.
const READING_MAX: usize = 256;

/// What goes back to the client.
pub enum Reply {
    /// A whole body of JSON, and whom to tell once the client has taken all of it.
    Json(Assembled, Option<Reading>),
    /// The same with white space before it, as it comes.
    LateJson(Reading),
    /// A stream of events, as they come.
    Events(Reading),
    /// A stream of events that is there already.
    WholeEvents(Assembled),
}

/// What a relay needs to know of the client.
#[derive(Clone, Debug)]
pub struct Client {
    /// What links begin with for this client.
    pub links: LinkBase,
    /// Whether it is known to want base64 unless it says otherwise (Open WebUI's server side).
    pub prefers_base64: bool,
    /// The background task that it says this is: `X-OpenWebUI-Task`.
    pub task: Option<String>,
    /// Its own word for the request: `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// The id of the request, for its record.
    pub request: Option<String>,
    /// It is the admin UI, which tries whether a picture comes.
    pub tries: bool,
}

/// A handle; clones share everything.
#[derive(Clone)]
pub struct Relay {
    library: Library,
    routes: Arc<ArcSwap<Routes>>,
    settings: LiveSettings,
    jobs: TaskTracker,
    running: Arc<Semaphore>,
    receiving: Arc<Semaphore>,
    once: Once,
    learnt: Learnt,
    activity: Activity,
    external: Arc<Fetcher>,
    now_running: NowRunning,
    joined: Arc<AtomicU64>,
    paused: Arc<AtomicBool>,
    healths: Healths,
    events: Events,
}

impl Relay {
    /// A relay between `library` and the upstreams in `routes`, of which something is `learnt` already; `external` fetches
    /// what users name.
    #[expect(clippy::too_many_arguments, reason = "called once, where everything is put together")]
    pub fn new(
        library: Library,
        routes: Routes,
        learnt: Learnt,
        settings: LiveSettings,
        activity: Activity,
        events: Events,
        jobs: TaskTracker,
        external: Fetcher,
    ) -> Self {
        Self {
            library,
            routes: Arc::new(ArcSwap::from_pointee(routes)),
            settings,
            jobs,
            running: Arc::new(Semaphore::new(RUNNING_MAX)),
            receiving: Arc::new(Semaphore::new(READING_MAX)),
            once: Once::default(),
            learnt,
            activity,
            now_running: NowRunning::new(events.clone()),
            joined: Arc::default(),
            paused: Arc::default(),
            healths: Healths::default(),
            events,
            external: Arc::new(external),
        }
    }

    /// The library that pictures are saved in.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// Names and models of the upstreams, the preferred one first.
    pub fn upstreams(&self) -> Vec<(String, String)> {
        self.routes.load().all().map(|u| (u.name().to_owned(), u.model().to_owned())).collect()
    }

    /// The upstreams, the preferred one first.
    pub fn routes(&self) -> Arc<Routes> {
        self.routes.load_full()
    }

    /// Asks other upstreams from now on; what runs goes on with those that it began with.
    pub fn set_routes(&self, routes: Routes) {
        self.routes.store(Arc::new(routes));
    }

    /// What was learnt of upstreams.
    pub fn learnt(&self) -> &Learnt {
        &self.learnt
    }

    /// How an upstream did lately.
    pub fn health_of(&self, upstream: &dyn Upstream) -> HealthState {
        self.healths.of(upstream)
    }

    /// A failure in words; `model` is the model that was to be asked for.
    pub fn explain(&self, error: &UpstreamError, chinese: bool, model: &str) -> String {
        explain(error, chinese, model).0
    }

    /// Requests that are being answered, the oldest first.
    pub fn now_running(&self) -> Vec<crate::model::Running> {
        self.now_running.list()
    }

    /// Refuses new requests from now on, or takes them again. What runs goes on. Nothing of this outlives the program: who
    /// starts it wants it to draw.
    pub fn pause(&self, paused: bool) {
        if self.paused.swap(paused, Ordering::Relaxed) != paused {
            let (event, said) = if paused { ("paused", "drawing is paused") } else { ("resumed", "drawing goes on") };
            tracing::info!(event, "{said}");
            self.events.tell(Event::Paused(paused));
        }
    }

    /// Whether new requests are refused.
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Leave to begin with what somebody asked for in `words`, or why not, in their language.
    ///
    /// # Errors
    /// [`RelayError::Paused`].
    fn may_begin(&self, words: &str) -> Result<(), RelayError> {
        match self.is_paused() {
            true => Err(RelayError::Paused(words::paused(words::language(&self.settings.snapshot(), words)))),
            false => Ok(()),
        }
    }

    /// Drawings under way.
    pub fn running(&self) -> usize {
        RUNNING_MAX - self.running.available_permits()
    }

    fn upstream(&self) -> Arc<dyn Upstream> {
        self.routes.load().preferred().clone()
    }

    /// Requests since the start that joined another one instead of being paid for.
    pub fn joined(&self) -> u64 {
        self.joined.load(Ordering::Relaxed)
    }

    /// Forgets answers that nobody came back for.
    pub fn tidy(&self) {
        self.once.tidy();
    }

    /// Leave to run one request.
    ///
    /// # Errors
    /// [`RelayError::Busy`] when too many run.
    fn permit(&self) -> Result<OwnedSemaphorePermit, RelayError> {
        self.running.clone().try_acquire_owned().map_err(|_| RelayError::Busy)
    }

    /// Leave to receive one request.
    ///
    /// # Errors
    /// [`RelayError::Busy`] when too many are being received.
    pub fn reading(&self) -> Result<OwnedSemaphorePermit, RelayError> {
        self.receiving.clone().try_acquire_owned().map_err(|_| RelayError::Busy)
    }

    /// The answer to a request: the one that is being made for an identical one, or a new one. The job runs to its end
    /// whatever becomes of the client.
    async fn once<Job>(
        &self,
        endpoint: &str,
        claim: Option<Claim>,
        job: impl FnOnce(Output, OwnedSemaphorePermit) -> Job,
    ) -> Result<Reply, RelayError>
    where
        Job: Future<Output = Result<(), RelayError>> + Send + 'static,
    {
        use tracing::Instrument;
        let reading = match self.once.turn(endpoint, claim.as_ref())? {
            Turn::Joined(reading) => {
                self.joined.fetch_add(1, Ordering::Relaxed);
                tracing::info!(event = "joined", endpoint, "the same was asked for before; this one joins it");
                reading
            }
            Turn::New(out, reading) => {
                let end = Ending(out.clone());
                let job = match self.permit() {
                    Ok(permit) => job(out, permit),
                    Err(busy) => {
                        end.0.decide(Head::Failed(Arc::new(RelayError::Busy)));
                        return Err(busy);
                    }
                };
                let run = async move {
                    if let Err(error) = job.await {
                        tracing::debug!(%error, "no answer");
                        end.0.decide(Head::Failed(Arc::new(error)));
                    }
                };
                self.jobs.spawn(run.in_current_span());
                reading
            }
        };
        match reading.head().await {
            Head::Json(body) => Ok(Reply::Json(body, Some(reading))),
            Head::LateJson => Ok(Reply::LateJson(reading)),
            Head::Events => Ok(Reply::Events(reading)),
            Head::Failed(error) => Err(RelayError::Joined(error)),
        }
    }
}

/// What is told of an upstream's failure, and what to do about it; `model` is the model that was to be asked for.
pub fn explain(error: &UpstreamError, chinese: bool, model: &str) -> (String, &'static str) {
    use crate::rewrite::progress::Language;
    let language = if chinese { Language::Zh } else { Language::En };
    let told = words::tell(error, language, model, None);
    (told.message(language), told.remedy())
}

/// Ends an answer however its job ends, also in a panic.
struct Ending(Output);

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.0.is_decided() {
            self.0.decide(Head::Failed(Arc::new(RelayError::Panicked)));
        }
        self.0.end();
    }
}
