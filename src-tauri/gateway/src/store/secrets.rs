//! The file of keys: readable by its owner alone, never in the database, written whole or not at all. On a desktop the keys
//! themselves may lie in the system's keychain; the file then says so and holds the rest.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::folder::sync_folder;
use crate::model::{Keychain, Secret};

/// Members of the file whose values go to the keychain.
const KEYS: [&str; 3] = ["gateway_key", "upstream_keys", "r2_secret_access_key"];

/// What the file holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Secrets {
    /// The key that clients authenticate with.
    pub gateway_key: Secret,
    /// API keys of upstreams, by their id in the database.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub upstream_keys: BTreeMap<i64, Secret>,
    /// The server (scheme, host and port) that each of them was entered for: a key goes nowhere else, whatever its row says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub upstream_origins: BTreeMap<i64, String>,
    /// The secret access key of the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r2_secret_access_key: Option<Secret>,
    /// Opens the set-up of the admin account, once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup_ticket: Option<Secret>,
    /// Where the keys lie, if not in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keychain: Option<Kept>,
    /// What a newer version put there is kept.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// Keys that lie in the system's keychain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What the names of this folder's keys begin with, so that two folders do not share them.
    pub place: String,
    /// Their names behind it.
    #[serde(default)]
    pub names: Vec<String>,
}

/// Scheme, host and port.
fn origin(base_url: &str) -> Option<String> {
    Url::parse(base_url).ok().map(|url| url.origin().ascii_serialization())
}

impl Secrets {
    /// The key of upstream `id`, if it was entered for the server at `base_url`. One of before servers were noted counts for
    /// any; a start notes them.
    pub fn upstream_key(&self, id: i64, base_url: &str) -> Option<&Secret> {
        let noted = self.upstream_origins.get(&id);
        self.upstream_keys.get(&id).filter(|_| noted.is_none_or(|noted| origin(base_url).as_ref() == Some(noted)))
    }

    /// The server that the key of upstream `id` was entered for, if it is not the one at `base_url`.
    pub fn held_back(&self, id: i64, base_url: &str) -> Option<&str> {
        let noted = self.upstream_origins.get(&id).filter(|_| self.upstream_keys.contains_key(&id))?;
        (origin(base_url).as_ref() != Some(noted)).then_some(noted.as_str())
    }

    /// Keeps the key of upstream `id` for the server at `base_url`; an empty one forgets it.
    pub fn set_upstream_key(&mut self, id: i64, base_url: &str, key: Secret) {
        self.forget_upstream(id);
        if !key.expose().is_empty() {
            self.upstream_keys.insert(id, key);
            self.upstream_origins.insert(id, origin(base_url).unwrap_or_default());
        }
    }

    /// Forgets the key of upstream `id`.
    pub fn forget_upstream(&mut self, id: i64) {
        self.upstream_keys.remove(&id);
        self.upstream_origins.remove(&id);
    }

