//! What the documents say of the program is what the program does.

#[cfg(unix)]
use std::process::Command;
use std::{cell::RefCell, collections::BTreeSet, path::Path};

use picgate_gateway::config::{
    Config, Flags,
    variables::{Tongue, VARIABLES, table},
};

/// Set to write the tables anew instead of comparing them: `make docs`.
const WRITE: &str = "PICGATE_WRITE_DOCS";

#[test]
fn every_variable_that_is_read_is_documented_and_no_other() {
    let asked = RefCell::new(BTreeSet::new());
    let flags = Flags { data_dir: Some("/nowhere".into()), ..Flags::default() };
    Config::load(&flags, &|name| {
        asked.borrow_mut().insert(name.to_owned());
        None
    })
    .expect("loads");
    // A flag stands before the variable, which is then not read; and what the image says of itself is nobody's to set.
    let mut read: BTreeSet<String> =
        asked.into_inner().into_iter().filter(|name| !name.ends_with("_FILE") && name != "container").collect();
    read.insert("PICGATE_DATA_DIR".into());
    let documented: BTreeSet<String> = VARIABLES.iter().map(|variable| variable.name.to_owned()).collect();
    assert_eq!(documented.len(), VARIABLES.len(), "one is listed twice");
    assert_eq!(documented, read);
}

#[test]
fn the_tables_of_variables_are_made_from_the_code() {
    for (name, tongue) in [("README.md", Tongue::English), ("README.zh-CN.md", Tongue::Chinese)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
        let text = std::fs::read_to_string(&path).expect("the README is read");
        let (begin, end) = ("<!-- variables: made by `make docs` -->\n\n", "\n<!-- variables end -->");
        let (before, rest) = text.split_once(begin).unwrap_or_else(|| panic!("{name} has no mark '{begin}'"));
        let (shown, after) = rest.split_once(end).unwrap_or_else(|| panic!("{name} has no mark '{end}'"));
        let made = table(tongue);
        if shown == made {
            continue;
        }
        if std::env::var_os(WRITE).is_some() {
            std::fs::write(&path, format!("{before}{begin}{made}{end}{after}")).expect("the README is written");
        } else {
            panic!("the table of variables in {name} is not what the code says; 'make docs' writes it anew");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_release_has_a_name_that_every_package_can_have() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.ci/release-notes");
    for (version, is_good) in [
        ("1.2.3", true),
        ("1.2.3-1", true),
        ("1.2.3-65535", true),
        ("1.2.3-65536", false),
        ("1.2.3-100000", false),
        ("1.2.3-01", false),
        ("1.2.3-rc.1", false),
        ("1.2.3+1", false),
        ("1.2", false),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("writes");
        std::fs::create_dir(dir.path().join(".ci")).expect("a folder");
        std::fs::copy(&script, dir.path().join(".ci/release-notes")).expect("copies");
        write("Cargo.toml", &format!("version = \"{version}\"\n"));
        write("CHANGELOG.md", &format!("## {version}\n\nNews.\n"));
        let run = Command::new("sh").arg(dir.path().join(".ci/release-notes")).arg(format!("v{version}")).output().expect("runs");
        assert_eq!(run.status.success(), is_good, "{version}: {}", String::from_utf8_lossy(&run.stderr));
    }
}
