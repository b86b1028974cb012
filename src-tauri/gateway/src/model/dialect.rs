//! Which part of OpenAI's API an upstream has.

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `chat/completions` alone.
    Chat,
    /// `images/*` alone.
    Images,
}
