//! What a user wishes of a drawing (shape, resolution, count, quality, seed, format), in no dialect, and its translation
//! into the words of the two dialects. Which upstream gets it, and whether it listens, is not known here.

mod flags;

/// How large a picture is to be, roughly: about 1, 4 or 16 megapixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// About 1024 by 1024 pixels.
    K1,
    /// About 2048 by 2048 pixels.
    K2,
    /// About 4096 by 4096 pixels.
    K4,
}

impl Resolution {
    /// The word that `image_config.image_size` knows (wire-shapes §2).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::K1 => "1K",
            Self::K2 => "2K",
            Self::K4 => "4K",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::K1, Self::K2, Self::K4].into_iter().find(|r| r.as_str().eq_ignore_ascii_case(word))
    }

    /// The area in pixels.
    fn area(self) -> f64 {
        match self {
            Self::K1 => 1024.0 * 1024.0,
            Self::K2 => 2048.0 * 2048.0,
            Self::K4 => 4096.0 * 4096.0,
        }
    }

    /// The resolution that a size in pixels comes nearest to: up to 1.6 megapixels, up to 6, more.
    fn of((width, height): (u32, u32)) -> Self {
        match u64::from(width) * u64::from(height) {
            0..=1_600_000 => Self::K1,
            1_600_001..=6_000_000 => Self::K2,
            _ => Self::K4,
        }
    }
}

/// The file format of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    Webp,
}

impl Format {
    /// The word that `output_format` of the Images API knows (wire-shapes §1).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::Webp => "webp",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let word = if word == "jpg" { "jpeg" } else { word };
        [Self::Png, Self::Jpeg, Self::Webp].into_iter().find(|f| f.as_str() == word)
    }
}

/// What is wished of a drawing; `None` leaves it to the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Width to height, as the user wrote it.
    pub aspect: Option<(u32, u32)>,
    /// How large, roughly.
    pub resolution: Option<Resolution>,
    /// Width and height in pixels; says more than `aspect` and `resolution` and wins over them.
    pub exact: Option<(u32, u32)>,
    /// How many pictures, 1 to [`COUNT_MAX`].
    pub count: Option<u32>,
    /// One of [`QUALITIES`].
    pub quality: Option<String>,
    /// The number that makes a drawing repeatable.
    pub seed: Option<u64>,
    /// The file format.
    pub format: Option<Format>,
}

/// Most pictures of one request (the Images API takes no more).
pub const COUNT_MAX: u32 = 10;

/// The words for quality, of dall-e-3 (`standard`, `hd`) and of gpt-image (the others; wire-shapes §1).
pub const QUALITIES: [&str; 8] = ["low", "medium", "high", "auto", "standard", "hd", "xhigh", "max"];

/// Ratios that `image_config.aspect_ratio` knows (wire-shapes §2; Gemini's documentation).
const RATIOS: [(u32, u32); 10] = [(1, 1), (2, 3), (3, 2), (3, 4), (4, 3), (4, 5), (5, 4), (9, 16), (16, 9), (21, 9)];

const GPT_IMAGE_1: [(u32, u32); 3] = [(1024, 1024), (1536, 1024), (1024, 1536)];
const DALL_E_3: [(u32, u32); 3] = [(1024, 1024), (1792, 1024), (1024, 1792)];

/// What a model with free sizes allows.
struct Limits {
    edge: u32,
    least: f64,
    most: f64,
}

impl Limits {
    fn allow(&self, (width, height): (u32, u32)) -> bool {
        let fits = width.max(height) <= self.edge && width <= height * 3 && height <= width * 3;
        fits && (self.least..=self.most).contains(&pixels((width, height)))
    }

    /// A wished size, changed as little as the limits want.
    fn admit(&self, exact: (u32, u32)) -> (u32, u32) {
        let rounded = (exact.0.next_multiple_of(STEP), exact.1.next_multiple_of(STEP));
        if self.allow(rounded) { rounded } else { fitted(exact, pixels(exact), self) }
    }
}

/// gpt-image-2: edges up to 3840 and an area up to 3840 by 2160 (wire-shapes §1); the least area as relays have measured it
/// (docs.apiyi.com, gpt-image-2.6: "a floor around 655,360").
const GPT_IMAGE_2: Limits = Limits { edge: 3840, least: 655_360.0, most: 8_294_400.0 };

