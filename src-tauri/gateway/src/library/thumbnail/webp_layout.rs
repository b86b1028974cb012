//! The chunks of a WebP file (RFC 9649): every size it declares, before anything is decoded.
//!
//! The decoder trusts the size inside a VP8 bitstream before comparing it with the canvas, so a 100-byte file can
//! cost 400 MB. Knows chunk headers only, never pixels.

use std::fs::File;
use std::io::{self, BufReader, Read};

use image::metadata::Orientation;

use super::ThumbnailError;

/// Most chunks looked at: canvas, profile, 16 k frames and metadata fit.
const CHUNKS_MAX: usize = 20_000;
/// Largest EXIF chunk that is read, in bytes (a JPEG segment, where EXIF comes from, holds 64 KB).
const EXIF_MAX: u32 = 256 << 10;

/// What a WebP file says about itself.
pub(super) struct WebpLayout {
    /// Whether there are animation frames.
    pub(super) animated: bool,
    /// Canvas, every still bitstream, and frame and bitstream of the first animation frame, in pixels.
    pub(super) sizes: Vec<(u32, u32)>,
    pub(super) orientation: Orientation,
}

impl WebpLayout {
    /// Walks the chunk headers from the start of the file, seeking over payloads.
    pub(super) fn read(file: &mut File) -> Result<Self, ThumbnailError> {
        let mut reader = BufReader::new(file);
        let [riff, _, webp] = words(&mut reader)?;
        if &riff != b"RIFF" || &webp != b"WEBP" {
            return Err(ThumbnailError::Damaged("not a WebP file".into()));
        }
        let mut layout = Self { animated: false, sizes: Vec::new(), orientation: Orientation::NoTransforms };
        for _ in 0..CHUNKS_MAX {
            let [kind, size] = match words(&mut reader) {
                Ok(header) => header,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error.into()),
            };
            let size = u32::from_le_bytes(size);
            let padded = i64::from(size) + i64::from(size & 1);
            let used = match &kind {
                b"VP8X" | b"VP8 " | b"VP8L" => layout.note_size(&kind, &mut reader)?,
                b"ANMF" if !layout.animated => {
                    layout.animated = true;
                    layout.note_frame(&mut reader)?
                }
                b"EXIF" if size <= EXIF_MAX => {
                    let mut exif = vec![0; size as usize];
                    reader.read_exact(&mut exif)?;
                    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif);
                    layout.orientation = Orientation::from_exif_chunk(tiff).unwrap_or(Orientation::NoTransforms);
                    i64::from(size)
                }
                _ => 0,
            };
            reader.seek_relative(padded - used)?;
        }
        Ok(layout)
    }

    /// First bytes of an animation frame: six 24-bit fields less one and flags, then its own chunks.
    fn note_frame(&mut self, reader: &mut impl Read) -> io::Result<i64> {
        let head: [u8; 16] = bytes(reader)?;
        self.sizes.push((u24(&head[6..9]) + 1, u24(&head[9..12]) + 1));
        let [kind, size] = words(reader)?;
        // Alpha comes before a lossy bitstream; its plane has the frame's size, and so must the bitstream.
        if &kind == b"ALPH" {
            let size = u64::from(u32::from_le_bytes(size));
            let padded = size + (size & 1);
            io::copy(&mut reader.take(padded), &mut io::sink())?;
            let [inner, _] = words(reader)?;
            let used = self.note_size(&inner, reader)?;
            return Ok(32 + used + i64::try_from(padded).unwrap_or(i64::MAX / 2));
        }
        Ok(24 + self.note_size(&kind, reader)?)
    }

    /// Reads the size at the start of a canvas or bitstream chunk; says how many bytes that took.
    fn note_size(&mut self, kind: &[u8; 4], reader: &mut impl Read) -> io::Result<i64> {
        let head: [u8; 10] = bytes(reader)?;
        let fourteen = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
        self.sizes.push(match kind {
            b"VP8X" => (u24(&head[4..7]) + 1, u24(&head[7..10]) + 1),
            b"VP8L" => {
                let packed = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
                ((packed & 0x3fff) + 1, ((packed >> 14) & 0x3fff) + 1)
            }
            b"VP8 " => (fourteen(head[6], head[7]), fourteen(head[8], head[9])),
            _ => return Ok(10),
        });
        Ok(10)
    }
}

fn u24(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn bytes<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut buffer = [0; N];
    reader.read_exact(&mut buffer)?;
    Ok(buffer)
}

fn words<const N: usize>(reader: &mut impl Read) -> io::Result<[[u8; 4]; N]> {
    let mut words = [[0; 4]; N];
    reader.read_exact(words.as_flattened_mut())?;
    Ok(words)
}
