//! Flags as users write them at the end of a prompt and on the right side of an alias, read into wishes.

use std::ops::RangeInclusive;

use super::{COUNT_MAX, Format, QUALITIES, Resolution, Wishes};
use crate::model::Saying;

/// Longest flag or value, in bytes. What is longer is prose.
const TOKEN_MAX: usize = 64;

/// Shortest and longest edge that can be wished, in pixels.
const EDGES: RangeInclusive<u32> = 64..=16_384;

/// Most a side may be longer than the other; banners of 1:8 exist.
const STRETCH_MAX: u32 = 20;

/// See [`Wishes::take_from`].
pub(super) fn take_from(prompt: &str) -> (String, Wishes) {
    let (mut rest, mut wishes, mut taken) = (prompt.trim_end(), Wishes::default(), false);
    while let Some((before, wish)) = last_flag(rest) {
        // Read backwards: what stands further right is the user's last word.
        wishes = wishes.or(wish);
        rest = before.trim_end();
        taken = true;
    }
    (if taken { rest } else { prompt }.to_owned(), wishes)
}

/// See [`Wishes::parse`].
pub(super) fn parse(flags: &str) -> Result<Wishes, Saying> {
    let (mut tokens, mut wishes) = (flags.split_whitespace().peekable(), Wishes::default());
    while let Some(token) = tokens.next() {
        let flag = flag_in(token).filter(|flag| flag.at == 0).ok_or_else(|| {
            let token = excerpt(token);
            Saying::new(format!("`{token}` 不是参数"), format!("`{token}` is no flag"))
        })?;
        let value = match flag.value {
            Some(value) => value,
            None if is_switch(&flag.name) => String::new(),
            None => tokens.next_if(|next| flag_in(next).is_none()).map(plain).unwrap_or_default(),
        };
        wishes = wish(&flag.name, &value)?.or(wishes);
    }
    Ok(wishes)
}

/// What a `size` wishes: `1536x1024`, `2k`, `16:9`, or `auto`, which is nothing. `None` if it is malformed.
pub(super) fn size(value: &str) -> Option<Wishes> {
    size_wish(&plain(value))
}

/// A ratio such as `16:9`.
pub(super) fn ratio(value: &str) -> Option<(u32, u32)> {
    ratio_of(&plain(value))
}

/// A flag as it stands in a token.
struct Flag {
    /// Where the dashes begin, in bytes; more than 0 if the flag follows a word without a blank.
    at: usize,
    name: String,
    /// What stands behind `=`.
    value: Option<String>,
}

/// Takes one flag, with its value, from the end of `text`, which ends in no blank.
fn last_flag(text: &str) -> Option<(&str, Wishes)> {
    let (before, last) = split_last(text);
    if let Some(flag) = flag_in(last) {
        let value = flag.value.or(is_switch(&flag.name).then(String::new))?;
        return Some((&text[..before.len() + flag.at], wish(&flag.name, &value).ok()?));
    }
    if last.len() > TOKEN_MAX {
        return None;
    }
    let (earlier, named) = split_last(before.trim_end());
    let flag = flag_in(named).filter(|flag| flag.value.is_none() && !is_switch(&flag.name))?;
    Some((&text[..earlier.len() + flag.at], wish(&flag.name, &plain(last)).ok()?))
}

/// The last word, and everything before it.
fn split_last(text: &str) -> (&str, &str) {
    let at = text.char_indices().rfind(|(_, c)| c.is_whitespace()).map_or(0, |(at, c)| at + c.len_utf8());
    text.split_at(at)
}

/// The flag that `token` is, or that stands at its end: Chinese has no blanks (`一只猫--ar 16:9`).
fn flag_in(token: &str) -> Option<Flag> {
    let window = token.len().saturating_sub(TOKEN_MAX)..token.len();
    let last = token.char_indices().rev().take_while(|(at, _)| window.contains(at)).find(|&(_, c)| dash(c) > 0);
    let (last, name_at) = last.map(|(at, c)| (at, at + c.len_utf8()))?;
    let run = token[..name_at].char_indices().rev().take(5).take_while(|&(_, c)| dash(c) > 0);
    let (at, weight) = run.fold((last, 0), |(_, weight), (at, c)| (at, weight + dash(c)));
    let text = plain(&token[name_at..]);
    let (name, value) = text.split_once('=').map_or((text.as_str(), None), |(name, value)| (name, Some(value.to_owned())));
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
    // A word of another script may stand directly before, but `foo--png` is a name. So is what follows a Chinese dash:
    // 「格式——png」 is prose.
    let glued = token[..at].chars().next_back().is_none_or(|c| {
        let prose = is_switch(name) && token[at..name_at].chars().any(|c| dash(c) > 1);
        !c.is_ascii_alphanumeric() && dash(c) == 0 && !prose
    });
    ((2..=4).contains(&weight) && is_name && glued).then(|| Flag { at, name: name.to_owned(), value })
}

