//! The file of keys: readable by its owner alone, never in the database, written whole or not at all.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::folder::sync_folder;
use crate::model::Secret;

/// What the file holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Secrets {
    /// The key that clients authenticate with.
    pub gateway_key: Secret,
    /// API keys of upstreams, by their id in the database.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub upstream_keys: BTreeMap<i64, Secret>,
    /// The secret access key of the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r2_secret_access_key: Option<Secret>,
    /// Opens the set-up of the admin account, once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup_ticket: Option<Secret>,
    /// What a newer version put there is kept.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// It cannot be read or written.
    #[error("the file of keys {} cannot be used: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what we wrote.
    #[error("the file of keys {} is damaged ({source}); restore it, or move it away to have a new gateway key made", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        source: serde_json::Error,
    },
}

/// The file itself.
#[derive(Clone, Debug)]
pub struct SecretsFile(PathBuf);

impl SecretsFile {
    /// A file at `path`, which need not exist.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Reads the file; `None` if there is none.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub fn read(&self) -> Result<Option<Secrets>, SecretsError> {
        match fs::read(&self.0) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|source| SecretsError::Damaged { path: self.0.clone(), source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.io(source)),
        }
    }

    /// Reads the file, or makes one with a fresh gateway key.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub fn read_or_create(&self) -> Result<Secrets, SecretsError> {
        if let Some(secrets) = self.read()? {
            return Ok(secrets);
        }
        let gateway_key = new_gateway_key().map_err(|e| self.io(io::Error::other(e)))?;
        let secrets =
            Secrets { gateway_key, upstream_keys: BTreeMap::new(), r2_secret_access_key: None, setup_ticket: None, other: BTreeMap::new() };
        self.write(&secrets)?;
        Ok(secrets)
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// [`SecretsError::Io`]; the old file is then still there.
    pub fn write(&self, secrets: &Secrets) -> Result<(), SecretsError> {
        let text = serde_json::to_vec_pretty(secrets).map_err(|e| self.io(e.into()))?;
        write_private(&self.0, &text).map_err(|e| self.io(e))
    }

    pub(super) fn io(&self, source: io::Error) -> SecretsError {
        SecretsError::Io { path: self.0.clone(), source }
    }
}

fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("json.new");
    let _ = fs::remove_file(&temporary);
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// `pg-` and 192 random bits in hexadecimal.
pub(super) fn new_gateway_key() -> Result<Secret, getrandom::Error> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes)?;
    let digits: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    Ok(Secret::new(format!("pg-{digits}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = SecretsFile::new(dir.path().join("secrets.json"));
        let first = file.read_or_create().expect("makes");
        assert!(first.gateway_key.expose().starts_with("pg-") && first.gateway_key.expose().len() == 51);
        assert_eq!(file.read_or_create().expect("reads").gateway_key, first.gateway_key);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.path().join("secrets.json")).expect("stat").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn what_a_newer_version_wrote_survives() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("secrets.json");
        fs::write(&path, r#"{"gateway_key":"pg-x","new_thing":{"a":1}}"#).expect("writes");
        let file = SecretsFile::new(path.clone());
        let secrets = file.read().expect("reads").expect("exists");
        file.write(&secrets).expect("writes");
        assert!(fs::read_to_string(&path).expect("reads").contains("new_thing"));
        fs::write(&path, "{").expect("writes");
        assert!(matches!(file.read(), Err(SecretsError::Damaged { .. })));
    }
}
