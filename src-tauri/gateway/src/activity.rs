//! The record of requests that were handled. Written behind in batches: it must never slow a request down, and losing
//! the last second of it in a crash is no loss.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    events::Events,
    model::{ActivityRecord, Event},
    store::{Db, add_activity, trim_activity},
};

/// Records that wait to be written; further ones are dropped and counted in the log.
const QUEUE: usize = 1024;

/// Records that share a transaction.
const BATCH: usize = 128;

/// How long the first record of a batch waits for others.
const GATHER: Duration = Duration::from_millis(500);

/// Records that are kept.
pub const KEPT: usize = 10_000;

/// Records after which old ones are looked for.
const TRIM_EVERY: usize = 500;

/// A handle; clones share the queue.
#[derive(Clone, Debug)]
pub struct Activity {
    queue: mpsc::Sender<ActivityRecord>,
}

impl Activity {
    /// A record, and the end that [`write()`] takes from.
    pub fn new() -> (Self, mpsc::Receiver<ActivityRecord>) {
        let (queue, records) = mpsc::channel(QUEUE);
        (Self { queue }, records)
    }

    /// Notes a request; never waits.
    pub fn note(&self, record: ActivityRecord) {
        if self.queue.try_send(record).is_err() {
            tracing::warn!("the record of a request is lost: too many wait to be written");
        }
    }
}

/// Writes records as they come, until `stop`; then those that are left. They are told once they are written: whoever loads
/// the list and listens misses none.
pub async fn write(db: Db, mut records: mpsc::Receiver<ActivityRecord>, events: Events, stop: CancellationToken) {
    let mut batch = Vec::new();
    let mut written = TRIM_EVERY;
    loop {
        let more = stop.run_until_cancelled(records.recv_many(&mut batch, BATCH)).await;
        if more.is_none() {
            records.close();
        }
        let _ = stop.run_until_cancelled(tokio::time::sleep(GATHER)).await;
        while batch.len() < BATCH
            && let Ok(record) = records.try_recv()
        {
            batch.push(record);
        }
        if batch.is_empty() {
            return;
        }
        written += batch.len();
        let trims = written >= TRIM_EVERY;
        let rows = Arc::new(std::mem::take(&mut batch));
        let (count, kept) = (rows.len(), rows.clone());
        let wrote = db.write(move |t| {
            kept.iter().try_for_each(|row| add_activity(t, row))?;
            if trims {
                trim_activity(t, KEPT)?;
            }
            Ok(())
        });
        match wrote.await {
            Ok(()) if trims => written = 0,
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, count, "records of requests could not be written"),
        }
        for record in rows.iter() {
            events.tell(Event::Activity(Box::new(record.clone())));
        }
    }
}
