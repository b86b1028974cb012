//! Small previews of stored pictures: one JPEG, long edge at most 400 px, made from a file nobody vouches for.
//!
//! Synchronous and hungry (tens of milliseconds, up to 256 MB for the worst accepted file): the caller owns
//! threads, permits, caching and retries. This module refuses to know ids, URLs, configuration or where the
//! result is kept. Colour profiles are ignored (pictures are taken as sRGB), animations show their first frame.

mod frames;
#[cfg(test)]
mod hostile_tests;
mod jpeg;
mod png_rows;
mod reduce;
mod size;
#[cfg(test)]
mod tests;
mod webp_layout;

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use fast_image_resize as fir;
use fir::images::{TypedImage, TypedImageRef};
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::model::MediaType;
use reduce::Raster;
pub use size::pixel_size;

/// Longest edge of a thumbnail in pixels; smaller pictures keep their size.
pub const LONG_EDGE: u32 = 400;
/// JPEG quality, 1–100.
const QUALITY: u8 = 80;
/// What shows through transparent pixels: a neutral light grey, level of all three channels.
const GROUND: u8 = 0xE6;
/// Most pixels a picture may declare; formats whose decoder needs more memory per pixel set their own, lower bound.
const PIXELS_MAX: u64 = 40_000_000;
/// Longest edge a picture may declare, in pixels: the limit of JPEG and GIF (16 bits). It also keeps the reduction
/// factor below 256, so that 16-bit sums of 8-bit samples cannot overflow.
const EDGE_MAX: u32 = 65_535;
/// Largest file that is opened, in bytes.
const FILE_MAX: u64 = 128 << 20;

