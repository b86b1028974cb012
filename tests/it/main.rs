//! The gateway as clients and people see it: over HTTP and on the command line, with a fake network around it.

// A test that cannot go on has failed; `unwrap` says so.
#![allow(clippy::unwrap_used, reason = "tests stop at the first surprise")]

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod admin_api;
mod admin_security;
mod archive;
mod backup;
mod bridging;
mod browser;
mod bucket_change;
mod bucket_faults;
mod chat;
mod classes;
mod cloud;
mod command_line;
mod crash;
mod damage;
mod desktop;
mod diet;
mod doctor;
mod documents;
mod errors;
mod full_disk;
mod images_api;
mod import;
mod inventory;
mod keeping;
mod large_library;
mod logs;
mod media;
mod memory;
mod migrations;
mod moto;
mod once;
mod open_webui;
mod reach;
mod rebuild;
mod replicas;
mod restored;
mod sdk;
mod shapes;
mod ssrf;
mod tasks;
mod tidy;
mod twins;
mod upstream_keys;
mod waiting;
mod wishes;
