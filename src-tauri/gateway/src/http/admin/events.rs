//! Everything as it happens, for pages that are open: one stream that begins with a snapshot.

use std::{
    collections::{HashSet, VecDeque},
    convert::Infallible,
    time::Duration,
};

use axum::{
    Extension,
    extract::State,
    response::sse::{Event as Frame, KeepAlive, Sse},
};
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::{
    cache::{self, BucketView, Job},
    live::{Activity, Line},
    model::Image,
    overview::{self, ImageFigures, Running, Uploads},
    reach::Pause,
    upstreams,
};
use crate::{
    http::{App, Closing},
    model::{Event, ImageId},
    store::{
        copies, gallery, image_figures,
        log_lines::{self, LogFilter},
        sweep,
    },
};

/// How long a browser waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);

/// A comment is sent after so long a silence.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Figures are told at most so often.
const BEAT: Duration = Duration::from_secs(1);

/// Images whose copies moved or whose thumbnails were made that are told one by one in a beat; beyond it pages load anew what they show.
const MOVED_MAX: usize = 100;

/// Lines of the log that are told at once.
const LINES_MAX: i64 = 100;

/// Figures that change while things happen.
#[derive(Debug, Serialize, ToSchema)]
pub struct Figures {
    images: ImageFigures,
    /// Of all files on disk.
    bytes: i64,
    /// `null`: no bucket is set.
    uploads: Option<Uploads>,
}

/// How things are when a page begins to listen.
#[derive(Debug, Serialize, ToSchema)]
pub struct Snapshot {
    /// `null` if the database could not be read.
    stats: Option<Figures>,
    running: Vec<Running>,
    jobs: Vec<Job>,
    bucket: BucketView,
    /// New requests are refused.
    paused: bool,
    /// Of the key that clients need now.
    key_mark: String,
}

/// Images that are gone.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ids {
    ids: Vec<String>,
}

/// Something changed; what, is asked for elsewhere.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Changed {}

/// Settings changed, which is asked for elsewhere; and whether the key of clients did.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettingsChanged {
    /// Of the key that clients need now; another key has another mark.
    key_mark: String,
}

/// One event of the stream: its name and its data, which is JSON.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub enum Told {
    /// The first one, and whenever the page was too slow for single ones.
    Snapshot(Snapshot),
    /// At most once a second.
    Stats(Figures),
    /// Requests that are being answered now.
    Running(Vec<Running>),
    /// A job began, went on or ended.
    Job(Job),
    /// How the bucket is.
    Bucket(BucketView),
    /// What the cache page shows has changed.
    Cache(Changed),
    /// An image is new or has changed.
    Image(Image),
    /// Images are gone.
    ImagesDeleted(Ids),
    /// A line of the log.
    Log(Line),
    /// The log was cleared.
    LogCleared(Changed),
    /// A request was answered.
    Activity(Activity),
    /// All upstreams, one of which has changed.
    Upstreams(upstreams::Upstreams),
    /// A setting has changed, or the key of clients, or where the gateway listens.
    Settings(SettingsChanged),
    /// New requests are refused from now on, or taken again.
    Paused(Pause),
}

/// What one page was told and is to be told.
struct Watching {
    app: App,
    closing: CancellationToken,
    listener: Receiver<Event>,
    ready: VecDeque<Frame>,
    /// Begin with a snapshot.
    fresh: bool,
    /// Figures have changed since they were told.
    stale: bool,
    /// Images whose copies moved since then.
    moved: HashSet<ImageId>,
    beat: Instant,
}

