//! Draws the pictures of the built-in `demo` upstream: same brief, same bytes, no network, no model.
//!
//! It refuses to know about HTTP, requests, accounts or storage: text and bytes in, an encoded
//! picture out. It makes no attempt to understand a prompt beyond a short word list, and every
//! picture carries a label that says it is a demo.
//!
//! The font `assets/demo-font.otf` (OFL, see `assets/demo-font-LICENSE.txt`) was made from Debian's
//! `fonts-noto-cjk` 1:20220127+repack1-1 with fonttools 4.68.0:
//!
//! ```sh
//! apt-get download fonts-noto-cjk && dpkg-deb -x fonts-noto-cjk_*.deb x
//! python3 -m venv v && v/bin/pip install fonttools==4.68.0
//! python3 - >u.txt <<'E'
//! out = {*range(0x20,0x7f), *range(0xa0,0x100), *range(0x3000,0x3040), *range(0xff01,0xff5f),
//!        0xffe5, *map(ord, "‘’“”–—…·•×÷°→←↑↓€™")}
//! for r in range(0xA1, 0xF8):          # all of GB2312: symbols, kana, Greek, Cyrillic, 6763 hanzi
//!     for c in range(0xA1, 0xFF):
//!         try: out.update(map(ord, bytes([r, c]).decode("gb2312")))
//!         except UnicodeDecodeError: pass
//! out -= set(range(0x2500, 0x2580))    # box drawing
//! print(",".join(f"{c:04X}" for c in sorted(out)))
//! E
//! v/bin/pyftsubset x/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc --font-number=2 \
//!   --unicodes-file=u.txt --no-hinting --layout-features= --notdef-outline \
//!   --drop-tables+=GSUB,GPOS,GDEF,BASE,VORG,vhea,vmtx,DSIG --name-IDs=0,1,2,13,14 \
//!   --output-file=demo-font.otf
//! ```

mod animals;
mod edit;
mod figures;
mod palette;
mod pen;
mod scene;
mod sky;
mod text;
mod theme;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use tiny_skia::{FilterQuality, Paint, Pattern, Pixmap, Rect, SpreadMode, Transform};

use theme::Theme;

/// Shortest and longest side, in pixels.
const SIDE: (u32, u32) = (64, 4096);
/// Most pixels of one picture.
const MAX_PIXELS: f64 = 8_400_000.0;
const JPEG_QUALITY: u8 = 88;

/// Encoding of the finished picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Lossless, 8-bit RGB.
    Png,
    /// Quality 88.
    Jpeg,
}

/// What to draw.
#[derive(Clone, Copy, Debug)]
pub struct Brief<'a> {
    /// Any text of any length and language; may be empty.
    pub prompt: &'a str,
    /// Wanted width in pixels; sides are clamped to 64..=4096 and the whole to 8.4 Mpx.
    pub width: u32,
    /// Wanted height in pixels, clamped like `width`.
    pub height: u32,
    /// Encoded source pictures (png, jpeg, gif, webp) of an edit; undecodable ones are left out,
    /// of more than four the rest is ignored.
    pub inputs: &'a [Vec<u8>],
    /// Encoding of the result.
    pub format: Format,
}

/// Draws the picture. Same brief, same bytes; never panics.
pub fn draw(brief: &Brief<'_>) -> Vec<u8> {
    render(brief, None)
}

/// Draws the picture as it looks at `stage` 0, 1 or 2 of 3 (2: nearly final; higher counts as 2).
pub fn draw_partial(brief: &Brief<'_>, stage: u8) -> Vec<u8> {
    render(brief, Some(stage.min(2)))
}

fn render(brief: &Brief<'_>, stage: Option<u8>) -> Vec<u8> {
    let (width, height) = fit_size(brief.width, brief.height);
    let Some(mut map) = Pixmap::new(width, height) else {
        return Vec::new();
    };
    let theme = Theme::read(brief.prompt);
    let floor = height - text::band_height(width, height);
    let edited = edit::paint(&mut map, &theme, brief.inputs, floor);
    if !edited {
        scene::paint(&mut map, &theme, floor);
    }
    if let Some(stage) = stage {
        soften(&mut map, [0.055, 0.02, 0.006][usize::from(stage.min(2))]);
    }
    // Set last, so that even an unfinished picture says what it is.
    text::caption(&mut map, brief.prompt, &theme, edited);
    encode(&map, brief.format)
}

/// Sides within `SIDE`, then scaled down together until the whole is within `MAX_PIXELS`.
fn fit_size(width: u32, height: u32) -> (u32, u32) {
    let (w, h) = (width.clamp(SIDE.0, SIDE.1), height.clamp(SIDE.0, SIDE.1));
    let scale = (MAX_PIXELS / (f64::from(w) * f64::from(h))).sqrt().min(1.0);
    let fit = |side: u32| ((f64::from(side) * scale) as u32).max(SIDE.0);
    (fit(w), fit(h))
}

