//! Takes out of an assistant turn what [`super`] has written into it, line by line. The turn may have been cut off anywhere
//! (the user pressed stop) and continued, without as much as a line break, by another answer.

use std::ops::Range;

use super::{ALL, CARD, CARD_LINES_MAX, HINT, RULE, SEAL, Words};

/// What stands in everything that is ours: most texts have none of it.
const MARKS: [&str; 5] = ["PicGate", "🔄 **", "✨ **", HINT, "## ⚠"];

/// Longest heading of a card that is found behind other text in the same line, in bytes.
const TITLE_MAX: usize = 512;

/// What the Python program put between dots and seconds.
const ELAPSED: &str = "已用时";

/// The title of the Python program's cards (its README, 友好的错误提示).
const PYTHON_CARD: &str = "服务暂时不可用";

/// An assistant turn without our progress, headings, captions and cards, in both languages and those of the Python program;
/// `None` if there was nothing of ours. What is left stays byte for byte, except that blank lines where something was
/// taken out become one, and blanks at both ends go.
pub fn strip(text: &str) -> Option<String> {
    if !MARKS.iter().any(|mark| text.contains(mark)) {
        return None;
    }
    let mut turn = Turn {
        text,
        breaks: breaks(text),
        current: Line { start: 0, trimmed: 0, end: 0 },
        after: After::Foreign,
        found: false,
        picture: false,
        joins: false,
        kept: Vec::new(),
    };
    let mut at = 0;
    while at < text.len() {
        at = turn.line(at);
    }
    let kept: Vec<&str> = turn.kept.into_iter().map(|span| &text[span]).collect();
    turn.found.then(|| kept.join("\n\n").trim().to_owned())
}

/// What of ours came last, with nothing but blank lines since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// Nothing: the text of a model, or none at all.
    Foreign,
    Heading,
    HeadingRule,
    /// The line that says so, or a picture of the user's.
    Received,
    ReceivedRule,
    /// The line that says we are connecting, or one that counts.
    Waiting,
    Success,
    SuccessRule,
    /// The heading over the result, a caption or a card.
    Done,
}

#[derive(Clone, Copy)]
struct Line {
    start: usize,
    /// Where its last character that is no blank ends.
    trimmed: usize,
    /// Where the next one begins.
    end: usize,
}

struct Turn<'a> {
    text: &'a str,
    /// Where one of our lines begins though no line break stands before it, in order.
    breaks: Vec<usize>,
    /// Kept, so that a line from which we take piece by piece is measured once.
    current: Line,
    after: After,
    /// Whether anything of ours was there.
    found: bool,
    /// Whether the last line was a picture.
    picture: bool,
    /// Whether the next line that stays belongs to the last one.
    joins: bool,
    /// What stays, in order.
    kept: Vec<Range<usize>>,
}

