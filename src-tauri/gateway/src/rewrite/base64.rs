//! Decodes base64 as it arrives, in whatever state relays leave it: standard or url-safe alphabet, with or without
//! padding, with white space inside. Knows nothing of strings, JSON or images.

use base64_simd::{AsOut, STANDARD_NO_PAD};

/// Characters decoded in one go by the vectorised path; a block with a surprise in it is decoded again one by one.
const BLOCK: usize = 16 * 1024;

const SPACE: u8 = 64;
const PAD: u8 = 65;
const STOP: u8 = 255;

/// Value of every byte in base64: 0–63, white space, padding, or the end of the run.
const VALUES: [u8; 256] = {
    let mut table = [STOP; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut value = 0;
    while value < 64 {
        table[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    table[b'-' as usize] = 62;
    table[b'_' as usize] = 63;
    table[b'=' as usize] = PAD;
    table[b' ' as usize] = SPACE;
    table[b'\t' as usize] = SPACE;
    table[b'\r' as usize] = SPACE;
    table[b'\n' as usize] = SPACE;
    table
};

/// Whether `byte` is a letter of either base64 alphabet (padding and white space are not).
pub fn is_letter(byte: u8) -> bool {
    VALUES[byte as usize] < 64
}

/// What white space means inside a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spaces {
    /// Skipped: something else (a quote, a bracket, the end of the string) marks the end.
    Skip,
    /// Ends the run, unless it breaks a line where MIME (76) or PEM (64 characters) would.
    End,
}

/// An incremental decoder. `feed` until it stops short or the input is over, then `finish`.
#[derive(Clone, Debug)]
pub struct Decoder {
    spaces: Spaces,
    /// Letters that do not make a whole group of four yet.
    carry: [u8; 4],
    carried: usize,
    padded: bool,
    /// Letters since the last line break, for `Spaces::End`.
    column: usize,
    /// Behind a `\r` that was accepted: its `\n` may follow.
    breaking: bool,
}

impl Decoder {
    /// A decoder at the start of a run.
    pub fn new(spaces: Spaces) -> Self {
        Self { spaces, carry: [0; 4], carried: 0, padded: false, column: 0, breaking: false }
    }

    /// Whether padding has been seen, after which no letter can follow.
    pub fn is_padded(&self) -> bool {
        self.padded
    }

    /// Appends what `input` decodes to onto `out` and returns how much of `input` belongs to the run: less than all
    /// of it means that the run ended there.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> usize {
        let mut at = 0;
        while at < input.len() {
            let rest = &input[at..];
            if self.carried == 0 && !self.padded && rest.len() >= 4 {
                let block = &rest[..rest.len().min(BLOCK) / 4 * 4];
                if decode_block(block, out) {
                    self.column += block.len();
                    self.breaking = false;
                    at += block.len();
                    continue;
                }
                let taken = self.one_by_one(block, out);
                at += taken;
                if taken < block.len() {
                    return at;
                }
            } else {
                // Up to a group boundary, where the fast path can take over again.
                let few = &rest[..rest.len().min(4 - self.carried)];
                let taken = self.one_by_one(few, out);
                at += taken;
                if taken < few.len() {
                    return at;
                }
            }
        }
        at
    }

    fn one_by_one(&mut self, input: &[u8], out: &mut Vec<u8>) -> usize {
        for (at, &byte) in input.iter().enumerate() {
            match VALUES[byte as usize] {
                SPACE if self.allows_space(byte) => {}
                PAD if self.carried != 0 || self.padded => {
                    self.flush(out);
                    self.padded = true;
                }
                value if value < 64 && !self.padded => {
                    self.column += 1;
                    self.breaking = false;
                    self.carry[self.carried] = value;
                    self.carried += 1;
                    if self.carried == 4 {
                        let [a, b, c, d] = self.carry;
                        out.extend_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
                        self.carried = 0;
                    }
                }
                _ => return at,
            }
        }
        input.len()
    }

    fn allows_space(&mut self, byte: u8) -> bool {
        match self.spaces {
            Spaces::Skip => true,
            Spaces::End if self.breaking && byte == b'\n' => {
                self.breaking = false;
                true
            }
            Spaces::End => {
                // One line break and no more: a blank line is the end.
                let breaks = matches!(byte, b'\r' | b'\n') && matches!(self.column, 64 | 76) && !self.padded;
                if breaks {
                    self.breaking = byte == b'\r';
                    self.column = 0;
                }
                breaks
            }
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        let [a, b, c, _] = self.carry;
        match self.carried {
            2 => out.push(a << 2 | b >> 4),
            3 => out.extend_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2]),
            _ => {}
        }
        self.carried = 0;
    }

    /// Appends the bytes of an unpadded last group. `false` if a single letter is left over: something is missing.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> bool {
        let whole = self.carried != 1;
        self.flush(out);
        whole
    }
}

fn decode_block(block: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    out.resize(start + block.len() / 4 * 3, 0);
    let decoded = STANDARD_NO_PAD.decode(block, out[start..].as_out()).is_ok();
    if !decoded {
        out.truncate(start);
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &[u8], spaces: Spaces, step: usize) -> (Vec<u8>, usize, bool) {
        let (mut decoder, mut out, mut at) = (Decoder::new(spaces), Vec::new(), 0);
        for chunk in text.chunks(step) {
            let taken = decoder.feed(chunk, &mut out);
            at += taken;
            if taken < chunk.len() {
                break;
            }
        }
        let whole = decoder.finish(&mut out);
        (out, at, whole)
    }

    #[test]
    fn every_spelling_decodes_at_every_chunk_size() {
        let bytes: Vec<u8> = (0..100_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let plain = base64_simd::STANDARD.encode_to_string(&bytes);
        let wrapped = plain.as_bytes().chunks(76).map(|l| String::from_utf8_lossy(l).into_owned()).collect::<Vec<_>>().join("\r\n");
        let cases = [
            plain.clone(),
            plain.trim_end_matches('=').to_owned(),
            base64_simd::URL_SAFE.encode_to_string(&bytes),
            base64_simd::URL_SAFE_NO_PAD.encode_to_string(&bytes),
            wrapped,
        ];
        for text in &cases {
            for step in [1, 2, 3, 5, 7, 64, 4097, 1 << 20] {
                for spaces in [Spaces::Skip, Spaces::End] {
                    let (out, at, whole) = decode(text.as_bytes(), spaces, step);
                    assert!(out == bytes && at == text.len() && whole, "step {step} {spaces:?} {}", &text[..90]);
                }
            }
        }
    }

    #[test]
    fn a_run_ends_where_base64_ends() {
        assert_eq!(decode(b"aGk=)", Spaces::Skip, 9), (b"hi".to_vec(), 4, true));
        assert_eq!(decode(b"aGk=aGk=", Spaces::Skip, 9), (b"hi".to_vec(), 4, true));
        assert_eq!(decode(b"aG k=\"", Spaces::Skip, 1), (b"hi".to_vec(), 5, true));
        assert_eq!(decode(b"aGkh and", Spaces::End, 9), (b"hi!".to_vec(), 4, true));
        assert_eq!(decode(b"aGkhX", Spaces::End, 9), (b"hi!".to_vec(), 5, false));
        assert_eq!(decode(b"=", Spaces::Skip, 9).1, 0);
    }
}
