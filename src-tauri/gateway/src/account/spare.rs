//! Sessions that are kept in memory because the database cannot be written: on a full disk the admin must still get in, to
//! make room. They end with the program.

use std::sync::{Mutex, PoisonError};

use crate::store::{NewSession, SessionRow};

/// Sessions at once; the one used longest ago gives way.
const SPARE_MAX: usize = 16;

/// See the module. Their numbers are negative, so that they meet none of the database.
#[derive(Debug, Default)]
pub struct Spare(Mutex<Sessions>);

#[derive(Debug, Default)]
struct Sessions {
    rows: Vec<([u8; 32], SessionRow)>,
    last_id: i64,
}

impl Spare {
    fn lock(&self) -> std::sync::MutexGuard<'_, Sessions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session.
    pub fn open(&self, session: NewSession) {
        let mut sessions = self.lock();
        let oldest = sessions.rows.iter().enumerate().min_by_key(|(_, (_, row))| row.seen_at).map(|(at, _)| at);
        if let Some(at) = oldest.filter(|_| sessions.rows.len() == SPARE_MAX) {
            sessions.rows.remove(at);
        }
        sessions.last_id -= 1;
        let NewSession { token, at, address, agent } = session;
        let row = SessionRow { id: sessions.last_id, created_at: at, seen_at: at, address, agent };
        sessions.rows.push((token, row));
    }

    /// The session with this digest, as it was used before; it counts as used `now`.
    pub fn used(&self, token: &[u8; 32], now: i64) -> Option<SessionRow> {
        let mut sessions = self.lock();
        let (_, row) = sessions.rows.iter_mut().find(|(known, _)| known == token)?;
        let found = row.clone();
        row.seen_at = now;
        Some(found)
    }

    /// All of them.
    pub fn list(&self) -> Vec<SessionRow> {
        self.lock().rows.iter().map(|(_, row)| row.clone()).collect()
    }

    /// Ends a session; whether there was one.
    pub fn end(&self, id: i64) -> bool {
        let mut sessions = self.lock();
        let before = sessions.rows.len();
        sessions.rows.retain(|(_, row)| row.id != id);
        sessions.rows.len() < before
    }

    /// Ends all but one.
    pub fn end_others(&self, kept: i64) {
        self.lock().rows.retain(|(_, row)| row.id == kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_many_and_the_one_used_longest_ago_gives_way() {
        let spare = Spare::default();
        for n in 0..=SPARE_MAX as u8 {
            spare.open(NewSession { token: [n; 32], at: i64::from(n), address: String::new(), agent: String::new() });
            assert!(spare.used(&[0; 32], 1000).is_some(), "the first is in use");
        }
        assert_eq!(spare.list().len(), SPARE_MAX);
        assert!(spare.used(&[1; 32], 1000).is_none() && spare.used(&[2; 32], 1000).is_some());
        let kept = spare.list()[0].id;
        assert!(kept < 0);
        spare.end_others(kept);
        assert!(spare.end(kept) && !spare.end(kept));
    }
}
