//! What the documents say of the program is what the program does.

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
