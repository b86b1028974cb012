//! Reads a prompt for the few words the demo artist knows and settles colours, hour and cast.
//!
//! Knows words and colours only: no pixels, no fonts, no files. It does not understand
//! language; a word list is enough for a picture that is openly a demo.

use tiny_skia::Color;

use super::palette::{Hour, hash, hex, mix, tinted};

/// Prompts are searched for known words only this far (characters), so cost stays bounded.
const READ_CHARS: usize = 4000;

/// Something the artist can draw as a foreground figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Figure {
    Cat,
    Fox,
    Dog,
    Rabbit,
    Bear,
    Panda,
    Bird,
    Fish,
    Boat,
    House,
    Tree,
    Flower,
}

type Words<'a> = (&'a str, &'a str);

/// English words match whole (plural allowed), Chinese ones anywhere; both lists split on spaces.
const FIGURES: &[(Figure, Words<'static>)] = &[
    (Figure::Cat, ("cat kitten kitty", "猫 喵")),
    (Figure::Fox, ("fox", "狐")),
    (Figure::Dog, ("dog puppy corgi", "狗 犬 柯基")),
    (Figure::Rabbit, ("rabbit bunny hare", "兔")),
    (Figure::Panda, ("panda", "熊猫")),
    (Figure::Bear, ("bear", "熊")),
    (Figure::Bird, ("bird sparrow parrot", "鸟 麻雀 鹦鹉")),
    (Figure::Fish, ("fish goldfish whale", "鱼 鲸")),
    (Figure::Boat, ("boat ship sailboat yacht", "船 帆")),
    (Figure::House, ("house cottage cabin castle", "房 屋 木屋 城堡")),
    (Figure::Tree, ("tree oak", "树 森林 松")),
    (Figure::Flower, ("flower rose tulip daisy sunflower", "花 玫瑰 郁金香 向日葵")),
];

const COLOURS: &[(u32, Words<'static>)] = &[
    (0xDE4B3E, ("red crimson scarlet", "红 朱")),
    (0xF0892F, ("orange ginger", "橙 橘")),
    (0xF2C230, ("yellow gold golden", "黄 金")),
    (0x4FAE5E, ("green emerald", "绿 翠")),
    (0x2FB4B0, ("cyan teal turquoise", "青")),
    (0x3D7FE0, ("blue azure navy", "蓝")),
    (0x8A5BD6, ("purple violet lavender", "紫")),
    (0xF08FB4, ("pink", "粉")),
    (0x8B5E3C, ("brown", "棕 褐")),
    (0x2B2D38, ("black", "黑")),
    (0xF6F3EC, ("white", "白")),
    (0x9298A3, ("gray grey silver", "灰 银")),
];

/// A colour word right before one of these paints the scenery, not the figure.
const PLACES: &str = "天 海 山 草 云 夜 月 湖 森 背景 sky sea ocean mountain hill grass night moon sun \
                      forest lake background sunset";

/// All that the painting code needs to know about a prompt.
#[derive(Debug)]
pub struct Theme {
    pub seed: u64,
    pub hour: Hour,
    /// The hour was asked for, not drawn by lot.
    pub names_hour: bool,
    /// Sky colours from zenith to horizon.
    pub sky: [Color; 3],
    /// Hill colours: farthest, nearest, and the ground figures stand on.
    pub far: Color,
    pub near: Color,
    pub ground: Color,
    /// Sun or moon.
    pub glow: Color,
    /// First colour asked for a figure.
    pub coat: Option<Color>,
    /// Every colour word found, in order of the prompt.
    pub colours: Vec<Color>,
    /// Figures in the order they are named, each with the colour asked for it.
    pub figures: Vec<(Figure, Option<Color>)>,
    /// Those of them an edit is asked to add.
    pub added: Vec<(Figure, Option<Color>)>,
    pub sea: bool,
    pub mountain: bool,
    pub city: bool,
    pub rain: bool,
    pub snow: bool,
    pub clear_sky_light: bool,
    pub starry: bool,
    pub asleep: bool,
    /// An edit is meant for the whole picture, not for what stands out in it.
    pub overall: bool,
    /// The prompt asks for a picture without colour.
    pub monochrome: bool,
}

impl Theme {
    /// Reads `prompt`; any text works, an empty one gives a seeded landscape.
    pub fn read(prompt: &str) -> Self {
        let seed = hash(prompt);
        let text: String = prompt.chars().take(READ_CHARS).collect::<String>().to_lowercase();
        let has = |en: &str, zh: &str| find(&text, (en, zh)).is_some();
        let mut cast = cast(&text);
        let (scenery, colours) = dress(&text, &mut cast);
        let coat = cast.iter().find_map(|role| role.coat);
        let sun = has("sun sunny sunshine sunlight", "太阳 阳光 晴 日光");
        let stars = has("star starry galaxy", "星空 星星 星光 繁星 银河 星");
        let asked = asked_hour(&text, sun, stars);
        let hour = asked.unwrap_or_else(|| hour_by_lot(seed, coat));
        let mut theme = Self {
            names_hour: asked.is_some(),
            clear_sky_light: sun || has("moon", "月"),
            starry: stars,
            sea: has("sea ocean beach lake wave coast", "海 湖 浪 沙滩")
                || cast.iter().any(|role| matches!(role.figure, Figure::Boat | Figure::Fish)),
            mountain: has("mountain alps peak", "山"),
            city: has("city skyline street town", "城市 街 都市 上海 北京"),
            rain: has("rain rainy storm", "雨"),
            snow: has("snow snowy winter christmas", "雪 冬"),
            asleep: has("sleep sleeping asleep nap napping", "睡 打盹"),
            overall: has("everything all whole tone tint background", "全部 整个 整体 色调 背景"),
            monochrome: has("monochrome grayscale greyscale", "黑白 灰度") || text.contains("black and white"),
            ..Self::blank(hour, seed)
        };
        theme.tint(scenery, cast.is_empty());
        theme.coat = coat;
        theme.colours = colours;
        let added = find(&text, ("add put", "加 添 放 多一")).map_or(usize::MAX, |(at, _)| at);
        for role in cast {
            theme.figures.push((role.figure, role.coat));
            if role.at > added {
                theme.added.push((role.figure, role.coat));
            }
        }
        theme
    }

    /// A theme with colours and nothing else settled.
    fn blank(hour: Hour, seed: u64) -> Self {
        let [top, middle, low, far, near, ground, glow] = hour.colours(seed & 0x100 != 0);
        Self {
            seed,
            hour,
            names_hour: false,
            sky: [top, middle, low],
            far,
            near,
            ground,
            glow,
            coat: None,
            colours: Vec::new(),
            figures: Vec::new(),
            sea: false,
            mountain: false,
            city: false,
            rain: false,
            snow: false,
            clear_sky_light: false,
            starry: false,
            asleep: false,
            overall: false,
            added: Vec::new(),
            monochrome: false,
        }
    }

    fn tint(&mut self, scenery: Option<Color>, alone: bool) {
        if self.snow {
            self.ground = mix(self.ground, hex(0xF4F7FC), 0.85);
            self.near = mix(self.near, hex(0xE3EBF6), 0.6);
        }
        if self.rain {
            self.sky = self.sky.map(|part| mix(part, tinted(part, hex(0x7C8AA3), 1.0), 0.6));
        }
        let Some(colour) = scenery else { return };
        // Without a figure the scenery alone has to show the colour that was asked for.
        let amount = if alone { 0.8 } else { 0.55 };
        for part in [&mut self.far, &mut self.near, &mut self.ground] {
            *part = tinted(*part, colour, amount);
        }
        // A green sky looks ill; green is meant for the land.
        let green = colour.green() > colour.red().max(colour.blue());
        for part in &mut self.sky {
            *part = tinted(*part, colour, if green { 0.15 } else { amount });
        }
    }
}

fn asked_hour(text: &str, sun: bool, stars: bool) -> Option<Hour> {
    let has = |en: &str, zh: &str| find(text, (en, zh)).is_some();
    if has("sunset dusk evening", "日落 夕阳 黄昏 晚霞 傍晚") {
        Some(Hour::Dusk)
    } else if has("sunrise dawn morning", "日出 清晨 早晨 黎明") {
        Some(Hour::Dawn)
    } else if stars || has("night midnight moon moonlight dark", "夜 月") {
        Some(Hour::Night)
    } else if sun || has("day daytime noon", "白天 中午") {
        Some(Hour::Day)
    } else {
        None
    }
}

fn hour_by_lot(seed: u64, coat: Option<Color>) -> Hour {
    // A warm coat would drown in a sunset, so it is only drawn against cool skies.
    let warm = coat.is_some_and(|c| c.red() > c.blue() + 0.15);
    match (seed >> 20) % 6 {
        0 | 1 => Hour::Day,
        2 | 3 => Hour::Dawn,
        _ if warm => Hour::Day,
        4 => Hour::Dusk,
        _ => Hour::Night,
    }
}

/// Byte range of the earliest match of any of the words.
fn find(text: &str, (en, zh): Words<'_>) -> Option<(usize, usize)> {
    let letter = |c: char| c.is_ascii_alphabetic();
    let ends = |rest: &str| !rest.starts_with(letter);
    let whole = |at: usize, len: usize| {
        let rest = &text[at + len..];
        !text[..at].ends_with(letter) && (ends(rest) || ["s", "es"].iter().any(|s| rest.strip_prefix(s).is_some_and(ends)))
    };
    let english =
        en.split_whitespace().filter_map(|word| text.match_indices(word).find(|(at, _)| whole(*at, word.len())).map(|(at, _)| (at, word)));
    let chinese = zh.split_whitespace().filter_map(|word| text.find(word).map(|at| (at, word)));
    english.chain(chinese).min().map(|(at, word)| (at, at + word.len()))
}

/// A figure, where the prompt names it (byte range), and the colour it wears.
struct Role {
    at: usize,
    end: usize,
    figure: Figure,
    coat: Option<Color>,
}

/// At most three figures, in the order the prompt names them.
fn cast(text: &str) -> Vec<Role> {
    let role =
        |(figure, words): &(Figure, Words<'static>)| find(text, *words).map(|(at, end)| Role { at, end, figure: *figure, coat: None });
    let mut cast: Vec<Role> = FIGURES.iter().filter_map(role).collect();
    cast.sort_by_key(|role| role.at);
    if cast.iter().any(|role| role.figure == Figure::Panda) {
        // The Chinese for panda is written "bear cat".
        cast.retain(|role| !matches!(role.figure, Figure::Bear | Figure::Cat));
    }
    cast.truncate(3);
    cast
}

/// Hands each colour word to the figure it stands next to; returns the colour left for the
/// scenery, and all colours in the order they are named.
fn dress(text: &str, cast: &mut [Role]) -> (Option<Color>, Vec<Color>) {
    let mut found: Vec<(usize, usize, Color)> = COLOURS
        .iter()
        .filter_map(|(rgb, words)| find(text, *words).map(|(at, end)| (at, end, hex(*rgb))))
        .filter(|(at, _, _)| !text[*at..].starts_with("白天"))
        .collect();
    found.sort_by_key(|(at, _, _)| *at);
    let mut scenery = None;
    for (at, end, colour) in &found {
        let next = text[*end..].trim_start_matches(['色', '的', ' ']);
        let place = PLACES.split_whitespace().any(|word| next.starts_with(word));
        // Both languages mostly put the colour first, so a figure behind it counts as nearer.
        // Punctuation between the two parts them more than any distance.
        let far = |role: &Role| {
            let ahead = role.at >= *end;
            let gap = if ahead { *end..role.at } else { role.end.min(*at)..*at };
            let parted = text[gap.clone()].contains([',', '，', '.', '。', ';', '；', '、']);
            gap.len() * if ahead { 1 } else { 2 } + usize::from(!ahead) * 8 + usize::from(parted) * 200
        };
        match cast.iter_mut().filter(|role| role.coat.is_none()).min_by_key(|role| far(role)) {
            Some(role) if !place => role.coat = Some(*colour),
            _ => {
                scenery.get_or_insert(*colour);
            }
        }
    }
    (scenery, found.into_iter().map(|(_, _, colour)| colour).collect())
}
