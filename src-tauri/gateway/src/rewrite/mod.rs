//! The mechanism: bodies in, skeletons and image bytes out, and back again. Pure: no IO, no clock, no randomness.
//!
//! A *skeleton* is a body without its base64: ordinary small JSON in which every image is replaced by a reference.
//! [`scan`] takes a body apart as it arrives, [`json`] looks at the skeleton without losing a byte of it, [`expand`]
//! writes it out again with each reference in the form that the other side wants.

pub mod base64;
pub mod choice;
pub mod completion;
pub mod edits;
pub mod expand;
pub mod finder;
pub mod image_stream;
pub mod json;
pub mod links;
pub mod present;
pub mod progress;
pub mod reference;
pub mod request;
pub mod response;
pub mod scan;
pub mod shape;
pub mod sink;
pub mod sse;
pub mod stream;

#[cfg(test)]
mod tests;
