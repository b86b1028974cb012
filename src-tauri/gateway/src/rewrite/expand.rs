//! Writes a skeleton out again: text with each reference in the form that the other side wants. The result is a list
//! of pieces whose total length is known before the first byte is sent.

use std::ops::Range;

use super::scan::Nonce;
use crate::model::Measured;

/// One stretch of an outgoing body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<B> {
    /// Bytes as they are.
    Text(Vec<u8>),
    /// A blob, base64-encoded with padding.
    Base64(B),
    /// A blob as it is.
    Raw(B),
}

/// Bytes that `pieces` come to.
pub fn total_len<B: Measured>(pieces: &[Piece<B>]) -> u64 {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.len() as u64,
            Piece::Base64(blob) => blob.len().div_ceil(3) * 4,
            Piece::Raw(blob) => blob.len(),
        })
        .sum()
}

/// The references in `text`, with their numbers, in order.
pub fn references(text: &[u8], nonce: Nonce) -> Vec<(Range<usize>, usize)> {
    let prefix = nonce.prefix();
    let mut found = Vec::new();
    for start in memchr::memmem::find_iter(text, prefix.as_bytes()) {
        let digits = &text[start + prefix.len()..];
        let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
        let number = std::str::from_utf8(&digits[..count]).ok().and_then(|d| d.parse().ok());
        if let (Some(number), true) = (number, digits[count..].starts_with(b"}}")) {
            found.push((start..start + prefix.len() + count + 2, number));
        }
    }
    found
}

/// Splits `text` at its references and asks `form` for what stands there instead.
pub fn expand<B>(text: &[u8], nonce: Nonce, mut form: impl FnMut(usize) -> Vec<Piece<B>>) -> Vec<Piece<B>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    for (span, number) in references(text, nonce) {
        push_text(&mut pieces, &text[at..span.start]);
        for piece in form(number) {
            match piece {
                Piece::Text(text) => push_text(&mut pieces, &text),
                other => pieces.push(other),
            }
        }
        at = span.end;
    }
    push_text(&mut pieces, &text[at..]);
    pieces
}

fn push_text<B>(pieces: &mut Vec<Piece<B>>, text: &[u8]) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Text(last)) => last.extend_from_slice(text),
        _ => pieces.push(Piece::Text(text.to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Measured for u64 {
        fn len(&self) -> u64 {
            *self
        }
    }

    #[test]
    fn references_become_what_is_asked_for_and_foreign_ones_stay() {
        let (ours, other) = (Nonce([7; 16]), Nonce([8; 16]));
        let text = format!("a{}b{}c{}", ours.reference(12), other.reference(0), ours.reference(3));
        let pieces = expand(text.as_bytes(), ours, |n| if n == 3 { vec![Piece::Base64(4u64)] } else { vec![Piece::Text(b"X".to_vec())] });
        assert_eq!(pieces, [Piece::Text(format!("aXb{}c", other.reference(0)).into_bytes()), Piece::Base64(4)]);
        assert_eq!(total_len(&pieces), 4 + other.reference(0).len() as u64 + 8);
    }
}
