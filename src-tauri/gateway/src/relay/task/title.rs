//! A short title from a user's own words: what is to be drawn, without the asking.

use super::{super::intent::runs_on, head};

/// How much of the words is looked at, in bytes.
const LOOKED_AT: usize = 4096;

/// Longest title, in units of which a Chinese character takes 3 and a word 10: about 20 characters or 6 words.
const COST_MAX: usize = 60;
const CHARACTER_COST: usize = 3;
const WORD_COST: usize = 10;

/// Letters of a word beyond these cost one each.
const WORD_LETTERS: usize = 12;

/// Longest address label or tag that is taken apart, in bytes.
const DRESS_MAX: usize = 256;

/// Polite words before a request, with strokes between them as in all lists here. What begins with another one stands
/// before it.
const ASKING: &str = "我想知道|我想问一下|我想问|请问|請問|请你帮我|请帮我|请帮忙|请你|请给我|请为我|请|請你幫我|請幫我|請你|請給我|\
     請|麻烦你|麻烦|麻煩你|麻煩|你能不能|能不能|可不可以|能否|帮我|帮忙|幫我|幫忙|我想要你|我想要|我想让你|我想|我要|\
     我需要|给我们|给我|給我|为我|替我|你好|您好|哈喽|嗨|谢谢|謝謝";

/// Asks only before a request: `你能做什么` stays whole.
const ASKING_SOFTLY: &str = "你能|你可以|可以|能";

/// What a request begins with.
const REQUEST: [char; 12] = ['画', '畫', '绘', '繪', '生', '帮', '幫', '给', '給', '把', '将', '將'];

/// Where a word of [`ASKING`] is no asking: invitations.
const NO_ASKING: &str = "请柬|请帖|請柬|請帖";

/// Verbs that draw and nothing else, so that they say nothing in a title.
const VERBS: &str = "画一下|画出|畫出|绘制|繪製|画|畫|绘|繪";

/// Verbs that are dropped only before one counted thing or the word for a picture.
const MAKING: &str = "生成|创作|創作|制作|製作|设计|設計|创建|来|來|做|整|搞|弄|要";

/// What makes another word of a drawing verb: 画家, 绘本, 畫面.
const COMPOUNDS: &str = "面家风風展廊像质質法册冊图圖作布中笔筆画畫框饼餅本师師的得完了过過";

/// What things are counted with, those first that also stand without a number.
const COUNTED: &str = "只隻张張个個幅条條副位座朵片棵匹头頭辆輛架艘間间栋棟束杯盘盤碗件套组組颗顆款份枚";
const COUNTED_ALONE: usize = 9;

const TAILS: &str = "谢谢你|谢谢|謝謝|好吗|好嗎|可以吗|可以嗎|行吗|吧|吗|呢|please|thank you|thanks|for me|pls";

const ASKING_LATIN: &str = "please|pls|hi there|hello there|hey there|hi|hello|hey|can you|could you|would you|will you|can i have|can i get|i want you to|i want to|\
     i want|i would like you to|i would like|i'd like you to|i'd like|i need you to|i need|help me|let's|kindly|\
     /imagine";

const VERBS_LATIN: &str = "draw|paint|sketch|render|illustrate|imagine|generate|create|make|design|produce|give|show";

/// How many of [`VERBS_LATIN`] draw and nothing else: the others are dropped only before something that is counted.
const DRAWING_VERBS: usize = 6;

const PICTURES_LATIN: &str = "image of|images of|picture of|pictures of|pic of|photo of|drawing of|painting of|illustration of";

const LOOSE_ENDS: &str = "a|an|the|of|in|on|at|to|by|for|with|and|or|from|as|is|under|over";

/// A title from these words; `None` if they hold nothing but links, politeness and marks.
pub fn make(words: &str) -> Option<String> {
    let words = plain(head(words.trim_start(), LOOKED_AT));
    words.lines().flat_map(sentences).find_map(|sentence| {
        let named = without_asking(sentence)?;
        let short = shortened(named);
        let mut chars = short.chars();
        let first = chars.next()?;
        Some(first.to_uppercase().chain(chars).collect())
    })
}

/// Whether these instructions ask for an emoji in the title; earlier versions of Open WebUI do, newer ones forbid it.
pub fn wants_emoji(instructions: &str) -> bool {
    let text = instructions.to_lowercase();
    let mut wanted = false;
    for clause in text.split(['\n', '.', ';', '。', '；']) {
        let Some(at) = ["emoji", "表情"].iter().filter_map(|word| clause.find(word)).min() else { continue };
        let before = &clause[..at];
        if before.contains(['不', '勿', '无', '無', '禁'])
            || before.split(' ').any(|w| matches!(w, "no" | "not" | "don't" | "don’t" | "avoid" | "without" | "never"))
        {
            return false;
        }
        wanted = true;
    }
    wanted
}

