//! A sentence in both languages of ours, for where it is made before anybody knows in which one it is told.

use std::fmt;

/// See the module. Shown without a choice it is English, as in the log and in messages for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying {
    chinese: String,
    english: String,
}

impl Saying {
    /// The same in both languages.
    pub fn new(chinese: impl Into<String>, english: impl Into<String>) -> Self {
        Self { chinese: chinese.into(), english: english.into() }
    }

    /// In one of them.
    pub fn told(&self, chinese: bool) -> &str {
        if chinese { &self.chinese } else { &self.english }
    }
}

impl fmt::Display for Saying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.english)
    }
}

impl From<Saying> for String {
    fn from(saying: Saying) -> Self {
        saying.english
    }
}
