//! The present time, in the one form that is stored.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Millis;

/// Now, in milliseconds since 1970-01-01 UTC; 0 if the clock stands before that.
pub fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as Millis)
}
