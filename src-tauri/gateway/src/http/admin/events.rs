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
use serde_json::{Value, json};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    cache,
    live::{Activity, Line},
    model::Image,
    overview, upstreams,
};
use crate::{
    http::{App, Closing},
    model::{Event, ImageId},
    store::{
        copies, gallery, image_figures,
        log_lines::{self, LogFilter},
    },
};

/// How long a browser waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);

/// A comment is sent after so long a silence.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Figures are told at most so often.
const BEAT: Duration = Duration::from_secs(1);

/// Images whose copies moved that are told one by one in a beat; beyond it pages load anew what they show.
const MOVED_MAX: usize = 100;

/// Lines of the log that are told at once.
const LINES_MAX: i64 = 100;

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
        self.ready.push_back(frame("stats", &figures(&self.app).await));
        self.ready.push_back(frame("cache", &json!({})));
    }

    async fn take(&mut self, event: Event) {
        let app = &self.app;
        match event {
            Event::Running => self.ready.push_back(frame("running", &overview::running(app))),
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
                self.ready.push_back(frame("images_deleted", &json!({"ids": ids})));
            }
            Event::Bucket => {
                self.stale = true;
                self.ready.push_back(frame("bucket", &cache::bucket_view(&self.app)));
            }
            Event::Job(id) => {
                self.stale = true;
                self.ready.extend(self.app.sweep.jobs().get(id).map(|job| frame("job", &cache::Job::from(job))));
            }
            Event::Settings => {
                self.stale = true;
                self.ready.push_back(frame("settings", &json!({})));
            }
            Event::Paused(paused) => self.ready.push_back(frame("paused", &json!({ "paused": paused }))),
            Event::Disk(_) => self.stale = true,
            Event::Listening => self.ready.push_back(frame("settings", &json!({}))),
            Event::Thumbnail => {}
            Event::LogCleared => self.ready.push_back(frame("log_cleared", &json!({}))),
            Event::Activity(record) => {
                self.ready.push_back(frame("activity", &Activity::from(*record)));
            }
            Event::Logged(first, last) => {
                let filter =
                    LogFilter { before: Some(last + 1), limit: (last - first + 1).clamp(1, LINES_MAX) as u32, ..LogFilter::default() };
                let mut lines = app.library.db().read(move |c| log_lines::list(c, &filter)).await.unwrap_or_default();
                lines.reverse();
                self.ready.extend(lines.into_iter().map(|line| frame("log", &Line::from(line))));
            }
            Event::Upstreams => {
                if let Ok(items) = upstreams::all(app).await {
                    self.ready.push_back(frame("upstreams", &json!({ "items": items })));
                }
            }
        }
    }
}

/// Everything as it happens: a `snapshot` first, then `running`, `image`, `images_deleted`, `log`, `log_cleared`, `activity`,
/// `upstreams`, `settings`, `stats`, `job`, `bucket`, `paused` and `cache` (its figures have changed).
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

fn frame(name: &str, body: &impl Serialize) -> Frame {
    Frame::default().event(name).json_data(body).unwrap_or_else(|_| Frame::default().comment("not told"))
}

async fn figures(app: &App) -> Value {
    let read = app.library.db().read(|c| Ok((image_figures(c)?, copies::copy_figures(c, false)?))).await;
    let Ok((figures, copied)) = read else { return Value::Null };
    let uploads = json!({"pending": copied.pending, "stored": copied.stored, "failed": copied.failed});
    json!({
        "images": {"total": figures.total, "local": figures.local, "missing": figures.missing},
        "bytes": figures.bytes,
        "uploads": app.library.remote().bucket().map(|_| uploads),
    })
}

async fn snapshot(app: &App) -> Frame {
    let body = json!({
        "paused": app.relay.is_paused(), "stats": figures(app).await, "running": overview::running(app), "jobs": cache::job_views(app), "bucket": cache::bucket_view(app),
    });
    frame("snapshot", &body).retry(RETRY)
}

async fn shown(app: &App, id: ImageId) -> Option<Frame> {
    let found = app.library.db().read(move |c| gallery::one(c, id)).await.ok().flatten();
    found.map(|listed| frame("image", &Image::shown(listed, app)))
}
