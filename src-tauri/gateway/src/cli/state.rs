//! Commands for all that a gateway keeps: backup, restore, import.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{
    at_folder, complain, errors, passphrase, program, say,
    show::Show,
    told_to_stop,
    words::{chinese, pick, words},
};
use crate::{
    archive::{self, ArchiveError, Packed, Restored, Unpack},
    config::Config,
    import::{ImportError, Report},
    library::Rebuilt,
    model::size_in_words,
    server::{Offline, OfflineError},
    store::{Layout, python::PythonFolder},
};

/// Bytes that are read or written at once.
const BLOCK: usize = 256 * 1024;

#[derive(Args, Debug)]
pub struct BackupFlags {
    /// The file to write; - for the standard output
    file: PathBuf,
    /// Put keys and the admin's password along, sealed with a passphrase
    #[arg(long)]
    with_secrets: bool,
    /// File that holds the passphrase [default: PICGATE_PASSPHRASE, or it is asked for]
    #[arg(long, value_name = "PATH")]
    passphrase_file: Option<PathBuf>,
    /// Replace the file if there is one
    #[arg(long)]
    force: bool,
}

#[derive(Args, Debug)]
pub struct RestoreFlags {
    /// The backup; - for the standard input
    #[arg(required_unless_present = "from_bucket", conflicts_with = "from_bucket")]
    file: Option<PathBuf>,
    /// Make the index again from what lies in the bucket; needs no backup
    #[arg(long)]
    from_bucket: bool,
    /// Keep aside what the data folder holds, and put the backup in its place
    #[arg(long, conflicts_with = "from_bucket")]
    replace: bool,
    /// File that holds the passphrase [default: PICGATE_PASSPHRASE, or it is asked for]
    #[arg(long, value_name = "PATH")]
    passphrase_file: Option<PathBuf>,
    /// Leave the keys and the account in the backup where they are
    #[arg(long)]
    without_secrets: bool,
}

#[derive(Args, Debug)]
pub struct ImportFlags {
    /// The Python program's data folder (the one that holds db/ and images/)
    dir: PathBuf,
}

fn layout(config: &Config) -> Layout {
    Layout::new(&config.data_dir, config.database.clone(), config.images_dir.clone())
}

/// Ends work early when somebody tells the program to stop; a second time ends the program.
fn stoppable() -> CancellationToken {
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        told_to_stop().await;
        complain(&words("ending", &[]));
        told.cancel();
        told_to_stop().await;
        std::process::exit(130);
    });
    stop
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    complain(&error.to_string());
    ExitCode::FAILURE
}

async fn blocking<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(job).await.ok()
}

/// `picgate backup FILE`
pub async fn backup(config: Config, flags: BackupFlags) -> ExitCode {
    let stop = stoppable();
    let BackupFlags { file, with_secrets, passphrase_file, force } = flags;
    if config.gateway_key.is_some() || config.bucket_secret.is_some() {
        complain(&words("keys_by_environment", &[]));
    }
    let to_output = file == Path::new("-");
    let shown = file.clone();
    let packed = blocking(move || {
        let secret = if with_secrets { Some(passphrase::ask(passphrase_file.as_ref(), true)?) } else { None };
        let mut show = Show::new();
        let mut progress = |p: archive::Progress| {
            show.tell(|| progress_line(p));
        };
        let layout = layout(&config);
        let packed = if to_output {
            let mut out = BufWriter::with_capacity(BLOCK, io::stdout());
            archive::pack_into(&layout, &mut out, secret.as_ref(), &mut progress, &stop)
        } else {
            archive::pack_to(&layout, &file, force, secret.as_ref(), &mut progress, &stop)
        };
        show.end();
        packed.map_err(|error| errors::archive(&error))
    });
    match packed.await {
        Some(Ok(packed)) => {
            if !to_output {
                tell_packed(&packed, &shown);
            }
            ExitCode::SUCCESS
        }
        Some(Err(error)) => failed(&error),
        None => ExitCode::FAILURE,
    }
}

fn progress_line(p: archive::Progress) -> String {
    let (bytes, all) = (size_in_words(p.bytes), size_in_words(p.total_bytes));
    words("progress", &[("done", &p.done), ("total", &p.total), ("bytes", &bytes), ("total_bytes", &all)])
}

fn tell_packed(packed: &Packed, file: &Path) {
    let Packed { images, blobs, bytes, absent, with_secrets } = packed;
    say(&words("packed", &[("file", &file.display()), ("images", images), ("blobs", blobs), ("size", &size_in_words(*bytes))]));
    if *absent > 0 {
        complain(&words("packed_absent", &[("absent", absent)]));
    }
    if *with_secrets {
        say(&words("packed_secrets", &[]));
    } else {
        say(&words("packed_open", &[]));
    }
}

