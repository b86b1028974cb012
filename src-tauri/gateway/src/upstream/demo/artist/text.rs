//! Sets the prompt and the demo label in the built-in font.
//!
//! Knows glyphs, lines and boxes; does not know what the words mean or what is painted behind.
//! No shaping: left-to-right, one glyph per character is right for Chinese and Latin.

use std::sync::OnceLock;

use ab_glyph::{Font, FontRef, ScaleFont, point};
use tiny_skia::{Color, Pixmap};

use super::palette::{fade, hex, mix};
use super::pen::Pen;
use super::theme::Theme;

static FONT_BYTES: &[u8] = include_bytes!("../../../../assets/demo-font.otf");

/// Shown on every picture, so that nobody mistakes it for the work of a model.
const LABEL: &str = "PicGate demo · 演示图片";
const NO_PROMPT: &str = "(empty prompt · 提示词为空)";
/// Three lines never hold more than this many characters at the smallest size.
const MAX_CHARS: usize = 1200;
const MAX_LINES: usize = 3;

/// Parsed once; `None` (draw without text) only if the asset was damaged at build time.
fn font() -> Option<&'static FontRef<'static>> {
    static FONT: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    FONT.get_or_init(|| FontRef::try_from_slice(FONT_BYTES).ok()).as_ref()
}

/// Height in pixels of the text band at the bottom. It depends on the picture's size alone, so
/// that the band of an edited picture covers exactly the band of the picture it came from.
pub fn band_height(width: u32, height: u32) -> u32 {
    let unit = width.min(height).max(height / 2) as f32;
    ((unit * 0.15) as u32).min(height / 3).max(8)
}

/// Paints the band with the prompt and, top left, the demo label.
pub fn caption(map: &mut Pixmap, prompt: &str, theme: &Theme, edited: bool) {
    let (width, height) = (map.width() as f32, map.height() as f32);
    let band = band_height(map.width(), map.height()) as f32;
    let paper = mix(mix(theme.sky[0], theme.ground, 0.5), hex(0x14161F), 0.78);
    let accent = theme.coat.or(theme.colours.first().copied()).unwrap_or(theme.sky[2]);
    let mut pen = Pen::new(map);
    pen.rect(0.0, height - band, width, band, paper);
    pen.rect(0.0, height - band, width, (band * 0.025).max(1.0), accent);
    let Some(font) = font() else { return };

    let clean = printable(prompt);
    let (text, ink) = if clean.is_empty() { (NO_PROMPT.to_owned(), hex(0xA9AFBF)) } else { (clean, hex(0xF7F7F2)) };
    let pad = band * 0.24;
    let (size, lines) = fit(font, &text, (width - 2.0 * pad).max(8.0), band);
    let leading = size * 1.32;
    let mut baseline = height - band * 0.487 - leading * (lines.len() as f32 - 1.0) / 2.0 + size * 0.36;
    for line in &lines {
        set(map, font, line, (pad, baseline), size, ink);
        baseline += leading;
    }
    label(map, font, edited);
}

fn label(map: &mut Pixmap, font: &FontRef<'_>, edited: bool) {
    let (width, height) = (map.width() as f32, map.height() as f32);
    let text = if edited { format!("{LABEL} · edit 编辑") } else { LABEL.to_owned() };
    let wanted = (width.min(height) * 0.023).clamp(9.0, 44.0);
    let room = width * 0.86;
    let size = wanted * (room / measure(font, &text, wanted)).min(1.0);
    let (x, y) = (size * 0.9, size * 0.9);
    let mut pen = Pen::new(map);
    let plate = (measure(font, &text, size) + size * 1.5, size * 1.9);
    // An edit may lie over an older label, which must not shine through.
    let cover = if edited { 1.0 } else { 0.62 };
    pen.round_rect((x, y), plate, plate.1 / 2.0, fade(hex(0x2A3040), cover));
    set(map, font, &text, (x + size * 0.75, y + size * 1.31), size, hex(0xFFFFFF));
}

/// Collapses white space and drops characters that are invisible by nature (joiners, variation
/// selectors, direction marks); everything else stays, glyph or not.
fn printable(prompt: &str) -> String {
    let visible = prompt.chars().take(MAX_CHARS).filter_map(|c| match c {
        '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' => None,
        '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E01EF}' => None,
        c if c.is_control() => Some(' '),
        c => Some(c),
    });
    let text: String = visible.collect();
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if prompt.chars().nth(MAX_CHARS).is_some() {
        text.push('…');
    }
    text
}

