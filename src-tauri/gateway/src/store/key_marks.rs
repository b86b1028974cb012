//! Marks tell one gateway key from another and give neither away: a page that was shown a key compares them, and forgets the key
//! once it was replaced elsewhere.

use ring::hmac;

use crate::model::Secret;

/// Bytes of a mark; far more than a few keys need in order to differ.
const LENGTH: usize = 16;

/// See the module. Drawn anew at each start, so that a mark says nothing of a short key that somebody chose.
#[derive(Clone, Debug)]
pub struct KeyMarks(Option<hmac::Key>);

impl KeyMarks {
    /// With 256 random bits; if the system has none, all keys have the same mark.
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        Self(getrandom::fill(&mut bytes).is_ok().then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The mark of this key, hexadecimal.
    pub fn of(&self, key: &Secret) -> String {
        let Some(own) = &self.0 else { return String::new() };
        hmac::sign(own, key.expose().as_bytes()).as_ref().iter().take(LENGTH).map(|b| format!("{b:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_have_equal_marks_and_another_start_has_others() {
        let (marks, (one, two)) = (KeyMarks::random(), (Secret::new("pg-one"), Secret::new("pg-two")));
        assert_eq!(marks.of(&one), marks.clone().of(&one));
        assert_ne!(marks.of(&one), marks.of(&two));
        assert_ne!(marks.of(&one), KeyMarks::random().of(&one));
        assert_eq!(marks.of(&one).len(), 2 * LENGTH);
    }
}
