//! What time does, and what it must not do. The clock is one for the whole process, so these tests are a program of their
//! own and those that move it take turns.

// A test that cannot go on has failed; `unwrap` says so.
#![allow(clippy::unwrap_used, reason = "tests stop at the first surprise")]

#[path = "../support/mod.rs"]
mod support;

mod lifetimes;
mod sweep;
