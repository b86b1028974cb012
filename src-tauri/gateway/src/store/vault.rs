//! The keys while the program runs: the file of keys and what it holds, changed one after the other.

use std::sync::{Arc, Mutex, PoisonError};

use super::secrets::{Secrets, SecretsError, SecretsFile, new_gateway_key};
use crate::model::Secret;

/// A handle; clones share it.
#[derive(Clone)]
pub struct Vault {
    file: SecretsFile,
    secrets: Arc<Mutex<Secrets>>,
}

impl Vault {
    /// What is in `file` now.
    pub fn new(file: SecretsFile, secrets: Secrets) -> Self {
        Self { file, secrets: Arc::new(Mutex::new(secrets)) }
    }

    /// All keys.
    pub fn secrets(&self) -> Secrets {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
            let mut present = vault.secrets.lock().unwrap_or_else(PoisonError::into_inner);
            let mut changed = present.clone();
            change(&mut changed);
            vault.file.write(&changed)?;
            *present = changed;
            Ok(())
        });
        done.await.unwrap_or_else(|error| Err(self.file.io(std::io::Error::other(error))))
    }

    /// Another gateway key.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub async fn set_gateway_key(&self, key: Secret) -> Result<(), SecretsError> {
        self.change(move |secrets| secrets.gateway_key = key).await
    }
}
