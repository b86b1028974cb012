//! From full-size rows to a small opaque picture: flattens transparency and averages whole-number boxes.
//!
//! Rows come in once, top to bottom, so a decoder that can stream never holds the full picture. The factor is
//! chosen so that at least twice the final size is left for the real filter, which hides the box filter's faults.
//! Knows nothing of files, formats or the final size.

use super::{GROUND, ThumbnailError};

/// Sample order of the rows handed in, 8 bits per sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Gray,
    GrayAlpha,
    Rgb,
    Rgba,
}

impl Layout {
    /// Bytes per pixel.
    pub(super) fn stride(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::GrayAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    fn gray(self) -> bool {
        matches!(self, Self::Gray | Self::GrayAlpha)
    }
}

/// An opaque picture, perhaps already smaller than the file it came from.
pub(super) struct Raster {
    pub(super) pixels: Vec<u8>,
    /// One sample per pixel instead of three.
    pub(super) gray: bool,
    /// Columns in `pixels`.
    pub(super) width: u32,
    /// Rows in `pixels`.
    pub(super) height: u32,
    /// Columns of the picture in the file.
    pub(super) full_width: u32,
    /// Rows of the picture in the file.
    pub(super) full_height: u32,
    /// How many file pixels one pixel of `pixels` stands for, per axis; the last column and row may stand for fewer.
    pub(super) factor: u32,
}

impl Raster {
    /// The part of `pixels` the picture really covers, in fractional pixels: resizing exactly this part keeps the
    /// geometry true although the last column and row are only partly filled.
    pub(super) fn covered(&self) -> (f64, f64) {
        let part = |full: u32, edge: u32| (f64::from(full) / f64::from(self.factor)).min(f64::from(edge));
        (part(self.full_width, self.width), part(self.full_height, self.height))
    }
}

/// Takes rows, gives a [`Raster`].
pub(super) struct Reducer {
    layout: Layout,
    full_width: u32,
    full_height: u32,
    factor: u32,
    /// Column-wise sums of the rows of the current box row; `factor` ≤ 81 keeps them below 2^16.
    sums: Vec<u16>,
    rows_in_sums: u32,
    rows_taken: u32,
    /// The current row on the ground, for layouts with transparency.
    flat: Vec<u8>,
    pixels: Vec<u8>,
}

impl Reducer {
    /// For a picture that passed `check_canvas`, whose long edge shall be `edge`, at least 400 px.
    pub(super) fn new(width: u32, height: u32, layout: Layout, edge: u32) -> Self {
        let factor = (width.max(height) / (2 * edge)).max(1);
        let row_bytes = width as usize * layout.stride();
        let channels = if layout.gray() { 1 } else { 3 };
        let out = width.div_ceil(factor) as usize * height.div_ceil(factor) as usize * channels;
        Self {
            layout,
            full_width: width,
            full_height: height,
            factor,
            sums: vec![0; if factor > 1 { row_bytes } else { 0 }],
            rows_in_sums: 0,
            rows_taken: 0,
            flat: Vec::new(),
            pixels: Vec::with_capacity(out),
        }
    }

    /// Rows taken so far.
    pub(super) fn rows(&self) -> u32 {
        self.rows_taken
    }

    /// Takes the next row; its length must be width × stride. Rows beyond the height are refused.
    pub(super) fn push(&mut self, row: &[u8]) -> Result<(), ThumbnailError> {
        let want = self.full_width as usize * self.layout.stride();
        if row.len() != want || self.rows_taken == self.full_height {
            return Err(ThumbnailError::Damaged("row does not match the picture size".into()));
        }
        self.rows_taken += 1;
        let has_alpha = matches!(self.layout, Layout::GrayAlpha | Layout::Rgba);
        if has_alpha && !opaque(row, self.layout.stride()) {
            self.flat.clear();
            self.flat.extend_from_slice(row);
            match self.layout {
                Layout::GrayAlpha => flatten::<2>(&mut self.flat),
                _ => flatten::<4>(&mut self.flat),
            }
            let flat = std::mem::take(&mut self.flat);
            self.add(&flat);
            self.flat = flat;
        } else {
            self.add(row);
        }
        Ok(())
    }

    fn add(&mut self, row: &[u8]) {
        if self.factor == 1 {
            match self.layout {
                Layout::Gray | Layout::Rgb => self.pixels.extend_from_slice(row),
                Layout::GrayAlpha => {
                    self.pixels.extend(row.chunks_exact(2).map(|pixel| pixel[0]));
                }
                Layout::Rgba => {
                    let rgb = row.as_chunks::<4>().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]);
                    self.pixels.extend(rgb);
                }
            }
            return;
        }
        for (sum, sample) in self.sums.iter_mut().zip(row) {
            *sum += u16::from(*sample);
        }
        self.rows_in_sums += 1;
        if self.rows_in_sums == self.factor {
            self.emit();
        }
    }

    /// Turns the column sums into one row of averages.
    fn emit(&mut self) {
        match self.layout {
            Layout::Gray => self.emit_as::<1, 1>(),
            Layout::GrayAlpha => self.emit_as::<2, 1>(),
            Layout::Rgb => self.emit_as::<3, 3>(),
            Layout::Rgba => self.emit_as::<4, 3>(),
        }
        self.sums.fill(0);
        self.rows_in_sums = 0;
    }

    fn emit_as<const STRIDE: usize, const CHANNELS: usize>(&mut self) {
        for cell in self.sums.chunks(self.factor as usize * STRIDE) {
            let (columns, _) = cell.as_chunks::<STRIDE>();
            let mut total = [0u32; STRIDE];
            for column in columns {
                for (sum, sample) in total.iter_mut().zip(column) {
                    *sum += u32::from(*sample);
                }
            }
            let share = 1.0 / (columns.len() as f32 * self.rows_in_sums as f32);
            let mean = total.map(|sum| (sum as f32 * share + 0.5) as u8);
            self.pixels.extend_from_slice(&mean[..CHANNELS]);
        }
    }

    /// Ends the picture; missing rows are filled with the ground.
    pub(super) fn finish(mut self) -> Raster {
        if self.rows_in_sums > 0 {
            self.emit();
        }
        let width = self.full_width.div_ceil(self.factor);
        let height = self.full_height.div_ceil(self.factor);
        let gray = self.layout.gray();
        let bytes = width as usize * height as usize * if gray { 1 } else { 3 };
        self.pixels.resize(bytes, GROUND);
        Raster { pixels: self.pixels, gray, width, height, full_width: self.full_width, full_height: self.full_height, factor: self.factor }
    }
}

/// Whether every pixel of a row with alpha in its last sample is opaque: most are, and then nothing is copied.
fn opaque(row: &[u8], stride: usize) -> bool {
    row.chunks_exact(stride).fold(255, |all, pixel| all & pixel[stride - 1]) == 255
}

/// Lays a row with alpha in its last sample on the ground, in place.
fn flatten<const STRIDE: usize>(row: &mut [u8]) {
    for pixel in row.as_chunks_mut::<STRIDE>().0 {
        let alpha = u32::from(pixel[STRIDE - 1]);
        let ground = u32::from(GROUND) * (255 - alpha) + 127;
        for sample in &mut pixel[..STRIDE - 1] {
            // A weighted mean of two bytes is a byte.
            *sample = ((u32::from(*sample) * alpha + ground) / 255) as u8;
        }
    }
}
