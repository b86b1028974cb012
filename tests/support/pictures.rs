//! Pictures to send through: real ones where they are decoded, noise behind a signature where only bytes count.

use sha2::{Digest, Sha256};

/// A PNG that decodes, `side` pixels square, different for every seed and hardly compressible.
pub fn png(seed: u32, side: u32) -> Vec<u8> {
    let noise = |x: u32, y: u32| {
        (x.wrapping_mul(73_856_093) ^ y.wrapping_mul(19_349_663) ^ seed.wrapping_mul(83_492_791)).wrapping_mul(2_654_435_761).to_le_bytes()
    };
    let image = image::RgbImage::from_fn(side, side, |x, y| {
        let [a, b, c, _] = noise(x, y);
        image::Rgb([a, b, c])
    });
    let mut out = std::io::Cursor::new(Vec::new());
    image.write_to(&mut out, image::ImageFormat::Png).expect("encodes");
    out.into_inner()
}

/// A JPEG that decodes.
pub fn jpeg(seed: u32, side: u32) -> Vec<u8> {
    let image = image::RgbImage::from_fn(side, side, |x, y| image::Rgb([(x ^ seed) as u8, y as u8, seed as u8]));
    let mut out = std::io::Cursor::new(Vec::new());
    image.write_to(&mut out, image::ImageFormat::Jpeg).expect("encodes");
    out.into_inner()
}

/// `len` bytes that begin and end like a PNG.
pub fn large(seed: u32, len: usize) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut state = u64::from(seed) << 1 | 1;
    while out.len() < len - 12 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(len - 12);
    out.extend_from_slice(b"\0\0\0\0IEND\xae\x42\x60\x82");
    out
}

/// Standard base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

/// A data URL.
pub fn data_url(mime: &str, bytes: &[u8]) -> String {
    format!("data:{mime};base64,{}", base64(bytes))
}

/// Decodes a data URL.
pub fn from_data_url(url: &str) -> Vec<u8> {
    let data = url.split_once(";base64,").expect("a data URL").1;
    base64_simd::STANDARD.decode_to_vec(data).expect("base64")
}

/// Digest in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
