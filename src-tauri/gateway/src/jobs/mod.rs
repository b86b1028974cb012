//! Background loops: each has one owner, one token that ends it, and is waited for at the end.

mod amounts;
mod backup;
mod check;
mod disk;
mod registry;
mod sweep;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    library::{self, Library, Thumbnails},
    model::{MediaType, Sha256},
    store::{Db, gallery, meta, set_meta},
};

pub use amounts::Amounts;
pub use backup::copy_to_bucket;
pub use disk::{DiskReport, watch_disk};
pub use registry::{Job, JobKind, JobView, Jobs};
pub use sweep::{Preview, Sweep, SweepState};

/// Something that wants to hear how many images are missing.
pub trait MissingImages: Send + Sync + 'static {
    /// Images whose bytes should be on disk and are not.
    fn missing(&self, count: usize);
}

/// How often times of last access are written.
const ACCESS_INTERVAL: Duration = Duration::from_secs(30);

/// Writes times of last access now and then; the last ones are written by whoever stops the program.
pub async fn write_access_times(library: Library, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(ACCESS_INTERVAL)).await.is_some() {
        if let Err(error) = library.access().flush(library.db()).await {
            tracing::warn!(%error, "times of last access could not be written; they wait");
        }
    }
}

/// Compares disk and database once, after the start.
pub async fn check_library(library: Library, report: Arc<impl MissingImages>, began: SystemTime, stop: CancellationToken) {
    match stop.run_until_cancelled(library::reconcile(&library, began)).await {
        Some(Ok(found)) => {
            report.missing(found.missing);
            if found != library::Reconciled::default() {
                tracing::warn!(
                    event = "compared",
                    adopted = found.adopted,
                    missing = found.missing,
                    strange = found.strange,
                    "disk and database did not agree"
                );
            }
        }
        Some(Err(error)) => tracing::error!(%error, "disk and database could not be compared"),
        None => {}
    }
}

/// How often quarantine is looked through.
const QUARANTINE_INTERVAL: Duration = Duration::from_secs(6 * 3600);

/// Forgets damaged pictures that were put aside long ago.
pub async fn tidy_quarantine(library: Library, stop: CancellationToken) {
    loop {
        let files = library.files().clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || files.tidy_quarantine()).await {
            tracing::warn!(%error, "quarantine cannot be tidied");
        }
        if stop.run_until_cancelled(tokio::time::sleep(QUARANTINE_INTERVAL)).await.is_none() {
            return;
        }
    }
}

/// Makes thumbnails as they are asked for.
pub async fn make_thumbnails(thumbnails: Thumbnails, db: Db, orders: mpsc::Receiver<(Sha256, MediaType)>, stop: CancellationToken) {
    stop.run_until_cancelled(thumbnails.work(db, orders)).await;
}

/// Images whose words are indexed in one transaction.
const INDEXED_TOGETHER: i64 = 500;

/// Pause between two of those, so that saving comes first.
const INDEX_PAUSE: Duration = Duration::from_millis(20);

/// Indexes the words of images that were saved before there was an index.
pub async fn index_words(db: Db, stop: CancellationToken) {
    let number = |text: Option<String>| text.and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    loop {
        let step = db.write(move |t| {
            let (done, until) = (number(meta(t, "words_done")?), number(meta(t, "words_until")?));
            let reached = gallery::index_words(t, done, until, INDEXED_TOGETHER)?;
            if let Some(reached) = reached {
                set_meta(t, "words_done", &reached.to_string())?;
            }
            Ok(reached)
        });
        match step.await {
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "the words of older images could not be indexed; tried again at the next start");
                return;
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(INDEX_PAUSE)).await.is_none() {
            return;
        }
    }
}
