//! When images were last looked at: remembered at once, written behind in batches, so that no reader waits for the
//! writer.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{
    model::{ImageId, Millis},
    store::{Db, DbError, touch},
};

/// Images remembered between two writes. Beyond it times of further images are lost, which costs nothing but order.
const WAITING_MAX: usize = 100_000;

/// The times that wait.
#[derive(Debug, Default)]
pub struct AccessLog(Mutex<HashMap<ImageId, Millis>>);

impl AccessLog {
    /// Remembers a look at `id`.
    pub fn note(&self, id: ImageId, at: Millis) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING_MAX || waiting.contains_key(&id) {
            waiting.insert(id, at);
        }
    }

    /// Writes what waits, in one transaction. On failure it waits on.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn flush(&self, db: &Db) -> Result<(), DbError> {
        let batch = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if batch.is_empty() {
            return Ok(());
        }
        let copy = batch.clone();
        let result = db.write(move |t| copy.iter().try_for_each(|(id, at)| touch(t, *id, *at))).await;
        if result.is_err() {
            batch.into_iter().for_each(|(id, at)| self.note(id, at));
        }
        result
    }
}
