//! The image id: a random UUID, and the only thing that links, paths and object keys are made from.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// Names one image for ever. 122 random bits, so that nobody can guess a link.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageId(Uuid);

impl ImageId {
    /// Length of the text form: 8-4-4-4-12 hexadecimal digits.
    pub const TEXT_LEN: usize = 36;

    /// A fresh id (UUID version 4).
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The 16 bytes that the database stores.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The inverse of [`Self::as_bytes`]; `None` unless there are 16 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ImageId {
    type Err = ();

    /// Accepts the hyphenated form only, in either case: other spellings of a UUID are not links of ours.
    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() != Self::TEXT_LEN {
            return Err(());
        }
        Uuid::try_parse(text).map(Self).map_err(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        let id = ImageId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
        assert!(id.to_string().replace('-', "").parse::<ImageId>().is_err());
        assert!("../../etc/passwd-0000-0000-0000-0000".parse::<ImageId>().is_err());
    }
}
