//! Attacks on the image fetcher, over its public interface and loopback only.

mod corpus;
mod limits;
mod process;
mod redirects;
mod rules;
mod support;
mod trusted;
