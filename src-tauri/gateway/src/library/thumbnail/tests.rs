//! Sane pictures, drawn in code: every format, colour layout, orientation and shape.

use std::io::{Cursor, Write};

use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;
use crate::model::PixelSize;

/// Writes the bytes to a file of their own and calls `work` with it.
pub(super) fn with_file<T>(bytes: &[u8], work: impl FnOnce(&Path) -> T) -> T {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    work(file.path())
}

pub(super) fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn thumb(bytes: &[u8]) -> RgbImage {
    let media = MediaType::sniff(bytes).unwrap();
    let jpeg = with_file(bytes, |path| make(path, media)).unwrap();
    image::load_from_memory_with_format(&jpeg, ImageFormat::Jpeg).unwrap().to_rgb8()
}

/// Left half red, right half blue, with a green top-left quarter.
pub(super) fn flag(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb(match (x * 2 < width, y * 2 < height) {
            (true, true) => [0, 200, 0],
            (true, false) => [200, 0, 0],
            (false, _) => [0, 0, 200],
        })
    })
}

/// The colour near a corner, in fifths of the picture.
fn at(image: &RgbImage, x: u32, y: u32) -> [u8; 3] {
    image.get_pixel(image.width() * x / 5, image.height() * y / 5).0
}

fn near(left: [u8; 3], right: [u8; 3]) -> bool {
    left.iter().zip(right).all(|(a, b)| a.abs_diff(b) < 14)
}

fn assert_flag(image: &RgbImage) {
    for ((x, y), want) in [((1, 1), [0, 200, 0]), ((1, 4), [200, 0, 0]), ((4, 1), [0, 0, 200]), ((4, 4), [0, 0, 200])] {
        assert!(near(at(image, x, y), want), "{x} {y} {:?} {want:?}", at(image, x, y));
    }
}

#[test]
fn every_format_and_scale() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif] {
        for (width, height) in [(300, 200), (1001, 667), (667, 1700), (1999, 1003)] {
            if format == ImageFormat::Gif && width > 1001 {
                continue;
            }
            let bytes = encoded(flag(width, height), format);
            let small = thumb(&bytes);
            assert_eq!(small.dimensions(), target(width, height, LONG_EDGE), "{format:?}");
            assert_flag(&small);
            assert_eq!(with_file(&bytes, pixel_size), Some(PixelSize { width, height }), "{format:?}");
        }
    }
}

#[test]
fn shapes() {
    assert_eq!(target(400, 400, LONG_EDGE), (400, 400));
    assert_eq!(target(401, 400, LONG_EDGE), (400, 399));
    assert_eq!(target(8000, 4000, LONG_EDGE), (400, 200));
    assert_eq!(target(1, 60_000, LONG_EDGE), (1, 400));
    for (width, height) in [(1, 1), (1, 5000), (5000, 1), (3, 2), (65_535, 2)] {
        let small = thumb(&encoded(flag(width, height), ImageFormat::Png));
        assert_eq!(small.dimensions(), target(width, height, LONG_EDGE));
        let small = thumb(&encoded(flag(width, height), ImageFormat::Jpeg));
        assert_eq!(small.dimensions(), target(width, height, LONG_EDGE));
    }
}

#[test]
fn transparency_lies_on_the_ground() {
    for size in [100, 1000, 2000] {
        let clear = RgbaImage::from_fn(size, size, |x, _| Rgba([0, 0, 0, if x * 2 < size { 0 } else { 128 }]));
        for format in [ImageFormat::Png, ImageFormat::WebP] {
            let small = thumb(&encoded(clear.clone(), format));
            assert!(near(at(&small, 1, 2), [GROUND; 3]), "{format:?} {size}");
            assert!(near(at(&small, 4, 2), [GROUND / 2; 3]), "{format:?} {size}");
        }
        let gray = GrayAlphaImage::from_pixel(size, size, image::LumaA([0, 0]));
        assert!(near(at(&thumb(&encoded(gray, ImageFormat::Png)), 2, 2), [GROUND; 3]));
    }
}

#[test]
fn png_layouts() {
    for size in [90, 1700] {
        let image = DynamicImage::from(flag(size, size));
        assert_flag(&thumb(&encoded(image.to_rgb16(), ImageFormat::Png)));
        assert_flag(&thumb(&encoded(image.to_rgba16(), ImageFormat::Png)));
        let gray = GrayImage::from_pixel(size, size, image::Luma([77]));
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            assert!(near(at(&thumb(&encoded(gray.clone(), format)), 2, 2), [77; 3]));
        }
        assert_flag(&thumb(&indexed(size)));
    }
}

