//! A place for keys that the system guards, as the gateway sees it.

/// Keys by their names. Calls may block, and may ask the user to unlock the place. Failures are words for a person.
pub trait Keychain: Send + Sync {
    /// The key called `name`; `None` if there is none.
    ///
    /// # Errors
    /// Why the place cannot be read.
    fn get(&self, name: &str) -> Result<Option<String>, String>;

    /// Keeps `value` as `name`.
    ///
    /// # Errors
    /// Why it is not kept.
    fn set(&self, name: &str, value: &str) -> Result<(), String>;

    /// Forgets `name`; none of that name is as good.
    ///
    /// # Errors
    /// Why it is still there.
    fn delete(&self, name: &str) -> Result<(), String>;
}
