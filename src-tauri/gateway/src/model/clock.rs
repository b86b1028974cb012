//! The present time, in the one form that is stored.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use super::Millis;

/// What tests add to the system's clock, to make it jump.
static SHIFT: AtomicI64 = AtomicI64::new(0);

/// Now, in milliseconds since 1970-01-01 UTC; 0 if the clock stands before that.
pub fn now() -> Millis {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as Millis);
    (now + SHIFT.load(Ordering::Relaxed)).max(0)
}

/// Makes the clock of this process jump to `millis` from the system's. For tests alone.
#[doc(hidden)]
pub fn shift_clock(millis: Millis) {
    SHIFT.store(millis, Ordering::Relaxed);
}
