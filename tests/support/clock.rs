//! The clock, which is one for the whole process: whoever moves it holds it, and it is right again afterwards.

use std::sync::{Mutex, MutexGuard, PoisonError};

use picgate_gateway::model::shift_clock;

static HELD: Mutex<()> = Mutex::new(());

/// The clock, for as long as this lives. Tests that move it run one after the other.
pub struct Clock {
    _held: MutexGuard<'static, ()>,
}

impl Clock {
    /// Waits for whoever has it.
    pub fn hold() -> Self {
        // A test that failed with the clock in its hands has put it right all the same.
        Self { _held: HELD.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Jumps to `millis` from the system's clock.
    pub fn shift(&self, millis: i64) {
        shift_clock(millis);
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        shift_clock(0);
    }
}
