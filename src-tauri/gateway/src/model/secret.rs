//! A string that must not be seen: prints as `***` and compares in constant time.

use std::fmt;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// A key or password in memory. `Debug` shows `***`; serialisation is meant for the secrets file alone.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends or stores it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Constant-time comparison. An empty secret matches nothing, not even an empty offer.
    pub fn matches(&self, offered: &[u8]) -> bool {
        !self.0.is_empty() && bool::from(self.0.as_bytes().ct_eq(offered))
    }

    /// First and last characters with the middle hidden, for people who must recognise a key.
    pub fn masked(&self) -> String {
        const SHOWN: usize = 4;
        if self.0.len() < 4 * SHOWN || !self.0.is_ascii() {
            return "***".into();
        }
        format!("{}…{}", &self.0[..SHOWN + 3], &self.0[self.0.len() - SHOWN..])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_secret_never_means_accept() {
        assert!(!Secret::new("").matches(b""));
        assert!(Secret::new("pg-1").matches(b"pg-1"));
        assert!(!Secret::new("pg-1").matches(b"pg-2"));
        assert_eq!(format!("{:?}", Secret::new("pg-1")), "***");
    }
}
