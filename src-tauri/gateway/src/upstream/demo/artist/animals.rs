//! The demo artist's animals, flat and friendly.
//!
//! Units as in `figures`: x and y from -1 to 1, y down, feet at y = 1. Knows no landscape.

use tiny_skia::Color;

use super::palette::{fade, hex, luma, mix};
use super::pen::Pen;
use super::theme::{Figure, Theme};

/// Shades that go with a coat: darker, belly, and ink for eyes and nose.
pub fn shades(coat: Color) -> (Color, Color, Color) {
    (mix(coat, hex(0x2A1A2E), 0.24), mix(coat, hex(0xFFF8EC), 0.82), hex(0x2A2230))
}

/// A sitting animal seen from the front.
pub fn sitting(pen: &mut Pen<'_>, figure: Figure, coat: Color) {
    let (dark, pale, ink) = shades(coat);
    let limb = if figure == Figure::Panda { hex(0x33323C) } else { dark };
    match figure {
        Figure::Fox => {
            pen.path("M 0.3 0.98 C 1.15 1.05 1.25 0.3 0.86 -0.12 C 0.8 0.3 0.6 0.45 0.3 0.6 Z", dark);
            pen.path("M 0.86 -0.12 C 1.03 0.06 1.1 0.26 1.07 0.46 C 0.95 0.34 0.86 0.4 0.74 0.3 C 0.81 0.18 0.85 0.03 0.86 -0.12 Z", pale);
        }
        Figure::Cat => {
            pen.stroke("M 0.35 0.9 C 0.95 1.0 1.0 0.55 0.8 0.35 C 0.68 0.2 0.76 0.02 0.9 0.05", 0.15, dark);
        }
        Figure::Dog => pen.stroke("M 0.4 0.85 C 0.7 0.85 0.8 0.6 0.82 0.42", 0.14, dark),
        Figure::Rabbit => pen.circle(0.52, 0.82, 0.15, pale),
        _ => {}
    }
    pen.path("M -0.22 -0.05 C -0.58 0.3 -0.62 0.78 -0.46 0.99 L 0.46 0.99 C 0.62 0.78 0.58 0.3 0.22 -0.05 Z", coat);
    if figure == Figure::Panda {
        pen.path("M -0.3 0.02 C -0.55 0.25 -0.56 0.45 -0.5 0.55 L 0.5 0.55 C 0.56 0.45 0.55 0.25 0.3 0.02 Z", limb);
    }
    for side in [-1.0, 1.0] {
        let mut half = pen.placed(0.0, 0.0, side, 1.0);
        half.oval(0.42, 0.8, 0.17, 0.2, limb);
        half.path("M 0 0.5 L 0.27 0.5 L 0.27 0.93 L 0 0.93 Z", if figure == Figure::Panda { limb } else { coat });
        half.oval(0.16, 0.93, 0.14, 0.075, if figure == Figure::Panda { limb } else { pale });
    }
    if figure != Figure::Panda {
        pen.path("M -0.2 0.02 C -0.3 0.35 -0.16 0.62 0 0.74 C 0.16 0.62 0.3 0.35 0.2 0.02 Z", pale);
    }
    pen.stroke("M 0 0.76 L 0 0.95", 0.02, fade(ink, 0.35));
    head(&mut pen.placed(0.0, 0.0, 1.0, 1.0), figure, coat, false);
}

/// The same animal curled up asleep.
pub fn curled(pen: &mut Pen<'_>, figure: Figure, coat: Color) {
    let (dark, pale, ink) = shades(coat);
    pen.path("M -0.62 0.99 C -1.1 0.99 -0.9 0.12 0.2 0.15 C 1.05 0.17 1.25 0.99 0.72 0.99 Z", coat);
    if figure == Figure::Cat {
        for x in [0.02, 0.27, 0.52] {
            let line = format!("M {x} 0.2 Q {} 0.34 {x} 0.46", x + 0.08);
            pen.stroke(&line, 0.055, dark);
        }
    }
    pen.stroke("M 0.86 0.86 C 0.7 0.98 0.2 0.93 -0.12 0.93", 0.17, dark);
    if figure == Figure::Fox {
        pen.oval(-0.08, 0.93, 0.16, 0.085, pale);
    }
    head(&mut pen.placed(-0.46, 0.83, 0.84, 0.84), figure, coat, true);
    for (x, y, k) in [(0.1, -0.12, 0.09), (0.3, -0.38, 0.12), (0.56, -0.7, 0.16)] {
        let mut z = pen.placed(x, y, k, k);
        z.stroke("M -0.5 -0.6 L 0.5 -0.6 L -0.5 0.6 L 0.5 0.6", 0.3, fade(ink, 0.3));
        z.stroke("M -0.5 -0.6 L 0.5 -0.6 L -0.5 0.6 L 0.5 0.6", 0.2, hex(0xFFFFFF));
    }
}

