//! Sessions that have ended although the database cannot be told yet: on a full disk whoever is thrown out must stay out. They
//! are written as soon as writing works again. There are never more than the rows that the database has.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use crate::{model::Millis, store::SessionRow};

/// A session: its number, and when it was opened, for numbers are given again.
pub type Which = (i64, Millis);

/// See the module.
#[derive(Debug, Default)]
pub struct Ended(Mutex<BTreeSet<Which>>);

/// Which one a row is about.
pub fn which(row: &SessionRow) -> Which {
    (row.id, row.created_at)
}

impl Ended {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<Which>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// They have ended, from now on.
    pub fn note(&self, sessions: &[Which]) {
        self.lock().extend(sessions);
    }

    /// The database knows of them, or there is no such session.
    pub fn forget(&self, sessions: &[Which]) {
        self.lock().retain(|session| !sessions.contains(session));
    }

    /// Whether this one has ended.
    pub fn has(&self, row: &SessionRow) -> bool {
        self.lock().contains(&which(row))
    }

    /// All that the database has to be told.
    pub fn list(&self) -> Vec<Which> {
        self.lock().iter().copied().collect()
    }
}
