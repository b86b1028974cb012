//! References: what stands in a skeleton for an image, and what is heard of the image meanwhile.

use super::{
    base64::Decoder,
    sink::{Ending, Form},
};
use crate::model::MediaType;

/// Bounds of one body.
#[derive(Clone, Copy, Debug)]
pub struct ScanLimits {
    /// Most bytes of skeleton: what must be kept in memory to think about.
    pub skeleton: usize,
    /// Deepest nesting of arrays and objects.
    pub depth: usize,
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self { skeleton: 8 * 1024 * 1024, depth: 128 }
    }
}

/// Why a body cannot be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// More text than [`ScanLimits::skeleton`].
    #[error("the body holds more than {0} bytes of text beside its images")]
    TooLarge(usize),
    /// Deeper than [`ScanLimits::depth`].
    #[error("the body is nested deeper than {0} levels")]
    TooDeep(usize),
}

/// Names a reference inside one body: the text that stands for an image in the skeleton.
///
/// The nonce is random for each body, so that no client or upstream can write a reference itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub [u8; 16]);

impl Nonce {
    /// The text for reference number `index`.
    pub fn reference(&self, index: usize) -> String {
        let mut text = self.prefix();
        text.push_str(&format!("{index}}}}}"));
        text
    }

    /// What every reference of this body begins with; a decimal number and `}}` follow.
    pub fn prefix(&self) -> String {
        format!("{{{{pg:{:032x}:", u128::from_be_bytes(self.0))
    }
}

/// What a reference stands for, as far as the body tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// How it was written.
    pub form: Form,
    /// The type told from its first bytes; `None` for [`Form::Verbatim`] and [`Form::Refused`].
    pub media: Option<MediaType>,
}

/// What happens to one reference, in order: `Open`, `Bytes`…, `Close`.
#[derive(Clone, Debug)]
pub struct BlobEvent {
    /// Number of the reference.
    pub index: usize,
    /// What happens.
    pub what: BlobStep,
}

/// See [`BlobEvent`].
#[derive(Clone, Debug)]
pub enum BlobStep {
    /// A run begins.
    Open(Reference),
    /// Decoded bytes of an image, or the written text of a verbatim run.
    Bytes(Vec<u8>),
    /// The run is over.
    Close(Ending),
}

/// What an ending that is [`Ending::Open`] turns into when nothing can follow: the last bytes and the verdict.
pub fn close_open(index: usize, decoder: &mut Decoder, events: &mut Vec<BlobEvent>) {
    let mut rest = Vec::new();
    let whole = decoder.finish(&mut rest);
    if !rest.is_empty() {
        events.push(BlobEvent { index, what: BlobStep::Bytes(rest) });
    }
    let ending = if whole { Ending::Whole } else { Ending::Torn };
    events.push(BlobEvent { index, what: BlobStep::Close(ending) });
}