/// The text without markdown, addresses, data and references to images.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = skipped(rest, out.ends_with(|c: char| c.is_ascii_alphanumeric()));
        if skip > 0 {
            out.push(' ');
            rest = &rest[skip..];
        } else if let Some((label, len)) = label(rest) {
            out.push_str(label);
            rest = &rest[len..];
        } else {
            match c {
                '*' | '`' | '~' | '|' | '\u{FEFF}' | '\u{200B}' => {}
                c if c.is_control() && c != '\n' => out.push(' '),
                c => out.push(c),
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    // What is left of an address in brackets.
    out.replace("( )", " ")
}

/// The length of what shows nothing at the beginning of `rest`.
fn skipped(rest: &str, in_word: bool) -> usize {
    let to = |end: &str, most: usize| head(rest, most).find(end).map_or(0, |at| at + end.len());
    if rest.starts_with("![") {
        to("](", DRESS_MAX).checked_sub(1).map_or(0, |at| rest[at..].find(')').map_or(rest.len(), |len| at + len + 1))
    } else if rest.starts_with("{{pg:") {
        to("}}", DRESS_MAX)
    } else if !in_word && ["http://", "https://", "data:image/", "data:application/"].iter().any(|s| rest.starts_with(s)) {
        rest.find(|c: char| c.is_whitespace() || !c.is_ascii() || matches!(c, ')' | '>' | '"')).unwrap_or(rest.len())
    } else if rest.starts_with('<') && rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') {
        to(">", DRESS_MAX)
    } else {
        0
    }
}

/// The label of `[label](address)` and the length of all of it.
fn label(rest: &str) -> Option<(&str, usize)> {
    let middle = rest.strip_prefix('[').and_then(|_| head(rest, DRESS_MAX).find("]("))?;
    let end = middle + rest[middle..].find(')')? + 1;
    Some((&rest[1..middle], end))
}

/// The sentences of a line, without list marks before and flags such as `--ar 16:9` behind.
fn sentences(line: &str) -> impl Iterator<Item = &str> {
    let line = line.trim().trim_start_matches(['#', '>', '-', '+', '•', ' ']);
    let is_flag = |at: usize| line[at..].trim_start().trim_start_matches(['-', '—']).starts_with(|c: char| c.is_ascii_lowercase());
    let flag = [" --", " —"].iter().filter_map(|mark| line.match_indices(mark).map(|(at, _)| at).find(|&at| is_flag(at))).min();
    let line = &line[..flag.unwrap_or(line.len())];
    let mut rest = line;
    std::iter::from_fn(move || {
        let ends = |(at, c): (usize, char)| match c {
            '。' | '！' | '？' | '；' | '!' | '?' | ';' => Some(at + c.len_utf8()),
            // Not behind `Mr`, `St` or the number of an item.
            '.' if rest[..at].bytes().rev().take(3).filter(|b| b.is_ascii_alphanumeric() || !b.is_ascii()).count() < 3 => None,
            '.' => rest[at + 1..].chars().next().is_none_or(char::is_whitespace).then_some(at + 1),
            _ => None,
        };
        let end = rest.char_indices().find_map(ends).unwrap_or(rest.len());
        let (sentence, after) = rest.split_at(end);
        rest = after;
        (!sentence.is_empty()).then_some(sentence)
    })
}

/// What the sentence is about; `None` if it only asks or greets.
fn without_asking(sentence: &str) -> Option<&str> {
    let mut named = trimmed(sentence);
    loop {
        let before = named;
        if let Some(rest) = after_asking(named) {
            named = trimmed(rest);
        }
        if let Some(rest) = each(TAILS).find_map(|t| before_tail(named, t)) {
            named = trimmed(rest);
        }
        if named.len() == before.len() {
            break;
        }
    }
    if !named.contains(char::is_alphanumeric) {
        return None;
    }
    let bare = trimmed(without_article(without_verb(named)));
    Some(if bare.chars().filter(|c| c.is_alphanumeric()).count() >= 2 { bare } else { named })
}

/// What follows the polite words at the beginning.
fn after_asking(text: &str) -> Option<&str> {
    if each(NO_ASKING).any(|word| text.starts_with(word)) {
        return None;
    }
    let softly = || each(ASKING_SOFTLY).find_map(|p| text.strip_prefix(p)).filter(|rest| rest.starts_with(REQUEST));
    let latin = || each(ASKING_LATIN).find_map(|p| after_word(text, p));
    each(ASKING).find_map(|p| text.strip_prefix(p)).or_else(softly).or_else(latin)
}