/// A head seen from the front, centred near (0, -0.3).
fn head(pen: &mut Pen<'_>, figure: Figure, coat: Color, asleep: bool) {
    let (dark, pale, ink) = shades(coat);
    for side in [-1.0, 1.0] {
        ear(&mut pen.placed(0.0, 0.0, side, 1.0), figure, coat);
    }
    if figure == Figure::Fox {
        pen.path("M -0.66 -0.2 C -0.5 -0.3 -0.5 -0.68 0 -0.68 C 0.5 -0.68 0.5 -0.3 0.66 -0.2 C 0.5 0.02 0.2 0.1 0 0.16 C -0.2 0.1 -0.5 0.02 -0.66 -0.2 Z", coat);
        pen.path("M -0.66 -0.2 C -0.42 -0.26 -0.16 -0.3 0 -0.06 C 0.16 -0.3 0.42 -0.26 0.66 -0.2 C 0.5 0.02 0.2 0.1 0 0.16 C -0.2 0.1 -0.5 0.02 -0.66 -0.2 Z", pale);
    } else {
        pen.oval(0.0, -0.28, 0.52, 0.42, coat);
        let muzzle = if figure == Figure::Dog { 0.24 } else { 0.2 };
        pen.oval(0.0, -0.12, muzzle, 0.16, pale);
    }
    if figure == Figure::Cat {
        pen.stroke("M 0 -0.67 L 0 -0.52", 0.05, dark);
        pen.stroke("M -0.14 -0.65 L -0.1 -0.54", 0.045, dark);
        pen.stroke("M 0.14 -0.65 L 0.1 -0.54", 0.045, dark);
    }
    for side in [-1.0, 1.0] {
        let mut half = pen.placed(0.0, 0.0, side, 1.0);
        if figure == Figure::Panda {
            half.oval(0.23, -0.3, 0.13, 0.15, hex(0x33323C));
        }
        if asleep {
            half.stroke("M 0.13 -0.28 Q 0.22 -0.2 0.31 -0.28", 0.035, ink);
        } else {
            if needs_rim(figure, coat) {
                half.oval(0.22, -0.31, 0.095, 0.105, hex(0xF7F3E6));
            }
            half.oval(0.22, -0.31, 0.062, 0.08, ink);
            half.circle(0.22 + 0.02 * side, -0.34, 0.022, hex(0xFFFFFF));
        }
        half.oval(0.36, -0.13, 0.075, 0.045, fade(hex(0xF0746F), 0.35));
        if figure == Figure::Cat {
            half.stroke("M 0.3 -0.12 L 0.6 -0.17", 0.014, fade(ink, 0.55));
            half.stroke("M 0.3 -0.07 L 0.6 -0.05", 0.014, fade(ink, 0.55));
        }
        let mouth = if figure == Figure::Fox { "M 0 0.1 L 0.001 0.1" } else { "M 0 -0.14 Q 0.01 -0.03 0.1 -0.05" };
        half.stroke(mouth, 0.02, ink);
    }
    let nose = if figure == Figure::Fox { 0.08 } else { -0.18 };
    pen.oval(0.0, nose, 0.075, 0.052, ink);
}

/// Dark coats need a white rim, or the eyes vanish.
fn needs_rim(figure: Figure, coat: Color) -> bool {
    figure == Figure::Panda || luma(coat) < 0.38
}

