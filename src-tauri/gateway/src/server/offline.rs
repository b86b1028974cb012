//! A data folder that is worked on while no gateway runs: opened and closed as the gateway does, without listening.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{
    StartError,
    prepare::{check_mark, keys_of},
};
use crate::{
    config::Config,
    events::Events,
    import::{Import, ImportError, Report},
    library::{Library, RebuildError, Rebuilt, Thumbnails},
    settings::Settings,
    store::{self, Db, Files, Folder, Layout, SecretsFile, Vault, python::PythonFolder},
};

/// Why such work ended.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The folder cannot be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The database.
    #[error(transparent)]
    Db(#[from] store::DbError),
    /// There is no bucket.
    #[error(
        "no bucket is set\n  remedy: name it with PICGATE_R2_ACCOUNT_ID (or PICGATE_S3_ENDPOINT), PICGATE_R2_ACCESS_KEY_ID, \
         PICGATE_R2_SECRET_ACCESS_KEY and PICGATE_R2_BUCKET"
    )]
    NoBucket,
    /// Rebuilding.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// Importing.
    #[error(transparent)]
    Import(#[from] ImportError),
}

/// An opened folder.
pub struct Offline {
    config: Arc<Config>,
    db: Db,
    vault: Vault,
    library: Library,
    _folder: Folder,
}

impl Offline {
    /// Opens the data folder, making what is missing.
    ///
    /// # Errors
    /// [`OfflineError`].
    pub async fn open(config: &Config) -> Result<Self, OfflineError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let layout = Layout::new(&config.data_dir, config.database.clone(), config.images_dir.clone());
        let folder = Folder::open(layout).map_err(StartError::from)?;
        let secrets_file = SecretsFile::new(folder.layout.secrets());
        let secrets = secrets_file.read_or_create().map_err(StartError::from)?;
        let db = Db::open(&folder.layout.database, &folder.layout.backups())?;
        check_mark(&folder, &db).await?;
        let files = Files::open(folder.layout.files.clone()).map_err(StartError::Files)?;
        // Nobody makes thumbnails here; the next gateway finds those that are pending.
        let events = Events::default();
        let (thumbnails, _) = Thumbnails::new(files.clone(), events.clone());
        let library = Library::new(db.clone(), files, thumbnails, events);
        let offline = Self { config: Arc::new(config.clone()), db, vault: Vault::new(secrets_file, secrets), library, _folder: folder };
        offline.use_settings().await?;
        Ok(offline)
    }

    async fn use_settings(&self) -> Result<(), OfflineError> {
        let table = self.db.read(store::load_settings).await?;
        let settings = Settings::resolve(&self.config, &table, keys_of(&self.vault.secrets()));
        Ok(self.library.use_bucket(settings.bucket, settings.copies_first).await?)
    }

    /// Makes rows of what is in the bucket; see [`Library::rebuild`].
    ///
    /// # Errors
    /// [`OfflineError`].
    pub async fn rebuild(&self, stop: &CancellationToken, progress: &mut (dyn FnMut(&Rebuilt) + Send)) -> Result<Rebuilt, OfflineError> {
        let bucket = self.library.remote().bucket().ok_or(OfflineError::NoBucket)?;
        Ok(self.library.rebuild(&bucket, stop, progress).await?)
    }

    /// Takes over a folder of the Python program.
    ///
    /// # Errors
    /// [`OfflineError`].
    pub async fn import(
        &self,
        folder: PythonFolder,
        stop: &CancellationToken,
        progress: &mut (dyn FnMut(&Report) + Send),
    ) -> Result<Report, OfflineError> {
        let import = Import { library: self.library.clone(), vault: self.vault.clone(), folder };
        let report = import.take_settings().await?;
        self.use_settings().await?;
        Ok(import.take_images(report, stop, progress).await?)
    }

    /// Folds the database's log in and gives the folder free.
    pub async fn close(self) {
        self.db.close().await;
    }
}