fn without_verb(text: &str) -> &str {
    let after = |verbs: &'static str| each(verbs).find_map(|verb| text.strip_prefix(verb)).map(str::trim_start);
    if let Some(rest) = after(VERBS) {
        let thing = without_count(rest);
        let is_compound = thing.len() == rest.len() && text.chars().nth(1).is_some_and(|c| COMPOUNDS.contains(c));
        return if is_compound { text } else { without_kind(thing) };
    }
    if let Some(rest) = after(MAKING) {
        let thing = without_kind(without_count(rest));
        return if thing.len() < rest.len() { thing } else { text };
    }
    without_latin_verb(text)
}

fn without_latin_verb(text: &str) -> &str {
    for (at, verb) in each(VERBS_LATIN).enumerate() {
        let Some(rest) = after_word(text, verb) else { continue };
        let rest = trimmed(["me", "us"].iter().find_map(|p| after_word(rest, p)).unwrap_or(rest));
        let thing = without_article(rest);
        let pictured = each(PICTURES_LATIN).find_map(|p| after_word(thing, p));
        let points = ["it", "this", "that", "him", "her", "them", "these", "those", "of"].iter().any(|p| after_word(rest, p).is_some());
        let is_plain = pictured.is_none() && thing.len() == rest.len();
        return if points || (at >= DRAWING_VERBS && is_plain) { text } else { pictured.map_or(thing, trimmed) };
    }
    text
}

/// Without `一只`, `一张` or a bare `张`; one thing needs no number in a title.
fn without_count(text: &str) -> &str {
    let (number, most) = if text.starts_with(['一', '1']) { (1, usize::MAX) } else { (0, COUNTED_ALONE) };
    let mut chars = text.chars();
    chars.by_ref().take(number).for_each(drop);
    match chars.next() {
        Some(c) if COUNTED.chars().take(most).any(|counted| counted == c) => chars.as_str().trim_start(),
        _ => text,
    }
}

/// Without `图片：` before what it shows.
fn without_kind(text: &str) -> &str {
    let rest = ["图片", "圖片", "图像", "照片", "图", "圖"].iter().find_map(|kind| text.strip_prefix(kind));
    rest.filter(|rest| rest.starts_with(['：', ':', '，', ',', ' '])).map(trimmed).filter(|rest| !rest.is_empty()).unwrap_or(text)
}

fn without_article(text: &str) -> &str {
    let article =
        ["a", "an", "some"].iter().find_map(|article| after_word(text, article).filter(|_| text[article.len()..].starts_with(' ')));
    article.unwrap_or(text)
}

/// What follows `word` at the beginning of `text`, whatever its case.
fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = text.get(..word.len()).filter(|start| start.eq_ignore_ascii_case(word)).map(|_| &text[word.len()..])?;
    (!rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '\'')).then(|| rest.trim_start())
}

/// What stands before `tail` at the end of `text`.
fn before_tail<'a>(text: &'a str, tail: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(tail.len())?;
    let before = text.get(at..).filter(|end| end.eq_ignore_ascii_case(tail)).map(|_| &text[..at])?;
    if tail == "吧" && before.ends_with(['酒', '网', '贴', '书', '水']) {
        return None;
    }
    (!tail.is_ascii() || !before.ends_with(|c: char| c.is_ascii_alphanumeric())).then_some(before)
}

fn each(words: &'static str) -> impl Iterator<Item = &'static str> {
    words.split('|')
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || "，,。.！!？?；;：:、~～-—_…\"'“”‘’「」".contains(c))
}

/// The text within the longest title, cut where a clause or a word ends.
fn shortened(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (mut cost, mut letters, mut cut, mut clause) = (0, 0, 0, 0);
    for (at, c) in text.char_indices() {
        if (c.is_alphanumeric() && !runs_on(c)) || (letters > 0 && "'’-".contains(c)) {
            letters += 1;
            cost += if letters == 1 { WORD_COST } else { usize::from(letters > WORD_LETTERS) };
        } else {
            cut = at;
            letters = 0;
            cost += if c.is_ascii() { 0 } else { CHARACTER_COST };
            clause = if "，,、：:；（(".contains(c) && cost >= COST_MAX / 3 { at } else { clause };
        }
        if cost > COST_MAX {
            let runs_on = text.chars().any(runs_on);
            return match (clause, cut) {
                (0, 0) => head(&text, at).to_owned(),
                (0, cut) if runs_on => format!("{}…", text[..cut].trim_end()),
                (0, cut) => without_loose_ends(&text[..cut]).to_owned(),
                (clause, _) => trimmed(&text[..clause]).to_owned(),
            };
        }
    }
    text
}

