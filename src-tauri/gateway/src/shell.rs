//! What a native shell (the desktop app) gives to the gateway, and what it hears from it. Knows no toolkit. A headless
//! gateway has no shell, and whatever needs one says so.

use std::{net::SocketAddr, path::Path, str::FromStr, sync::Arc};

use crate::model::ImageId;

pub use crate::model::Keychain;

/// Longest rest of an address behind a page's own, in bytes.
const REST_MAX: usize = 512;

/// What the gateway asks of the shell. Calls come from threads of the gateway and must not wait for it; failures are words
/// for a person.
pub trait Shell: Send + Sync {
    /// Whether the app starts at login, as the system has it.
    ///
    /// # Errors
    /// Why that is not known.
    fn autostart(&self) -> Result<bool, String>;

    /// Makes the app start at login, or not.
    ///
    /// # Errors
    /// Why nothing was changed.
    fn set_autostart(&self, on: bool) -> Result<(), String>;

    /// Shows a folder in the system's file manager.
    ///
    /// # Errors
    /// Why it is not shown.
    fn open_folder(&self, path: &Path) -> Result<(), String>;

    /// Opens the page's window, or brings it to the front. `rest` is what follows the page's own address ([`is_rest`]); the
    /// window goes there, and stays where it is without one.
    fn open_page(&self, page: Page, rest: Option<&str>);

    /// Opens an address (http or https) in the system's browser.
    ///
    /// # Errors
    /// Why it is not opened.
    fn open_external(&self, url: &str) -> Result<(), String>;

    /// The system's keychain, where there is one.
    fn keychain(&self) -> Option<Arc<dyn Keychain>>;
}

/// A page that has a window of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Page {
    /// Figures, what runs, how to connect.
    Dashboard,
    /// Settings.
    Settings,
    /// Copies on disk and in the bucket.
    Cache,
    /// Images.
    Gallery,
    /// What was logged.
    Logs,
    /// What this program is.
    About,
}

impl Page {
    /// All of them, as menus list them.
    pub const ALL: [Self; 6] = [Self::Dashboard, Self::Settings, Self::Cache, Self::Gallery, Self::Logs, Self::About];

    /// The stable word, as in `--open gallery`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dashboard => "dashboard",
            Self::Settings => "settings",
            Self::Cache => "cache",
            Self::Gallery => "gallery",
            Self::Logs => "logs",
            Self::About => "about",
        }
    }

    /// Its address on the gateway: `/admin/gallery`.
    pub fn path(self) -> String {
        format!("/admin/{}", self.word())
    }
}

/// There is no page of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no page of this name; there are dashboard, settings, cache, gallery, logs and about")]
pub struct NoSuchPage;

impl FromStr for Page {
    type Err = NoSuchPage;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|page| page.word() == word).ok_or(NoSuchPage)
    }
}

/// Whether `rest` can follow a page's address: `/ID`, `?sort=size` or both, and nothing that leads elsewhere.
pub fn is_rest(rest: &str) -> bool {
    let begins = rest.is_empty() || rest.starts_with(['/', '?']);
    let plain = rest.bytes().all(|b| b.is_ascii_graphic() && b != b'\\' && b != b'#');
    begins && plain && rest.len() <= REST_MAX && !rest.starts_with("//") && !rest.contains("/..")
}

/// What a shell hears of. A listener that was too slow hears [`News::Missed`] and looks at everything anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// So many requests are being answered now.
    Running(usize),
    /// Pictures were drawn and saved.
    Finished {
        /// The first of them.
        image: ImageId,
        /// How many there are.
        count: usize,
        /// The user's words, shortened.
        prompt: Option<String>,
        /// The link to the first.
        link: String,
    },
    /// A drawing failed.
    Failed {
        /// The stable word for why.
        code: &'static str,
        /// What the client was told, shortened.
        message: Option<String>,
        /// The user's words, shortened.
        prompt: Option<String>,
    },
    /// The gateway was paused, or goes on.
    Paused(bool),
    /// The bucket cannot be used, and why.
    BucketAway(String),
    /// The bucket works again.
    BucketBack,
    /// The disk is nearly full: bytes that are left.
    DiskLow(u64),
    /// There is room again.
    DiskBack,
    /// Settings were changed, perhaps the language.
    Settings,
    /// Where the gateway listens now.
    Listening(Vec<SocketAddr>),
    /// Something was missed.
    Missed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_known_by_their_words() {
        for page in Page::ALL {
            assert_eq!(page.word().parse(), Ok(page));
        }
        assert_eq!("setup".parse::<Page>(), Err(NoSuchPage));
    }

    #[test]
    fn the_rest_of_an_address_leads_nowhere_else() {
        for good in ["", "/3f0c", "?sort=size&q=%E7%8C%AB", "/3f0c?x=1"] {
            assert!(is_rest(good), "{good}");
        }
        for bad in ["3f0c", "//evil", "/a\\b", "/a b", "/../api", "@evil", ".evil", "#x", "/猫", "/\n"] {
            assert!(!is_rest(bad), "{bad}");
        }
    }
}
