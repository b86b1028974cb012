//! Paints an "edited" picture: the earlier one, recoloured as the new prompt's colour words say.
//!
//! Knows encoded pictures and colours. Trusts no input: whatever does not decode within the
//! limits is treated as absent. It recognises no objects; "the fox" is a guess by hue.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbaImage, imageops};
use tiny_skia::{BlendMode, Color, FilterQuality, IntSize, Pattern, Pixmap, PixmapPaint, Rect, SpreadMode, Transform};

use super::figures;
use super::palette::{Hour, fade, hex, luma};
use super::pen::Pen;
use super::theme::Theme;

/// One picture, and the others as insets.
const MAX_INPUTS: usize = 4;
const MAX_PIXELS: u64 = 40_000_000;
const MAX_ALLOC_BYTES: u64 = 128 * 1024 * 1024;
/// Buckets of the colour wheel used to find what stands out in the middle of a picture.
const HUES: usize = 24;

/// Paints the edit over the whole picture, insets above pixel row `floor`; `false` (and nothing
/// painted) if no input decodes.
pub fn paint(map: &mut Pixmap, theme: &Theme, inputs: &[Vec<u8>], floor: u32) -> bool {
    let (w, h) = (map.width(), map.height());
    let mut rest = inputs.iter().take(MAX_INPUTS);
    let Some(main) = rest.by_ref().find_map(|bytes| load(bytes, w, h)) else {
        return false;
    };
    map.fill(hex(0xF4F1EA));
    cover(map, &main, (0.0, 0.0, w as f32, h as f32));
    recolour(map, theme);
    add_figures(map, theme, floor);
    insets(map, rest, floor);
    true
}

/// Decodes within the limits, upright, and not much larger than a `w` x `h` cover needs.
fn load(bytes: &[u8], w: u32, h: u32) -> Option<Pixmap> {
    // Decoders are well fuzzed, yet one hostile upload must not take the gateway's thread along.
    let decoded = std::panic::catch_unwind(|| decode(bytes)).ok()??;
    let (iw, ih) = (decoded.width().max(1), decoded.height().max(1));
    let scale = (w as f32 / iw as f32).max(h as f32 / ih as f32);
    // Sampling alone would alias below half size; averaging first does not.
    let picture = if scale < 0.6 {
        let fit = |side: u32| ((side as f32 * scale).ceil() as u32).max(1);
        imageops::thumbnail(&decoded, fit(iw), fit(ih))
    } else {
        decoded
    };
    let size = IntSize::from_wh(picture.width(), picture.height())?;
    let mut data = picture.into_raw();
    for pixel in data.chunks_exact_mut(4) {
        if let [r, g, b, a] = pixel {
            for channel in [r, g, b] {
                *channel = (u16::from(*channel) * u16::from(*a) / 255) as u8;
            }
        }
    }
    Pixmap::from_vec(data, size)
}

fn decode(bytes: &[u8]) -> Option<RgbaImage> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOC_BYTES);
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    let (w, h) = decoder.dimensions();
    if w == 0 || h == 0 || u64::from(w) * u64::from(h) > MAX_PIXELS {
        return None;
    }
    let upright = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).ok()?;
    picture.apply_orientation(upright);
    Some(picture.into_rgba8())
}

/// Fills a box (left, top, width, height; pixels) with the picture, cropping what sticks out.
fn cover(map: &mut Pixmap, picture: &Pixmap, (x, y, w, h): (f32, f32, f32, f32)) {
    let (iw, ih) = (picture.width() as f32, picture.height() as f32);
    let scale = (w / iw).max(h / ih);
    if scale == 1.0 && x == 0.0 && y == 0.0 && (iw, ih) == (w, h) {
        map.draw_pixmap(0, 0, picture.as_ref(), &PixmapPaint::default(), Transform::identity(), None);
        return;
    }
    let at = Transform::from_row(scale, 0.0, 0.0, scale, x + (w - iw * scale) / 2.0, y + (h - ih * scale) / 2.0);
    let paint = tiny_skia::Paint {
        shader: Pattern::new(picture.as_ref(), SpreadMode::Pad, FilterQuality::Bilinear, 1.0, at),
        blend_mode: BlendMode::SourceOver,
        anti_alias: false,
        ..tiny_skia::Paint::default()
    };
    if let Some(area) = Rect::from_xywh(x, y, w, h) {
        map.fill_rect(area, &paint, Transform::identity(), None);
    }
}

/// What becomes of the picture's pixels.
struct Change {
    target: Color,
    /// Hue (0..1) that stands out in the middle and is turned into `target`.
    hue: Option<f32>,
    /// How much of `target` every pixel takes on, 0..=1.
    wash: f32,
    /// How much darker and bluer every pixel gets, 0..=1.
    night: f32,
    /// 1 keeps colours, 0 removes them.
    vivid: f32,
}

