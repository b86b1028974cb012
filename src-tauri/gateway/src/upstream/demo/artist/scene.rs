//! Paints the landscape of a theme: hills or sea, town, ground, and the figures on it.
//!
//! Knows the theme's colours and where things stand; does not read prompts and sets no text.

use tiny_skia::{Color, Pixmap};

use super::figures;
use super::palette::{Hour, Rng, fade, hex, mix};
use super::pen::Pen;
use super::sky;
use super::theme::{Figure, Theme};

/// Where things are, in pixels; the scene ends where the text band begins.
pub struct Stage {
    pub w: f32,
    pub h: f32,
    /// Shorter side: the measure of everything that must not stretch.
    pub u: f32,
    pub horizon: f32,
    shore: f32,
}

/// Paints the whole scene into the top `height` pixel rows.
pub fn paint(map: &mut Pixmap, theme: &Theme, height: u32) {
    let (w, h) = (map.width() as f32, height as f32);
    let stage = Stage { w, h, u: w.min(h), horizon: h * 0.6, shore: h * 0.8 };
    // The rows below the scene get the ground too: blurring must not pull black into it.
    map.fill(theme.ground);
    let mut pen = Pen::new(map);
    sky::paint(&mut pen, &stage, theme);
    if theme.mountain {
        mountains(&mut pen, &stage, theme);
    } else {
        hills(&mut pen, &stage, theme, 0.52, mix(theme.far, theme.sky[2], 0.45), 1);
    }
    if theme.city {
        city(&mut pen, &stage, theme);
    }
    if theme.sea {
        sea(&mut pen, &stage, theme);
    } else {
        hills(&mut pen, &stage, theme, 0.60, theme.far, 2);
        hills(&mut pen, &stage, theme, 0.69, mix(theme.far, theme.near, 0.7), 3);
        conifers(&mut pen, &stage, theme);
    }
    ground(&mut pen, &stage, theme);
    cast(&mut pen, &stage, theme);
    sky::weather(&mut pen, &stage, theme);
}

/// A rolling ridge at `level` (share of the height) that fades into mist below.
fn hills(pen: &mut Pen<'_>, s: &Stage, theme: &Theme, level: f32, ink: Color, salt: u64) {
    let top = ridge(s, theme, level, salt);
    let mist = mix(ink, theme.sky[2], 0.34);
    pen.slope_under(s.w, s.h, s.h * (level - 0.06), &top, (ink, mist));
}

/// Height of a ridge at each horizontal place, both in pixels.
fn ridge(s: &Stage, theme: &Theme, level: f32, salt: u64) -> impl Fn(f32) -> f32 + use<> {
    let mut rng = Rng::new(theme.seed, 100 + salt);
    let (p, q) = (rng.range(0.0, 6.3), rng.range(0.0, 6.3));
    let (f, g) = (rng.range(2.2, 4.2), rng.range(6.0, 9.0));
    let (base, swell, wide) = (s.h * level, s.h * 0.042, s.w.max(s.h * 0.8));
    move |x| base - swell * (0.7 * (x / wide * f + p).sin() + 0.3 * (x / wide * g + q).sin())
}

fn mountains(pen: &mut Pen<'_>, s: &Stage, theme: &Theme) {
    let mut rng = Rng::new(theme.seed, 7);
    let count = (s.w / s.u * 3.0).ceil() as i32 + 1;
    for row in 0..2 {
        let ink = mix(theme.far, theme.sky[1], if row == 0 { 0.5 } else { 0.0 });
        for i in 0..count {
            let x = (i as f32 + rng.range(0.1, 0.6) - 0.3 * row as f32) * s.w / (count - 1) as f32;
            let tall = s.h * rng.range(0.2, 0.36) * if row == 0 { 1.25 } else { 0.85 };
            let mut peak = pen.placed(x, s.horizon + s.h * 0.08, tall * 0.85, tall);
            peak.path("M 0 -1 L 1 0 L -1 0 Z", ink);
            peak.path("M 0 -1 L 1 0 L 0.16 0 L -0.06 -0.42 L 0.1 -0.62 Z", fade(theme.ground, 0.22));
            peak.path(
                "M 0 -1 L 0.3 -0.7 L 0.15 -0.64 L 0.06 -0.72 L -0.06 -0.6 L -0.15 -0.7 L -0.27 -0.73 Z",
                mix(hex(0xFFFFFF), theme.sky[1], 0.18),
            );
        }
    }
}

fn city(pen: &mut Pen<'_>, s: &Stage, theme: &Theme) {
    let mut rng = Rng::new(theme.seed, 11);
    let lit = matches!(theme.hour, Hour::Night | Hour::Dusk);
    for row in 0..2 {
        let ink = mix(theme.near, theme.sky[1], 0.55 - 0.35 * row as f32);
        let window = if lit { hex(0xFFE3A0) } else { mix(ink, Color::WHITE, 0.45) };
        let mut x = -0.02 * s.w;
        while x < s.w {
            let (w, h) = (s.u * rng.range(0.06, 0.12), s.h * rng.range(0.12, 0.34 - 0.1 * row as f32));
            let top = s.horizon + s.h * 0.05 - h;
            pen.rect(x, top, w, h + s.h * 0.3, ink);
            let cell = w / 5.0;
            let mut y = top + cell;
            while y < s.horizon + s.h * 0.02 {
                for column in 0..2 {
                    if rng.range(0.0, 1.0) < 0.6 {
                        let left = x + cell * (1.0 + 2.0 * column as f32);
                        pen.rect(left, y, cell, cell * 0.9, fade(window, 0.8));
                    }
                }
                y += cell * 2.0;
            }
            x += w * rng.range(1.02, 1.3);
        }
    }
}

