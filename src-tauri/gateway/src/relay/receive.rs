//! Takes a whole body of JSON apart as it arrives, from a client or from an upstream.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, pin_mut};

use super::{Client, RelayError, once::Claim};
use crate::library::Taken;
use crate::{
    library::Intake,
    rewrite::{
        expand::{Piece, expand},
        json::{Document, JsonError},
        response::Known,
        scan::{Nonce, ScanError, ScanLimits, Scanner},
    },
    store::{Blob, Files},
};

/// Bytes of a body that are taken apart at a time, so that little of an image is in memory twice.
pub const STEP: usize = 64 * 1024;

/// A body taken apart.
#[derive(Debug)]
pub struct Scanned {
    /// The skeleton.
    pub document: Document,
    /// What its references begin with.
    pub nonce: Nonce,
    /// What its references stand for.
    pub intake: Intake,
}

/// Why a body could not be taken apart.
#[derive(Debug, thiserror::Error)]
pub enum ScanBodyError<E> {
    /// The body broke off.
    #[error("the body broke off")]
    Body(E),
    /// Beyond a limit of its own kind.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// Longer than allowed.
    #[error("the body is larger than {0} MB")]
    TooLong(u64),
    /// No JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The body is over in the middle of its JSON.
    #[error("the body ends in the middle of its JSON")]
    CutOff,
    /// The system has no random numbers.
    #[error("no random numbers are to be had")]
    Random,
}

impl<E> From<ScanBodyError<E>> for RelayError {
    /// For a body that a client sent.
    fn from(error: ScanBodyError<E>) -> Self {
        match error {
            ScanBodyError::Body(_) => Self::CutOff,
            ScanBodyError::Scan(error) => error.into(),
            ScanBodyError::TooLong(_) => Self::TooLarge(error.to_string()),
            ScanBodyError::Json(error) => error.into(),
            ScanBodyError::CutOff => Self::BadRequest { message: error.to_string(), param: None, code: "invalid_json" },
            ScanBodyError::Random => Self::Panicked,
        }
    }
}

/// A fresh nonce for one body.
pub fn nonce() -> Option<Nonce> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(Nonce(bytes))
}

/// A body that could not be taken apart, and what was received of it until then.
#[derive(Debug)]
pub struct Broken<E> {
    /// Why.
    pub error: ScanBodyError<E>,
    /// Its images so far.
    pub intake: Box<Intake>,
}

impl<E> From<Broken<E>> for RelayError {
    /// For a body that a client sent.
    fn from(broken: Broken<E>) -> Self {
        broken.error.into()
    }
}

/// Who sent a body: a client, whose mistakes are told, or an upstream, whose pictures are paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Everything must be right.
    Client,
    /// Whatever can be read is read.
    Upstream,
}

/// Reads `body` to its end, at most `longest` bytes; images go to files as they arrive.
///
/// # Errors
/// [`Broken`]: what has been received until then is still there.
pub async fn scan<E>(
    body: impl Stream<Item = Result<Bytes, E>>,
    files: &Files,
    longest: u64,
    sender: Sender,
) -> Result<Scanned, Broken<E>> {
    let mut intake = Intake::new(files.clone());
    match scan_into(body, &mut intake, longest, sender).await {
        Ok((document, nonce)) => Ok(Scanned { document, nonce, intake }),
        Err(error) => Err(Broken { error, intake: Box::new(intake) }),
    }
}

async fn scan_into<E>(
    body: impl Stream<Item = Result<Bytes, E>>,
    intake: &mut Intake,
    longest: u64,
    sender: Sender,
) -> Result<(Document, Nonce), ScanBodyError<E>> {
    pin_mut!(body);
    let limits = ScanLimits::default();
    let nonce = nonce().ok_or(ScanBodyError::Random)?;
    let mut scanner = Scanner::new(nonce, limits);
    let (mut events, mut seen) = (Vec::new(), 0u64);
    while let Some(chunk) = body.next().await {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            // The JSON was whole; a wrong length behind it is no reason to lose what it holds.
            Err(_) if sender == Sender::Upstream && seen > 0 && !scanner.is_inside() => break,
            Err(error) => return Err(ScanBodyError::Body(error)),
        };
        seen += chunk.len() as u64;
        if seen > longest {
            return Err(ScanBodyError::TooLong(longest / 1024 / 1024));
        }
        for step in chunk.chunks(STEP) {
            let result = scanner.feed(step, &mut events);
            for event in events.drain(..) {
                intake.take(event).await;
            }
            result?;
        }
    }
    if scanner.is_inside() {
        // Whatever is still open was cut off; `Broken` tells so.
        return Err(ScanBodyError::CutOff);
    }
    let skeleton = scanner.finish(&mut events);
    for event in events.drain(..) {
        intake.take(event).await;
    }
    let document = match sender {
        Sender::Client => Document::parse(skeleton, limits.depth)?,
        Sender::Upstream => Document::parse_lenient(skeleton, limits.depth)?,
    };
    Ok((document, nonce))
}

impl Scanned {
    /// Refuses a request of which a part was not received: it must not go out without it.
    pub fn check_received(&self) -> Result<(), RelayError> {
        self.intake.lost().map_or(Ok(()), |error| Err(error.into()))
    }

    /// What makes the request the same as another one, told from `text`, which is its skeleton or what was made of it.
    /// `None` if it holds what has no digest.
    pub fn claim(&self, endpoint: &str, client: &Client, text: &[u8]) -> Option<Claim> {
        let mut has_digests = true;
        let pieces = expand::<Blob>(text, self.nonce, |index| match self.intake.image(index) {
            Some(received) => vec![Piece::Text(received.sha256.to_string().into_bytes())],
            None => {
                has_digests = false;
                Vec::new()
            }
        });
        let parts = pieces.iter().map(|piece| if let Piece::Text(text) = piece { &text[..] } else { &[] });
        let claim = Claim::new(endpoint, client, parts);
        has_digests.then_some(claim)
    }

    /// `text` without what is not text: for people and for the database.
    pub fn readable(&self, text: &str) -> String {
        let pieces = expand::<Blob>(text.as_bytes(), self.nonce, |_| Vec::new());
        let text = pieces.into_iter().map(|p| if let Piece::Text(text) = p { text } else { Vec::new() }).collect::<Vec<_>>().concat();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// What the references are, for shaping.
    pub fn known(&self) -> Known<'_> {
        Known { nonce: self.nonce, references: self.intake.references() }
    }

    /// Writes `text` out: verbatim runs as they were written, images as data URLs. `others` stands for references that
    /// are not of this body, and in the place of those that are.
    pub fn assemble(&self, text: &[u8], others: &HashMap<usize, (Blob, &'static str)>) -> Vec<Piece<Blob>> {
        expand(text, self.nonce, |index| match self.intake.get(index) {
            _ if others.contains_key(&index) => others.get(&index).map(|(blob, mime)| data_url(blob.clone(), mime)).unwrap_or_default(),
            Some(Taken::Image(received)) => data_url(received.blob.clone(), received.media_type.mime()),
            Some(Taken::Verbatim(verbatim) | Taken::Refused(verbatim)) => vec![Piece::Raw(verbatim.0.clone())],
            Some(Taken::Torn(_) | Taken::Lost(_)) | None => Vec::new(),
        })
    }
}

/// `data:{mime};base64,…`
pub fn data_url(blob: Blob, mime: &str) -> Vec<Piece<Blob>> {
    vec![Piece::Text(format!("data:{mime};base64,").into_bytes()), Piece::Base64(blob)]
}