/// Without the little words that a cut leaves at the end.
fn without_loose_ends(text: &str) -> &str {
    let mut text = trimmed(text);
    while let Some((before, last)) = text.rsplit_once(' ')
        && each(LOOSE_ENDS).any(|end| last.eq_ignore_ascii_case(end))
    {
        text = trimmed(before);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_says_what_is_drawn_and_not_that_it_is_asked_for() {
        for (words, title) in [
            ("Draw a red fox", "Red fox"),
            ("画一只红色的狐狸", "红色的狐狸"),
            ("畫一隻紅色的狐狸", "紅色的狐狸"),
            ("请帮我画一只红色的狐狸，谢谢！", "红色的狐狸"),
            ("你好！麻烦你帮我生成一张图片：赛博朋克城市", "赛博朋克城市"),
            ("你可以画一幅山水画吗？", "山水画"),
            ("设计一个咖啡店的logo", "咖啡店的logo"),
            ("来一张日落时分的海边", "日落时分的海边"),
            ("画两只猫", "两只猫"),
            ("画猫", "画猫"),
            ("画一只猫", "画一只猫"),
            ("画家梵高是谁", "画家梵高是谁"),
            ("画面感很强的小说", "画面感很强的小说"),
            ("生成器怎么写", "生成器怎么写"),
            ("做一个梦", "做一个梦"),
            ("请柬设计", "请柬设计"),
            ("画一个安静的酒吧", "安静的酒吧"),
            ("你能做什么", "你能做什么"),
            ("把背景换成海滩", "把背景换成海滩"),
            ("画一只红色的狐狸在雪地里，水彩风格，柔和光线，高清，4k，大师作品", "红色的狐狸在雪地里，水彩风格，柔和光线"),
            ("一只在月光下的古老森林里安静地注视着远方的白色小狐狸和它的朋友们", "一只在月光下的古老森林里安静地注视着远方…"),
            ("Can you draw me a picture of a red fox, please?", "Red fox"),
            ("Hi! Please generate an image of the Eiffel tower at night.", "The Eiffel tower at night"),
            ("hello, could you make a logo for my coffee shop", "Logo for my coffee shop"),
            ("I'd like a cat", "Cat"),
            ("Make it blue", "Make it blue"),
            ("sketch of a house", "Sketch of a house"),
            ("drawback analysis", "Drawback analysis"),
            ("A/B testing", "A/B testing"),
            ("/imagine a red fox --ar 16:9 --v 6", "Red fox"),
            ("红色的狐狸 --ar 16:9", "红色的狐狸"),
            ("a fox -- red --ar 1:1", "Fox -- red"),
            ("1girl, silver hair, blue eyes, school uniform, smile", "1girl, silver hair, blue eyes"),
            (
                "A majestic dragon flying over the burning city of London while people watch in horror",
                "Majestic dragon flying over the burning",
            ),
            ("Mr. Fox goes to town. He is red.", "Mr. Fox goes to town"),
            ("don't draw well-known faces", "Don't draw well-known faces"),
            ("# **Red** `fox`\n\nmore", "Red fox"),
            ("![image](http://h/images/1)\n再亮一点", "再亮一点"),
            ("看这个 (https://example.com/a?b=c) 怎么样", "看这个 怎么样"),
            ("https://example.com/a.png变成水彩", "变成水彩"),
            ("[a fox](http://h/x) in oil", "Fox in oil"),
            ("data:image/png;base64,AAAA make the sky purple", "Make the sky purple"),
            ("{{pg:0123456789abcdef0123456789abcdef:0}} brighter", "Brighter"),
            ("<b>bold</b> colours, 5 < 6", "Bold colours, 5 < 6"),
            ("```\ncode\n```", "Code"),
        ] {
            assert_eq!(make(words).as_deref(), Some(title), "{words}");
        }
        let long = "x".repeat(500);
        assert!(make(&long).is_some_and(|title| title.len() < 80));
    }

    #[test]
    fn words_without_a_subject_make_no_title() {
        for words in ["", " \n", "你好", "请帮我", "Hi!", "please", "![x](http://h/y)", "https://h/y", "?!…", "👍"] {
            assert_eq!(make(words), None, "{words}");
        }
    }

    #[test]
    fn an_emoji_is_wanted_only_where_it_is_asked_for() {
        for (instructions, wanted) in [
            ("Generate a concise, 3-5 word title with an emoji summarizing the chat history.", true),
            ("- Use emojis that enhance understanding, but avoid quotation marks", true),
            ("- Do not use emojis, quotation marks, or special formatting.", false),
            ("Use an emoji. No, do not use emojis.", false),
            ("标题前加一个表情符号", true),
            ("不要使用表情符号", false),
            ("Generate a title", false),
        ] {
            assert_eq!(wants_emoji(instructions), wanted, "{instructions}");
        }
    }
}
