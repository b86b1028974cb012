//! What a finder tells apart, and who hears of it.

use super::base64::Decoder;
use crate::model::MediaType;

/// How an image was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `data:image/png;base64,…`
    DataUrl,
    /// Nothing but base64 in a field that is known to hold it.
    Bare,
    /// No image: a long run of base64 as it was written, to be replayed.
    Verbatim,
    /// A data URL that calls itself an image and is none of a kind that is kept, as it was written.
    Refused,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum Ending {
    /// At a character that is no base64, or at padding.
    Whole,
    /// With a lone letter that encodes nothing: bytes are missing.
    Torn,
    /// At the end of the string; more of it may follow in the next event of a stream.
    Open(Box<Decoder>),
}

/// Receives what the finder tells apart, in order.
pub trait Sink {
    /// Text as it was written.
    fn text(&mut self, written: &[u8]);
    /// A run begins; `media` is `None` for [`Form::Verbatim`] and [`Form::Refused`].
    fn open(&mut self, form: Form, media: Option<MediaType>);
    /// Decoded bytes of the open image, or the written text of the open verbatim run.
    fn bytes(&mut self, bytes: Vec<u8>);
    /// The open run is over.
    fn close(&mut self, ending: Ending);
}

/// Ends an image's base64: the bytes of an unpadded last group, and whether one is torn.
pub fn close(decoder: &mut Decoder, sink: &mut impl Sink) {
    let mut rest = Vec::new();
    let whole = decoder.finish(&mut rest);
    if !rest.is_empty() {
        sink.bytes(rest);
    }
    sink.close(if whole { Ending::Whole } else { Ending::Torn });
}