/// `picgate restore FILE`, `picgate restore --from-bucket`
pub async fn restore(config: Config, flags: RestoreFlags) -> ExitCode {
    let stop = stoppable();
    let RestoreFlags { file, replace, passphrase_file, without_secrets, .. } = flags;
    let Some(file) = file else { return from_bucket(&config, &stop).await };
    let folder = config.data_dir.clone();
    let again = format!("{}{}", program(), at_folder(&config));
    let restored = blocking(move || {
        let mut archive: Box<dyn Read> = if file == Path::new("-") {
            Box::new(BufReader::with_capacity(BLOCK, io::stdin()))
        } else {
            let opened =
                File::open(&file).map_err(|source| ArchiveError::Io { what: "the archive cannot be read:", path: file.clone(), source });
            Box::new(BufReader::with_capacity(BLOCK, opened.map_err(|error| errors::archive(&error))?))
        };
        let mut show = Show::new();
        let mut progress = |p: archive::Progress| {
            show.tell(|| progress_line(p));
        };
        let mut ask = || match without_secrets {
            true => Ok(None),
            false => passphrase::ask(passphrase_file.as_ref(), false)
                .map(Some)
                .map_err(|why| ArchiveError::Stream(io::Error::other(words("sealed", &[("why", &why)])))),
        };
        let how = Unpack { target: &layout(&config), replace, ask: &mut ask, progress: &mut progress, stop: &stop };
        let restored = archive::unpack(&mut archive, how);
        show.end();
        restored.map_err(|error| errors::archive(&error))
    });
    match restored.await {
        Some(Ok(restored)) => {
            tell_restored(&restored, &folder, &again);
            ExitCode::SUCCESS
        }
        Some(Err(error)) => failed(&error),
        None => ExitCode::FAILURE,
    }
}

fn tell_restored(restored: &Restored, folder: &Path, again: &str) {
    let Restored { images, blobs, bytes, absent, with_secrets, closed, dropped, notable, aside } = restored;
    say(&words("restored", &[("folder", &folder.display()), ("images", images), ("blobs", blobs), ("size", &size_in_words(*bytes))]));
    if *absent > 0 {
        complain(&words("restored_absent", &[("absent", absent)]));
    }
    for path in aside {
        say(&words("aside", &[("path", &path.display())]));
    }
    for (what, why) in dropped {
        complain(&words("left_out", &[("what", what), ("why", &why.told(chinese()))]));
    }
    if !notable.is_empty() {
        say(&words("notable", &[]));
        notable.iter().for_each(|(what, value)| say(&format!("  {what} = {value}")));
    }
    if *closed {
        say(&words("closed", &[]));
    }
    if *with_secrets {
        say(&words("start_same", &[("again", &again)]));
    } else {
        say(&words("start_new", &[("again", &again)]));
        say(&words("enter_keys", &[]));
    }
}

async fn from_bucket(config: &Config, stop: &CancellationToken) -> ExitCode {
    let offline = match Offline::open(config).await {
        Ok(offline) => offline,
        Err(error) => return failed(&errors::offline(&error)),
    };
    let mut show = Show::new();
    let mut progress = |found: &Rebuilt| show.tell(|| words("listing", &[("listed", &found.listed), ("made", &found.made)]));
    let rebuilt = offline.rebuild(stop, &mut progress).await;
    show.end();
    offline.close().await;
    match rebuilt {
        Ok(found) => {
            say(&words("rebuilt", &[("made", &found.made), ("listed", &found.listed), ("known", &found.known)]));
            if found.deleted + found.strange > 0 {
                say(&words("rebuilt_left", &[("deleted", &found.deleted), ("strange", &found.strange)]));
            }
            for (key, why) in &found.failures {
                complain(&format!("{key}: {why}"));
            }
            if stop.is_cancelled() {
                say(&words("early", &[]));
                return ExitCode::FAILURE;
            }
            if found.failed > 0 {
                complain(&words("rebuilt_failed", &[("failed", &found.failed)]));
                return ExitCode::FAILURE;
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            let code = failed(&errors::offline(&error));
            complain(&words("rebuilt_stays", &[]));
            code
        }
    }
}

/// `picgate import DIR`
pub async fn import(config: Config, flags: ImportFlags) -> ExitCode {
    let stop = stoppable();
    let elsewhere = config.python.as_ref().filter(|python| python.root == flags.dir).map(|python| python.images.clone());
    let Some(folder) = PythonFolder::find(&flags.dir, elsewhere.as_deref()) else {
        return failed(&errors::import(&ImportError::Nothing(flags.dir)));
    };
    let offline = match Offline::open(&config).await {
        Ok(offline) => offline,
        Err(error) => {
            if matches!(&error, OfflineError::Start(_)) {
                complain(&words("import_runs", &[]));
            }
            return failed(&errors::offline(&error));
        }
    };
    let mut show = Show::new();
    let mut progress = |report: &Report| {
        show.tell(|| words("importing", &[("images", &report.images), ("size", &size_in_words(report.bytes))]));
    };
    let report = offline.import(folder, &stop, &mut progress).await;
    show.end();
    offline.close().await;
    match report {
        Ok(report) => {
            tell_report(&report);
            if report.complete && report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            let code = failed(&errors::offline(&error));
            complain(&words("import_stays", &[]));
            code
        }
    }
}

fn tell_report(report: &Report) {
    let Report { images, bytes, in_bucket, corrected, known, failed, .. } = report;
    let size = size_in_words(*bytes);
    say(&words("imported", &[("images", images), ("size", &size), ("in_bucket", in_bucket), ("known", known)]));
    if *corrected > 0 {
        say(&words("imported_corrected", &[("corrected", corrected)]));
    }
    if !report.settings.is_empty() {
        say(&words("imported_settings", &[("list", &report.settings.join(pick("、", ", ")))]));
    }
    if let Some(name) = &report.account {
        say(&words("imported_account", &[("name", name)]));
    }
    for note in &report.notes {
        complain(&format!("{}: {}", note.what, note.why));
    }
    if *failed > 0 {
        complain(&words("imported_failed", &[("failed", failed), ("folder", &report.folder)]));
    }
    if !report.complete {
        say(&words("early", &[]));
    }
}