impl Turn<'_> {
    /// Takes or keeps the line at `at`; returns where the next one begins.
    fn line(&mut self, at: usize) -> usize {
        if at >= self.current.end {
            self.current = self.line_at(at);
        }
        let end = self.current.end;
        if at >= self.current.trimmed {
            return end;
        }
        let line = &self.text[at..self.current.trimmed];
        let taken = self.whole(line).map(|(length, after)| if length == line.len() { (end, after) } else { (at + length, after) });
        let taken = taken.or_else(|| self.card(line, end).map(|end| (end, After::Done)));
        let taken = taken.or_else(|| (self.begun(line) && self.is_cut(end)).then_some((end, self.after)));
        if let Some((next, after)) = taken {
            (self.after, self.found, self.picture, self.joins) = (after, true, false, false);
            return next;
        }
        match self.kept.last_mut().filter(|_| self.joins) {
            Some(span) => span.end = at + line.len(),
            None => self.kept.push(at..at + line.len()),
        }
        (self.after, self.picture, self.joins) = (After::Foreign, line.starts_with("![") && line.ends_with(')'), true);
        end
    }

    fn line_at(&self, start: usize) -> Line {
        let next = self.breaks.get(self.breaks.partition_point(|&found| found <= start));
        let limit = next.copied().unwrap_or(self.text.len());
        let end = self.text[start..limit].find('\n').map_or(limit, |found| start + found + 1);
        Line { start, trimmed: start + self.text[start..end].trim_end().len(), end }
    }

    /// The length of our text at the beginning of `line`, and where we are behind it. It is the whole line, or what a stream
    /// that was cut off left there before the next one.
    fn whole(&self, line: &str) -> Option<(usize, After)> {
        let of = |words: &Words| {
            let after = match self.after {
                _ if line == words.heading => After::Heading,
                _ if line == words.success => After::Success,
                _ if line == words.caption => After::Done,
                After::Heading if line == RULE => After::HeadingRule,
                After::Heading | After::HeadingRule if line == words.received => After::Received,
                After::Received if is_original(line, words) => After::Received,
                After::Received if line == RULE => After::ReceivedRule,
                After::Success if line == RULE => After::SuccessRule,
                After::SuccessRule if line == words.finished => After::Done,
                After::ReceivedRule if line.starts_with(words.connecting) => return Some((words.connecting.len(), After::Waiting)),
                _ => {
                    let length = ticks(line, words).filter(|ticks| ticks.counted).map(|ticks| ticks.length)?;
                    let glued = self.after == After::Waiting && !line[length..].starts_with(char::is_whitespace);
                    return (length == line.len() || glued).then_some((length, After::Waiting));
                }
            };
            Some((line.len(), after))
        };
        ALL.into_iter().find_map(of)
    }

    /// Whether `line` may be the beginning of what comes next. The less certain it is that something of ours comes, the more of
    /// it must be there.
    fn begun(&self, line: &str) -> bool {
        let shown = line.chars().take(8).count();
        let begins = |ours: &str, least: usize| shown >= least && ours.starts_with(line);
        ALL.into_iter().any(|words| match self.after {
            After::Heading | After::Success => begins(RULE, 1),
            After::HeadingRule => begins(words.received, 1),
            After::Received => begins(RULE, 1) || original_begun(line, words),
            After::ReceivedRule => begins(words.connecting, 1),
            After::SuccessRule => begins(words.finished, 1),
            After::Waiting => {
                let ours = [words.drawing, words.success, words.heading, words.caption, CARD].iter().any(|ours| begins(ours, 2));
                ours || line.starts_with(CARD) || ticks(line, words).is_some_and(|ticks| ticks.length == line.len())
            }
            After::Done | After::Foreign => {
                let later = begins(words.drawing, 5) || begins(words.success, 5) || begins(words.caption, if self.picture { 1 } else { 5 });
                let counts = ticks(line, words).is_some_and(|ticks| ticks.length == line.len());
                let opens = words.heading.starts_with(line) && line.contains("PicGate");
                opens || self.found && (later || counts)
            }
        })
    }

    /// Whether an answer ends at `end`: the turn does, or the next answer begins.
    fn is_cut(&self, end: usize) -> bool {
        let rest = self.text[end..].trim_start();
        rest.is_empty() || ALL.iter().any(|words| rest.starts_with(words.heading))
    }

    /// The end of the card whose heading is `heading`, which ends at `at`. One that is sealed is ours wherever it stands and however
    /// much of it is there. The Python program's has no seal: it must be whole, and the last thing in its answer, because a
    /// model may write a warning that looks the same.
    fn card(&self, heading: &str, at: usize) -> Option<usize> {
        let title = heading.strip_prefix(CARD)?;
        let sealed = title.ends_with(SEAL);
        if !sealed && title != PYTHON_CARD {
            return None;
        }
        let (mut end, mut headline_end, mut lines) = (at, at, 0);
        while end < self.text.len() {
            let Line { start, trimmed, end: next } = self.line_at(end);
            let line = &self.text[start..trimmed];
            if !line.is_empty() {
                lines += 1;
                // A caption looks like a hint, but no other text of ours stands in a card.
                let ours = ALL.iter().any(|words| [words.heading, words.success, words.caption].contains(&line));
                let fits = match lines {
                    1 => is_between(line, "**", "**") || sealed && (line.starts_with("**") || line == "*") && self.is_cut(next),
                    _ if is_between(line, HINT, "_") && !ours => {
                        return (sealed || self.is_cut(next)).then_some(next);
                    }
                    _ => lines <= CARD_LINES_MAX + 1 && !line.starts_with('#') && !line.contains("!["),
                };
                if !fits || ours {
                    return sealed.then_some(if ours { end } else { headline_end });
                }
                headline_end = if lines == 1 { next } else { headline_end };
            }
            end = next;
        }
        sealed.then_some(end)
    }
}