const UNKNOWN: Limits = Limits { edge: 8192, least: 0.0, most: 4096.0 * 4096.0 };

/// Both edges are multiples of this, in pixels.
const STEP: u32 = 16;

impl Wishes {
    /// Takes flags such as `--ar 16:9 --size 2k --n 2 --quality high --seed 7 --png` from the end of a prompt, also as phones
    /// and Chinese keyboards write them (`—ar 16：9`, `－－ar`), and `--ar=16:9`. What is no well-formed flag ends the
    /// search and stays, with everything before it. Returns the prompt without the flags, or untouched if there are none.
    pub fn take_from(prompt: &str) -> (String, Self) {
        flags::take_from(prompt)
    }

    /// Parses flags alone, as on the right side of an alias. The error names what is wrong.
    pub fn parse(flags: &str) -> Result<Self, super::Saying> {
        flags::parse(flags)
    }

    /// `self` where it says something, else `other`. Size, ratio and resolution are one matter: a ratio in `self`
    /// changes the shape of an exact size in `other` and keeps about its area.
    pub fn or(self, other: Self) -> Self {
        let (aspect, resolution, exact) = match (self.exact, self.aspect.is_some() || self.resolution.is_some()) {
            (Some(exact), _) => (None, None, Some(exact)),
            (None, false) => (other.aspect, other.resolution, other.exact),
            (None, true) => {
                let (aspect, resolution) = other.shape();
                (self.aspect.or(aspect), self.resolution.or(resolution), None)
            }
        };
        Self {
            aspect,
            resolution,
            exact,
            count: self.count.or(other.count),
            quality: self.quality.or(other.quality),
            seed: self.seed.or(other.seed),
            format: self.format.or(other.format),
        }
    }

    /// Whether nothing is wished.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// From `size` of the Images API: `1024x1024`, and what relays take besides (`2K`, `16:9`). Anything else, `auto` first,
    /// wishes nothing.
    pub fn from_size(size: &str) -> Self {
        flags::size(size.trim()).unwrap_or_default()
    }

    /// From the members of `image_config` in a chat. What is malformed wishes nothing.
    pub fn from_image_config(aspect_ratio: Option<&str>, image_size: Option<&str>) -> Self {
        let aspect = aspect_ratio.and_then(|ratio| flags::ratio(ratio.trim()));
        Self { aspect, resolution: image_size.and_then(|size| Resolution::parse(size.trim())), ..Self::default() }
    }

    /// `size` for the Images API of `model`: one of the sizes of gpt-image-1 and dall-e, else free ones in multiples of 16.
    /// `None` if nothing is wished that the model could follow.
    pub fn size_for(&self, model: &str) -> Option<String> {
        let (aspect, resolution) = self.shape();
        let (width, height) = match Family::of(model) {
            Family::GptImage1 => nearest(aspect?, &GPT_IMAGE_1),
            Family::DallE3 => nearest(aspect?, &DALL_E_3),
            Family::DallE2 => {
                aspect.or(resolution.map(|_| (1, 1)))?;
                let edge = self.exact.map_or(1024, |(width, height)| width.max(height));
                [256, 512].into_iter().find(|&known| edge <= known).map_or((1024, 1024), |known| (known, known))
            }
            Family::GptImage2 => match self.exact {
                Some(exact) => GPT_IMAGE_2.admit(exact),
                None => free(aspect, resolution, &GPT_IMAGE_2)?,
            },
            // Who names pixels to a model that we do not know may know it better.
            Family::Gemini2 | Family::Unknown => self.exact.or_else(|| free(aspect, resolution, &UNKNOWN))?,
        };
        Some(format!("{width}x{height}"))
    }

    /// `quality` in the words of `model`: dall-e-3 knows `standard` and `hd`, dall-e-2 nothing, gpt-image `low` to `high`
    /// and `auto`; other models get it as it is.
    pub fn quality_for(&self, model: &str) -> Option<String> {
        let wished = self.quality.as_deref()?;
        let word = match (Family::of(model), wished) {
            (Family::DallE2, _) | (Family::DallE3, "auto") => return None,
            (Family::DallE3, "hd" | "high" | "xhigh" | "max") => "hd",
            (Family::DallE3, _) => "standard",
            (Family::GptImage1 | Family::GptImage2, "standard") => "medium",
            (Family::GptImage1 | Family::GptImage2, "hd") | (Family::GptImage1, "xhigh" | "max") => "high",
            (_, as_it_is) => as_it_is,
        };
        Some(word.to_owned())
    }

