//! A thin drawing pen over tiny-skia: shapes in, anti-aliased pixels out.
//!
//! Knows geometry only; what is drawn and in which colours is its callers' affair.

use tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LineJoin, LinearGradient, Paint, Path, PathBuilder, Pixmap, Point, RadialGradient, Rect,
    Shader, SpreadMode, Stroke, Transform,
};

/// Draws on a picture in pixels, or in the units set by [`Pen::placed`]. Shapes that cannot be
/// built (empty, not finite) are left out: a missing leaf is better than a missing picture.
pub struct Pen<'a> {
    map: &'a mut Pixmap,
    at: Transform,
}

impl<'a> Pen<'a> {
    /// A pen that draws in pixels.
    pub fn new(map: &'a mut Pixmap) -> Self {
        Self { map, at: Transform::identity() }
    }

    /// A pen whose origin lies at `(x, y)` of this one and whose unit is `(sx, sy)` long.
    pub fn placed(&mut self, x: f32, y: f32, sx: f32, sy: f32) -> Pen<'_> {
        Pen { at: self.at.pre_translate(x, y).pre_scale(sx, sy), map: self.map }
    }

    fn fill(&mut self, shape: Option<Path>, shader: Option<Shader<'_>>) {
        if let (Some(shape), Some(shader)) = (shape, shader) {
            let paint = Paint { shader, anti_alias: true, ..Paint::default() };
            self.map.fill_path(&shape, &paint, FillRule::Winding, self.at, None);
        }
    }

    /// Axis-parallel rectangle: left, top, width, height.
    pub fn rect(&mut self, x: f32, y: f32, w: f32, h: f32, ink: Color) {
        let shape = Rect::from_xywh(x, y, w, h).map(PathBuilder::from_rect);
        self.fill(shape, Some(Shader::SolidColor(ink)));
    }

    /// Rectangle with round corners: left-top corner, size, corner radius.
    pub fn round_rect(&mut self, at: (f32, f32), size: (f32, f32), r: f32, ink: Color) {
        let (x0, y0, x1, y1) = (at.0, at.1, at.0 + size.0, at.1 + size.1);
        let mut b = PathBuilder::new();
        // Control points this far along make a cubic a close quarter circle.
        let k = r * 0.4477;
        b.move_to(x0 + r, y0);
        b.line_to(x1 - r, y0);
        b.cubic_to(x1 - k, y0, x1, y0 + k, x1, y0 + r);
        b.line_to(x1, y1 - r);
        b.cubic_to(x1, y1 - k, x1 - k, y1, x1 - r, y1);
        b.line_to(x0 + r, y1);
        b.cubic_to(x0 + k, y1, x0, y1 - k, x0, y1 - r);
        b.line_to(x0, y0 + r);
        b.cubic_to(x0, y0 + k, x0 + k, y0, x0 + r, y0);
        b.close();
        self.fill(b.finish(), Some(Shader::SolidColor(ink)));
    }

    /// Circle: centre, radius.
    pub fn circle(&mut self, x: f32, y: f32, r: f32, ink: Color) {
        self.fill(PathBuilder::from_circle(x, y, r), Some(Shader::SolidColor(ink)));
    }

    /// Ellipse: centre, half width, half height.
    pub fn oval(&mut self, x: f32, y: f32, rx: f32, ry: f32, ink: Color) {
        let shape = Rect::from_xywh(x - rx, y - ry, rx * 2.0, ry * 2.0);
        self.fill(shape.and_then(PathBuilder::from_oval), Some(Shader::SolidColor(ink)));
    }

    /// Filled outline in SVG notation: absolute `M L Q C Z`, numbers parted by spaces.
    pub fn path(&mut self, outline: &str, ink: Color) {
        self.fill(parse(outline), Some(Shader::SolidColor(ink)));
    }

    /// Open line in the same notation, with round ends.
    pub fn stroke(&mut self, outline: &str, width: f32, ink: Color) {
        self.stroke_path(parse(outline), width, ink);
    }

    /// Straight line through points, with round ends.
    pub fn line(&mut self, points: &[(f32, f32)], width: f32, ink: Color) {
        let mut b = PathBuilder::new();
        for (i, (x, y)) in points.iter().enumerate() {
            if i == 0 { b.move_to(*x, *y) } else { b.line_to(*x, *y) }
        }
        self.stroke_path(b.finish(), width, ink);
    }

    fn stroke_path(&mut self, shape: Option<Path>, width: f32, ink: Color) {
        let Some(shape) = shape else { return };
        let paint = Paint { shader: Shader::SolidColor(ink), anti_alias: true, ..Paint::default() };
        let stroke = Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
        self.map.stroke_path(&shape, &paint, &stroke, self.at, None);
    }

    /// Round light that fades from `ink` in the centre to nothing at radius `r`.
    pub fn glow(&mut self, x: f32, y: f32, r: f32, ink: Color) {
        let mut rim = ink;
        rim.set_alpha(0.0);
        let mut half = ink;
        half.set_alpha(ink.alpha() * 0.28);
        let stops = [(0.0, ink), (0.45, half), (1.0, rim)].map(|(t, c)| GradientStop::new(t, c));
        let centre = Point::from_xy(x, y);
        let shader = RadialGradient::new(centre, 0.0, centre, r, stops.to_vec(), SpreadMode::Pad, Transform::identity());
        self.fill(PathBuilder::from_circle(x, y, r), shader);
    }

    /// Rectangle (left, top, width, height) filled from top to bottom with colours at shares.
    pub fn slope(&mut self, (x, y, w, h): (f32, f32, f32, f32), stops: &[(f32, Color)]) {
        let shape = Rect::from_xywh(x, y, w, h).map(PathBuilder::from_rect);
        self.fill(shape, vertical(y, y + h, stops));
    }

    /// Everything below the curve `top`, shaded from `from` (pixel row) to the lower edge `h`.
    pub fn slope_under(&mut self, w: f32, h: f32, from: f32, top: &impl Fn(f32) -> f32, (upper, lower): (Color, Color)) {
        let mut b = PathBuilder::new();
        b.move_to(0.0, h);
        let step = (w / 160.0).max(1.0);
        let mut x = 0.0;
        while x < w + step {
            b.line_to(x, top(x).min(h));
            x += step;
        }
        b.line_to(x, h);
        b.close();
        self.fill(b.finish(), vertical(from, h, &[(0.0, upper), (1.0, lower)]));
    }
}

fn vertical(from: f32, to: f32, stops: &[(f32, Color)]) -> Option<Shader<'static>> {
    let stops = stops.iter().map(|(t, c)| GradientStop::new(*t, *c)).collect();
    let (from, to) = (Point::from_xy(0.0, from), Point::from_xy(0.0, to));
    LinearGradient::new(from, to, stops, SpreadMode::Pad, Transform::identity())
}

/// Reads an outline; what it does not know ends the outline there.
fn parse(outline: &str) -> Option<Path> {
    let mut words = outline.split_ascii_whitespace();
    let mut b = PathBuilder::new();
    while let Some(verb) = words.next() {
        let mut n = || words.next().and_then(|w| w.parse::<f32>().ok()).unwrap_or(0.0);
        match verb {
            "M" => b.move_to(n(), n()),
            "L" => b.line_to(n(), n()),
            "Q" => b.quad_to(n(), n(), n(), n()),
            "C" => b.cubic_to(n(), n(), n(), n(), n(), n()),
            "Z" => b.close(),
            _ => break,
        }
    }
    b.finish()
}
