//! JPEG, decoded at an eighth, quarter or half of its size straight from the DCT coefficients.
//!
//! `jpeg-decoder` is used because it can do that (libvips' and Pillow's trick); `zune-jpeg` cannot. Its costs that
//! no option bounds (scans, tables, coefficient memory) are bounded here by counting markers before it starts.

use std::fs::File;
use std::io::Read;

use image::metadata::Orientation;
use jpeg_decoder::{CodingProcess, Decoder, PixelFormat};

use super::reduce::Raster;
use super::{PIXELS_MAX, ThumbnailError, check, check_canvas, target};

/// Most coefficient bytes a progressive picture may need: they are all held until its last scan, two bytes per
/// sample, and the last scan hands copies to the decoder's threads. 21 Mpx in colour without subsampling.
const COEFFICIENT_BYTES_MAX: u64 = 128 << 20;
/// Most blocks of samples all scans together may visit, in pixels: a ten-byte scan costs a pass over the whole
/// picture. A progressive picture has about 10 scans, a sequential one 1 to 4.
const SCANNED_PIXELS_MAX: u64 = 600_000_000;
/// Most tables (DHT, DQT) in a file; real files have 4 to 40.
const TABLES_MAX: u64 = 4096;
/// Most marker-like byte pairs in a file; a picture has tens, embedded previews and maker notes thousands.
const MARKERS_MAX: u64 = 200_000;
/// Largest file, bytes: it is held in memory beside the coefficients.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// End-of-image marker.
const EOI: &[u8] = b"\xff\xd9";

/// Decodes, smaller than stored where possible; a cut picture shows what is there.
pub(super) fn decode(file: File, edge: u32) -> Result<(Raster, Orientation), ThumbnailError> {
    let total = file.metadata()?.len();
    check("bytes", total, FILE_BYTES_MAX)?;
    // The decoder reads byte by byte; from memory that is a quarter faster than through a buffered reader.
    let mut bytes = Vec::with_capacity(usize::try_from(total).unwrap_or(0) + EOI.len());
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    let markers = Markers::count(&bytes);
    check("decoding work", markers.tables, TABLES_MAX)?;
    check("decoding work", markers.all, MARKERS_MAX)?;

    // An end-of-image marker after the end of the file turns "unexpected end" into "the rest is grey".
    bytes.extend_from_slice(EOI);
    let mut decoder = Decoder::new(bytes.as_slice());
    decoder.read_info().map_err(ThumbnailError::damaged)?;
    let info = decoder.info().ok_or_else(|| ThumbnailError::Damaged("no frame header".into()))?;
    let (full_width, full_height) = (u32::from(info.width), u32::from(info.height));
    check_canvas(full_width, full_height, PIXELS_MAX)?;
    let pixels = u64::from(full_width) * u64::from(full_height);
    check("decoding work", pixels * markers.scans, SCANNED_PIXELS_MAX.max(pixels * 4))?;
    match info.coding_process {
        CodingProcess::DctSequential => {}
        CodingProcess::DctProgressive => {
            let samples = pixels * info.pixel_format.pixel_bytes() as u64;
            check("bytes of coefficients", samples * 2, COEFFICIENT_BYTES_MAX)?;
        }
        // Medical scanners; cannot be decoded at a smaller size.
        CodingProcess::Lossless => return Err(ThumbnailError::Unsupported),
    }

    let (want_width, want_height) = target(full_width, full_height, edge);
    let (width, height) = decoder
        .scale(u16::try_from(want_width).unwrap_or(u16::MAX), u16::try_from(want_height).unwrap_or(u16::MAX))
        .map_err(ThumbnailError::damaged)?;
    let decoded = decoder.decode().map_err(ThumbnailError::damaged)?;
    let orientation = decoder.exif_data().and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms);
    let (pixels, gray) = match info.pixel_format {
        PixelFormat::L8 => (decoded, true),
        PixelFormat::RGB24 => (decoded, false),
        PixelFormat::CMYK32 => (rgb_from_cmyk(&decoded), false),
        PixelFormat::L16 => return Err(ThumbnailError::Unsupported),
    };
    let (width, height) = (u32::from(width), u32::from(height));
    // 8, 4, 2 or 1: the decoder rounds up, so the quotient may fall short of it.
    let factor = (full_width.max(full_height) as f32 / width.max(height) as f32).round() as u32;
    let raster = Raster { pixels, gray, width, height, full_width, full_height, factor };
    Ok((raster, orientation))
}

/// Plain conversion without a profile. The decoder gives ink (0 = none) for Adobe's inverted files, the usual kind.
fn rgb_from_cmyk(cmyk: &[u8]) -> Vec<u8> {
    let part = |ink: u8, black: u8| (u32::from(255 - ink) * u32::from(255 - black) / 255) as u8;
    cmyk.as_chunks::<4>().0.iter().flat_map(|[c, m, y, k]| [part(*c, *k), part(*m, *k), part(*y, *k)]).collect()
}

/// What stands after `FF` bytes in a file, wherever it is: an upper bound of what the decoder will meet.
#[derive(Debug, Default)]
struct Markers {
    all: u64,
    scans: u64,
    tables: u64,
}

impl Markers {
    /// One pass; entropy-coded data has only `FF 00` and restart markers (ITU-T T.81, B.1.1.5), so this counts
    /// segments plus chance hits inside metadata.
    fn count(bytes: &[u8]) -> Self {
        let mut found = Self::default();
        for at in memchr::memchr_iter(0xff, bytes) {
            if let Some(code) = bytes.get(at + 1) {
                found.note(*code);
            }
        }
        found
    }

    fn note(&mut self, code: u8) {
        match code {
            // Stuffing, fill bytes and restart markers.
            0x00 | 0xff | 0xd0..=0xd7 => return,
            0xda => self.scans += 1,
            0xc4 | 0xdb => self.tables += 1,
            _ => {}
        }
        self.all += 1;
    }
}
