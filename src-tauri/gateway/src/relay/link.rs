//! What links to our images look like for one client.

use crate::model::ImageId;

/// What a link begins with, without a slash at the end: `http://localhost:5643`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkBase(String);

impl LinkBase {
    /// `base` without a slash at its end.
    pub fn new(base: impl Into<String>) -> Self {
        let mut base = base.into();
        base.truncate(base.trim_end_matches('/').len());
        Self(base)
    }

    /// What it begins with.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The link to an image.
    pub fn link(&self, id: ImageId) -> String {
        format!("{}/images/{id}", self.0)
    }
}
