//! Sessions that have ended although the database cannot be told yet: on a full disk whoever is thrown out must stay out. They
//! are written as soon as writing works again. There are never more than the rows that the database has.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// See the module; by their numbers.
#[derive(Debug, Default)]
pub struct Ended(Mutex<BTreeSet<i64>>);

impl Ended {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// They have ended, from now on.
    pub fn note(&self, sessions: &[i64]) {
        self.lock().extend(sessions);
    }

    /// The database knows of them, or there is no such session.
    pub fn forget(&self, sessions: &[i64]) {
        self.lock().retain(|session| !sessions.contains(session));
    }

    /// Whether this one has ended.
    pub fn has(&self, session: i64) -> bool {
        self.lock().contains(&session)
    }

    /// All that the database has to be told.
    pub fn list(&self) -> Vec<i64> {
        self.lock().iter().copied().collect()
    }
}
