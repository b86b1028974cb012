//! Counts images that are deleted for ever without the password. A few are everyday work; a borrowed session must not empty
//! the library, neither at once nor in small portions.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Images that all sessions together may delete for ever within [`WINDOW`] before the password is asked for.
pub const UNASKED_MAX: usize = 100;

/// How long a deletion counts.
const WINDOW: Duration = Duration::from_secs(3600);

/// See the module. Each entry counts at least one image, so there are never more than [`UNASKED_MAX`].
#[derive(Debug, Default)]
pub struct Losses(Mutex<Vec<(Instant, usize)>>);

impl Losses {
    /// Whether `count` more may go without being asked; they count from now on if so.
    pub fn take(&self, count: usize) -> bool {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|(at, _)| at.elapsed() < WINDOW);
        let before: usize = taken.iter().map(|(_, count)| count).sum();
        let fits = before.saturating_add(count) <= UNASKED_MAX;
        if fits && count > 0 {
            taken.push((Instant::now(), count));
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_small_portions_are_one_large_one() {
        let losses = Losses::default();
        assert!(!losses.take(UNASKED_MAX + 1), "what is refused does not count");
        assert!(losses.take(UNASKED_MAX - 1) && losses.take(0) && losses.take(1));
        assert!(!losses.take(1));
    }
}