/// Where one of our lines follows other text without a line break.
fn breaks(text: &str) -> Vec<usize> {
    let begins_line = |at: usize| at == 0 || text[..at].ends_with('\n');
    let ends_line = |rest: &str| {
        let rest = rest.trim_start_matches([' ', '\t', '\r']);
        rest.is_empty() || rest.starts_with('\n') || ALL.iter().any(|words| rest.starts_with(words.heading))
    };
    let lines = ALL.iter().flat_map(|words| [words.heading, words.success]);
    let lines = lines.flat_map(|ours| text.match_indices(ours)).filter(|(at, ours)| ends_line(&text[at + ours.len()..]));
    let cards = text.match_indices(CARD).filter(|&(at, _)| {
        let title = &text[at..text.floor_char_boundary(at + TITLE_MAX)];
        title.lines().next().is_some_and(|title| title.trim_end().ends_with(SEAL))
    });
    let mut breaks: Vec<usize> = lines.chain(cards).map(|(at, _)| at).filter(|&at| !begins_line(at)).collect();
    breaks.sort_unstable();
    breaks
}

fn is_between(line: &str, open: &str, close: &str) -> bool {
    line.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)).is_some_and(|inner| !inner.is_empty())
}

/// `![📷 原图1](…)`
fn is_original(line: &str, words: &Words) -> bool {
    line.ends_with(')') && original_begun(line, words) && line.contains("](")
}

fn original_begun(line: &str, words: &Words) -> bool {
    let Some(rest) = line.strip_prefix("![") else { return line == "!" };
    let Some(rest) = rest.strip_prefix(words.original) else { return words.original.starts_with(rest) };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    "](".starts_with(rest) || rest.strip_prefix("](").is_some_and(|link| !link.contains(char::is_whitespace))
}

/// The counting line, as far as it is there.
struct Ticks {
    /// Its length in bytes.
    length: usize,
    /// Whether it counts already.
    counted: bool,
}

/// `🔄 **处理中** 3s · 6s`, or `🔄 **处理中** •• 已用时 3s`.
fn ticks(line: &str, words: &Words) -> Option<Ticks> {
    let rest = line.strip_prefix(words.drawing)?;
    let Some(spaced) = rest.strip_prefix(' ') else { return rest.is_empty().then_some(Ticks { length: line.len(), counted: false }) };
    let dots = spaced.trim_start_matches('•').trim_start_matches(' ');
    if ELAPSED.starts_with(dots) {
        return Some(Ticks { length: line.len(), counted: false });
    }
    let number = dots.strip_prefix(ELAPSED).map_or(dots, |rest| rest.trim_start_matches(' '));
    let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let Some(mut rest) = number[digits(number)..].strip_prefix('s').filter(|_| digits(number) > 0) else {
        return (digits(number) == number.len()).then_some(Ticks { length: line.len(), counted: false });
    };
    // What follows may end at any character.
    while let Some(more) = rest.strip_prefix(" ·") {
        let more = more.strip_prefix(' ').unwrap_or(more);
        let more = &more[digits(more)..];
        rest = more.strip_prefix('s').unwrap_or(more);
    }
    Some(Ticks { length: line.len() - rest.len(), counted: true })
}

#[cfg(test)]
mod tests {
    use super::super::{Card, Language, TICK_END, caption, card, opening, picture_alt, success, tick};
    use super::*;

    const LANGUAGES: [Language; 2] = [Language::Zh, Language::En];

    /// What a model may say, with lines that look like ours.
    const SAID: [&str; 16] = [
        "Here is your cat.",
        "好的，这是你的猫：\n\n1. 一\n2. 二",
        "---",
        "a\n\n---\n\nb",
        "## 🖼️ Gallery\n\nNice.",
        "## 🖼️ 创作完成",
        "💡 _tip_",
        "🔄 **处理中** 30s 后重试\n\n🔄 **Drawing** a cat",
        "✨ **图像生成成功！** 请查看",
        "**📥 已接收您的创作请求**\n\n---",
        "![📷 原图1](http://h/x.png)",
        "## ⚠️ Warning\n\n**Be careful**\n\n- one\n\n💡 _tip_\n\nand more",
        "## ⚠️ 注意\n\n**小心**\n\n说明",
        "## ⚠️ 注意\n\n**小心**\n\n说明\n\n💡 _提示_",
        "## ⚠️ 服务暂时不可用\n\n是真的",
        "```\n  code  \n\n\n  more\n```",
    ];

    /// A stream as the relay writes it, and what is to be left of it.
    #[derive(Default)]
    struct Stream {
        text: String,
        left: Vec<String>,
        ours: bool,
        counting: bool,
    }

