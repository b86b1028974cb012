//! Where the findings in the text of one choice of a stream go.

use super::{
    response::Part,
    scan::{BlobEvent, BlobStep, Reference, Scanner},
    sink::{Ending, Form, Sink, close},
};
use crate::model::MediaType;

/// Where the findings in one choice's text go.
pub struct ChoiceSink<'a> {
    /// Gives numbers to what is found.
    pub scanner: &'a mut Scanner,
    /// The image that is open.
    pub run: usize,
    /// The text and its images.
    pub parts: Vec<Part>,
    /// Text that is not a part yet.
    pub text: Vec<u8>,
    /// What happened to images.
    pub events: Vec<BlobEvent>,
}

impl ChoiceSink<'_> {
    /// Makes a part of the text so far.
    pub fn flush(&mut self) {
        if !self.text.is_empty() {
            self.parts.push(Part::Text(String::from_utf8_lossy(&std::mem::take(&mut self.text)).into_owned()));
        }
    }

    fn push(&mut self, what: BlobStep) {
        self.events.push(BlobEvent { index: self.run, what });
    }
}

impl Sink for ChoiceSink<'_> {
    fn text(&mut self, written: &[u8]) {
        self.text.extend_from_slice(written);
    }

    fn open(&mut self, form: Form, media: Option<MediaType>) {
        self.flush();
        self.run = self.scanner.take_number();
        self.parts.push(Part::Image(self.run));
        self.push(BlobStep::Open(Reference { form, media }));
    }

    fn bytes(&mut self, bytes: Vec<u8>) {
        self.push(BlobStep::Bytes(bytes));
    }

    fn close(&mut self, ending: Ending) {
        if let Ending::Open(mut decoder) = ending {
            // The choice has ended; nothing can follow.
            return close(&mut decoder, self);
        }
        self.push(BlobStep::Close(ending));
    }
}
