//! Pixel size from the header alone, for all six types; never decodes.
//!
//! Works on a bounded prefix in memory: the parsers seek from segment to segment, and a file made of four-byte
//! segments would cost one system call for each.

use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::panic::catch_unwind;
use std::path::Path;

use super::EDGE_MAX;
use crate::model::{MediaType, PixelSize};

/// Read at first, bytes: enough for nearly every picture.
const PREFIX: u64 = 64 << 10;
/// Read when that was not enough (JPEG with large profiles or previews before the frame header), bytes.
const PREFIX_MAX: u64 = 4 << 20;

/// The size a picture declares, as stored (EXIF rotation not applied; HEIF rotation is). Reads at most 4 MB.
///
/// `None` when the file cannot be read, is not one of the six types, says nothing within the first 4 MB, or claims
/// an edge of 0 or above 65,535 px (the limit of JPEG and GIF; no real picture of any type is larger).
pub fn pixel_size(path: &Path) -> Option<PixelSize> {
    let mut file = File::open(path).ok()?;
    let total = file.metadata().ok()?.len();
    for limit in [PREFIX, PREFIX_MAX] {
        let mut prefix = Vec::with_capacity(usize::try_from(limit.min(total)).ok()?);
        file.rewind().ok()?;
        file.by_ref().take(limit).read_to_end(&mut prefix).ok()?;
        // Someone else's magic could select a parser for a type we do not keep.
        MediaType::sniff(&prefix)?;
        let found = catch_unwind(|| imagesize::reader_size(Cursor::new(&prefix)));
        if let Ok(Ok(size)) = found {
            return plausible(size.width, size.height);
        }
        if total <= limit {
            break;
        }
    }
    None
}

fn plausible(width: usize, height: usize) -> Option<PixelSize> {
    let edge = |value: usize| u32::try_from(value).ok().filter(|edge| (1..=EDGE_MAX).contains(edge));
    Some(PixelSize { width: edge(width)?, height: edge(height)? })
}
