//! Bodies on their way out: text and blobs in a row, read from disk and encoded as the other side takes them. The
//! length is known before the first byte, and no blob is ever whole in memory.

use std::{
    io::{self, Read, Seek},
    pin::Pin,
    task::{Context, Poll, ready},
};

use base64_simd::STANDARD;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use crate::{
    model::Measured,
    rewrite::expand::{Piece, total_len},
    store::{Blob, BlobReader},
};

/// Bytes read from disk at a time; a multiple of 3, so that blocks of base64 join without padding.
const READ_BLOCK: usize = 255 * 1024;

/// A body that can be sent, again and again if need be.
#[derive(Clone, Debug)]
pub struct Assembled {
    pieces: Vec<Piece<Blob>>,
    len: u64,
}

impl Assembled {
    /// The body that these pieces make.
    pub fn new(pieces: Vec<Piece<Blob>>) -> Self {
        let len = total_len(&pieces);
        Self { pieces, len }
    }

    /// A body of text alone.
    pub fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::new(vec![Piece::Text(text.into())])
    }

    /// Bytes of text alone.
    pub fn text_len(&self) -> usize {
        self.pieces.iter().map(|piece| if let Piece::Text(text) = piece { text.len() } else { 0 }).sum()
    }

    /// The bytes, if they are text alone.
    ///
    /// # Errors
    /// Itself, if there is a blob in it.
    pub fn into_text(mut self) -> Result<Vec<u8>, Self> {
        if self.pieces.iter().any(|piece| !matches!(piece, Piece::Text(_))) {
            return Err(self);
        }
        if let [Piece::Text(text)] = &mut self.pieces[..] {
            return Ok(std::mem::take(text));
        }
        Ok(self.pieces.into_iter().flat_map(|piece| if let Piece::Text(text) = piece { text } else { Vec::new() }).collect())
    }

    /// Bytes in all.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Starts reading the bytes `range` of one blob.
    pub fn slice(blob: Blob, range: std::ops::Range<u64>) -> ReadBody {
        let len = range.end - range.start;
        let mut body = ReadBody { pieces: Vec::new(), current: None, left: len };
        if len > 0 {
            body.start(Reader { start: range.start, left: len, ..Reader::new(blob, false) });
        }
        body
    }

    /// The bytes `range` of one blob if the system has them in memory and they are few; reading them then waits for no
    /// disk. `None` means: use [`Self::slice`].
    pub fn in_memory(blob: &Blob, range: &std::ops::Range<u64>) -> Option<Bytes> {
        let len = usize::try_from(range.end - range.start).ok().filter(|len| *len <= READ_BLOCK)?;
        blob.read_cached(range.start, len).map(Bytes::from)
    }

    /// Starts reading.
    pub fn body(&self) -> ReadBody {
        let mut pieces: Vec<_> = self.pieces.clone();
        pieces.reverse();
        ReadBody { pieces, current: None, left: self.len }
    }
}

#[derive(Debug)]
struct Reader {
    file: Option<BlobReader>,
    blob: Blob,
    base64: bool,
    /// Where in the file to begin.
    start: u64,
    left: u64,
    buffer: Vec<u8>,
}

impl Reader {
    fn new(blob: Blob, base64: bool) -> Self {
        let left = blob.len();
        Self { file: None, blob, base64, start: 0, left, buffer: Vec::new() }
    }

    /// The next block, at most [`READ_BLOCK`] bytes of the file. Blocks.
    fn next(&mut self) -> io::Result<Bytes> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut file = self.blob.open()?;
                if self.start > 0 {
                    file.seek(io::SeekFrom::Start(self.start))?;
                }
                none.insert(file)
            }
        };
        let size = self.left.min(READ_BLOCK as u64) as usize;
        self.buffer.resize(size, 0);
        file.read_exact(&mut self.buffer)?;
        self.left -= size as u64;
        if self.base64 {
            return Ok(STANDARD.encode_to_string(&self.buffer).into());
        }
        Ok(Bytes::from(std::mem::take(&mut self.buffer)))
    }
}

/// A body that is being read.
#[derive(Debug)]
pub struct ReadBody {
    /// In reverse.
    pieces: Vec<Piece<Blob>>,
    current: Option<JoinHandle<(Reader, io::Result<Bytes>)>>,
    left: u64,
}

impl ReadBody {
    fn start(&mut self, mut reader: Reader) {
        self.current = Some(tokio::task::spawn_blocking(move || {
            let block = reader.next();
            (reader, block)
        }));
    }
}

impl Body for ReadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let block = loop {
            if let Some(reading) = &mut self.current {
                let (reader, block) = ready!(Pin::new(reading).poll(cx)).map_err(io::Error::other)?;
                self.current = None;
                if block.is_ok() && reader.left > 0 {
                    // The next block is read while this one is sent.
                    self.start(reader);
                }
                break block?;
            }
            match self.pieces.pop() {
                None => return Poll::Ready(None),
                Some(Piece::Text(text)) if text.is_empty() => {}
                Some(Piece::Text(text)) => break Bytes::from(text),
                Some(Piece::Base64(blob) | Piece::Raw(blob)) if blob.is_empty() => {}
                Some(Piece::Base64(blob)) => self.start(Reader::new(blob, true)),
                Some(Piece::Raw(blob)) => self.start(Reader::new(blob, false)),
            }
        };
        self.left = self.left.saturating_sub(block.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(block))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_body_has_the_length_it_announces() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for size in [0usize, 1, 2, 3, READ_BLOCK - 1, READ_BLOCK, READ_BLOCK + 1, 3 * READ_BLOCK + 7] {
            let path = dir.path().join(size.to_string());
            let bytes: Vec<u8> = (0..size).map(|i| (i * 7 % 251) as u8).collect();
            std::fs::write(&path, &bytes).expect("writes");
            let blob = Blob::at(path, size as u64);
            let body =
                Assembled::new(vec![Piece::Text(b"a".to_vec()), Piece::Base64(blob.clone()), Piece::Text(b"b".to_vec()), Piece::Raw(blob)]);
            let sent = body.body().collect().await.expect("reads").to_bytes();
            assert_eq!(sent.len() as u64, body.len());
            let expected = [b"a", STANDARD.encode_to_string(&bytes).as_bytes(), b"b", &bytes].concat();
            assert!(sent == expected, "{size}");
        }
    }
}