fn ear(pen: &mut Pen<'_>, figure: Figure, coat: Color) {
    let (dark, _, _) = shades(coat);
    let inner = mix(coat, hex(0xFFD9D2), 0.6);
    match figure {
        Figure::Cat => {
            pen.path("M 0.14 -0.62 L 0.44 -0.98 Q 0.54 -0.7 0.5 -0.34 Z", coat);
            pen.path("M 0.26 -0.62 L 0.42 -0.85 Q 0.47 -0.7 0.44 -0.5 Z", inner);
        }
        Figure::Fox => {
            pen.path("M 0.08 -0.62 L 0.46 -1.02 Q 0.58 -0.7 0.52 -0.3 Z", coat);
            pen.path("M 0.24 -0.62 L 0.43 -0.86 Q 0.5 -0.7 0.46 -0.48 Z", hex(0x3A2A33));
        }
        Figure::Dog => pen.path("M 0.3 -0.64 C 0.62 -0.72 0.74 -0.3 0.62 0.0 C 0.5 0.08 0.4 -0.1 0.42 -0.34 Z", dark),
        Figure::Rabbit => {
            pen.oval(0.22, -0.82, 0.12, 0.34, coat);
            pen.oval(0.22, -0.8, 0.06, 0.24, inner);
        }
        Figure::Panda => pen.circle(0.4, -0.6, 0.16, hex(0x33323C)),
        _ => {
            pen.circle(0.4, -0.6, 0.16, coat);
            pen.circle(0.4, -0.6, 0.09, inner);
        }
    }
}

/// A standing bird seen from the side.
pub fn bird(pen: &mut Pen<'_>, coat: Color) {
    let (dark, pale, ink) = shades(coat);
    pen.stroke("M -0.1 0.7 L -0.12 0.97", 0.05, hex(0xD98A3A));
    pen.stroke("M 0.14 0.7 L 0.16 0.97", 0.05, hex(0xD98A3A));
    pen.path("M 0.5 0.1 L 1.1 -0.25 L 0.95 0.2 Z", dark);
    pen.path("M -0.75 -0.2 C -0.7 -0.75 0.0 -0.75 0.15 -0.3 C 0.3 -0.05 0.6 -0.1 0.8 0.1 C 0.7 0.6 0.3 0.78 0 0.78 C -0.5 0.78 -0.8 0.4 -0.75 -0.2 Z", coat);
    pen.path("M -0.74 0.02 C -0.5 -0.1 -0.2 0.2 -0.1 0.76 C -0.5 0.76 -0.76 0.45 -0.74 0.02 Z", pale);
    pen.path("M -0.05 0.1 C 0.2 -0.15 0.6 0.05 0.9 0.25 C 0.6 0.5 0.1 0.5 -0.05 0.1 Z", dark);
    pen.path("M -0.7 -0.35 L -1.05 -0.2 L -0.72 -0.12 Z", hex(0xF2A93B));
    pen.circle(-0.42, -0.32, 0.075, ink);
    pen.circle(-0.44, -0.345, 0.025, hex(0xFFFFFF));
}

/// A fish that has just leapt out of the water.
pub fn fish(pen: &mut Pen<'_>, coat: Color, theme: &Theme) {
    let (dark, pale, ink) = shades(coat);
    pen.path("M 0.5 0.1 L 1.15 -0.35 Q 0.95 0.12 1.15 0.55 Z", dark);
    pen.path("M -0.1 -0.3 Q 0.15 -0.75 0.5 -0.5 L 0.4 -0.1 Z", dark);
    pen.path("M -0.95 0.12 C -0.6 -0.6 0.3 -0.55 0.7 0.1 C 0.3 0.75 -0.6 0.75 -0.95 0.12 Z", coat);
    pen.path("M -0.8 0.33 C -0.4 0.4 0.2 0.42 0.5 0.35 C 0.1 0.7 -0.5 0.7 -0.8 0.33 Z", pale);
    for x in [-0.1, 0.18] {
        pen.stroke(&format!("M {x} -0.2 Q {} 0.1 {x} 0.35", x + 0.14), 0.05, dark);
    }
    for (x, y, r) in [(-0.5, 0.92, 0.06), (0.35, 0.85, 0.08), (0.62, 0.98, 0.05), (-0.15, 0.86, 0.05)] {
        pen.circle(x, y, r, fade(theme.sky[2], 0.75));
    }
    pen.oval(0.0, 1.12, 0.75, 0.07, fade(theme.sky[2], 0.45));
    pen.circle(-0.55, -0.02, 0.1, hex(0xFFFFFF));
    pen.circle(-0.57, -0.02, 0.055, ink);
    for (x, y) in [(-0.8, -0.7), (-0.6, -1.0)] {
        pen.circle(x, y, 0.07, fade(theme.sky[2], 0.6));
    }
}