/// Largest of three sizes at which the text fits; the smallest one ends in an ellipsis.
fn fit(font: &FontRef<'_>, text: &str, room: f32, band: f32) -> (f32, Vec<String>) {
    for (lines, share) in [(1, 0.31), (2, 0.265)] {
        let wrapped = wrap(font, text, room, band * share);
        if wrapped.len() <= lines {
            return (band * share, wrapped);
        }
    }
    let size = band * 0.2;
    let mut lines = wrap(font, text, room, size);
    if lines.len() > MAX_LINES {
        lines.truncate(MAX_LINES);
        if let Some(last) = lines.last_mut() {
            while !last.is_empty() && measure(font, &format!("{last}…"), size) > room {
                last.pop();
            }
            last.push('…');
        }
    }
    (size, lines)
}

/// Greedy wrapping; Latin words stay whole where they can, Chinese breaks between characters.
fn wrap(font: &FontRef<'_>, text: &str, room: f32, size: f32) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0.0;
    for word in words(text) {
        let width = measure(font, word, size);
        // Closing punctuation may hang into the margin rather than open a line.
        let hangs = word.chars().all(|c| ",。!?、;:)》」』”’…,.!?;:)".contains(c));
        if used + width > room && used > 0.0 && !hangs && !word.trim().is_empty() {
            lines.push(String::new());
            used = 0.0;
        }
        if used == 0.0 && word == " " {
            continue;
        }
        if width <= room {
            push(&mut lines, word);
            used += width;
            continue;
        }
        for c in word.chars() {
            let step = advance(font, c, size);
            if used + step > room && used > 0.0 {
                lines.push(String::new());
                used = 0.0;
            }
            push(&mut lines, c.encode_utf8(&mut [0; 4]));
            used += step;
        }
        // One more line than can be shown is enough to know that the text does not fit.
        if lines.len() > MAX_LINES + 1 {
            break;
        }
    }
    lines
}

fn push(lines: &mut [String], piece: &str) {
    if let Some(line) = lines.last_mut() {
        line.push_str(piece);
    }
}

/// Unbreakable pieces: runs of non-CJK letters, single CJK characters, single spaces.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let sticky = |c: char| c != ' ' && (c as u32) < 0x2E80 && c != '…';
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = if sticky(first) { rest.find(|c| !sticky(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        let (word, tail) = rest.split_at(end);
        rest = tail;
        Some(word)
    })
}

fn advance(font: &FontRef<'_>, c: char, size: f32) -> f32 {
    let id = font.glyph_id(c);
    if id.0 == 0 { size * 0.84 } else { font.as_scaled(em(font, size)).h_advance(id) }
}

fn measure(font: &FontRef<'_>, text: &str, size: f32) -> f32 {
    text.chars().map(|c| advance(font, c, size)).sum()
}

/// ab_glyph scales by ascent-to-descent height; callers mean the em, as type sizes usually do.
fn em(font: &FontRef<'_>, size: f32) -> f32 {
    size * font.height_unscaled() / font.units_per_em().unwrap_or(1000.0)
}

/// Draws one line with its baseline starting at `at` (pixels).
fn set(map: &mut Pixmap, font: &FontRef<'_>, text: &str, at: (f32, f32), size: f32, ink: Color) {
    let mut x = at.0;
    for c in text.chars() {
        let step = advance(font, c, size);
        let id = font.glyph_id(c);
        if id.0 == 0 {
            let side = size * 0.62;
            let corner = (x + (step - side) / 2.0, at.1 - size * 0.69);
            Pen::new(map).round_rect(corner, (side, side), side * 0.18, fade(ink, 0.38));
        } else {
            let glyph = id.with_scale_and_position(em(font, size), point(x, at.1));
            if let Some(outline) = font.outline_glyph(glyph) {
                let corner = outline.px_bounds().min;
                outline.draw(|dx, dy, cover| {
                    let (px, py) = (corner.x as i64 + i64::from(dx), corner.y as i64 + i64::from(dy));
                    blend(map, px, py, ink, cover);
                });
            }
        }
        x += step;
    }
}

/// Lays `ink` over an opaque pixel; outside the picture nothing happens.
fn blend(map: &mut Pixmap, x: i64, y: i64, ink: Color, cover: f32) {
    let (width, height) = (i64::from(map.width()), i64::from(map.height()));
    if x < 0 || y < 0 || x >= width || y >= height {
        return;
    }
    let at = ((y * width + x) * 4) as usize;
    if let Some(pixel) = map.data_mut().get_mut(at..at + 3) {
        let cover = cover.clamp(0.0, 1.0);
        for (old, new) in pixel.iter_mut().zip([ink.red(), ink.green(), ink.blue()]) {
            *old = (f32::from(*old) + (new * 255.0 - f32::from(*old)) * cover).round() as u8;
        }
    }
}
