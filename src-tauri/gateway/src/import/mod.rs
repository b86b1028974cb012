//! Takes over what the Python program kept: settings and keys, the admin, images and the names of their objects. Its folder
//! is only read. What was taken over once is not taken over again, so running it twice changes nothing.

mod images;
mod settings;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    library::{Library, LibraryError},
    model::{Millis, is_bcrypt, now},
    store::{
        Admin, DbError, SecretsError, Vault, insert_admin, meta,
        python::{PythonDb, PythonFigures, PythonFolder},
        set_meta,
    },
};

/// The fact that remembers the last import.
const LAST: &str = "python_import";

/// The fact that remembers that settings were taken over.
const SETTINGS_DONE: &str = "python_settings";

/// Things that are told one by one.
const TOLD: usize = 100;

/// Why an import ended early. What was taken over until then stays.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is nothing of the Python program.
    #[error("there is no data of the Python PicGate in {}: db/picgate.db is looked for", .0.display())]
    Nothing(std::path::PathBuf),
    /// Its database, or ours.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The file of keys.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// Disk or database.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// A thread ended.
    #[error("the import broke off: {0}")]
    Broken(String),
}

/// Something that was not taken over, or not as it was, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// A setting's name or an image's.
    pub what: String,
    /// A stable word for why.
    pub code: String,
    /// Why.
    pub why: String,
}

/// What was taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Where from.
    pub folder: String,
    /// When it ended.
    pub at: Millis,
    /// Whether it got to its end.
    pub complete: bool,
    /// Names of the settings that were taken over.
    pub settings: Vec<String>,
    /// The admin's name, if the account was taken over.
    pub account: Option<String>,
    /// Images that are new here.
    pub images: u64,
    /// Bytes of those that are on disk.
    pub bytes: u64,
    /// Of the new ones, those that are in the bucket alone.
    pub in_bucket: u64,
    /// Of the new ones, those whose type was another one than noted.
    pub corrected: u64,
    /// Images that were here already, or deleted here since.
    pub known: u64,
    /// Images that could not be taken over.
    pub failed: u64,
    /// What was not taken over, and why; at most `TOLD` images.
    pub notes: Vec<Note>,
}

impl Report {
    fn note(&mut self, what: impl Into<String>, code: &'static str, why: impl Into<String>) {
        self.notes.push(Note { what: what.into(), code: code.into(), why: why.into() });
    }

    fn fail(&mut self, image: &str, code: &'static str, why: impl Into<String>) {
        self.failed += 1;
        if self.failed <= TOLD as u64 {
            self.note(image, code, why);
        }
    }
}

/// What is to be taken over, and whether that was done.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Where it is.
    pub folder: PythonFolder,
    /// How much.
    pub figures: PythonFigures,
    /// The last import from there, or a person's no to it.
    pub last: Option<Report>,
}

/// What an import works with.
#[derive(Clone)]
pub struct Import {
    /// Where images go.
    pub library: Library,
    /// Where keys go.
    pub vault: Vault,
    /// Where it comes from.
    pub folder: PythonFolder,
}

/// Looks at what there is in `folder`.
///
/// # Errors
/// [`ImportError`].
pub async fn offer(library: &Library, folder: &PythonFolder) -> Result<Offer, ImportError> {
    let figures = read(library, folder, PythonDb::figures).await?;
    let last = library.db().read(|c| meta(c, LAST)).await?.and_then(|text| serde_json::from_str::<Report>(&text).ok());
    let last = last.filter(|report| report.folder == folder.root.display().to_string());
    Ok(Offer { folder: folder.clone(), figures, last })
}

/// Notes that a person does not want it.
///
/// # Errors
/// [`ImportError`].
pub async fn decline(library: &Library, folder: &PythonFolder) -> Result<(), ImportError> {
    remember(library, &Report { folder: folder.root.display().to_string(), at: now(), complete: true, ..Report::default() }).await
}

async fn remember(library: &Library, report: &Report) -> Result<(), ImportError> {
    let text = serde_json::to_string(report).unwrap_or_default();
    Ok(library.db().write(move |t| set_meta(t, LAST, &text)).await?)
}

/// Asks the Python database, off the async threads.
async fn read<T: Send + 'static>(
    library: &Library,
    folder: &PythonFolder,
    job: impl FnOnce(&PythonDb) -> Result<T, DbError> + Send + 'static,
) -> Result<T, ImportError> {
    let (path, tmp) = (folder.database.clone(), library.files().tmp());
    let read = tokio::task::spawn_blocking(move || job(&PythonDb::open(&path, &tmp)?));
    Ok(read.await.map_err(|e| ImportError::Broken(e.to_string()))??)
}

impl Import {
    /// Takes over settings, keys and account. Whoever runs has to read settings again afterwards.
    ///
    /// # Errors
    /// [`ImportError`].
    pub async fn take_settings(&self) -> Result<Report, ImportError> {
        let mut report = Report { folder: self.folder.root.display().to_string(), ..Report::default() };
        let done = self.library.db().read(|c| meta(c, SETTINGS_DONE)).await?.is_some();
        if !done && let Some(found) = read(&self.library, &self.folder, PythonDb::settings).await? {
            self.take_all_settings(&found, &mut report).await?;
        }
        self.take_account(&mut report).await?;
        if !done {
            self.library.db().write(|t| set_meta(t, SETTINGS_DONE, &now().to_string())).await?;
        }
        Ok(report)
    }

    async fn take_account(&self, report: &mut Report) -> Result<(), ImportError> {
        let mut admins = read(&self.library, &self.folder, PythonDb::admins).await?.into_iter();
        let Some(first) = admins.next() else { return Ok(()) };
        for other in admins {
            report.note(format!("admin {}", other.username), "second_admin", "there is one admin here, and the first one was taken");
        }
        let name_fits = (1..=64).contains(&first.username.chars().count());
        if !name_fits || !is_bcrypt(&first.hash) {
            report.note(format!("admin {}", first.username), "bad_account", "its name or password cannot be used; set the account up anew");
            return Ok(());
        }
        let admin = Admin { username: first.username.clone(), password: first.hash };
        let made = self.library.db().write(move |t| insert_admin(t, &admin, now())).await?;
        if made {
            report.account = Some(first.username);
        } else if self.library.db().read(crate::store::admin).await?.is_some_and(|admin| admin.username != first.username) {
            report.note(format!("admin {}", first.username), "account_stays", "there is an account here already, which stays");
        }
        Ok(())
    }

    /// Takes over images, going on with `report`. Ends early with `stop`.
    ///
    /// # Errors
    /// [`ImportError`].
    pub async fn take_images(
        &self,
        mut report: Report,
        stop: &CancellationToken,
        progress: &mut (dyn FnMut(&Report) + Send),
    ) -> Result<Report, ImportError> {
        self.take_rows(&mut report, stop, progress).await?;
        report.at = now();
        report.complete = !stop.is_cancelled();
        remember(&self.library, &report).await?;
        tracing::info!(
            event = "imported",
            folder = report.folder,
            images = report.images,
            known = report.known,
            failed = report.failed,
            settings = report.settings.len(),
            complete = report.complete,
            "data of the Python program was taken over"
        );
        for note in &report.notes {
            tracing::warn!(event = "import_note", what = note.what, why = note.why, "this was not taken over as it was");
        }
        Ok(report)
    }
}