fn sea(pen: &mut Pen<'_>, s: &Stage, theme: &Theme) {
    let deep = match theme.hour {
        Hour::Day => mix(hex(0x2C86B8), theme.sky[0], 0.25),
        _ => mix(theme.sky[0], theme.near, 0.35),
    };
    let shallow = mix(deep, theme.sky[2], 0.45);
    pen.slope((0.0, s.horizon, s.w, s.h - s.horizon), &[(0.0, shallow), (0.55, deep), (1.0, deep)]);
    let mut rng = Rng::new(theme.seed, 5);
    for i in 0..46 {
        let depth = (i as f32 + rng.range(0.0, 1.0)) / 46.0;
        let (x, y) = (rng.range(-0.05, 1.0) * s.w, s.horizon + depth * (s.shore - s.horizon) + 2.0);
        let long = s.u * (0.03 + 0.1 * depth) * rng.range(0.6, 1.3);
        let mut wave = pen.placed(x, y, long, s.u * (0.002 + 0.005 * depth));
        wave.path("M -1 0 Q 0 -1.6 1 0 Q 0 -0.2 -1 0 Z", fade(theme.sky[2], 0.5));
    }
}

fn conifers(pen: &mut Pen<'_>, s: &Stage, theme: &Theme) {
    let mut rng = Rng::new(theme.seed, 3);
    let top = ridge(s, theme, 0.69, 3);
    for _ in 0..(14.0 * s.w / s.u) as u32 {
        let x = rng.range(0.0, s.w);
        let tall = s.u * rng.range(0.035, 0.07);
        let ink = mix(theme.near, theme.ground, rng.range(0.2, 0.9));
        let mut tree = pen.placed(x, top(x) + s.u * 0.012, tall, tall);
        tree.path("M 0 -1.5 L 0.34 -0.75 L 0.18 -0.78 L 0.48 -0.1 L -0.48 -0.1 L -0.18 -0.78 L -0.34 -0.75 Z", ink);
        tree.rect(-0.06, -0.1, 0.12, 0.16, ink);
        if theme.snow {
            tree.path("M 0 -1.5 L 0.22 -1.0 L 0 -1.08 L -0.22 -1.0 Z", hex(0xF6F9FD));
        }
    }
}

fn ground(pen: &mut Pen<'_>, s: &Stage, theme: &Theme) {
    let sand = mix(hex(0xF0D9A6), theme.ground, if theme.hour == Hour::Day { 0.1 } else { 0.62 });
    let ink = if theme.sea && !theme.snow { sand } else { theme.ground };
    let top = ridge(s, theme, 0.83, 4);
    if theme.sea {
        let rim = |x: f32| top(x) - s.u * 0.012;
        pen.slope_under(s.w, s.h, s.h * 0.8, &rim, (fade(Color::WHITE, 0.55), fade(Color::WHITE, 0.55)));
    }
    let light = mix(ink, theme.sky[2], 0.12);
    pen.slope_under(s.w, s.h, s.h * 0.78, &top, (light, mix(ink, hex(0x10131F), 0.16)));
    let mut rng = Rng::new(theme.seed, 9);
    for i in 0..(34.0 * s.w / s.u) as u32 {
        let x = rng.range(0.0, s.w);
        let y = (top(x) + rng.range(0.02, 0.22) * s.h).min(s.h);
        let k = s.u * rng.range(0.010, 0.018);
        let mut tuft = pen.placed(x, y, k, k);
        if theme.sea || theme.snow {
            tuft.oval(0.0, 0.0, 0.7, 0.22, fade(mix(ink, hex(0x30344A), 0.4), 0.3));
        } else {
            tuft.path("M -0.6 0 L -0.75 -0.9 L -0.2 0 L 0.05 -1.3 L 0.2 0 L 0.75 -0.8 L 0.55 0 Z", mix(ink, hex(0xFFFFFF), 0.1));
            if i % 4 == 0 && theme.hour != Hour::Night {
                tuft.circle(0.05, -1.4, 0.32, mix(theme.glow, Color::WHITE, 0.3));
            }
        }
    }
}

/// Figures share the width; water creatures and boats go into the water, the rest on the ground.
fn cast(pen: &mut Pen<'_>, s: &Stage, theme: &Theme) {
    let count = theme.figures.len() as f32;
    let crowd = if count > 1.0 { 0.78 } else { 1.0 };
    for (i, (figure, coat)) in theme.figures.iter().enumerate() {
        let lane = (i as f32 + 0.5) / count.max(1.0);
        let x = s.w * 0.5 + (lane - 0.5) * (s.w * 0.9).min(s.u * 1.7);
        let (size, foot) = match figure {
            Figure::Boat => (0.2, s.horizon + s.h * 0.12),
            Figure::Fish => (0.19, s.shore - s.h * 0.05),
            Figure::Bird => (0.2, s.h * 0.93),
            Figure::House | Figure::Tree => (0.33, s.h * 0.91),
            _ => (0.3, s.h * 0.955),
        };
        // A hair of difference per place keeps a row of figures from looking stamped.
        let k = s.u * size * crowd * (1.0 - 0.06 * i as f32);
        figures::draw(&mut pen.placed(x, foot - k, k, k), *figure, *coat, theme);
    }
}