    /// `aspect_ratio` and `image_size` for `image_config` of a chat with `model`. `None` if neither is wished; Gemini 2.5 must
    /// not get `image_size` (wire-shapes §3).
    pub fn image_config_for(&self, model: &str) -> Option<(Option<String>, Option<&'static str>)> {
        let (aspect, resolution) = self.shape();
        let ratio = aspect.map(|aspect| nearest(aspect, &RATIOS)).map(|(width, height)| format!("{width}:{height}"));
        // An exact size of about one megapixel is what the model draws anyhow; somebody who wrote `1k` gets it said.
        let wanted = resolution.filter(|&wanted| self.exact.is_none() || wanted != Resolution::K1);
        let size = wanted.filter(|_| Family::of(model) != Family::Gemini2).map(Resolution::as_str);
        (ratio.is_some() || size.is_some()).then_some((ratio, size))
    }

    /// Ratio and resolution, told from the exact size if there is one.
    fn shape(&self) -> (Option<(u32, u32)>, Option<Resolution>) {
        match self.exact {
            Some(exact) => (Some(exact), Some(Resolution::of(exact))),
            None => (self.aspect, self.resolution),
        }
    }
}

/// Models that take sizes in ways of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    GptImage1,
    GptImage2,
    DallE2,
    DallE3,
    /// Gemini before 3, which knows no `image_size`.
    Gemini2,
    Unknown,
}

impl Family {
    /// By the name, whatever a relay put before it (`openai/…`, `azure-…`).
    fn of(model: &str) -> Self {
        let name = model.to_ascii_lowercase();
        let has = |part: &str| name.contains(part);
        match () {
            () if has("gpt-image-1") || has("chatgpt-image") => Self::GptImage1,
            () if has("gpt-image-") => Self::GptImage2,
            () if has("dall-e-3") || has("dalle-3") => Self::DallE3,
            () if has("dall-e-2") || has("dalle-2") => Self::DallE2,
            // The nickname of 2.5 without anything behind it; `nano-banana-pro` and `nano-banana-2` are Gemini 3.
            () if has("gemini-2") || name.ends_with("nano-banana") => Self::Gemini2,
            () => Self::Unknown,
        }
    }
}

/// The one of `known` whose ratio is nearest to that of `aspect`; portrait and landscape are alike far from a square.
fn nearest(aspect: (u32, u32), known: &[(u32, u32)]) -> (u32, u32) {
    let ratio = |(width, height): (u32, u32)| (f64::from(width) / f64::from(height)).ln();
    let distance = |size: &(u32, u32)| (ratio(*size) - ratio(aspect)).abs();
    known.iter().copied().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or((1, 1))
}

/// A size for a ratio, a resolution or both; `None` for neither.
fn free(aspect: Option<(u32, u32)>, resolution: Option<Resolution>, limits: &Limits) -> Option<(u32, u32)> {
    let aspect = aspect.or(resolution.map(|_| (1, 1)))?;
    Some(fitted(aspect, resolution.unwrap_or(Resolution::K1).area(), limits))
}

