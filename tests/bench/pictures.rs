//! Pictures that differ with every answer, so that nothing is saved twice and thus for nothing: a template of noise
//! whose first 48 bytes are made anew each time.

use flate2::Crc;
use sha2::{Digest, Sha256};

/// Bytes that are made for each picture, and the base64 letters that they are.
pub const HEAD: usize = 48;
pub const HEAD_LETTERS: usize = 64;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Signature and the first chunk of a PNG.
const UNCHANGED: usize = 33;

/// A picture without its number.
pub struct Template {
    pub bytes: Vec<u8>,
}

impl Template {
    /// `len` bytes that begin and end like a PNG but cannot be decoded: no thumbnail is made of them, so that what is
    /// measured is the answer alone.
    pub fn noise(len: usize) -> Self {
        let mut bytes = SIGNATURE.to_vec();
        // A header of no width: whoever tries to decode this gives up at once.
        bytes.extend_from_slice(b"\0\0\0\x0dIHDR\0\0\0\0\0\0\0\0\x08\x02\0\0\0\0\0\0\0");
        bytes.resize(HEAD, 0);
        let mut state = 1u64;
        while bytes.len() < len - 12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bytes.extend_from_slice(&(state ^ (state >> 29)).to_le_bytes());
        }
        bytes.truncate(len - 12);
        bytes.extend_from_slice(b"\0\0\0\0IEND\xae\x42\x60\x82");
        Self { bytes }
    }

    /// A PNG that decodes, of `side` pixels squared.
    pub fn real(side: u32) -> Self {
        let noise = |x: u32, y: u32| (x.wrapping_mul(73_856_093) ^ y.wrapping_mul(19_349_663)).wrapping_mul(2_654_435_761).to_be_bytes();
        let picture = image::RgbImage::from_fn(side, side, |x, y| {
            let [a, b, c, _] = noise(x, y);
            image::Rgb([a, b, c])
        });
        let mut out = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut out, image::ImageFormat::Png).expect("encodes");
        let mut bytes = out.into_inner();
        bytes.splice(UNCHANGED..UNCHANGED, [0; HEAD - UNCHANGED]);
        Self { bytes }
    }

    /// The first bytes of picture `number`: the header, and a chunk of private use that holds the number.
    pub fn head(&self, number: u32) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..UNCHANGED].copy_from_slice(&self.bytes[..UNCHANGED]);
        head[33..37].copy_from_slice(&3u32.to_be_bytes());
        head[37..41].copy_from_slice(b"nuMb");
        head[41..44].copy_from_slice(&number.to_be_bytes()[1..]);
        let mut crc = Crc::new();
        crc.update(&head[37..44]);
        head[44..].copy_from_slice(&crc.sum().to_be_bytes());
        head
    }

    /// Whether `bytes` are a picture of this template, to the last bit: its number is taken from itself, all else is
    /// made anew and compared by digest.
    pub fn made(&self, bytes: &[u8]) -> bool {
        if bytes.len() != self.bytes.len() {
            return false;
        }
        let number = u32::from_be_bytes([0, bytes[41], bytes[42], bytes[43]]);
        let mut expected = Sha256::new();
        expected.update(self.head(number));
        expected.update(&self.bytes[HEAD..]);
        expected.finalize() == Sha256::digest(bytes)
    }
}

/// Standard base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

/// The pictures of this benchmark, by the name of the answer that holds them.
pub fn template(name: &str) -> Template {
    match name {
        "200k" => Template::noise(200 * 1024),
        "2m" => Template::noise(2 * 1024 * 1024),
        "24m" => Template::noise(24 * 1024 * 1024),
        "real2m" => Template::real(836),
        other => panic!("there is no picture '{other}'"),
    }
}
