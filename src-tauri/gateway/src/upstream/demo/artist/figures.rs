//! The demo artist's few flat figures: house, tree, flowers, boat; animals are next door.
//!
//! Each is drawn in its own units: x and y from -1 to 1, y down, feet at y = 1.
//! Knows nothing of the landscape around it nor of the prompt's words.

use tiny_skia::Color;

use super::animals::{bird, curled, fish, shades, sitting};
use super::palette::{Hour, fade, hex, mix};
use super::pen::Pen;
use super::theme::{Figure, Theme};

/// Draws one figure in the colour asked for it, or else in its natural one.
pub fn draw(pen: &mut Pen<'_>, figure: Figure, asked: Option<Color>, theme: &Theme) {
    let natural = hex(match figure {
        Figure::Cat => 0xE9A15B,
        Figure::Fox => 0xE2703A,
        Figure::Dog => 0xC58F5C,
        Figure::Rabbit => 0xE9E1DA,
        Figure::Bear => 0x8F6547,
        Figure::Panda => 0xF3F1EC,
        Figure::Bird => 0x4F9BD9,
        Figure::Fish => 0xF28C4B,
        Figure::Boat => 0xD9534A,
        Figure::House => 0xF3E3C8,
        Figure::Tree => 0x5BA364,
        Figure::Flower => 0xEE6C8A,
    });
    let coat = asked.unwrap_or(natural);
    if !matches!(figure, Figure::Boat | Figure::Fish) {
        pen.oval(0.0, 0.985, 0.85, 0.075, fade(hex(0x0B1020), 0.26));
    }
    match figure {
        Figure::Bird => bird(pen, coat),
        Figure::Fish => fish(pen, coat, theme),
        Figure::Boat => boat(pen, coat, theme),
        Figure::House => house(pen, coat, theme, asked.is_some()),
        Figure::Tree => tree(pen, coat, theme),
        Figure::Flower => flowers(pen, coat),
        _ if theme.asleep => curled(pen, figure, coat),
        _ => sitting(pen, figure, coat),
    }
}

fn boat(pen: &mut Pen<'_>, coat: Color, theme: &Theme) {
    let (dark, _, _) = shades(coat);
    pen.oval(0.0, 1.0, 1.1, 0.08, fade(hex(0x0B1020), 0.22));
    pen.rect(-0.03, -1.0, 0.06, 1.7, hex(0x6B4A35));
    pen.path("M 0.08 -0.95 Q 0.85 -0.2 0.8 0.5 L 0.08 0.5 Z", hex(0xFBF6EA));
    pen.path("M -0.08 -0.75 Q -0.6 -0.1 -0.66 0.5 L -0.08 0.5 Z", mix(theme.sky[2], coat, 0.3));
    pen.path("M -0.95 0.62 L 1.0 0.62 Q 0.85 1.02 0.5 1.02 L -0.55 1.02 Q -0.85 1.0 -0.95 0.62 Z", coat);
    pen.path("M -0.95 0.62 L 1.0 0.62 L 0.96 0.74 L -0.92 0.74 Z", dark);
}

