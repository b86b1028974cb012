//! Copies to the bucket: takes what is due from the outbox, a few at a time, and waits when the bucket cannot be used.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    library::{Attempt, Library},
    model::now,
    store::{DbError, copies},
};

/// Images that are taken from the outbox ahead of their turn, so that many share a commit; few of them are put at once.
const AHEAD: usize = 32;

/// Removals that are taken at once; they are not taken for long.
const REMOVALS: usize = 4;

/// Looks again after so long, though nobody asked.
const LOOK: Duration = Duration::from_secs(60);

/// Waits so long if nothing could be taken though it was due.
const IDLE: Duration = Duration::from_millis(500);

/// Waits so long after the database failed.
const DATABASE_PAUSE: Duration = Duration::from_secs(5);

/// Uploads what is due, and removes what was deleted, until `stop`.
pub async fn copy_to_bucket(library: Library, stop: CancellationToken) {
    let mut running = JoinSet::new();
    while !stop.is_cancelled() {
        let wait = match fill(&library, &mut running).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!(%error, "the outbox cannot be read");
                DATABASE_PAUSE
            }
        };
        let remote = library.remote();
        tokio::select! {
            () = stop.cancelled() => break,
            () = remote.woken() => {}
            Some(_) = running.join_next() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    // What is under way is tried again at the next start: an object that exists already is only confirmed then.
    running.shutdown().await;
}

/// Begins as much as there is room for; how long to wait for more.
async fn fill(library: &Library, running: &mut JoinSet<Attempt>) -> Result<Duration, DbError> {
    let remote = library.remote();
    let Some(bucket) = remote.bucket() else { return Ok(LOOK) };
    if let Some(pause) = remote.pause() {
        return Ok(pause.min(LOOK));
    }
    // After a pause, or with a bucket that was never asked, one goes ahead.
    let most = if remote.works() { AHEAD } else { 1 };
    if running.len() > most / 2 {
        return Ok(LOOK);
    }
    let room = most - running.len();
    let (place, run) = (bucket.config().place(), remote.run().to_owned());
    let asked = place.clone();
    // One look at the clock for both: it may be set back in between.
    let at_first = now();
    let next = library.db().read(move |c| copies::next_due(c, &asked, at_first)).await?;
    let wait = next.map_or(LOOK, |at| Duration::from_millis(u64::try_from(at - at_first).unwrap_or(0)).min(LOOK));
    if !wait.is_zero() {
        if running.is_empty() && !remote.works() {
            // Nothing is due: whether the bucket works is found out all the same, so that the admin can say so.
            let (library, bucket) = (library.clone(), bucket.clone());
            running.spawn(async move { library.knock(&bucket).await });
        }
        return Ok(wait);
    }
    let taken = library.db().write(move |t| {
        let graves = copies::claim_graves(t, &place, now(), room.min(REMOVALS))?;
        let due = copies::claim(t, &run, now(), room - graves.len())?;
        Ok((graves, due))
    });
    let (graves, due) = taken.await?;
    // Whatever was due is held by somebody already.
    let idle = graves.is_empty() && due.is_empty();
    for grave in graves {
        let (library, bucket) = (library.clone(), bucket.clone());
        running.spawn(async move { library.bury(&bucket, grave).await });
    }
    for due in due {
        let (library, bucket) = (library.clone(), bucket.clone());
        running.spawn(async move { library.upload_in_turn(&bucket, due).await });
    }
    Ok(if idle { IDLE } else { LOOK })
}
