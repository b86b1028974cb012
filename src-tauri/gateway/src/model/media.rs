//! Which kind of picture some bytes are, and whether a file seems whole.
//!
//! Pure: looks at bytes that others have read, allocates nothing, does no IO. It knows magic numbers and
//! trailers only; it refuses to know how a picture is decoded, stored, named or served, and it never looks at
//! a claimed MIME type or file name to decide what the bytes are.

#[cfg(test)]
mod tests;

/// The picture types that are kept. Everything else (SVG, HTML, BMP, TIFF, ICO, JPEG XL, MP4, PDF …) is not an image here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// PNG, ISO/IEC 15948.
    Png,
    /// JPEG, ITU-T T.81.
    Jpeg,
    /// GIF87a or GIF89a.
    Gif,
    /// WebP, RFC 9649.
    Webp,
    /// AVIF still or sequence, AV1 Image File Format.
    Avif,
    /// HEIC, ISO/IEC 23008-12 with an HEVC brand.
    Heic,
}

/// Size of a picture in pixels as stored (before any EXIF rotation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PixelSize {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The whole IEND chunk: length 0, type, CRC-32 of the type (PNG specification, 11.2.5).
const PNG_END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";
/// Brands of HEIC pictures and sequences (ISO/IEC 23008-12, annex B); `mif1`/`msf1` alone name no codec.
const HEIC_BRANDS: [&[u8]; 8] = [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"];

impl MediaType {
    /// Prefix bytes that always suffice for [`MediaType::sniff`]: an `ftyp` box head and six compatible brands.
    pub const SNIFF_LEN: usize = HEAD;

    /// All types, for tables and tests.
    pub const ALL: [Self; 6] = [Self::Png, Self::Jpeg, Self::Gif, Self::Webp, Self::Avif, Self::Heic];

    /// Decides the type by the magic bytes at the start; only the first [`MediaType::SNIFF_LEN`] bytes count, so
    /// a longer prefix never changes the answer. `None` means "not one of ours", or too short to tell.
    pub fn sniff(prefix: &[u8]) -> Option<Self> {
        let prefix = prefix.get(..Self::SNIFF_LEN).unwrap_or(prefix);
        if prefix.starts_with(PNG_SIGNATURE) {
            return Some(Self::Png);
        }
        if prefix.starts_with(b"\xff\xd8\xff") {
            return Some(Self::Jpeg);
        }
        if prefix.starts_with(b"GIF87a") || prefix.starts_with(b"GIF89a") {
            return Some(Self::Gif);
        }
        if prefix.starts_with(b"RIFF") && prefix.get(8..12) == Some(b"WEBP") {
            return Some(Self::Webp);
        }
        Self::from_ftyp(prefix)
    }

    /// ISO/IEC 14496-12, 4.3: box size (32 bits, big endian), `ftyp`, major brand, minor version, compatible brands.
    /// The major brand decides; the generic `mif1`/`msf1` (and `miaf`, MIAF) defer to the compatible brands in file order.
    fn from_ftyp(prefix: &[u8]) -> Option<Self> {
        let (size, rest) = prefix.split_first_chunk::<4>()?;
        let brands = rest.strip_prefix(b"ftyp")?;
        let major = brands.get(..4)?;
        if let Some(found) = Self::from_brand(major) {
            return Some(found);
        }
        if ![b"mif1", b"msf1", b"miaf"].iter().any(|generic| *generic == major) {
            return None;
        }
        let box_end = usize::try_from(u32::from_be_bytes(*size)).ok()?;
        let compatible = prefix.get(16..box_end.min(prefix.len()))?;
        compatible.chunks_exact(4).find_map(Self::from_brand)
    }

    fn from_brand(brand: &[u8]) -> Option<Self> {
        if brand == b"avif" || brand == b"avis" {
            Some(Self::Avif)
        } else if HEIC_BRANDS.contains(&brand) {
            Some(Self::Heic)
        } else {
            None
        }
    }

    /// The registered media type (IANA), the only one ever sent for such a file.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
            Self::Heic => "image/heic",
        }
    }

    /// File name extension without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Avif => "avif",
            Self::Heic => "heic",
        }
    }

    /// Reads a MIME type as found in the wild: any case, parameters after `;` ignored, `image/jpg` and the HEIC
    /// sequence type accepted. A claim, not a proof: bytes decide (see [`MediaType::sniff`]).
    pub fn from_mime(mime: &str) -> Option<Self> {
        let essence = mime.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        if is("image/jpg") || is("image/pjpeg") {
            return Some(Self::Jpeg);
        }
        if is("image/heic-sequence") {
            return Some(Self::Heic);
        }
        Self::ALL.into_iter().find(|media| is(media.mime()))
    }

    /// Whether browsers show it; HEIC is offered as a download only.
    pub fn is_inline(self) -> bool {
        self != Self::Heic
    }
}