impl Watching {
    async fn next(&mut self) -> Option<Frame> {
        let stop = self.closing.clone();
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if std::mem::take(&mut self.fresh) {
                self.ready.push_back(snapshot(&self.app).await);
                continue;
            }
            let event = tokio::select! {
                () = stop.cancelled() => return None,
                event = self.listener.recv() => event,
                () = tokio::time::sleep_until(self.beat), if self.stale => {
                    self.tell_figures().await;
                    continue;
                }
            };
            match event {
                Ok(event) => self.take(event).await,
                // Too slow for all of it: begin anew.
                Err(RecvError::Lagged(_)) => self.fresh = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    async fn tell_figures(&mut self) {
        (self.stale, self.beat) = (false, Instant::now() + BEAT);
        for id in std::mem::take(&mut self.moved) {
            self.ready.extend(shown(&self.app, id).await);
        }
        self.ready.extend(figures(&self.app).await.map(|figures| frame(Told::Stats(figures))));
        self.tell(Told::Cache(Changed {}));
    }

    fn tell_settings(&mut self) {
        let key_mark = self.app.key_mark();
        self.tell(Told::Settings(SettingsChanged { key_mark }));
    }

    fn tell(&mut self, told: Told) {
        self.ready.push_back(frame(told));
    }

    async fn take(&mut self, event: Event) {
        let app = &self.app;
        match event {
            Event::Running => {
                let running = overview::running(app);
                self.tell(Told::Running(running));
            }
            Event::Saved(id) => {
                self.stale = true;
                self.ready.extend(shown(&self.app, id).await);
            }
            Event::Copied(id) => {
                self.stale = true;
                if self.moved.len() < MOVED_MAX {
                    self.moved.insert(id);
                }
            }
            Event::Deleted(ids) => {
                self.stale = true;
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                self.tell(Told::ImagesDeleted(Ids { ids }));
            }
            Event::Bucket => {
                self.stale = true;
                let bucket = cache::bucket_view(&self.app);
                self.tell(Told::Bucket(bucket));
            }
            Event::Job(id) => {
                self.stale = true;
                self.ready.extend(self.app.sweep.jobs().get(id).map(|job| frame(Told::Job(job.into()))));
            }
            Event::Settings => {
                self.stale = true;
                self.tell_settings();
            }
            Event::Paused(paused) => self.tell(Told::Paused(Pause { paused })),
            Event::Disk(_) => self.stale = true,
            Event::Listening => self.tell_settings(),
            Event::LogCleared => self.tell(Told::LogCleared(Changed {})),
            Event::Thumbnail(sha256) if self.moved.len() < MOVED_MAX => {
                let ids = app.library.db().read(move |c| sweep::images_of(c, sha256)).await.unwrap_or_default();
                self.stale = true;
                self.moved.extend(ids.into_iter().take(MOVED_MAX));
            }
            Event::Thumbnail(_) => {}
            Event::Activity(record) => self.tell(Told::Activity((&*record).into())),
            Event::Logged(first, last) => {
                let filter =
                    LogFilter { before: Some(last + 1), limit: (last - first + 1).clamp(1, LINES_MAX) as u32, ..LogFilter::default() };
                let mut lines = app.library.db().read(move |c| log_lines::list(c, &filter)).await.unwrap_or_default();
                lines.reverse();
                self.ready.extend(lines.into_iter().map(|line| frame(Told::Log(line.into()))));
            }
            Event::Upstreams => {
                if let Ok(items) = upstreams::all(app).await {
                    self.tell(Told::Upstreams(items.into()));
                }
            }
        }
    }
}

/// Everything as it happens: a `snapshot` first, then what `Told` names.
#[utoipa::path(get, path = "/events", responses((status = 200, body = String, content_type = "text/event-stream")))]
pub async fn events(State(app): State<App>, closing: Option<Extension<Closing>>) -> Sse<impl Stream<Item = Result<Frame, Infallible>>> {
    let listener = app.events.listen();
    let (ready, moved) = (VecDeque::new(), HashSet::new());
    let closing = closing.map_or_else(CancellationToken::new, |Extension(Closing(token))| token);
    let watching = Watching { app, closing, listener, ready, fresh: true, stale: false, moved, beat: Instant::now() };
    let frames = stream::unfold(watching, |mut watching| async move {
        let frame = watching.next().await?;
        Some((Ok(frame), watching))
    });
    Sse::new(frames).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

fn frame(told: Told) -> Frame {
    let mut told = serde_json::to_value(told).unwrap_or_default();
    let name = told["event"].as_str().unwrap_or_default().to_owned();
    Frame::default().event(name).json_data(told["data"].take()).unwrap_or_else(|_| Frame::default().comment("not told"))
}

async fn figures(app: &App) -> Option<Figures> {
    let read = app.library.db().read(|c| Ok((image_figures(c)?, copies::copy_figures(c, false)?))).await;
    let (figures, copied) = read.ok()?;
    Some(Figures { images: (&figures).into(), bytes: figures.bytes, uploads: overview::uploads(app, &copied) })
}

async fn snapshot(app: &App) -> Frame {
    let snapshot = Snapshot {
        stats: figures(app).await,
        running: overview::running(app),
        jobs: cache::job_views(app),
        bucket: cache::bucket_view(app),
        paused: app.relay.is_paused(),
        key_mark: app.key_mark(),
    };
    frame(Told::Snapshot(snapshot)).retry(RETRY)
}

async fn shown(app: &App, id: ImageId) -> Option<Frame> {
    let found = app.library.db().read(move |c| gallery::one(c, id)).await.ok().flatten();
    found.map(|listed| frame(Told::Image(Image::shown(listed, app))))
}