/// A size of about `area` pixels in multiples of [`STEP`], within `limits` and 1:3 to 3:1. The ratio is met exactly where that
/// changes the area by no more than a fifth, else nearly.
fn fitted(aspect: (u32, u32), area: f64, limits: &Limits) -> (u32, u32) {
    let (wide, high) = aspect;
    let (wide, high) = reduced((wide.min(high * 3), high.min(wide * 3)));
    let area = area.clamp(limits.least, limits.most);
    let unit = pixels((wide, high)) * f64::from(STEP * STEP);
    let times = (area / unit).sqrt().round() as u32;
    let exact = [times, times.saturating_sub(1), times + 1].map(|times| (wide * STEP * times, high * STEP * times));
    let near = |size: &(u32, u32)| (pixels(*size) / area - 1.0).abs() <= 0.2;
    if let Some(size) = exact.into_iter().filter(|&size| limits.allow(size)).find(near) {
        return size;
    }
    let ratio = f64::from(wide.max(high)) / f64::from(wide.min(high));
    let mut long = ((area * ratio).sqrt().min(f64::from(limits.edge)) as u32 / STEP).max(1) * STEP;
    let mut short = (f64::from(long) / ratio / f64::from(STEP)).ceil() as u32 * STEP;
    // Both corrections go towards a square, so that 3:1 is never passed; each takes a step or two.
    while pixels((long, short)) > limits.most && long > STEP {
        long -= STEP;
    }
    while pixels((long, short)) < limits.least && short < limits.edge {
        short += STEP;
    }
    if wide >= high { (long, short) } else { (short, long) }
}

fn pixels((width, height): (u32, u32)) -> f64 {
    f64::from(width) * f64::from(height)
}

