//! Builds the admin UI with npm where that is needed, and writes down its files for `http/ui.rs`, compressed once.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use flate2::{Compression, write::GzEncoder};

/// What the UI is made of, below `ui/`.
const SOURCES: [&str; 9] = [
    "src",
    "build",
    "messages",
    "public",
    "index.html",
    "package.json",
    "package-lock.json",
    "vite.config.ts",
    "project.inlang/settings.json",
];

/// What is made below the sources: one function for each text.
const MADE: &str = "src/lib/paraglide";

fn main() {
    // Asked now and not when this was compiled: a copied target folder must not bring the pages of where it came from.
    let manifest = env::var("CARGO_MANIFEST_DIR").expect("cargo names the package's folder");
    let ui = Path::new(&manifest).join("../../ui");
    println!("cargo::rerun-if-env-changed=PICGATE_UI");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", ui.join(source).display());
    }
    println!("cargo::rerun-if-changed={}", ui.join("dist").display());
    let dist = ui.join("dist");
    let skip = env::var("PICGATE_UI").is_ok_and(|value| value == "skip");
    if !skip && ui.join("package.json").exists() && is_stale(&ui, &dist) {
        build(&ui);
        // What was just made is no change to be built for: it is as old as what it was made of. Or the next build would be
        // a second one of everything.
        if let Some(changed) = SOURCES.iter().filter_map(|source| newest(&ui.join(source))).max() {
            date_back(&dist, changed);
            date_back(&ui.join(MADE), changed);
            set_time(&ui.join(MADE).join(".."), changed);
        }
    }
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo names a folder"));
    fs::write(out.join("ui.rs"), listed(&dist, &out)).expect("the list of the UI's files is written");
}

/// The time of the newest change below `path`, but for what is made there.
fn newest(path: &Path) -> Option<SystemTime> {
    if path.ends_with(MADE) {
        return None;
    }
    let metadata = fs::metadata(path).ok()?;
    if metadata.is_file() {
        return metadata.modified().ok();
    }
    fs::read_dir(path).ok()?.flatten().filter_map(|entry| newest(&entry.path())).max()
}

/// Gives `path` a time of change, where the system lets it.
fn set_time(path: &Path, time: SystemTime) {
    let _ = fs::File::open(path).and_then(|file| file.set_modified(time));
}

/// The same, with everything below it.
fn date_back(path: &Path, time: SystemTime) {
    if let Ok(entries) = fs::read_dir(path) {
        entries.flatten().for_each(|entry| date_back(&entry.path(), time));
    }
    set_time(path, time);
}

fn is_stale(ui: &Path, dist: &Path) -> bool {
    let built = fs::metadata(dist.join("index.html")).and_then(|m| m.modified()).ok();
    let changed = SOURCES.iter().filter_map(|source| newest(&ui.join(source))).max();
    built.is_none_or(|built| changed.is_some_and(|changed| changed > built))
}

fn build(ui: &Path) {
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let run = |args: &[&str]| {
        let status = Command::new(npm).args(args).current_dir(ui).status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => panic!("npm {} ended with {status}; set PICGATE_UI=skip to build without the admin UI", args.join(" ")),
            Err(error) => {
                panic!("npm cannot be run ({error}): install Node.js 20 or newer, or set PICGATE_UI=skip to build without the admin UI")
            }
        }
    };
    let lock = newest(&ui.join("package-lock.json"));
    let installed = newest(&ui.join("node_modules/.package-lock.json"));
    if installed.is_none() || lock > installed {
        run(&["ci", "--no-audit", "--no-fund"]);
    }
    run(&["run", "build"]);
}

fn files(folder: &Path, root: &Path, found: &mut Vec<(String, PathBuf)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, root, found);
        } else if let Ok(name) = path.strip_prefix(root) {
            found.push((name.to_string_lossy().replace('\\', "/"), path.clone()));
        }
    }
}

/// Rust source: one entry for each file.
fn listed(dist: &Path, out: &Path) -> String {
    let mut found = Vec::new();
    files(dist, dist, &mut found);
    found.sort();
    let mut source = String::from("/// Name, length, and the bytes compressed with gzip.\npub const FILES: &[(&str, usize, &[u8])] = &[\n");
    for (at, (name, path)) in found.iter().enumerate() {
        let bytes = fs::read(path).expect("a file of the UI is read");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&bytes).expect("compresses");
        let compressed = out.join(format!("ui-{at}.gz"));
        fs::write(&compressed, encoder.finish().expect("compresses")).expect("a compressed file is written");
        source.push_str(&format!("    ({name:?}, {}, include_bytes!({:?})),\n", bytes.len(), compressed.display().to_string()));
    }
    source.push_str("];\n");
    source
}
