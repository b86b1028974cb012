//! PNG, row by row: the full picture is never in memory unless it is interlaced.
//!
//! Knows the `png` crate's options; refuses to know colour profiles and text chunks. Both may be compressed
//! bombs (a 128 MB profile in a few KB), so the decoder is told to skip them.

use std::fs::File;
use std::io::BufReader;

use image::metadata::Orientation;
use png::{ColorType, DecodeOptions, Decoder, Limits, Reader, Transformations};

use super::reduce::{Layout, Raster, Reducer};
use super::{PIXELS_MAX, ThumbnailError, check_canvas};

/// What the decoder may allocate for rows and for chunks it keeps (palette, EXIF), in bytes.
const ALLOC_MAX: usize = 16 << 20;

/// Decodes and reduces; a cut or broken picture gives the rows up to the damage.
pub(super) fn decode(file: File, edge: u32) -> Result<(Raster, Orientation), ThumbnailError> {
    let mut options = DecodeOptions::default();
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    // A preview of a damaged picture is better than none, and this saves reading every byte twice.
    options.set_ignore_checksums(true);
    let mut decoder = Decoder::new_with_options(BufReader::with_capacity(64 << 10, file), options);
    decoder.set_limits(Limits { bytes: ALLOC_MAX });
    // Palette and low bit depths to 8 bits, tRNS to alpha, 16 bits to 8 (PNG specification, 13.12).
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);

    let header = decoder.read_header_info().map_err(ThumbnailError::damaged)?;
    let (width, height) = (header.width, header.height);
    check_canvas(width, height, PIXELS_MAX)?;

    let mut reader = decoder.read_info().map_err(ThumbnailError::damaged)?;
    let layout = match reader.output_color_type().0 {
        ColorType::Grayscale => Layout::Gray,
        ColorType::GrayscaleAlpha => Layout::GrayAlpha,
        ColorType::Rgb => Layout::Rgb,
        ColorType::Rgba => Layout::Rgba,
        ColorType::Indexed => return Err(ThumbnailError::Damaged("palette not expanded".into())),
    };
    let orientation = reader.info().exif_metadata.as_deref().and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms);

    let mut reducer = Reducer::new(width, height, layout, edge);
    if reader.info().interlaced {
        interlaced(&mut reader, &mut reducer, width as usize * layout.stride())?;
    } else {
        streamed(&mut reader, &mut reducer)?;
    }
    Ok((reducer.finish(), orientation))
}

fn streamed(reader: &mut Reader<BufReader<File>>, reducer: &mut Reducer) -> Result<(), ThumbnailError> {
    loop {
        match reader.next_row() {
            Ok(Some(row)) => reducer.push(row.data())?,
            Ok(None) => return Ok(()),
            Err(_) if reducer.rows() > 0 => return Ok(()),
            Err(error) => return Err(ThumbnailError::damaged(error)),
        }
    }
}

/// Adam7 scatters every row over the whole picture, so it is decoded whole (at most 160 MB for 40 Mpx with alpha).
fn interlaced(reader: &mut Reader<BufReader<File>>, reducer: &mut Reducer, row_bytes: usize) -> Result<(), ThumbnailError> {
    let size = reader.output_buffer_size().ok_or_else(|| ThumbnailError::Damaged("size overflows".into()))?;
    let mut canvas = vec![0; size];
    reader.next_frame(&mut canvas).map_err(ThumbnailError::damaged)?;
    canvas.chunks_exact(row_bytes).try_for_each(|row| reducer.push(row))
}
