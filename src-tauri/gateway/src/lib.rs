//! PicGate: a gateway between chat clients (Open WebUI first) and AI image models. It stores the pictures that
//! upstreams answer with, hands out links to them, and turns those links back into image bytes when the conversation
//! goes on.
//!
//! Follow a request from [`http`] through [`relay`] to the upstream ([`upstream`]) and back; [`rewrite`] takes bodies
//! apart and puts them together, [`library`] keeps the pictures. ARCHITECTURE.md has the whole picture.

pub mod account;
pub mod activity;
pub mod archive;
pub mod cli;
pub mod cloud;
pub mod config;
pub mod doctor;
pub mod events;
pub mod http;
pub mod import;
pub mod jobs;
pub mod library;
pub mod listen;
pub mod logbook;
pub mod model;
pub mod providers;
pub mod relay;
pub mod rewrite;
pub mod server;
pub mod settings;
pub mod shell;
pub mod store;
pub mod upstream;
