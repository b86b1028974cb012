//! The picture in ARCHITECTURE.md stays true: who may use whom, and who alone may name which package.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Module and what it may use. The order is the order of the layers, lowest first.
const MAY_USE: [(&str, &[&str]); 23] = [
    ("model", &[]),
    ("events", &["model"]),
    ("rewrite", &["model"]),
    ("store", &["model"]),
    ("cloud", &["model"]),
    ("config", &["model", "store"]),
    ("shell", &["model"]),
    ("settings", &["config", "model"]),
    ("listen", &["settings"]),
    ("account", &["model", "store"]),
    ("archive", &["model", "store"]),
    ("activity", &["events", "model", "store"]),
    ("logbook", &["events", "model", "store"]),
    ("upstream", &["model", "store"]),
    ("providers", &["config", "model", "store", "upstream"]),
    ("library", &["cloud", "events", "model", "rewrite", "store"]),
    ("import", &["cloud", "library", "model", "store"]),
    ("jobs", &["events", "library", "model", "settings", "store"]),
    ("relay", &["activity", "events", "library", "model", "rewrite", "settings", "store", "upstream"]),
    ("doctor", &["cloud", "config", "listen", "model", "providers", "relay", "settings", "store", "upstream"]),
    (
        "http",
        &[
            "account",
            "cloud",
            "config",
            "doctor",
            "events",
            "import",
            "jobs",
            "library",
            "listen",
            "model",
            "providers",
            "relay",
            "settings",
            "shell",
            "store",
            "upstream",
        ],
    ),
    (
        "server",
        &[
            "account",
            "activity",
            "config",
            "events",
            "http",
            "import",
            "jobs",
            "library",
            "listen",
            "logbook",
            "model",
            "providers",
            "relay",
            "settings",
            "shell",
            "store",
            "upstream",
        ],
    ),
    (
        "cli",
        &[
            "account",
            "archive",
            "cloud",
            "config",
            "doctor",
            "import",
            "library",
            "logbook",
            "model",
            "providers",
            "server",
            "shell",
            "store",
        ],
    ),
];

/// The same for the desktop app (src-tauri/src/desktop). `mod` itself, which puts the parts together, may use all of them, and
/// all may name what it keeps (`super::Desktop`).
const DESKTOP_MAY_USE: [(&str, &[&str]); 22] = [
    ("words", &[]),
    ("guard", &[]),
    ("platform", &[]),
    ("keychain", &[]),
    ("outside", &[]),
    ("dialogs", &[]),
    ("watch", &[]),
    ("menu", &["words"]),
    ("tongue", &["words"]),
    ("trouble", &["words"]),
    ("clipboard", &["platform"]),
    ("autostart", &["platform"]),
    ("icons", &["menu", "platform"]),
    ("host", &["menu", "trouble"]),
    ("tray", &["icons", "menu", "platform"]),
    ("windows", &["guard", "outside", "words"]),
    ("shell", &["autostart", "keychain", "outside", "windows"]),
    ("notices", &["platform", "windows"]),
    ("quit", &["dialogs", "menu", "windows"]),
    ("updates", &["dialogs", "menu", "notices"]),
    ("begin", &["autostart", "dialogs", "notices", "quit", "shell", "trouble", "windows"]),
    ("mod", &[]),
];

/// Packages that only some modules of the desktop app may name.
const DESKTOP_ONLY_IN: [(&str, &[&str]); 7] = [
    ("arboard", &["clipboard", "platform"]),
    ("keyring", &["keychain"]),
    ("notify_rust", &["notices", "platform"]),
    ("tauri_plugin_dialog", &["dialogs", "mod"]),
    ("tauri_plugin_opener", &["outside"]),
    ("tauri_plugin_updater", &["updates"]),
    ("zbus", &["platform"]),
];

/// Packages that only some modules may name.
const ONLY_IN: [(&str, &[&str]); 18] = [
    ("fs4", &["store"]),
    ("if_addrs", &["listen"]),
    ("listeners", &["listen"]),
    ("socket2", &["listen"]),
    ("argon2", &["account", "archive"]),
    ("aws_sdk_s3", &["cloud"]),
    ("bcrypt", &["account"]),
    ("ring", &["archive", "store"]),
    ("rpassword", &["cli"]),
    ("tar", &["archive"]),
    ("utoipa", &["http"]),
    ("axum", &["http", "server"]),
    ("tower", &["http", "server"]),
    ("rusqlite", &["store"]),
    ("reqwest", &["upstream", "cli"]),
    ("image", &["library", "upstream"]),
    ("clap", &["cli"]),
    ("tiny_skia", &["upstream"]),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("lists").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

fn desktop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/desktop")
}

/// Every file with the module that it belongs to.
fn modules() -> Vec<(String, PathBuf)> {
    let found = modules_in(&source());
    assert!(found.len() > 40, "the test looks where the code is");
    found
}

fn desktop_modules() -> Vec<(String, PathBuf)> {
    let found = modules_in(&desktop());
    assert!(found.len() > 15, "the test looks where the code is");
    found
}

fn modules_in(root: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for path in files(root) {
        let inside = path.strip_prefix(root).expect("inside");
        let first = inside.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        let module = first.trim_end_matches(".rs").to_owned();
        if module != "lib" && module != "main" {
            found.push((module, path));
        }
    }
    found
}

fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

/// The modules that follow `crate::`, also in `use crate::{a, b::c}`; in the desktop app they follow `super::`.
fn used(text: &str, root: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    for rest in text.split(root).skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            found.insert(name(rest));
            continue;
        };
        let (mut depth, mut start) = (1, true);
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => start = true,
                c if depth == 1 && start && c.is_alphabetic() => {
                    found.insert(name(&list[at..]));
                    start = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found.remove("");
    found
}

/// Whether `path` stands in `line` as the beginning of a path.
fn starts_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
}

/// Whether the code names a package.
fn names(text: &str, package: &str) -> bool {
    let path_of = format!("{package}::");
    // A module of ours may have the same name: `mod image; pub use image::…`.
    let own = text.contains(&format!("mod {package};"));
    let code = without_tests(text).lines().filter(|l| !l.trim_start().starts_with("//"));
    !own && code.into_iter().any(|l| starts_a_path(l, &path_of))
}

#[test]
fn layers_use_only_what_is_below_them() {
    for (module, path) in modules() {
        let text = std::fs::read_to_string(&path).expect("reads");
        let (_, allowed) = MAY_USE.iter().find(|(name, _)| *name == module).unwrap_or_else(|| panic!("{module} has no layer yet"));
        for other in used(without_tests(&text), "crate::") {
            let known = MAY_USE.iter().any(|(name, _)| *name == other);
            assert!(!known || other == module || allowed.contains(&other.as_str()), "{} uses {other}", path.display());
        }
        for (package, homes) in ONLY_IN {
            assert!(!names(&text, package) || homes.contains(&module.as_str()), "{} names {package}", path.display());
        }
    }
}

#[test]
fn parts_of_the_desktop_app_use_only_what_is_below_them() {
    for (module, path) in desktop_modules() {
        let text = std::fs::read_to_string(&path).expect("reads");
        let (_, allowed) = DESKTOP_MAY_USE.iter().find(|(name, _)| *name == module).unwrap_or_else(|| panic!("{module} has no layer yet"));
        for other in used(without_tests(&text), "super::") {
            let known = DESKTOP_MAY_USE.iter().any(|(name, _)| *name == other);
            assert!(!known || other == module || allowed.contains(&other.as_str()), "{} uses {other}", path.display());
        }
        for (package, homes) in DESKTOP_ONLY_IN {
            assert!(!names(&text, package) || homes.contains(&module.as_str()), "{} names {package}", path.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (_, path) in modules().into_iter().chain(desktop_modules()) {
        let text = std::fs::read_to_string(&path).expect("reads");
        assert!(text.starts_with("//! "), "{} opens without its job", path.display());
        let lines = without_tests(&text).lines().count();
        assert!(lines <= 460, "{} has {lines} lines: two ideas in one?", path.display());
    }
}

/// What stands in the parentheses behind each `call`, up to the one that closes it.
fn arguments<'a>(text: &'a str, call: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(call).skip(1).map(|rest| {
        let mut depth = 1;
        let end = rest.char_indices().find_map(|(at, c)| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            (depth == 0).then_some(at)
        });
        &rest[..end.unwrap_or(rest.len())]
    })
}

#[test]
fn what_is_said_of_an_upstream_in_our_words_is_said_in_both_languages() {
    for (_, path) in modules() {
        let text = std::fs::read_to_string(&path).expect("reads");
        let english = arguments(without_tests(&text), "UpstreamError::new(").find(|given| given.replace("\"\"", "").contains('"'));
        assert_eq!(english, None, "{}: UpstreamError::ours takes both", path.display());
    }
}

#[test]
fn every_failure_of_the_admin_api_has_words_in_the_ui() {
    let ui = std::fs::read_to_string(source().join("../../../ui/src/lib/ui/explain.ts")).expect("reads");
    let (_, known) = ui.split_once("const KNOWN").expect("the words");
    let mut codes = BTreeSet::new();
    for path in files(&source().join("http/admin")) {
        let text = std::fs::read_to_string(&path).expect("reads");
        for call in
            ["AdminError::new(", "AdminError::concerns(", "AdminError::field(", "AdminError::invalid(", "Self::new(", "Self::field("]
        {
            let quoted = arguments(without_tests(&text), call).filter_map(|given| given.split('"').nth(1));
            codes.extend(quoted.filter(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')).map(str::to_owned));
        }
    }
    assert!(codes.len() > 25, "{codes:?}");
    let silent: Vec<_> =
        codes.iter().filter(|code| !known.contains(&format!("  {code}: ()")) && !known.contains(&format!("'{code}'"))).collect();
    assert!(silent.is_empty(), "no words for {silent:?}");
}

#[test]
fn architecture_md_names_every_module() {
    let text = std::fs::read_to_string(source().join("../../../ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    for (module, _) in MAY_USE.into_iter().chain(DESKTOP_MAY_USE) {
        assert!(
            module == "mod" || text.contains(&format!("`{module}`")) || text.contains(&format!("`{module}/`")),
            "ARCHITECTURE.md does not name {module}"
        );
    }
}
