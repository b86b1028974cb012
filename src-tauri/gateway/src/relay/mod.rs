//! One client request, there and back: takes the body apart, asks the upstream, saves every picture of the answer and
//! hands out links. What was dispatched is finished and saved even if the client has gone.

mod answer;
mod asked;
pub mod chat;
mod edit;
mod error;
mod image_pump;
pub mod images;
mod link;
mod pump;
mod receive;

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use crate::{
    library::{Assembled, Library},
    settings::LiveSettings,
    upstream::{Routes, Upstream, fetch::Fetcher},
};

pub use edit::{EditRequest, Input};
pub use error::RelayError;
pub use link::LinkBase;
pub use receive::{Scanned, scan};

/// Requests that are being drawn at once; further ones are asked to come back.
pub const RUNNING_MAX: usize = 128;

/// Events that wait for a slow client before the upstream is slowed down.
const CLIENT_QUEUE: usize = 32;

/// What goes back to the client.
pub enum Reply {
    /// A whole body of JSON.
    Json(Assembled),
    /// A stream of events, as they come.
    Events(mpsc::Receiver<Bytes>),
}

/// What a relay needs to know of the client.
#[derive(Clone, Debug)]
pub struct Client {
    /// What links begin with for this client.
    pub links: LinkBase,
    /// Whether it is known to want base64 unless it says otherwise (Open WebUI's server side).
    pub prefers_base64: bool,
}

/// A handle; clones share everything.
#[derive(Clone)]
pub struct Relay {
    library: Library,
    routes: Arc<ArcSwap<Routes>>,
    settings: LiveSettings,
    jobs: TaskTracker,
    running: Arc<Semaphore>,
    json_edits: Arc<Mutex<images::JsonEdits>>,
    external: Arc<Fetcher>,
}

impl Relay {
    /// A relay between `library` and the upstreams in `routes`; `external` fetches what users name.
    pub fn new(library: Library, routes: Routes, settings: LiveSettings, jobs: TaskTracker, external: Fetcher) -> Self {
        Self {
            library,
            routes: Arc::new(ArcSwap::from_pointee(routes)),
            settings,
            jobs,
            running: Arc::new(Semaphore::new(RUNNING_MAX)),
            json_edits: Arc::default(),
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

    /// Drawings under way.
    pub fn running(&self) -> usize {
        RUNNING_MAX - self.running.available_permits()
    }

    fn upstream(&self) -> Arc<dyn Upstream> {
        self.routes.load().preferred().clone()
    }

    /// Leave to run one request.
    ///
    /// # Errors
    /// [`RelayError::Busy`] when too many run.
    pub fn permit(&self) -> Result<OwnedSemaphorePermit, RelayError> {
        self.running.clone().try_acquire_owned().map_err(|_| RelayError::Busy)
    }

    /// Runs `job` to its end whatever becomes of the caller, and waits for it.
    async fn detached<T: Send + 'static>(
        &self,
        job: impl Future<Output = Result<T, RelayError>> + Send + 'static,
    ) -> Result<T, RelayError> {
        use tracing::Instrument;
        self.jobs.spawn(job.in_current_span()).await.unwrap_or(Err(RelayError::Panicked))
    }
}