/// How many hyphens a dash stands for. Phones make one long dash of two hyphens.
fn dash(c: char) -> u32 {
    match c {
        '-' | '－' | '﹣' | '‐' | '‑' | '−' => 1,
        '–' | '—' | '―' => 2,
        _ => 0,
    }
}

/// In lower case, full-width characters as ASCII ones, and one sign for a ratio or a product each.
fn plain(token: &str) -> String {
    let narrow = |c: char| match c {
        '！'..='～' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        '×' | '✕' | '✖' => 'x',
        '∶' | '︰' => ':',
        _ => c,
    };
    token.chars().map(|c| narrow(c).to_ascii_lowercase()).collect()
}

/// Whether a flag stands alone, without a value.
fn is_switch(name: &str) -> bool {
    Format::parse(name).is_some()
}

/// What `--name value` wishes; `value` as [`plain`] made it. The error names what is wrong.
fn wish(name: &str, value: &str) -> Result<Wishes, Saying> {
    let none = Wishes::default();
    let (wish, wants) = match name {
        "ar" | "aspect" => {
            (ratio_of(value).map(|ratio| Wishes { aspect: Some(ratio), ..none }), ["比例，例如 16:9", "a ratio such as 16:9"])
        }
        "size" => (size_wish(value), ["1k、2k、4k、尺寸（例如 1536x1024）或 auto", "1k, 2k, 4k, a size such as 1536x1024, or auto"]),
        "n" => {
            let count = number(value).filter(|count| (1..=COUNT_MAX).contains(count));
            (count.map(|count| Wishes { count: Some(count), ..none }), ["1 到 10 的数", "a number from 1 to 10"])
        }
        "q" | "quality" => {
            let known = QUALITIES.contains(&value).then(|| value.to_owned());
            let wants = ["low、medium、high、auto、standard、hd、xhigh 或 max", "low, medium, high, auto, standard, hd, xhigh or max"];
            (known.map(|word| Wishes { quality: Some(word), ..none }), wants)
        }
        "seed" => (number(value).map(|seed| Wishes { seed: Some(seed), ..none }), ["整数", "a whole number"]),
        "format" => {
            (Format::parse(value).map(|format| Wishes { format: Some(format), ..none }), ["png、jpeg 或 webp", "png, jpeg or webp"])
        }
        switch => {
            let format = Format::parse(switch).filter(|_| value.is_empty());
            let wish = format.map(|format| Wishes { format: Some(format), ..none });
            return wish.ok_or_else(|| match is_switch(switch) {
                true => Saying::new(format!("`--{switch}` 后面不能有值"), format!("`--{switch}` takes no value")),
                false => {
                    let flag = excerpt(switch);
                    Saying::new(format!("没有参数 `--{flag}`"), format!("unknown flag `--{flag}`"))
                }
            });
        }
    };
    let [zh, en] = wants;
    wish.ok_or_else(|| match excerpt(value).as_str() {
        "" => Saying::new(format!("`--{name}` 需要{zh}"), format!("`--{name}` wants {en}")),
        value => Saying::new(format!("`--{name}` 需要{zh}，而不是 `{value}`"), format!("`--{name}` wants {en}, not `{value}`")),
    })
}

fn size_wish(value: &str) -> Option<Wishes> {
    if value == "auto" {
        return Some(Wishes::default());
    }
    if let Some(resolution) = Resolution::parse(value) {
        return Some(Wishes { resolution: Some(resolution), ..Wishes::default() });
    }
    if value.contains(':') {
        return ratio_of(value).map(|ratio| Wishes { aspect: Some(ratio), ..Wishes::default() });
    }
    let exact = pair(value, &['x', '*'])?;
    let fits = EDGES.contains(&exact.0) && EDGES.contains(&exact.1) && is_ratio(exact);
    fits.then(|| Wishes { exact: Some(exact), ..Wishes::default() })
}

fn ratio_of(value: &str) -> Option<(u32, u32)> {
    pair(value, &[':', 'x', '/']).filter(|&ratio| is_ratio(ratio))
}

fn is_ratio((a, b): (u32, u32)) -> bool {
    let sides = 1..=*EDGES.end();
    sides.contains(&a) && sides.contains(&b) && a <= b * STRETCH_MAX && b <= a * STRETCH_MAX
}

fn pair(value: &str, between: &[char]) -> Option<(u32, u32)> {
    let (a, b) = value.split_once(between)?;
    Some((number(a)?, number(b)?))
}

/// Digits only: `parse` alone would take a sign.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

