//! What is to be said of an answer once it is over.

use super::ChatStream;

impl ChatStream {
    /// Whether the answer has said anything.
    pub fn says(&self) -> bool {
        self.says
    }

    /// What the upstream sent instead of an answer, or behind a part of it: JSON with an `error`.
    pub fn refusal(&self) -> Option<&[u8]> {
        self.refusal.as_deref()
    }

    /// Why choices ended, in the upstream's words.
    pub fn reasons(&self) -> Vec<&str> {
        self.reasons.iter().map(String::as_str).collect()
    }
}
