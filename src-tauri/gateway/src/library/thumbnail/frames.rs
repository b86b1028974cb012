//! GIF and WebP: first frame, decoded whole by the `image` crate.
//!
//! Neither decoder can stream or shrink, so their pixel limits follow from the memory they need per pixel.
//! `image` does not apply its limits inside WebP (image-rs/image #3077), hence the checks before decoding;
//! frames of an animation are never iterated.

use std::fs::File;
use std::io::{BufReader, Seek};

use image::codecs::gif::GifDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, Limits};

use super::reduce::{Layout, Raster, Reducer};
use super::webp_layout::WebpLayout;
use super::{ThumbnailError, check_canvas};

/// Canvas and frame buffer, four bytes per pixel each: 192 MB.
const GIF_PIXELS_MAX: u64 = 24_000_000;
/// 4096² and a little. Up to 10.5 bytes per pixel (RGBA, planes, alpha plane as RGBA): 180 MB; pure noise takes 1.2 s.
const WEBP_PIXELS_MAX: u64 = 17_000_000;
/// Up to 17.5 bytes per pixel (the frame's buffers, canvas and result): 210 MB.
const WEBP_ANIMATED_PIXELS_MAX: u64 = 12_000_000;

/// Decodes the first frame of a GIF onto its canvas.
pub(super) fn gif(file: File, edge: u32) -> Result<(Raster, Orientation), ThumbnailError> {
    let mut decoder = GifDecoder::new(BufReader::new(file)).map_err(ThumbnailError::damaged)?;
    let (width, height) = decoder.dimensions();
    check_canvas(width, height, GIF_PIXELS_MAX)?;
    let mut limits = Limits::default();
    // Bounds the frame buffer: a frame may be declared larger than its canvas.
    limits.max_alloc = Some(GIF_PIXELS_MAX * 4);
    decoder.set_limits(limits).map_err(ThumbnailError::damaged)?;
    Ok((read(decoder, edge)?, Orientation::NoTransforms))
}

/// Decodes a WebP, or the first frame of an animated one.
pub(super) fn webp(mut file: File, edge: u32) -> Result<(Raster, Orientation), ThumbnailError> {
    let layout = WebpLayout::read(&mut file)?;
    let pixels_max = if layout.animated { WEBP_ANIMATED_PIXELS_MAX } else { WEBP_PIXELS_MAX };
    for (width, height) in &layout.sizes {
        check_canvas(*width, *height, pixels_max)?;
    }
    file.rewind()?;
    let decoder = WebPDecoder::new(BufReader::new(file)).map_err(ThumbnailError::damaged)?;
    let (width, height) = decoder.dimensions();
    check_canvas(width, height, pixels_max)?;
    Ok((read(decoder, edge)?, layout.orientation))
}

fn read(decoder: impl ImageDecoder, edge: u32) -> Result<Raster, ThumbnailError> {
    let (width, height) = decoder.dimensions();
    let layout = match decoder.color_type() {
        ColorType::L8 => Layout::Gray,
        ColorType::La8 => Layout::GrayAlpha,
        ColorType::Rgb8 => Layout::Rgb,
        ColorType::Rgba8 => Layout::Rgba,
        _ => return Err(ThumbnailError::Unsupported),
    };
    let row_bytes = width as usize * layout.stride();
    let mut canvas = vec![0; row_bytes * height as usize];
    decoder.read_image(&mut canvas).map_err(ThumbnailError::damaged)?;
    let mut reducer = Reducer::new(width, height, layout, edge);
    canvas.chunks_exact(row_bytes).try_for_each(|row| reducer.push(row))?;
    Ok(reducer.finish())
}
