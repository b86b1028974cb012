//! Which part of OpenAI's API an upstream has.

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `chat/completions` alone.
    Chat,
    /// `images/*` alone.
    Images,
}

impl Dialect {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Images => "images",
        }
    }

    /// The inverse of [`Self::word`].
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Chat, Self::Images].into_iter().find(|dialect| dialect.word() == word)
    }
}
