//! Paints what is above the land: sky, light, stars, clouds, and the weather in front of it all.
//!
//! Knows the theme's colours and the stage's measures; nothing of the land or the figures.

use tiny_skia::Color;

use super::palette::{Hour, Rng, fade, hex, mix};
use super::pen::Pen;
use super::scene::Stage;
use super::theme::{Figure, Theme};

/// Sky, sun or moon, stars, clouds and gulls, down to the foot of the scene.
pub fn paint(pen: &mut Pen<'_>, s: &Stage, theme: &Theme) {
    let [top, middle, low] = theme.sky;
    pen.slope((0.0, 0.0, s.w, s.h), &[(0.0, top), (0.38, middle), (0.66, low), (1.0, low)]);
    let mut rng = Rng::new(theme.seed, 1);
    let night = theme.hour == Hour::Night;
    if night || theme.starry {
        stars(pen, s, theme, &mut rng);
    }
    // The light stands beside the middle, where the figure does not hide it.
    let side = if theme.seed & 1 == 0 { rng.range(0.16, 0.3) } else { rng.range(0.7, 0.84) };
    let low_sun = matches!(theme.hour, Hour::Dawn | Hour::Dusk);
    let y = if low_sun { rng.range(0.36, 0.46) } else { rng.range(0.2, 0.28) };
    let r = s.u * if theme.clear_sky_light { 0.088 } else { 0.07 };
    let (x, y) = (s.w * side, s.h * y);
    let halo = if night { 0.28 } else { 0.6 };
    if theme.rain && !theme.clear_sky_light {
        return clouds(pen, s, theme, &mut rng);
    }
    pen.glow(x, y, r * 6.5, fade(theme.glow, halo));
    for (ring, alpha) in [(2.1, 0.12), (1.5, 0.2)] {
        pen.circle(x, y, r * ring, fade(theme.glow, alpha));
    }
    pen.circle(x, y, r, mix(theme.glow, Color::WHITE, 0.25));
    if night {
        for (dx, dy, k) in [(-0.3, -0.25, 0.2), (0.32, 0.1, 0.14), (-0.1, 0.42, 0.11)] {
            pen.circle(x + dx * r, y + dy * r, r * k, fade(theme.sky[2], 0.35));
        }
    } else if theme.clear_sky_light && theme.hour == Hour::Day {
        rays(pen, x, y, r, theme.glow);
    }
    clouds(pen, s, theme, &mut rng);
    if !night && !theme.figures.iter().any(|(figure, _)| *figure == Figure::Bird) && !theme.rain {
        gulls(pen, s, theme, &mut rng);
    }
}

fn stars(pen: &mut Pen<'_>, s: &Stage, theme: &Theme, rng: &mut Rng) {
    for _ in 0..if theme.starry { 150 } else { 80 } {
        let depth = rng.range(0.0, 1.0);
        let (x, y) = (rng.range(0.0, s.w), depth * s.horizon);
        let r = s.u * rng.range(0.0011, 0.0028);
        pen.circle(x, y, r.max(0.5), fade(hex(0xFFF8E4), 0.9 - 0.6 * depth));
    }
    for _ in 0..if theme.starry { 12 } else { 5 } {
        let (x, y) = (rng.range(0.04, 0.96) * s.w, rng.range(0.05, 0.42) * s.h);
        let r = s.u * rng.range(0.009, 0.022);
        let mut star = pen.placed(x, y, r, r);
        star.glow(0.0, 0.0, 2.2, fade(hex(0xFFF8E4), 0.35));
        star.path("M 0 -1 Q 0.1 -0.1 1 0 Q 0.1 0.1 0 1 Q -0.1 0.1 -1 0 Q -0.1 -0.1 0 -1 Z", hex(0xFFFBEF));
    }
}

fn rays(pen: &mut Pen<'_>, x: f32, y: f32, r: f32, ink: Color) {
    for i in 0..12 {
        let (sin, cos) = (i as f32 * std::f32::consts::TAU / 12.0).sin_cos();
        let reach = if i % 2 == 0 { 1.95 } else { 1.7 };
        let from = (x + cos * r * 1.35, y + sin * r * 1.35);
        pen.line(&[from, (x + cos * r * reach, y + sin * r * reach)], r * 0.13, ink);
    }
}

fn clouds(pen: &mut Pen<'_>, s: &Stage, theme: &Theme, rng: &mut Rng) {
    let night = theme.hour == Hour::Night;
    let white = mix(theme.sky[2], Color::WHITE, if night { 0.1 } else { 0.6 });
    let ink = fade(if theme.rain { mix(white, hex(0x6F7C90), 0.45) } else { white }, if night { 0.2 } else { 0.72 });
    for _ in 0..if theme.rain { 7 } else { 4 } {
        let (x, y) = (rng.range(-0.05, 1.0) * s.w, rng.range(0.07, 0.4) * s.h);
        let k = s.u * rng.range(0.07, 0.13);
        // One outline per cloud, so that translucent puffs do not darken where they meet.
        pen.placed(x, y, k, k).path(
            "M -1.3 0.3 C -1.65 0.3 -1.65 -0.2 -1.2 -0.18 C -1.2 -0.62 -0.62 -0.72 -0.45 -0.42 \
             C -0.3 -0.95 0.55 -0.95 0.62 -0.3 C 0.95 -0.48 1.25 -0.25 1.18 0.0 \
             C 1.55 -0.05 1.6 0.3 1.3 0.3 Z",
            ink,
        );
    }
}

fn gulls(pen: &mut Pen<'_>, s: &Stage, theme: &Theme, rng: &mut Rng) {
    let (x, y) = (rng.range(0.3, 0.6) * s.w, rng.range(0.14, 0.26) * s.h);
    let ink = fade(mix(theme.ground, hex(0x1C2233), 0.4), 0.75);
    for _ in 0..4 {
        let k = s.u * rng.range(0.012, 0.02);
        let (dx, dy) = (rng.range(-0.12, 0.12) * s.u, rng.range(-0.05, 0.05) * s.u);
        pen.placed(x + dx, y + dy, k, k)
            .path("M -1 -0.25 Q -0.45 -0.6 0 0.05 Q 0.45 -0.6 1 -0.25 Q 0.45 -0.38 0 0.3 Q -0.45 -0.38 -1 -0.25 Z", ink);
    }
}

/// Snow or rain in front of everything.
pub fn weather(pen: &mut Pen<'_>, s: &Stage, theme: &Theme) {
    let mut rng = Rng::new(theme.seed, 13);
    if theme.snow {
        for _ in 0..140 {
            let (x, y) = (rng.range(0.0, s.w), rng.range(0.0, s.h));
            pen.circle(x, y, s.u * rng.range(0.002, 0.0065), fade(Color::WHITE, rng.range(0.45, 0.95)));
        }
    }
    if theme.rain {
        for _ in 0..150 {
            let (x, y) = (rng.range(0.0, s.w), rng.range(-0.02, 0.97) * s.h);
            let long = s.u * rng.range(0.018, 0.04);
            pen.line(&[(x, y), (x - long * 0.25, y + long)], s.u * 0.0022, fade(hex(0xEAF2FF), 0.5));
        }
    }
}
