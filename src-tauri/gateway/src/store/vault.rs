//! The keys while the program runs: the file of keys and what it holds, changed one after the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::secrets::{Kept, Secrets, SecretsError, SecretsFile, new_gateway_key};
use crate::model::Secret;

/// A handle; clones share it.
#[derive(Clone)]
pub struct Vault {
    file: SecretsFile,
    secrets: Arc<Mutex<Secrets>>,
    /// Held while keys are changed: a keychain may wait for its user, and nobody who only reads waits with it.
    changing: Arc<Mutex<()>>,
}

impl Vault {
    /// What is in `file` now.
    pub fn new(file: SecretsFile, secrets: Secrets) -> Self {
        Self { file, secrets: Arc::new(Mutex::new(secrets)), changing: Arc::default() }
    }

    /// All keys.
    pub fn secrets(&self) -> Secrets {
        self.present().clone()
    }

    /// A random gateway key, which is not used yet.
    ///
    /// # Errors
    /// [`SecretsError`] if the system has no random numbers.
    pub fn random_key(&self) -> Result<Secret, SecretsError> {
        new_gateway_key().map_err(|error| self.file.io(std::io::Error::other(error)))
    }

    /// Changes keys and writes the file.
    ///
    /// # Errors
    /// [`SecretsError`]; nothing was changed then.
    pub async fn change(&self, change: impl FnOnce(&mut Secrets) + Send + 'static) -> Result<(), SecretsError> {
        let vault = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _changing = vault.changing.lock().unwrap_or_else(PoisonError::into_inner);
            let before = vault.secrets();
            let mut changed = before.clone();
            change(&mut changed);
            vault.file.write(&changed)?;
            vault.file.forget(&before, &changed);
            *vault.present() = changed;
            Ok(())
        });
        done.await.unwrap_or_else(|error| Err(self.file.io(std::io::Error::other(error))))
    }

    /// Whether the system has a keychain that keys could lie in.
    pub fn has_keychain(&self) -> bool {
        self.file.has_keychain()
    }

    /// Whether they lie there.
    pub fn is_in_keychain(&self) -> bool {
        self.present().keychain.is_some()
    }

    /// Moves the keys to the system's keychain, or back to the file. At every moment they are in one of the two.
    ///
    /// # Errors
    /// [`SecretsError`]; they are where they were then.
    pub async fn keep_in_keychain(&self, on: bool) -> Result<(), SecretsError> {
        let place = uuid::Uuid::new_v4().to_string();
        self.change(move |secrets| match (on, &secrets.keychain) {
            (true, None) => secrets.keychain = Some(Kept { place, names: Vec::new() }),
            (false, _) => secrets.keychain = None,
            (true, Some(_)) => {}
        })
        .await
    }

    fn present(&self) -> MutexGuard<'_, Secrets> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another gateway key.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub async fn set_gateway_key(&self, key: Secret) -> Result<(), SecretsError> {
        self.change(move |secrets| secrets.gateway_key = key).await
    }
}