const HEAD: usize = 32;
const TAIL: usize = 16;

/// Follows the bytes of one image as they pass, in any chunking, and tells at the end whether the file seems whole.
///
/// Constant memory and constant work per [`Completeness::feed`]: only the first 32 and the last 16 bytes and the
/// length are kept. It catches a cut transfer, not damage in the middle.
#[derive(Clone, Debug, Default)]
pub struct Completeness {
    head: [u8; HEAD],
    /// The last bytes, right-aligned: the newest byte is `tail[TAIL - 1]`.
    tail: [u8; TAIL],
    len: u64,
}

impl Completeness {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the file.
    pub fn feed(&mut self, bytes: &[u8]) {
        let have = self.head().len();
        let take = bytes.len().min(HEAD - have);
        self.head[have..have + take].copy_from_slice(&bytes[..take]);

        let new = bytes.len().min(TAIL);
        self.tail.copy_within(new.., 0);
        self.tail[TAIL - new..].copy_from_slice(&bytes[bytes.len() - new..]);
        self.len += bytes.len() as u64;
    }

    /// Bytes seen.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first bytes, at most [`MediaType::SNIFF_LEN`].
    pub fn head(&self) -> &[u8] {
        &self.head[..self.len.min(HEAD as u64) as usize]
    }

    /// Whether the file ends as its format demands. `false` for what [`MediaType::sniff`] does not know.
    ///
    /// - PNG: the IEND chunk is last; up to four bytes of padding (NUL, CR, LF) after it are tolerated. Anything else
    ///   after IEND (a ZIP, HTML) counts as not whole: a well-behaved upstream never sends that.
    /// - JPEG: EOI (`FF D9`) is last, after NUL, CR and LF padding within the kept 16 bytes (cameras and CDNs pad).
    /// - GIF: the trailer `3B` is last, same padding rule as PNG.
    /// - WebP: the RIFF size plus 8 is the length, or one less (RFC 9649, 2.3: an odd chunk has a pad byte that some
    ///   writers leave out of the size).
    /// - AVIF, HEIC: have no trailer, so more than 32 bytes is all that can be asked.
    pub fn looks_complete(&self) -> bool {
        let tail = &self.tail[TAIL - self.len.min(TAIL as u64) as usize..];
        match MediaType::sniff(self.head()) {
            None => false,
            Some(MediaType::Png) => (0..=4).any(|pad| ends_padded(tail, PNG_END, pad)),
            Some(MediaType::Jpeg) => (0..=TAIL - 2).any(|pad| ends_padded(tail, b"\xff\xd9", pad)),
            Some(MediaType::Gif) => self.len > 13 && (0..=4).any(|pad| ends_padded(tail, b"\x3b", pad)),
            Some(MediaType::Webp) => {
                let size = [self.head[4], self.head[5], self.head[6], self.head[7]];
                let whole = u64::from(u32::from_le_bytes(size)) + 8;
                self.len > 20 && (self.len == whole || self.len == whole + 1)
            }
            Some(MediaType::Avif | MediaType::Heic) => self.len > HEAD as u64,
        }
    }
}

/// Whether `tail` is `…end` followed by exactly `pad` bytes of NUL, CR or LF.
fn ends_padded(tail: &[u8], end: &[u8], pad: usize) -> bool {
    tail.len()
        .checked_sub(pad)
        .is_some_and(|at| tail[..at].ends_with(end) && tail[at..].iter().all(|byte| matches!(byte, 0 | b'\r' | b'\n')))
}
