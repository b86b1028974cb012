//! Copies to the bucket: takes what is due from the outbox, a few at a time, and waits when the bucket cannot be used.

use std::{collections::HashMap, time::Duration};

use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    library::{Attempt, Library},
    model::{ImageId, now},
    store::{
        DbError,
        copies::{self, Due},
    },
};

/// Images that are taken from the outbox ahead of their turn, so that many share a commit; few of them are put at once.
const AHEAD: usize = 32;

/// Removals that are taken at once.
const REMOVALS: usize = 4;

/// Looks again after so long, though nobody asked.
const LOOK: Duration = Duration::from_secs(60);

/// Waits so long if nothing could be taken though it was due.
const IDLE: Duration = Duration::from_millis(500);

/// Waits so long after the database failed.
const DATABASE_PAUSE: Duration = Duration::from_secs(5);

/// What is under way. A lease that ends while its task still waits for its turn, as on a slow line, is taken again: no second
/// task begins, and it is given back when the first one has ended.
#[derive(Default)]
struct UnderWay {
    tasks: JoinSet<Attempt>,
    copies: HashMap<Id, (ImageId, Option<Due>)>,
}

impl UnderWay {
    fn begin(&mut self, task: impl Future<Output = Attempt> + Send + 'static) {
        self.tasks.spawn(task);
    }

    fn copy<F: Future<Output = Attempt> + Send + 'static>(&mut self, due: Due, task: impl FnOnce(Due) -> F) {
        if let Some((_, again)) = self.copies.values_mut().find(|(image, _)| *image == due.id) {
            *again = Some(due);
            return;
        }
        let image = due.id;
        let task = self.tasks.spawn(task(due));
        self.copies.insert(task.id(), (image, None));
    }

    /// The end of a task, and what it held that was taken again meanwhile; nothing if there is none.
    async fn ended(&mut self) -> Option<Option<Due>> {
        let id = match self.tasks.join_next_with_id().await? {
            Ok((id, _)) => id,
            Err(error) => error.id(),
        };
        Some(self.copies.remove(&id).and_then(|(_, again)| again))
    }

    async fn shut_down(&mut self) {
        self.tasks.shutdown().await;
        self.copies.clear();
    }
}

/// Uploads what is due, and removes what was deleted, until `stop`.
pub async fn copy_to_bucket(library: Library, stop: CancellationToken) {
    let mut running = UnderWay::default();
    let mut used = None;
    while !stop.is_cancelled() {
        let present = library.remote().bucket().map(|bucket| bucket.config().clone());
        if used != present {
            give_up(&library, &mut running).await;
            used = present;
        }
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
            Some(again) = running.ended() => {
                if let Some(due) = again {
                    library.give_back(due, now()).await;
                }
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
    // What is under way is tried again at the next start: an object that exists already is only confirmed then.
    running.shut_down().await;
}

/// Ends what is under way to the bucket of before, or with keys of before: it would hold up the one that is used now for as
/// long as its time limits allow. All of it is due at once.
async fn give_up(library: &Library, running: &mut UnderWay) {
    if running.tasks.is_empty() {
        return;
    }
    running.shut_down().await;
    let run = library.remote().run().to_owned();
    if let Err(error) = library.db().write(move |t| copies::release_all(t, &run, now())).await {
        tracing::error!(%error, "copies wait longer than they must");
    }
}

/// Begins as much as there is room for; how long to wait for more.
async fn fill(library: &Library, running: &mut UnderWay) -> Result<Duration, DbError> {
    let remote = library.remote();
    let Some(bucket) = remote.bucket() else { return Ok(LOOK) };
    if let Some(pause) = remote.pause() {
        return Ok(pause.min(LOOK));
    }
    // After a pause, or with a bucket that was never asked, one goes ahead.
    let most = if remote.works() { AHEAD } else { 1 };
    if running.tasks.len() > most / 2 {
        return Ok(LOOK);
    }
    let room = most - running.tasks.len();
    let (place, run) = (bucket.config().place(), remote.run().to_owned());
    let asked = place.clone();
    // One look at the clock for both: it may be set back in between.
    let at_first = now();
    let next = library.db().read(move |c| copies::next_due(c, &asked, at_first)).await?;
    let wait = next.map_or(LOOK, |at| Duration::from_millis(u64::try_from(at - at_first).unwrap_or(0)).min(LOOK));
    if !wait.is_zero() {
        if running.tasks.is_empty() && (!remote.works() || remote.take_doubt()) {
            // Nothing is due: whether the bucket works is found out all the same, so that the admin can say so.
            let (library, bucket) = (library.clone(), bucket.clone());
            running.begin(async move { library.knock(&bucket).await });
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
        running.begin(async move { library.bury(&bucket, grave).await });
    }
    for due in due {
        let (library, bucket) = (library.clone(), bucket.clone());
        running.copy(due, |due| async move { library.upload_in_turn(&bucket, due).await });
    }
    Ok(if idle { IDLE } else { LOOK })
}