    impl Stream {
        fn ours(&mut self, text: &str) {
            if self.counting {
                self.text += TICK_END;
            }
            if !self.ours && !self.text.is_empty() && !text.starts_with('\n') {
                self.text += "\n\n";
            }
            self.text += text;
            (self.ours, self.counting) = (true, false);
        }

        fn tick(&mut self, language: Language, seconds: u64) {
            let text = tick(language, seconds, !self.counting);
            self.text += &text;
            (self.ours, self.counting) = (true, true);
        }

        fn said(&mut self, text: &str) {
            if self.counting {
                self.text += TICK_END;
            }
            if self.ours || self.left.is_empty() {
                self.left.push(String::new());
            } else {
                self.text += "\n\n";
                *self.left.last_mut().unwrap() += "\n\n";
            }
            self.text += text;
            *self.left.last_mut().unwrap() += text;
            (self.ours, self.counting) = (false, false);
        }

        fn left(&self) -> String {
            self.left.join("\n\n").trim().to_owned()
        }
    }

    /// A number below `n`, from a generator that is the same everywhere.
    fn below(seed: &mut u64, n: usize) -> usize {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) as usize % n
    }

    fn stream(seed: &mut u64, said: &[&str]) -> Stream {
        let (mut stream, language) = (Stream::default(), LANGUAGES[below(seed, 2)]);
        let pictures: Vec<String> = (0..below(seed, 3)).map(|n| format!("https://h/images/{n}")).collect();
        stream.ours(&opening(language, &pictures));
        let mut seconds = 0;
        for _ in 0..below(seed, 6) {
            match below(seed, 4) {
                0 => stream.said(said[below(seed, said.len())]),
                _ => {
                    seconds += 3;
                    stream.tick(language, seconds);
                }
            }
        }
        match below(seed, 4) {
            0 => stream.ours(&trouble(below(seed, 4))),
            1 => {}
            _ => {
                stream.ours(&success(language));
                stream.said(&format!("![{}](https://h/images/9)", picture_alt(language)));
                if below(seed, 2) == 0 {
                    stream.said(said[below(seed, said.len())]);
                }
                stream.ours(&caption(language));
            }
        }
        stream
    }

    fn trouble(lines: usize) -> String {
        let lines: Vec<String> =
            ["本次未扣费。", "# not\nfound", "💡 _x_", "--- ![a](b)"].iter().take(lines).map(|&line| line.to_owned()).collect();
        card(&Card {
            title: "服务暂时不可用",
            headline: "nano **banana** 🍌 绘图配额已用尽",
            lines: &lines,
            hint: "建议等待一段时间后重新发起请求",
        })
    }

    #[test]
    fn what_was_written_is_taken_out_and_nothing_else() {
        let mut seed = 1;
        for _ in 0..4_000 {
            let stream = stream(&mut seed, &SAID);
            assert_eq!(strip(&stream.text), Some(stream.left()), "{}", stream.text);
            let blanks = stream.text.replace('\n', " \r\n");
            assert_eq!(strip(&blanks).map(|left| left.replace(" \r\n", "\n")), Some(stream.left()), "{}", stream.text);
        }
    }

    #[test]
    fn it_may_be_cut_off_at_any_character() {
        let mut seed = 2;
        for _ in 0..300 {
            let Stream { text, .. } = stream(&mut seed, &["Here is your cat.", "![x](https://h/y)"]);
            let whole = strip(&text).unwrap();
            for (at, _) in text.char_indices().skip(20) {
                let left = strip(&text[..at]).unwrap_or_else(|| panic!("{:?}", &text[..at]));
                let common = left.bytes().zip(whole.bytes()).take_while(|(a, b)| a == b).count();
                let common = left.floor_char_boundary(common);
                let more = left[common..].trim_start();
                // The heading of a card behind what a model said may be the model's own.
                assert!(more.chars().count() < 5 || "## ⚠️ 服务暂时不可用".starts_with(more), "{:?} leaves {left:?}", &text[..at]);
            }
        }
    }

    #[test]
    fn it_may_be_continued_where_it_was_cut_off() {
        let mut seed = 3;
        for _ in 0..80 {
            let said = ["Here is your cat.", "## 🖼️ Gallery\n\n---"];
            let (first, second) = (stream(&mut seed, &said), stream(&mut seed, &said));
            for (at, _) in first.text.char_indices() {
                let cut = &first.text[..at];
                let left = strip(cut).unwrap_or_else(|| cut.trim().to_owned());
                let both = [left, second.left()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n");
                assert_eq!(strip(&format!("{cut}{}", second.text)), Some(both), "{cut:?}");
            }
        }
    }

    #[test]
    fn a_model_may_go_on_where_a_line_of_ours_was_cut_off() {
        let begun = opening(Language::Zh, &[]);
        for (cut, more) in [
            (begun.trim_end().to_owned(), "Here"),
            (format!("{begun}{}", tick(Language::Zh, 3, true)), "Here"),
            (format!("{begun}{} · ", tick(Language::Zh, 3, true)), "Here"),
            (format!("{begun}{} · 1", tick(Language::Zh, 3, true)), "Here"),
            (format!("{begun}{}", tick(Language::Zh, 3, true)), "![生成的图片](https://h/images/1)\n\nHere"),
        ] {
            assert_eq!(strip(&format!("{cut}{more}")).as_deref(), Some(more), "{cut:?}");
        }
        let card = trouble(1);
        assert_eq!(strip(&format!("Hm{card}Here")).as_deref(), Some("Hm\n\nHere"));
        assert_eq!(strip(&format!("Hm{}", success(Language::En))).as_deref(), Some("Hm"));
    }

    #[test]
    fn the_python_program_is_understood() {
        let progress = "## 🎨 PicGate 图像处理中心\n\n---\n\n**📥 已接收您的创作请求**\n\n![📷 原图1](https://gate.example.com/images/x)\n\n---\n\n\
            ⏳ 正在连接 AI 绘图引擎，请稍候...\n\n🔄 **处理中** •• 已用时 3s\n🔄 **处理中** ••• 已用时 6s\n";
        let picture = "![生成的图片](https://gate.example.com/images/result)";
        let answer = format!(
            "{progress}\n✨ **图像生成成功！** 正在优化输出格式...\n\n---\n\n## 🖼️ 创作完成\n\n{picture}\n\n💡 _图片已保存，点击可查看大图_\n"
        );
        assert_eq!(strip(&answer).as_deref(), Some(picture));
        let card = "## ⚠️ 服务暂时不可用\n\n**nano banana 🍌 绘图配额已用尽**\n\n服务器每 5 小时的绘图配额已全部使用完毕，请稍后再试。\n\n💡 _建议等待一段时间后重新发起请求_\n";
        assert_eq!(strip(&format!("{progress}{card}")).as_deref(), Some(""));
        assert_eq!(strip(card).as_deref(), Some(""));
        for (at, _) in progress.char_indices().skip(20) {
            assert!(strip(&progress[..at]).unwrap().chars().count() < 3, "{:?}", &progress[..at]);
        }
    }

    #[test]
    fn text_without_anything_of_ours_is_left_alone() {
        for said in SAID.into_iter().chain([
            "",
            "PicGate",
            "🔄",
            "## 🎨 Studio",
            "## ⚠️ 服务",
            "💡 _图片",
            "✨ **图像",
            "`## 🎨 PicGate 图像处理中心` is a heading",
        ]) {
            assert_eq!(strip(said), None, "{said:?}");
        }
    }

    #[test]
    fn text_that_was_made_to_take_long_does_not() {
        let (begun, sealed) = (opening(Language::Zh, &["l".to_owned()]), trouble(2));
        for piece in [
            &begun,
            begun.trim_end(),
            "## 🎨 PicGate 图像处理中心",
            "🔄 **处理中** 3s",
            "\n🔄 **处理中** 3s",
            " · 3s",
            "✨ **图像生成成功！** 正在优化输出格式...",
            &sealed,
            "## ⚠️ \u{2063}",
            "## ⚠️ x\u{2063}\n**",
            "## ⚠️ x\n\n**y**\n\n",
            "**y**\n",
            "![📷 原图1](",
            "💡 _",
            " ",
            "\n",
            "a",
        ] {
            for head in [begun.trim_end(), "🔄 **处理中** 3s\n", "## ⚠️ x\u{2063}\n"] {
                let text = format!("{head}{}{}", piece.repeat(500_000 / piece.len()), " ".repeat(500_000));
                let began = std::time::Instant::now();
                strip(&text);
                assert!(began.elapsed().as_secs() < 10, "{piece:?} took {:?}", began.elapsed());
            }
        }
    }
}