/// The beginning of what a user wrote, for an error text.
fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(32).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::*;

    fn none() -> Wishes {
        Wishes::default()
    }

    fn aspect(width: u32, height: u32) -> Wishes {
        Wishes { aspect: Some((width, height)), ..none() }
    }

    #[test]
    fn flags_are_taken_from_the_end_of_a_prompt() {
        let all = Wishes {
            aspect: Some((16, 9)),
            resolution: Some(Resolution::K2),
            count: Some(2),
            quality: Some("high".into()),
            seed: Some(7),
            format: Some(Format::Png),
            ..none()
        };
        for (prompt, rest, wishes) in [
            ("a cat --ar 16:9 --size 2k --n 2 --quality high --seed 7 --png", "a cat", all.clone()),
            ("a cat\n\n--png --seed=7 --q=HIGH --n=2\n--SIZE 2K --aspect 16x9  ", "a cat", all),
            ("一只猫 —ar 16：9", "一只猫", aspect(16, 9)),
            ("一只猫 ——ar 16∶9", "一只猫", aspect(16, 9)),
            ("一只猫 –ar 16:9", "一只猫", aspect(16, 9)),
            ("一只猫　－－ａｒ　１６：９　", "一只猫", aspect(16, 9)),
            ("一只猫 --ar＝16：9", "一只猫", aspect(16, 9)),
            ("一只猫--ar 16:9", "一只猫", aspect(16, 9)),
            ("一只猫，——ar 9:16", "一只猫，", aspect(9, 16)),
            ("--ar 1:1", "", aspect(1, 1)),
            ("x --ar 1:1 --ar 3:2", "x", aspect(3, 2)),
            ("x --size 1536×1024", "x", Wishes { exact: Some((1536, 1024)), ..none() }),
            ("x --size 1536*1024 --jpg", "x", Wishes { exact: Some((1536, 1024)), format: Some(Format::Jpeg), ..none() }),
            ("x --size auto", "x", none()),
            ("x --size 16:9", "x", aspect(16, 9)),
            ("x --format webp", "x", Wishes { format: Some(Format::Webp), ..none() }),
            ("x --no hats --n 3", "x --no hats", Wishes { count: Some(3), ..none() }),
        ] {
            assert_eq!(take_from(prompt), (rest.to_owned(), wishes), "{prompt:?}");
        }
    }

    #[test]
    fn what_is_no_flag_stays_with_everything_before_it() {
        for prompt in [
            "",
            "  a cat  ",
            "a cat --ar",
            "a cat --ar 16:9 please",
            "a cat --ar 16:9 --style raw",
            "a cat --ar sixteen",
            "a cat --ar 0:9",
            "a cat --ar 1:50",
            "a cat -ar 16:9",
            "a cat -----ar 16:9",
            "a cat -- ar 16:9",
            "a cat --n 11",
            "a cat --n 0",
            "a cat --n +2",
            "a cat --seed -1",
            "a cat --seed 99999999999999999999",
            "a cat --size 9x9",
            "a cat --size 99999x99999",
            "a cat --png=1",
            "a cat --q great",
            "the tool foo--png",
            "输出格式——png",
            "— png",
            "--",
            "16:9",
        ] {
            assert_eq!(take_from(prompt), (prompt.to_owned(), none()), "{prompt:?}");
        }
    }

    #[test]
    fn presets_are_parsed_or_the_error_names_what_is_wrong() {
        assert_eq!(parse(""), Ok(none()));
        assert_eq!(parse("--ar 16:9 --size 4k").map(|w| (w.aspect, w.resolution)), Ok((Some((16, 9)), Some(Resolution::K4))));
        assert_eq!(parse("——ar＝9：16").map(|w| w.aspect), Ok(Some((9, 16))));
        for (flags, wrong) in [
            ("16:9", "`16:9` is no flag"),
            ("--ar 16:9 big", "`big` is no flag"),
            ("猫--ar 16:9", "`猫--ar` is no flag"),
            ("--foo 1", "unknown flag `--foo`"),
            ("--ar --n 2", "`--ar` wants a ratio such as 16:9"),
            ("--ar wide", "`--ar` wants a ratio such as 16:9, not `wide`"),
            ("--n 11", "`--n` wants a number from 1 to 10, not `11`"),
            ("--png=yes", "`--png` takes no value"),
        ] {
            assert_eq!(parse(flags).map_err(String::from), Err(wrong.to_owned()), "{flags:?}");
        }
        assert!(parse(&format!("--ar {}", "9".repeat(1000))).unwrap_err().to_string().len() < 100);
    }

    #[test]
    fn text_that_was_made_to_take_long_does_not() {
        for piece in ["-", "—", "--png ", "猫--png", "--ar 16:9 ", "a", " ", "猫", "--n=2!", "--ar 1:1"] {
            let text = piece.repeat(1_000_000 / piece.len());
            let began = std::time::Instant::now();
            take_from(&text);
            assert!(began.elapsed().as_secs() < 10, "{piece} took {:?}", began.elapsed());
        }
    }
}
