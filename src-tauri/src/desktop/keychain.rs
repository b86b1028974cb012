//! Keys in the system's keychain: Secret Service on Linux, Keychain on macOS, Credential Manager on Windows.

use keyring::{Entry, Error};
use picgate_gateway::shell::Keychain;

/// What the entries are filed under.
const SERVICE: &str = "io.picgate.desktop";

/// The system's keychain.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemKeychain;

impl SystemKeychain {
    /// It, if this computer has one that answers.
    pub fn find() -> Option<Self> {
        match Entry::store_status() {
            Ok(()) => Some(Self),
            Err(error) => {
                tracing::debug!(%error, "there is no keychain");
                None
            }
        }
    }
}

fn entry(name: &str) -> Result<Entry, String> {
    Entry::new(SERVICE, name).map_err(|error| error.to_string())
}

impl Keychain for SystemKeychain {
    fn get(&self, name: &str) -> Result<Option<String>, String> {
        match entry(name)?.get_password() {
            Ok(value) => Ok(Some(value)),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn set(&self, name: &str, value: &str) -> Result<(), String> {
        entry(name)?.set_password(value).map_err(|error| error.to_string())
    }

    fn delete(&self, name: &str) -> Result<(), String> {
        match entry(name)?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}