fn house(pen: &mut Pen<'_>, coat: Color, theme: &Theme, painted: bool) {
    let lit = matches!(theme.hour, Hour::Night | Hour::Dusk);
    let night = if theme.hour == Hour::Night { 0.3 } else { 0.0 };
    let shade = |c: Color| mix(c, theme.sky[0], night);
    let wall = shade(coat);
    let roof = shade(if painted { mix(coat, hex(0x30202A), 0.5) } else { hex(0xC4574A) });
    for (x, y, r) in [(0.47, -1.12, 0.09), (0.56, -1.32, 0.12), (0.7, -1.56, 0.15)] {
        pen.circle(x, y, r, fade(hex(0xF1F1F4), if lit { 0.3 } else { 0.6 }));
    }
    pen.rect(0.36, -0.98, 0.2, 0.5, mix(roof, hex(0x30202A), 0.3));
    pen.rect(-0.72, -0.2, 1.44, 1.19, wall);
    pen.rect(-0.72, -0.2, 1.44, 0.12, fade(hex(0x1A1424), 0.18));
    pen.path("M 0 -1.02 L 0.98 -0.14 L -0.98 -0.14 Z", roof);
    pen.path("M 0 -1.02 L 0.98 -0.14 L 0.5 -0.14 Z", fade(hex(0x1A1424), 0.14));
    let pane = if lit { hex(0xFFDB84) } else { hex(0xBFE3F2) };
    for (x, y, k) in [(-0.55, 0.12, 0.34), (0.21, 0.12, 0.34), (-0.13, -0.58, 0.26)] {
        if lit {
            pen.glow(x + k / 2.0, y + k / 2.0, k * 1.9, fade(hex(0xFFD070), 0.45));
        }
        pen.rect(x - 0.035, y - 0.035, k + 0.07, k + 0.07, shade(hex(0xFFFDF6)));
        pen.rect(x, y, k, k, pane);
        pen.rect(x + k / 2.0 - 0.015, y, 0.03, k, shade(hex(0xFFFDF6)));
        pen.rect(x, y + k / 2.0 - 0.015, k, 0.03, shade(hex(0xFFFDF6)));
    }
    pen.path("M -0.16 0.99 L -0.16 0.62 Q 0 0.44 0.16 0.62 L 0.16 0.99 Z", shade(hex(0x7A4B35)));
    pen.circle(0.09, 0.78, 0.025, hex(0xF2CF73));
}

fn tree(pen: &mut Pen<'_>, coat: Color, theme: &Theme) {
    let (dark, _, _) = shades(coat);
    let light = mix(coat, theme.glow, 0.25);
    pen.path("M -0.13 1.0 Q -0.05 0.5 -0.09 0.1 L 0.09 0.1 Q 0.05 0.5 0.15 1.0 Z", hex(0x7B5640));
    pen.stroke("M 0.02 0.45 L 0.3 0.1", 0.07, hex(0x7B5640));
    for (x, y, r, ink) in [
        (-0.42, -0.1, 0.42, dark),
        (0.45, -0.08, 0.4, dark),
        (0.0, -0.45, 0.58, coat),
        (-0.36, -0.3, 0.36, coat),
        (0.4, -0.32, 0.34, coat),
        (-0.16, -0.66, 0.3, light),
    ] {
        pen.circle(x, y, r, ink);
    }
    if theme.snow {
        pen.path("M -0.52 -0.72 C -0.3 -1.1 0.3 -1.1 0.52 -0.7 C 0.2 -0.84 -0.2 -0.6 -0.52 -0.72 Z", hex(0xF6F9FD));
    }
}

fn flowers(pen: &mut Pen<'_>, coat: Color) {
    let (dark, _, _) = shades(coat);
    for (x, y, k, ink) in [(-0.55, 0.1, 0.8, mix(coat, hex(0xFFFFFF), 0.35)), (0.58, 0.0, 0.85, dark), (0.0, -0.45, 1.15, coat)] {
        pen.stroke(&format!("M {} 1.0 Q {} 0.5 {x} {y}", x * 0.4, x * 0.6), 0.06, hex(0x3E8E55));
        pen.placed(x * 0.55, 0.72, k * x.signum(), k)
            .path("M 0 0.05 C 0.1 -0.25 0.4 -0.3 0.5 -0.25 C 0.45 0.0 0.2 0.15 0 0.05 Z", hex(0x57A866));
        let mut bloom = pen.placed(x, y, k * 0.36, k * 0.36);
        for i in 0..7 {
            let (sin, cos) = (i as f32 * std::f32::consts::TAU / 7.0).sin_cos();
            bloom.circle(cos * 0.62, sin * 0.62, 0.42, mix(ink, hex(0xFFFFFF), 0.12 * (i % 2) as f32));
        }
        bloom.circle(0.0, 0.0, 0.36, hex(0xF7C948));
        bloom.circle(-0.08, -0.08, 0.18, hex(0xFBDD7E));
    }
}