fn reduced((a, b): (u32, u32)) -> (u32, u32) {
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (a / divisor.max(1), b / divisor.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(flags: &str) -> Wishes {
        Wishes::parse(flags).unwrap()
    }

    #[test]
    fn a_size_is_one_that_the_model_takes() {
        for (model, wished, size) in [
            ("gpt-image-1", "", None),
            ("gpt-image-1", "--q high --n 2", None),
            ("gpt-image-1", "--size 4k", None),
            ("gpt-image-1", "--ar 16:9 --size 4k", Some("1536x1024")),
            ("openai/GPT-Image-1.5", "--ar 9:16", Some("1024x1536")),
            ("gpt-image-1-mini", "--size 1024x1024", Some("1024x1024")),
            ("gpt-image-1", "--size 1792x1024", Some("1536x1024")),
            ("dall-e-3", "--ar 21:9", Some("1792x1024")),
            ("dall-e-3", "--ar 3:4", Some("1024x1792")),
            ("dall-e-3", "--ar 10:9", Some("1024x1024")),
            ("dall-e-2", "--ar 16:9", Some("1024x1024")),
            ("dall-e-2", "--size 300x200", Some("512x512")),
            ("dall-e-2", "--size 256x256", Some("256x256")),
            ("gpt-image-2", "--ar 16:9", Some("1280x720")),
            ("gpt-image-2", "--size 2k", Some("2048x2048")),
            ("gpt-image-2", "--ar 16:9 --size 4k", Some("3840x2160")),
            ("gpt-image-2", "--ar 9:16 --size 4k", Some("2160x3840")),
            ("gpt-image-2", "--size 4k", Some("2880x2880")),
            ("gpt-image-2", "--size 1920x1080", Some("1920x1088")),
            ("gpt-image-2", "--size 1536x1024", Some("1536x1024")),
            ("gpt-image-2", "--size 512x512", Some("816x816")),
            ("seedream-4", "--ar 16:9 --size 4k", Some("5376x3024")),
            ("seedream-4", "--size 4k", Some("4096x4096")),
            ("seedream-4", "--size 1000x777", Some("1000x777")),
            ("seedream-4", "--ar 3:2", Some("1248x832")),
        ] {
            assert_eq!(flags(wished).size_for(model).as_deref(), size, "{model} {wished}");
        }
    }

    #[test]
    fn free_sizes_keep_to_their_limits() {
        for (wide, high) in (1..=40).flat_map(|wide| (1..=40).map(move |high| (wide, high))).chain([(683, 384), (16_384, 9), (1001, 999)]) {
            let near = |(w, h): (u32, u32)| {
                let wanted = (f64::from(wide) / f64::from(high)).clamp(1.0 / 3.0, 3.0);
                (f64::from(w) / f64::from(h) / wanted - 1.0).abs() < 0.04
            };
            for (limits, resolution) in [GPT_IMAGE_2, UNKNOWN]
                .iter()
                .flat_map(|limits| [Resolution::K1, Resolution::K2, Resolution::K4].map(|resolution| (limits, resolution)))
            {
                let size = fitted((wide, high), resolution.area(), limits);
                assert!(
                    limits.allow(size) && size.0.is_multiple_of(16) && size.1.is_multiple_of(16) && near(size),
                    "{wide}:{high} {size:?}"
                );
            }
            for times in [1, 7, 100, 400] {
                let exact = (wide * times, high * times);
                let size = GPT_IMAGE_2.admit(exact);
                assert!(GPT_IMAGE_2.allow(size), "{exact:?} {size:?}");
            }
        }
    }

    #[test]
    fn quality_is_told_in_the_words_of_the_model() {
        for (model, wished, told) in [
            ("dall-e-3", "high", Some("hd")),
            ("dall-e-3", "low", Some("standard")),
            ("dall-e-3", "auto", None),
            ("dall-e-2", "hd", None),
            ("gpt-image-1", "hd", Some("high")),
            ("gpt-image-1", "standard", Some("medium")),
            ("gpt-image-1", "max", Some("high")),
            ("gpt-image-2", "max", Some("max")),
            ("gpt-image-2", "auto", Some("auto")),
            ("flux", "hd", Some("hd")),
        ] {
            assert_eq!(flags(&format!("--q {wished}")).quality_for(model).as_deref(), told, "{model} {wished}");
        }
        assert_eq!(Wishes::default().quality_for("dall-e-3"), None);
    }

    #[test]
    fn a_chat_gets_the_nearest_ratio_and_a_size_only_where_it_is_known() {
        for (model, wished, config) in [
            ("gemini-3-pro-image", "", None),
            ("gemini-3-pro-image", "--q hd", None),
            ("gemini-3-pro-image", "--ar 16:9 --size 4k", Some((Some("16:9"), Some("4K")))),
            ("gemini-3-pro-image", "--size 1k", Some((None, Some("1K")))),
            ("google/gemini-2.5-flash-image", "--ar 16:9 --size 4k", Some((Some("16:9"), None))),
            ("gemini-2.5-flash-image", "--size 4k", None),
            ("nano-banana", "--size 4k", None),
            ("nano-banana-2", "--size 4k", Some((None, Some("4K")))),
            ("x", "--size 1024x1024", Some((Some("1:1"), None))),
            ("x", "--size 1536x1024", Some((Some("3:2"), None))),
            ("x", "--size 2048x1152", Some((Some("16:9"), Some("2K")))),
            ("x", "--size 3840x2160", Some((Some("16:9"), Some("4K")))),
            ("x", "--ar 1:3", Some((Some("9:16"), None))),
            ("x", "--ar 100:43", Some((Some("21:9"), None))),
        ] {
            let expected = config.map(|(ratio, size): (Option<&str>, Option<&'static str>)| (ratio.map(str::to_owned), size));
            assert_eq!(flags(wished).image_config_for(model), expected, "{model} {wished}");
        }
    }

    #[test]
    fn the_first_one_wins_and_the_other_fills_in() {
        for (own, other, both) in [
            ("", "--ar 16:9 --n 2", "--ar 16:9 --n 2"),
            ("--ar 1:1", "--ar 16:9 --size 4k --seed 3", "--ar 1:1 --size 4k --seed 3"),
            ("--size 1024x1024", "--ar 16:9 --size 4k --png", "--size 1024x1024 --png"),
            ("--ar 9:16", "--size 3840x2160", "--ar 9:16 --size 4k"),
            ("--size 2k --q low", "--size 1536x1024 --q high", "--size 2k --ar 1536:1024 --q low"),
        ] {
            assert_eq!(flags(own).or(flags(other)), flags(both), "{own} or {other}");
        }
        assert!(Wishes::default().is_empty() && !flags("--png").is_empty());
    }

    #[test]
    fn members_of_both_dialects_are_understood() {
        for (size, wished) in
            [("1024x1536", "--size 1024x1536"), ("auto", ""), ("", ""), ("2K", "--size 2k"), ("huge", ""), ("0x0", ""), ("1:1", "--ar 1:1")]
        {
            assert_eq!(Wishes::from_size(size), flags(wished), "{size}");
        }
        assert_eq!(Wishes::from_image_config(Some("16:9"), Some("2K")), flags("--ar 16:9 --size 2k"));
        assert_eq!(Wishes::from_image_config(Some("wide"), Some("9K")), Wishes::default());
        assert_eq!(Wishes::from_image_config(None, None), Wishes::default());
    }
}