/// Blurs by averaging cells of `share` of the shorter side and blending between them.
fn soften(map: &mut Pixmap, share: f32) {
    let (w, h) = (map.width() as usize, map.height() as usize);
    let cell = ((w.min(h) as f32 * share) as usize).max(2);
    let (cols, rows) = (w.div_ceil(cell), h.div_ceil(cell));
    let Some(mut small) = Pixmap::new(cols as u32, rows as u32) else {
        return;
    };
    let data = map.data();
    for (i, out) in small.data_mut().chunks_exact_mut(4).enumerate() {
        let (x, y) = (i % cols * cell, i / cols * cell);
        let (mut sum, mut count) = ([0_u32; 3], 0);
        for row in y..(y + cell).min(h) {
            let line = &data[(row * w + x) * 4..(row * w + (x + cell).min(w)) * 4];
            for pixel in line.chunks_exact(4) {
                for (total, value) in sum.iter_mut().zip(pixel) {
                    *total += u32::from(*value);
                }
                count += 1;
            }
        }
        out[3] = 255;
        for (value, total) in out.iter_mut().zip(sum) {
            *value = (total / count.max(1)) as u8;
        }
    }
    let (scale, area) = (cell as f32, Rect::from_xywh(0.0, 0.0, w as f32, h as f32));
    let at = Transform::from_scale(scale, scale);
    let shader = Pattern::new(small.as_ref(), SpreadMode::Pad, FilterQuality::Bilinear, 1.0, at);
    let paint = Paint { shader, anti_alias: false, ..Paint::default() };
    if let Some(area) = area {
        map.fill_rect(area, &paint, Transform::identity(), None);
    }
}

fn encode(map: &Pixmap, format: Format) -> Vec<u8> {
    // Every scene paints its whole area opaque, so colours are not premultiplied by anything.
    let rgb: Vec<u8> = map.data().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
    let (w, h, kind) = (map.width(), map.height(), ExtendedColorType::Rgb8);
    let mut out = Vec::with_capacity(rgb.len() / 6);
    let written = match format {
        Format::Png => PngEncoder::new_with_quality(&mut out, CompressionType::Fast, FilterType::Adaptive).write_image(&rgb, w, h, kind),
        Format::Jpeg => JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY).write_image(&rgb, w, h, kind),
    };
    // Writing to memory with checked sizes has no way to fail; half a file would be worse than none.
    if written.is_err() {
        out.clear();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brief(prompt: &str) -> Brief<'_> {
        Brief { prompt, width: 256, height: 192, inputs: &[], format: Format::Png }
    }

    fn size(bytes: &[u8]) -> (u32, u32) {
        let picture = image::load_from_memory(bytes).expect("decodable");
        (picture.width(), picture.height())
    }

    #[test]
    fn same_brief_same_bytes_and_other_prompts_differ() {
        let fox = draw(&brief("Draw a red fox"));
        assert_eq!(fox, draw(&brief("Draw a red fox")));
        assert_ne!(fox, draw(&brief("Draw a red fox!")));
        assert_ne!(fox, draw(&brief("画一只红狐狸")));
    }

    #[test]
    fn sizes_are_honoured_and_clamped() {
        for (asked, given) in [((256, 192), (256, 192)), ((1, 9000), (64, 4096)), ((0, 0), (64, 64)), ((1536, 1024), (1536, 1024))] {
            let bytes = draw(&Brief { width: asked.0, height: asked.1, ..brief("sea") });
            assert_eq!(size(&bytes), given);
        }
        let (w, h) = fit_size(u32::MAX, 4096);
        assert!(w == h && f64::from(w) * f64::from(h) <= MAX_PIXELS);
    }

    #[test]
    fn formats_have_their_magic_bytes() {
        assert!(draw(&brief("a")).starts_with(b"\x89PNG\r\n\x1a\n"));
        let jpeg = draw(&Brief { format: Format::Jpeg, ..brief("a") });
        assert!(jpeg.starts_with(&[0xFF, 0xD8, 0xFF]));
    }

    #[test]
    fn odd_prompts_survive() {
        let long = "长长的提示词 with words ".repeat(500);
        let wide = "x".repeat(10_000);
        for prompt in ["", " \n\t ", "🦊🦊 \u{200D}\u{FE0F}", "\u{0}\u{202E}", &long, &wide] {
            assert_eq!(size(&draw(&brief(prompt))), (256, 192));
            assert_eq!(size(&draw(&Brief { width: 64, height: 4096, ..brief(prompt) })), (64, 4096));
        }
    }

    #[test]
    fn edits_show_the_input_and_survive_broken_ones() {
        let fox = draw(&brief("Draw a red fox"));
        let mut cut = fox.clone();
        cut.truncate(60);
        let broken = [Vec::new(), b"GIF89a".to_vec(), cut];
        let plain = draw(&brief("make the fox blue"));
        assert_eq!(draw(&Brief { inputs: &broken, ..brief("make the fox blue") }), plain);
        let mixed = [b"no picture".to_vec(), fox.clone(), fox.clone(), fox.clone(), fox];
        let edited = draw(&Brief { inputs: &mixed, ..brief("make the fox blue") });
        assert_ne!(edited, plain);
        assert_eq!(size(&edited), (256, 192));
    }

    #[test]
    fn partials_approach_the_final_picture() {
        let pixels = |bytes: &[u8]| image::load_from_memory(bytes).expect("decodable").into_rgb8();
        let last = pixels(&draw(&brief("a house by the sea")));
        let gaps = [0, 1, 2].map(|stage| {
            let now = pixels(&draw_partial(&brief("a house by the sea"), stage));
            now.iter().zip(last.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>()
        });
        assert!(gaps[0] > gaps[1] && gaps[1] > gaps[2] && gaps[2] > 0, "{gaps:?}");
    }
}