/// The flag as a palette PNG with 2 bits per pixel; the size must be even.
fn indexed(size: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size, size);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Two);
    encoder.set_palette(vec![0, 200, 0, 200, 0, 0, 0, 0, 200]);
    let row_bytes = size.div_ceil(4);
    let mut data = Vec::new();
    for y in 0..size {
        for byte in 0..row_bytes {
            let index = |x: u32| {
                if x * 2 >= size { 2 } else { u8::from(y * 2 >= size) }
            };
            data.push((0..4).fold(0, |bits, n| bits << 2 | index(byte * 4 + n)));
        }
    }
    encoder.write_header().unwrap().write_image_data(&data).unwrap();
    bytes
}

/// A TIFF header with one directory entry: orientation (tag 0x0112, SHORT).
pub(super) fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    tiff.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    tiff
}

pub(super) fn png_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(data);
    [&(data.len() as u32).to_be_bytes()[..], kind, data, &crc.sum().to_be_bytes()].concat()
}

fn jpeg_with_exif(image: RgbImage, orientation: u8) -> Vec<u8> {
    let body = [b"Exif\0\0", &exif(orientation)[..]].concat();
    let mut jpeg = encoded(image, ImageFormat::Jpeg);
    let segment = [b"\xff\xe1", &(body.len() as u16 + 2).to_be_bytes()[..], &body].concat();
    jpeg.splice(2..2, segment);
    jpeg
}

fn png_with_exif(image: RgbImage, orientation: u8) -> Vec<u8> {
    let mut bytes = encoded(image, ImageFormat::Png);
    bytes.splice(33..33, png_chunk(b"eXIf", &exif(orientation)));
    bytes
}

fn webp_with_exif(image: RgbImage, orientation: u8) -> Vec<u8> {
    let (width, height) = image.dimensions();
    let plain = encoded(image, ImageFormat::WebP);
    let mut body = b"WEBPVP8X\x0a\0\0\0\x08\0\0\0".to_vec();
    body.extend(&(width - 1).to_le_bytes()[..3]);
    body.extend(&(height - 1).to_le_bytes()[..3]);
    body.extend(&plain[12..]);
    body.extend(b"EXIF\x1a\0\0\0");
    body.extend(exif(orientation));
    [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat()
}

#[test]
fn orientation_is_applied() {
    for build in [jpeg_with_exif, png_with_exif, webp_with_exif] {
        for (width, height) in [(300, 180), (1500, 900)] {
            for value in 1..=8 {
                let mut stored = DynamicImage::from(flag(width, height));
                let wanted = Orientation::from_exif(value).unwrap();
                // Stored so that applying the orientation gives the flag again.
                stored.apply_orientation(match wanted {
                    Orientation::Rotate90 => Orientation::Rotate270,
                    Orientation::Rotate270 => Orientation::Rotate90,
                    other => other,
                });
                let small = thumb(&build(stored.to_rgb8(), value));
                assert_eq!(small.dimensions(), target(width, height, LONG_EDGE), "{value}");
                assert_flag(&small);
            }
        }
    }
}

#[test]
fn interlaced_png_matches_plain() {
    // Two by two, Adam7, 8-bit gray: pass 1 holds (0,0), pass 6 (1,0), pass 7 row 1.
    let mut raw = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    raw.write_all(&[0, 200, 0, 200, 0, 200, 200]).unwrap();
    let bytes = [
        b"\x89PNG\r\n\x1a\n",
        &png_chunk(b"IHDR", &[0, 0, 0, 2, 0, 0, 0, 2, 8, 0, 0, 0, 1])[..],
        &png_chunk(b"IDAT", &raw.finish().unwrap()),
        &png_chunk(b"IEND", b""),
    ]
    .concat();
    assert!(near(at(&thumb(&bytes), 3, 3), [200; 3]));
}

#[test]
fn no_decoder_no_file_wrong_type() {
    for media in [MediaType::Avif, MediaType::Heic] {
        let made = with_file(b"x", |path| make(path, media));
        assert!(matches!(made, Err(ThumbnailError::Unsupported)));
    }
    let made = make(Path::new("/nonexistent/picture"), MediaType::Png);
    assert!(matches!(made, Err(ThumbnailError::Io(_))));
    let png = encoded(flag(10, 10), ImageFormat::Png);
    for media in [MediaType::Jpeg, MediaType::Gif, MediaType::Webp] {
        let made = with_file(&png, |path| make(path, media));
        assert!(matches!(made, Err(ThumbnailError::Damaged(_))), "{media:?} {made:?}");
    }
}
