//! Colour arithmetic and the seeded chance that the demo artist's pictures vary by.
//!
//! Knows numbers only; what a prompt asks for is decided elsewhere.

use tiny_skia::Color;

/// Small xorshift generator: same seed, same picture, no dependency.
pub struct Rng(u64);

impl Rng {
    /// Starts a stream for one part of the picture; `salt` keeps parts independent of each other.
    pub fn new(seed: u64, salt: u64) -> Self {
        // Zero is xorshift's fixed point.
        Self((seed ^ salt.wrapping_mul(0x9E37_79B9_7F4A_7C15)).max(1))
    }

    /// Uniform value in `lo..hi`.
    pub fn range(&mut self, lo: f32, hi: f32) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let unit = (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / (1u64 << 24) as f32;
        lo + (hi - lo) * unit
    }
}

/// FNV-1a, then a mix so that prompts differing in the last letter still differ widely.
pub fn hash(text: &str) -> u64 {
    let fnv = text.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01B3));
    (fnv ^ (fnv >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

/// Opaque colour from `0xRRGGBB`.
pub fn hex(rgb: u32) -> Color {
    let [_, r, g, b] = rgb.to_be_bytes();
    Color::from_rgba8(r, g, b, 255)
}

/// `a` at `t` = 0, `b` at `t` = 1, opaque.
pub fn mix(a: Color, b: Color, t: f32) -> Color {
    let at = |x: f32, y: f32| (x + (y - x) * t).clamp(0.0, 1.0);
    Color::from_rgba(at(a.red(), b.red()), at(a.green(), b.green()), at(a.blue(), b.blue()), 1.0).unwrap_or(a)
}

/// The same colour with opacity `alpha` (0..=1).
pub fn fade(mut color: Color, alpha: f32) -> Color {
    color.set_alpha(alpha.clamp(0.0, 1.0));
    color
}

/// Perceived lightness, 0..=1.
pub fn luma(c: Color) -> f32 {
    0.299 * c.red() + 0.587 * c.green() + 0.114 * c.blue()
}

/// Gives `base` the hue of `tint` while keeping how light it is, so depth survives recolouring.
pub fn tinted(base: Color, tint: Color, amount: f32) -> Color {
    let gap = luma(base) - luma(tint);
    let toned = if gap > 0.0 {
        mix(tint, Color::WHITE, gap / (1.0 - luma(tint)).max(0.01))
    } else {
        mix(tint, Color::BLACK, -gap / luma(tint).max(0.01))
    };
    mix(base, toned, amount)
}

/// Time of day of the scene.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hour {
    Day,
    Dawn,
    Dusk,
    Night,
}

impl Hour {
    /// Hand-picked: sky from zenith to horizon, far and near hills, ground, sun or moon; in two
    /// moods, so that prompts vary.
    pub fn colours(self, second: bool) -> [Color; 7] {
        let rgb: [u32; 7] = match (self, second) {
            (Self::Day, false) => [0x5FAEE6, 0xA5D8F3, 0xFBF3DA, 0xA3CFCB, 0x5FAE8B, 0x3F8F6B, 0xFFE08A],
            (Self::Day, true) => [0x62C3C9, 0xB4E4DC, 0xFFF4D9, 0x9FD0BE, 0x6DB37C, 0x4C9463, 0xFFD876],
            (Self::Dawn, false) => [0x8B9FE6, 0xEDC3DC, 0xFFE7C7, 0xBFA5D2, 0x8480BE, 0x5E6AA0, 0xFFF3CF],
            (Self::Dawn, true) => [0x79B4DE, 0xF6CFC4, 0xFFEBCB, 0xA9B6D4, 0x6F92B4, 0x4B7595, 0xFFF0C4],
            (Self::Dusk, false) => [0x413C7A, 0xD8678E, 0xFFC684, 0xA0568B, 0x643C78, 0x432E62, 0xFFD98A],
            (Self::Dusk, true) => [0x2F4A80, 0xE0846F, 0xFFD596, 0x96607F, 0x54466F, 0x38365C, 0xFFE2A0],
            (Self::Night, false) => [0x0C1538, 0x26356F, 0x626CA6, 0x34437C, 0x233160, 0x18234A, 0xF5EFD2],
            (Self::Night, true) => [0x10123A, 0x33306F, 0x75649F, 0x41407A, 0x2A2C5C, 0x1D1F47, 0xF7ECD6],
        };
        rgb.map(hex)
    }
}