/// Why there is no thumbnail. None of these is worth a retry except [`ThumbnailError::Io`].
#[derive(Debug, thiserror::Error)]
pub enum ThumbnailError {
    /// No decoder for this type (AVIF, HEIC).
    #[error("no decoder for this image type")]
    Unsupported,
    /// The picture would cost more memory or time than a preview is worth.
    #[error("too large for a thumbnail: {what} is {value}, limit {limit}")]
    TooLarge {
        /// Which measure: "pixels", "edge", "bytes", "decoding work".
        what: &'static str,
        /// What the file declares.
        value: u64,
        /// What is accepted.
        limit: u64,
    },
    /// The bytes are not a picture of the stated type, or too broken to show anything.
    #[error("damaged image: {0}")]
    Damaged(String),
    /// The file could not be read.
    #[error("cannot read the image file: {0}")]
    Io(#[from] io::Error),
    /// The decoder panicked (the message went to the panic hook); the process is unharmed.
    #[error("the image decoder panicked")]
    Panicked,
}

impl ThumbnailError {
    /// Wraps a decoder's complaint; a short text, never bytes of the picture.
    fn damaged(error: impl std::fmt::Display) -> Self {
        let mut text = error.to_string();
        text.truncate(text.floor_char_boundary(200));
        Self::Damaged(text)
    }
}

/// One JPEG of the picture in `path`: long edge ≤ [`LONG_EDGE`] (never upscaled), EXIF orientation applied,
/// transparency on light grey, quality 80. A cut PNG or JPEG shows what is there.
///
/// `media` must be what [`MediaType::sniff`] said about the file; a mismatch ends in [`ThumbnailError::Damaged`].
/// Costs at most 256 MB and about a second for the worst file; relies on `panic = "unwind"`.
///
/// # Errors
/// See [`ThumbnailError`].
pub fn make(path: &Path, media: MediaType) -> Result<Vec<u8>, ThumbnailError> {
    make_within(path, media, LONG_EDGE)
}

/// The same with another long edge, in pixels. The larger it is, the more memory it takes: 12 bytes for each pixel of
/// `edge`².
///
/// # Errors
/// See [`ThumbnailError`].
pub fn make_within(path: &Path, media: MediaType, edge: u32) -> Result<Vec<u8>, ThumbnailError> {
    // Decoders are third-party code fed with hostile bytes; everything they touch is dropped with the closure.
    catch_unwind(AssertUnwindSafe(|| {
        let file = match media {
            MediaType::Avif | MediaType::Heic => return Err(ThumbnailError::Unsupported),
            _ => File::open(path)?,
        };
        check("bytes", file.metadata()?.len(), FILE_MAX)?;
        let (raster, orientation) = match media {
            MediaType::Png => png_rows::decode(file, edge)?,
            MediaType::Jpeg => jpeg::decode(file, edge)?,
            MediaType::Gif => frames::gif(file, edge)?,
            MediaType::Webp => frames::webp(file, edge)?,
            MediaType::Avif | MediaType::Heic => return Err(ThumbnailError::Unsupported),
        };
        encode(shrink(raster, edge)?, orientation)
    }))
    .unwrap_or(Err(ThumbnailError::Panicked))
}

/// Compares one declared measure with its limit.
fn check(what: &'static str, value: u64, limit: u64) -> Result<(), ThumbnailError> {
    if value > limit { Err(ThumbnailError::TooLarge { what, value, limit }) } else { Ok(()) }
}

/// The canvas check every format passes before anything of the picture's size is allocated.
fn check_canvas(width: u32, height: u32, pixels_max: u64) -> Result<(), ThumbnailError> {
    if width == 0 || height == 0 {
        return Err(ThumbnailError::Damaged("no pixels".into()));
    }
    check("edge", u64::from(width.max(height)), u64::from(EDGE_MAX))?;
    check("pixels", u64::from(width) * u64::from(height), pixels_max)
}

/// Size of the preview of a `width` × `height` picture: same shape, long edge at most `most`, at least 1 px.
fn target(width: u32, height: u32, most: u32) -> (u32, u32) {
    let long = width.max(height);
    if long <= most {
        return (width, height);
    }
    let scale = |edge: u32| {
        let rounded = (u64::from(edge) * u64::from(most) + u64::from(long) / 2) / u64::from(long);
        u32::try_from(rounded).unwrap_or(most).clamp(1, most)
    };
    (scale(width), scale(height))
}

/// Brings a decoded (perhaps already reduced) picture to its final size, with SIMD where the CPU has it.
fn shrink(raster: Raster, edge: u32) -> Result<DynamicImage, ThumbnailError> {
    let (width, height) = target(raster.full_width, raster.full_height, edge);
    let pixels = if (width, height) == (raster.width, raster.height) {
        raster.pixels
    } else {
        match raster.gray {
            true => resized::<fir::pixels::U8>(&raster, width, height)?,
            false => resized::<fir::pixels::U8x3>(&raster, width, height)?,
        }
    };
    let image = if raster.gray {
        GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
    };
    image.ok_or_else(|| ThumbnailError::Damaged("pixel count does not match the size".into()))
}

/// With the kind of pixel in the type: a choice of all kinds at run time takes megabytes of code.
fn resized<Pixel: fir::PixelTrait>(raster: &Raster, width: u32, height: u32) -> Result<Vec<u8>, ThumbnailError> {
    let source = TypedImageRef::<Pixel>::from_buffer(raster.width, raster.height, &raster.pixels).map_err(ThumbnailError::damaged)?;
    let mut bytes = vec![0; width as usize * height as usize * Pixel::size()];
    let mut small = TypedImage::<Pixel>::from_buffer(width, height, &mut bytes).map_err(ThumbnailError::damaged)?;
    let (covered_width, covered_height) = raster.covered();
    let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Lanczos3)).crop(
        0.0,
        0.0,
        covered_width,
        covered_height,
    );
    fir::Resizer::new().resize_typed(&source, &mut small, &options).map_err(ThumbnailError::damaged)?;
    Ok(bytes)
}

fn encode(mut image: DynamicImage, orientation: Orientation) -> Result<Vec<u8>, ThumbnailError> {
    // Turning 400 px is cheaper than turning the original.
    image.apply_orientation(orientation);
    let edge = |pixels: u32| u16::try_from(pixels).map_err(ThumbnailError::damaged);
    let (width, height) = (edge(image.width())?, edge(image.height())?);
    let color = if image.color().has_color() { ColorType::Rgb } else { ColorType::Luma };
    let mut jpeg = Vec::with_capacity(32 << 10);
    // A third of the time of the `image` crate's encoder, and a third smaller with halved chroma.
    let mut encoder = Encoder::new(&mut jpeg, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.encode(image.as_bytes(), width, height, color).map_err(ThumbnailError::damaged)?;
    Ok(jpeg)
}
