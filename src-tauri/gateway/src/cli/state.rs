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
    at_folder, complain, passphrase, program, say,
    show::{Show, size},
    told_to_stop,
};
use crate::{
    archive::{self, ArchiveError, Packed, Restored, Unpack},
    config::Config,
    import::Report,
    library::Rebuilt,
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
        complain("ending; once more ends at once");
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
        complain("keys that the environment gives are not in the backup, with secrets or without");
    }
    let to_output = file == Path::new("-");
    let shown = file.clone();
    let packed = blocking(move || {
        let secret = if with_secrets { Some(passphrase::ask(passphrase_file.as_ref(), true)?) } else { None };
        let mut show = Show::new();
        let mut progress = |p: archive::Progress| {
            show.tell(|| format!("{} of {} pictures, {} of {}", p.done, p.total, size(p.bytes), size(p.total_bytes)));
        };
        let layout = layout(&config);
        let packed = if to_output {
            let mut out = BufWriter::with_capacity(BLOCK, io::stdout());
            archive::pack_into(&layout, &mut out, secret.as_ref(), &mut progress, &stop)
        } else {
            archive::pack_to(&layout, &file, force, secret.as_ref(), &mut progress, &stop)
        };
        show.end();
        packed.map_err(|error| error.to_string())
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

fn tell_packed(packed: &Packed, file: &Path) {
    let Packed { images, blobs, bytes, absent, with_secrets } = packed;
    say(&format!("{}: {images} images, {blobs} pictures on disk with {}.", file.display(), size(*bytes)));
    if *absent > 0 {
        complain(&format!(
            "{absent} pictures that should be on disk are missing or damaged there and not in the backup; the log of the gateway has more"
        ));
    }
    if *with_secrets {
        say("Keys and the admin's password are in it, sealed. Pictures and prompts are not: keep the file where only you can read it.");
    } else {
        say("Keys and the admin's account are not in it (--with-secrets puts them along). Pictures and prompts are: keep it to yourself.");
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
            Box::new(BufReader::with_capacity(BLOCK, opened.map_err(|error| error.to_string())?))
        };
        let mut show = Show::new();
        let mut progress = |p: archive::Progress| {
            show.tell(|| format!("{} of {} pictures, {} of {}", p.done, p.total, size(p.bytes), size(p.total_bytes)));
        };
        let mut ask = || match without_secrets {
            true => Ok(None),
            false => passphrase::ask(passphrase_file.as_ref(), false).map(Some).map_err(|why| {
                ArchiveError::Stream(io::Error::other(format!("its secrets are sealed; {why}, or do without them: --without-secrets")))
            }),
        };
        let how = Unpack { target: &layout(&config), replace, ask: &mut ask, progress: &mut progress, stop: &stop };
        let restored = archive::unpack(&mut archive, how);
        show.end();
        restored.map_err(|error| error.to_string())
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
    say(&format!("{}: {images} images, {blobs} pictures with {}. Every digest is right.", folder.display(), size(*bytes)));
    if *absent > 0 {
        complain(&format!("{absent} pictures were missing or damaged when the backup was made; those in the bucket come back from there"));
    }
    for path in aside {
        say(&format!("What was there before is in {}.", path.display()));
    }
    for (what, why) in dropped {
        complain(&format!("left out: {what}: {why}"));
    }
    if !notable.is_empty() {
        say("These came with it and decide who is reached, where pictures go and what is removed; see that they are yours:");
        notable.iter().for_each(|(what, value)| say(&format!("  {what} = {value}")));
    }
    if *closed {
        say("Only this computer reaches it now: open it to others again under /admin, which asks for the password.");
    }
    if *with_secrets {
        say(&format!("Keys and the admin's account are as they were. Start it: {again}"));
    } else {
        say(&format!("It holds no keys: the next start makes a new gateway key and a ticket for /admin. Start it: {again}"));
        say("Then enter the keys of upstreams and bucket again under /admin, and the new gateway key in your clients.");
    }
}

async fn from_bucket(config: &Config, stop: &CancellationToken) -> ExitCode {
    let offline = match Offline::open(config).await {
        Ok(offline) => offline,
        Err(error) => return failed(&error),
    };
    let mut show = Show::new();
    let mut progress = |found: &Rebuilt| show.tell(|| format!("{} objects listed, {} images made", found.listed, found.made));
    let rebuilt = offline.rebuild(stop, &mut progress).await;
    show.end();
    offline.close().await;
    match rebuilt {
        Ok(found) => {
            say(&format!("{} images made from {} objects; {} were known already.", found.made, found.listed, found.known));
            if found.deleted + found.strange > 0 {
                say(&format!("Left alone: {} deleted images, {} objects that are none of PicGate's.", found.deleted, found.strange));
            }
            for (key, why) in &found.failures {
                complain(&format!("{key}: {why}"));
            }
            if stop.is_cancelled() {
                say("Ended early; run it again to go on.");
                return ExitCode::FAILURE;
            }
            if found.failed > 0 {
                complain(&format!("{} objects could not be read; run it again to try them once more", found.failed));
                return ExitCode::FAILURE;
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain("what was made stays; run it again to go on");
            failed(&error)
        }
    }
}

/// `picgate import DIR`
pub async fn import(config: Config, flags: ImportFlags) -> ExitCode {
    let stop = stoppable();
    let elsewhere = config.python.as_ref().filter(|python| python.root == flags.dir).map(|python| python.images.clone());
    let Some(folder) = PythonFolder::find(&flags.dir, elsewhere.as_deref()) else {
        return failed(&crate::import::ImportError::Nothing(flags.dir));
    };
    let offline = match Offline::open(&config).await {
        Ok(offline) => offline,
        Err(error) => {
            if matches!(&error, OfflineError::Start(_)) {
                complain("a gateway that runs takes it over from /admin, if it is in its own data folder");
            }
            return failed(&error);
        }
    };
    let mut show = Show::new();
    let mut progress = |report: &Report| {
        show.tell(|| format!("{} images taken over, {}", report.images, size(report.bytes)));
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
            complain("what was taken over stays; run it again to go on");
            failed(&error)
        }
    }
}

fn tell_report(report: &Report) {
    let Report { images, bytes, in_bucket, corrected, known, failed, .. } = report;
    say(&format!("{images} images taken over ({}), {in_bucket} of them in the bucket alone; {known} were known already.", size(*bytes)));
    if *corrected > 0 {
        say(&format!("{corrected} were of another type than noted; the bytes decide."));
    }
    if !report.settings.is_empty() {
        say(&format!("Settings: {}.", report.settings.join(", ")));
    }
    if let Some(name) = &report.account {
        say(&format!("The account {name} keeps its password."));
    }
    for note in &report.notes {
        complain(&format!("{}: {}", note.what, note.why));
    }
    if *failed > 0 {
        complain(&format!("{failed} images could not be taken over; {} is unchanged, so nothing is lost", report.folder));
    }
    if !report.complete {
        say("Ended early; run it again to go on.");
    }
}