fn recolour(map: &mut Pixmap, theme: &Theme) {
    let target = theme.coat.or(theme.colours.first().copied());
    let hue = target.filter(|_| !theme.overall).and_then(|_| standout(map));
    let change = Change {
        // Without a colour word a slight warm or cool cast still shows that something happened.
        target: target.unwrap_or(hex(if theme.seed & 1 == 0 { 0xF0A25A } else { 0x5A8FE0 })),
        hue,
        wash: match (target, hue) {
            (Some(_), Some(_)) => 0.08,
            (Some(_), None) => 0.5,
            (None, _) => 0.16,
        },
        night: if theme.hour == Hour::Night && theme.names_hour { 0.62 } else { 0.0 },
        vivid: if theme.monochrome { 0.0 } else { 1.0 },
    };
    for pixel in map.data_mut().chunks_exact_mut(4) {
        if let [r, g, b, _] = pixel {
            let unit = |c: u8| f32::from(c) / 255.0;
            let new = change.apply([unit(*r), unit(*g), unit(*b)]);
            [*r, *g, *b] = new.map(|c| (c.clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
        }
    }
}

impl Change {
    fn apply(&self, rgb: [f32; 3]) -> [f32; 3] {
        let [r, g, b] = rgb;
        let light = 0.299 * r + 0.587 * g + 0.114 * b;
        let (hue, chroma) = hue_chroma(rgb);
        let turned = self.hue.map_or(0.0, |wanted| {
            let away = (hue - wanted).abs();
            let near = 1.0 - ((away.min(1.0 - away) - 0.045) / 0.035).clamp(0.0, 1.0);
            near * ((chroma - 0.22) / 0.16).clamp(0.0, 1.0)
        });
        let target = [self.target.red(), self.target.green(), self.target.blue()];
        let base = luma(self.target).max(0.05);
        // The target's own lightness wins over the pixel's, or black and white would turn grey.
        let shade = (light - 0.5) * 0.55;
        let amount = turned.max(self.wash);
        let mut out = [0.0; 3];
        for (i, channel) in out.iter_mut().enumerate() {
            let vivid = target[i] + shade * (0.4 + 0.6 * target[i].max(base));
            let washed = target[i] * (light / base).min(1.0 / base) * 0.75 + light * 0.25;
            let toned = if turned > self.wash { vivid } else { washed };
            *channel = rgb[i] + (toned - rgb[i]) * amount;
            *channel = light * (1.0 - self.vivid) + *channel * self.vivid;
            let dark = *channel * [0.32, 0.38, 0.62][i];
            *channel += (dark - *channel) * self.night;
        }
        out
    }
}

/// Hue on a wheel of length 1, and chroma 0..=1.
fn hue_chroma([r, g, b]: [f32; 3]) -> (f32, f32) {
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let chroma = high - low;
    if chroma < 1e-4 {
        return (0.0, 0.0);
    }
    let sixth = if high == r {
        ((g - b) / chroma).rem_euclid(6.0)
    } else if high == g {
        (b - r) / chroma + 2.0
    } else {
        (r - g) / chroma + 4.0
    };
    (sixth / 6.0, chroma)
}

/// The hue that is common in the middle of the picture and rare at its sides, if there is one.
fn standout(map: &Pixmap) -> Option<f32> {
    let (w, h) = (map.width() as usize, map.height() as usize);
    let (mut middle, mut sides) = ([0.0_f32; HUES], [0.0_f32; HUES]);
    let (mut in_middle, mut at_sides) = (1.0_f32, 1.0_f32);
    let step = (w.min(h) / 160).max(1);
    // The lower part is left out: in the demo's own pictures it holds the text.
    for y in (0..h * 17 / 20).step_by(step) {
        for x in (0..w).step_by(step) {
            let at = (y * w + x) * 4;
            let Some(pixel) = map.data().get(at..at + 3) else {
                continue;
            };
            let (hue, chroma) = hue_chroma([0, 1, 2].map(|i| f32::from(pixel[i]) / 255.0));
            let inner = (w * 3 / 10..w * 7 / 10).contains(&x) && y > h / 5;
            let (wheel, count) = if inner { (&mut middle, &mut in_middle) } else { (&mut sides, &mut at_sides) };
            *count += 1.0;
            if chroma > 0.25 {
                wheel[((hue * HUES as f32) as usize).min(HUES - 1)] += chroma;
            }
        }
    }
    let weight = |i: usize| middle[i] / in_middle - 1.2 * sides[i] / at_sides;
    let best = (0..HUES).max_by(|a, b| weight(*a).total_cmp(&weight(*b)))?;
    if weight(best) < 0.015 {
        return None;
    }
    // The peak rarely sits in the middle of its bucket; its neighbours say where it leans.
    let (before, after) = ((best + HUES - 1) % HUES, (best + 1) % HUES);
    let (left, peak, right) = (middle[before], middle[best], middle[after]);
    let lean = (right - left) / (left + peak + right).max(1e-3);
    Some(((best as f32 + 0.5 + lean) / HUES as f32).rem_euclid(1.0))
}

/// "Add a cat": the newcomer stands beside the middle, smaller than the first figure.
fn add_figures(map: &mut Pixmap, theme: &Theme, floor: u32) {
    let (w, h) = (map.width() as f32, floor as f32);
    let k = w.min(h) * 0.17;
    let mut pen = Pen::new(map);
    for ((figure, coat), place) in theme.added.iter().zip([0.14, 0.86, 0.32]) {
        let x = w * place;
        figures::draw(&mut pen.placed(x, h * 0.965 - k, k, k), *figure, *coat, theme);
    }
}

/// Further inputs as small framed cards along the right side.
fn insets<'a>(map: &mut Pixmap, inputs: impl Iterator<Item = &'a Vec<u8>>, floor: u32) {
    let unit = map.width().min(floor) as f32;
    let (side, gap) = (unit * 0.22, unit * 0.035);
    let x = map.width() as f32 - side - gap;
    let pictures = inputs.filter_map(|bytes| load(bytes, side as u32 + 1, side as u32 + 1));
    for (i, picture) in pictures.enumerate() {
        let y = gap + (side + gap) * i as f32;
        let rim = (unit * 0.008).max(1.0);
        let card = |grow: f32| (side + grow * 2.0, side + grow * 2.0);
        let mut pen = Pen::new(map);
        pen.round_rect((x - rim * 1.6, y), card(rim * 1.6), rim * 2.4, fade(hex(0x0B1020), 0.3));
        pen.round_rect((x - rim, y - rim), card(rim), rim * 1.6, hex(0xFFFFFF));
        cover(map, &picture, (x, y, side, side));
    }
}
