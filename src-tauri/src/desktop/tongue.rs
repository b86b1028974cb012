//! In which language the user reads the pages. They choose it there; the app speaks it too, and remembers it for the next start.

use std::{
    fs,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use super::words::Language;

/// The file that remembers it, in the app's folder of settings.
const FILE: &str = "language";

/// What is known of it.
pub struct Tongue {
    path: Option<PathBuf>,
    read: Mutex<Option<Language>>,
}

impl Tongue {
    /// What an earlier start remembered in `folder`.
    pub fn remembered(folder: Option<PathBuf>) -> Self {
        let path = folder.map(|folder| folder.join(FILE));
        let word = path.as_ref().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let read = [Language::Chinese, Language::English].into_iter().find(|language| language.word() == word.trim());
        Self { path, read: Mutex::new(read) }
    }

    /// The language of the pages; `None` until one has been read.
    pub fn get(&self) -> Option<Language> {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page was read in it, or nothing is known any more. Whether that is news.
    pub fn set(&self, language: Option<Language>) -> bool {
        if std::mem::replace(&mut *self.read.lock().unwrap_or_else(PoisonError::into_inner), language) == language {
            return false;
        }
        if let Some(path) = &self.path {
            let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
            if let Err(error) = folder.and_then(|()| fs::write(path, language.map_or("", Language::word))) {
                tracing::warn!(%error, "the language is not remembered");
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_outlives_the_program_until_it_is_forgotten() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let start = || Tongue::remembered(Some(dir.path().join("config")));
        assert_eq!(start().get(), None);
        assert!(start().set(Some(Language::English)));
        assert_eq!(start().get(), Some(Language::English));
        assert!(!start().set(Some(Language::English)), "nothing new");
        start().set(None);
        assert_eq!(start().get(), None);
    }
}