    /// Every key by the name that it has in a keychain.
    fn entries(&self) -> BTreeMap<String, &Secret> {
        let upstreams = self.upstream_keys.iter().map(|(id, key)| (format!("upstream_keys.{id}"), key));
        let bucket = self.r2_secret_access_key.iter().map(|key| ("r2_secret_access_key".to_owned(), key));
        std::iter::once(("gateway_key".to_owned(), &self.gateway_key)).chain(upstreams).chain(bucket).collect()
    }
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
    /// The keys are where this program cannot read them.
    #[error(
        "the keys of this data folder are in the system's keychain, which only the desktop app reads\n  remedy: start the desktop app, or switch 'keep keys in the system keychain' off in its settings first"
    )]
    InKeychain,
    /// The keychain does not give or take a key.
    #[error(
        "the system's keychain cannot be used: {problem}\n  remedy: unlock the keychain and start again; nothing was changed in the data folder"
    )]
    Keychain {
        /// What it says.
        problem: String,
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
#[derive(Clone)]
pub struct SecretsFile {
    path: PathBuf,
    keychain: Option<Arc<dyn Keychain>>,
}

impl SecretsFile {
    /// A file at `path`, which need not exist.
    pub fn new(path: PathBuf) -> Self {
        Self { path, keychain: None }
    }

    /// The same with a keychain that keys may lie in.
    pub fn with_keychain(self, keychain: Option<Arc<dyn Keychain>>) -> Self {
        Self { keychain, ..self }
    }

    /// Whether it is there.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Whether there is a keychain that keys could lie in.
    pub fn has_keychain(&self) -> bool {
        self.keychain.is_some()
    }

    /// Reads the file; `None` if there is none.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub fn read(&self) -> Result<Option<Secrets>, SecretsError> {
        match fs::read(&self.path) {
            Ok(text) => {
                let damaged = |source| SecretsError::Damaged { path: self.path.clone(), source };
                let mut stored: Value = serde_json::from_slice(&text).map_err(damaged)?;
                if let Some(kept) = stored.get("keychain").filter(|kept| !kept.is_null()) {
                    let kept: Kept = serde_json::from_value(kept.clone()).map_err(damaged)?;
                    self.fetch(&kept, &mut stored)?;
                }
                serde_json::from_value(stored).map(Some).map_err(damaged)
            }
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
        let secrets = Secrets {
            gateway_key,
            upstream_keys: BTreeMap::new(),
            upstream_origins: BTreeMap::new(),
            r2_secret_access_key: None,
            setup_ticket: None,
            keychain: None,
            other: BTreeMap::new(),
        };
        self.write(&secrets)?;
        Ok(secrets)
    }

    /// Replaces the file; the keys go first to the keychain, if they lie there.
    ///
    /// # Errors
    /// [`SecretsError`]; the old file is then still there, and what it needs.
    pub fn write(&self, secrets: &Secrets) -> Result<(), SecretsError> {
        let mut stored = serde_json::to_value(secrets).map_err(|e| self.io(e.into()))?;
        if let Some(kept) = &secrets.keychain {
            let names = self.keep(kept, secrets)?;
            for key in KEYS {
                stored.as_object_mut().map(|stored| stored.remove(key));
            }
            stored["keychain"]["names"] = names.into();
        }
        let text = serde_json::to_vec_pretty(&stored).map_err(|e| self.io(e.into()))?;
        write_private(&self.path, &text).map_err(|e| self.io(e))
    }

    /// Leaves a ticket for the next start, wherever the keys lie; they are not looked at.
    ///
    /// # Errors
    /// [`SecretsError`]; nothing was changed then.
    pub fn leave_ticket(&self) -> Result<Secret, SecretsError> {
        if !self.exists() {
            self.read_or_create()?;
        }
        let ticket = new_gateway_key().map_err(|e| self.io(io::Error::other(e)))?;
        let text = fs::read(&self.path).map_err(|e| self.io(e))?;
        let damaged = |source| SecretsError::Damaged { path: self.path.clone(), source };
        let mut stored: BTreeMap<String, Value> = serde_json::from_slice(&text).map_err(damaged)?;
        stored.insert("setup_ticket".into(), ticket.expose().into());
        let text = serde_json::to_vec_pretty(&stored).map_err(|e| self.io(e.into()))?;
        write_private(&self.path, &text).map_err(|e| self.io(e))?;
        Ok(ticket)
    }

    /// Forgets keys in the keychain that `before` kept there and `after` does not.
    pub(super) fn forget(&self, before: &Secrets, after: &Secrets) {
        let (Some(kept), Some(keychain)) = (&before.keychain, &self.keychain) else { return };
        let same_place = after.keychain.as_ref().is_some_and(|after| after.place == kept.place);
        let still = if same_place { after.entries() } else { BTreeMap::new() };
        for name in before.entries().into_keys().filter(|name| !still.contains_key(name)) {
            if let Err(problem) = keychain.delete(&format!("{}/{name}", kept.place)) {
                tracing::warn!(name, problem, "a key that is no longer used stays in the system's keychain");
            }
        }
    }

    /// Puts the keys where `kept` says and reads them back; their names.
    fn keep(&self, kept: &Kept, secrets: &Secrets) -> Result<Vec<String>, SecretsError> {
        let keychain = self.keychain.as_ref().ok_or(SecretsError::InKeychain)?;
        let failed = |problem| SecretsError::Keychain { problem };
        let mut names = Vec::new();
        for (name, key) in secrets.entries() {
            let full = format!("{}/{name}", kept.place);
            let is_there = |found: Option<String>| found.as_deref() == Some(key.expose());
            if !is_there(keychain.get(&full).map_err(failed)?) {
                keychain.set(&full, key.expose()).map_err(failed)?;
                // A key that only seems to be kept would be lost with the file's.
                if !is_there(keychain.get(&full).map_err(failed)?) {
                    return Err(failed(format!("it does not give {name} back as it was")));
                }
            }
            names.push(name);
        }
        Ok(names)
    }

    /// Puts the keys that lie where `kept` says into what was read.
    fn fetch(&self, kept: &Kept, stored: &mut Value) -> Result<(), SecretsError> {
        let keychain = self.keychain.as_ref().ok_or(SecretsError::InKeychain)?;
        for name in &kept.names {
            let found = keychain.get(&format!("{}/{name}", kept.place)).map_err(|problem| SecretsError::Keychain { problem })?;
            let missing = || SecretsError::Keychain { problem: format!("it has no {name} of this data folder any more") };
            let key = Value::String(found.ok_or_else(missing)?);
            match name.split_once('.') {
                Some((member, id)) => stored[member][id] = key,
                None => stored[name.as_str()] = key,
            }
        }
        Ok(())
    }

    pub(super) fn io(&self, source: io::Error) -> SecretsError {
        SecretsError::Io { path: self.path.clone(), source }
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
