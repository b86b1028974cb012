//! Guesses whether a request wants a picture, from the words of its last user turn. The guess decides only how waiting
//! looks: whatever the upstream answers is relayed all the same, so a wrong guess costs nothing but a line of progress.

/// Most words that are kept of a list.
pub const WORDS_MAX: usize = 500;

/// Longest word that is kept, in characters.
pub const WORD_CHARS_MAX: usize = 64;

/// How much of each end of a text is looked at, in bytes: people say what they want first or last, and what they paste
/// stands between.
const EDGE: usize = 4096;

/// The words that are looked for, one a line, as users edit them. A Chinese word is found anywhere, an English one only
/// as a whole word with its simple inflections, several words also with wider blanks between them.
pub const DEFAULT_WORDS: &str = "\
画\n畫\n绘\n繪\n生成图\n生成圖\n生成一张\n生成一張\n生成一幅\n生成一个图\n来一张\n來一張\n来一幅\n來一幅\n来张\n來張\n\
做一张\n做一張\n做张\n做張\n弄一张\n整一张\n设计一张\n設計一張\n给我一张\n給我一張\n出图\n出圖\n作图\n作圖\n做图\n做圖\n配图\n配圖\n\
张图\n張圖\n幅图\n幅圖\n文生图\n图生图\n换成\n換成\n换为\n換為\n变为\n變為\n变成\n變成\n改成\n改为\n改為\n修改\n背景\n\
去掉\n去除\n抹掉\n抠图\n摳圖\n抠出\n上色\n修图\n修圖\np图\np圖\n扩图\n擴圖\n海报\n海報\n头像\n頭像\n壁纸\n壁紙\n封面\n图标\n圖標\n\
表情包\n贴纸\n貼紙\n线稿\n線稿\n素描\n水彩\n水墨\n效果图\n效果圖\n渲染\n写真\n寫真\n证件照\n證件照\n三视图\n三視圖\n手办\n手辦\n\
draw\ndrew\ndrawn\nredraw\npaint\nrepaint\ninpaint\noutpaint\nsketch\ndoodle\nrender\nillustrate\nillustration\nedit\nreplace\n\
retouch\nphotoshop\nupscale\ncolorize\ncolourise\nrecolor\nbackground\ngenerate an image\ngenerate image\ngenerate a picture\n\
generate a photo\ncreate an image\ncreate image\ncreate a picture\nmake an image\nmake a picture\nmake a photo\nimage of\n\
picture of\nphoto of\nportrait of\nturn it into\nturn this into\nturn me into\nlogo\nposter\nwallpaper\navatar\nsticker\n\
app icon\nalbum cover\nbook cover\nwatercolor\nwatercolour\npixel art\nline art\nconcept art";

/// Common words with nothing to draw in them, although a shorter word of [`DEFAULT_WORDS`] is. More cannot be told apart
/// cheaply. In traditional writing plans are spelled with the character for drawing.
const EXCEPTIONS: &[&str] = &[
    "计画",
    "計畫",
    "规画",
    "規畫",
    "企画",
    "企畫",
    "策畫",
    "籌畫",
    "动画片",
    "動畫片",
    "动画电影",
    "動畫電影",
    "部动画",
    "部動畫",
    "漫画推荐",
    "漫畫推薦",
    "部漫画",
    "部漫畫",
    "画面感",
    "畫面感",
    "画家",
    "畫家",
    "画展",
    "畫展",
    "画廊",
    "畫廊",
    "刻画",
    "刻畫",
    "画蛇添足",
    "画大饼",
    "画饼",
    "描绘了",
    "描繪了",
    "绘声绘色",
    "繪聲繪色",
    "历史背景",
    "歷史背景",
    "时代背景",
    "時代背景",
    "背景知识",
    "背景知識",
    "背景信息",
    "背景音乐",
    "背景音樂",
    "教育背景",
    "写作背景",
    "创作背景",
    "修改代码",
    "修改密码",
    "修改简历",
    "修改作文",
    "修改文章",
    "封面故事",
];

/// What a request is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Intent {
    /// Words are wanted.
    Chat,
    /// Nothing but an address or the model speaks for a picture: progress shows only after a silence.
    Maybe,
    /// A picture is wanted.
    Draw,
}

/// A list of words, ready to be looked for.
#[derive(Clone, Debug)]
pub struct Words {
    fragments: Vec<Fragment>,
    phrases: Vec<Vec<String>>,
}

/// A word of a script that is written without blanks.
#[derive(Clone, Debug)]
struct Fragment {
    word: String,
    /// Longer words that have nothing to do with it, and where in them it begins.
    inside: Vec<(usize, &'static str)>,
}

impl Words {
    /// Reads words from lines, or from between commas or semicolons of either script. Case does not matter; blanks around
    /// a word, repetitions and what exceeds [`WORDS_MAX`] or [`WORD_CHARS_MAX`] are left out.
    pub fn parse(list: &str) -> Self {
        let mut kept: Vec<String> = Vec::new();
        for word in list.split(['\n', '\r', ',', ';', '，', '、', '；']) {
            let word = word.trim();
            if word.is_empty() || word.chars().nth(WORD_CHARS_MAX).is_some() {
                continue;
            }
            let word = word.to_lowercase();
            if !kept.contains(&word) {
                kept.push(word);
            }
            if kept.len() == WORDS_MAX {
                break;
            }
        }
        let (fragments, phrases): (Vec<String>, Vec<String>) = kept.into_iter().partition(|word| word.chars().any(runs_on));
        let phrases = phrases.iter().map(|p| tokens(p).map(|(_, token)| token.to_owned()).collect::<Vec<_>>());
        Self { fragments: fragments.into_iter().map(Fragment::new).collect(), phrases: phrases.filter(|p| !p.is_empty()).collect() }
    }

    /// Whether one of the words stands in the first or the last 4 KB of `text`.
    pub fn found_in(&self, text: &str) -> bool {
        edges(text).any(|part| {
            let part = part.to_lowercase();
            self.fragments.iter().any(|f| f.found_in(&part)) || self.has_phrase_in(&part)
        })
    }

    fn has_phrase_in(&self, text: &str) -> bool {
        let tokens: Vec<(usize, &str)> = tokens(text).collect();
        (0..tokens.len()).any(|at| self.phrases.iter().any(|phrase| begins(&tokens[at..], phrase, text)))
    }
}

impl Fragment {
    fn new(word: String) -> Self {
        let longer = EXCEPTIONS.iter().filter(|e| e.len() > word.len());
        let inside = longer.flat_map(|e| e.match_indices(&word).map(|(at, _)| (at, *e))).collect();
        Self { word, inside }
    }

    fn found_in(&self, text: &str) -> bool {
        let stands_inside = |at: usize| {
            self.inside.iter().any(|(offset, e)| at.checked_sub(*offset).and_then(|s| text.get(s..)).is_some_and(|t| t.starts_with(e)))
        };
        text.match_indices(&self.word).any(|(at, _)| !stands_inside(at))
    }
}

/// What a request shows of its purpose.
#[derive(Clone, Copy, Debug)]
pub struct Signs<'a> {
    /// The text of the last user turn.
    pub prompt: &'a str,
    /// That turn carries images.
    pub has_pictures: bool,
    /// Links of ours stand in the history.
    pub has_links: bool,
    /// The model is known to do nothing but draw.
    pub draws_only: bool,
}

/// Guesses what the request wants.
pub fn guess(words: &Words, signs: &Signs<'_>) -> Intent {
    if signs.has_pictures || words.found_in(signs.prompt) {
        Intent::Draw
    } else if signs.has_links || signs.draws_only || has_address(signs.prompt) {
        Intent::Maybe
    } else {
        Intent::Chat
    }
}

/// Whether words of this character's script run on without blanks: Chinese, Japanese, Korean, Thai.
pub fn runs_on(c: char) -> bool {
    matches!(c, '\u{0E00}'..='\u{0E7F}' | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// Whole text if it is short, else its two ends.
fn edges(text: &str) -> impl Iterator<Item = &str> {
    let (first, last) = if text.len() <= 2 * EDGE {
        (text, None)
    } else {
        (&text[..text.floor_char_boundary(EDGE)], Some(&text[text.ceil_char_boundary(text.len() - EDGE)..]))
    };
    std::iter::once(first).chain(last)
}

fn has_address(text: &str) -> bool {
    edges(text).any(|part| {
        let part = part.to_ascii_lowercase();
        part.contains("http://") || part.contains("https://")
    })
}

/// The words of scripts with blanks, each with its place.
fn tokens(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let in_word = |c: char| c.is_alphanumeric() && !runs_on(c);
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(in_word)?;
        at = text[start..].find(|c| !in_word(c)).map_or(text.len(), |len| start + len);
        Some((start, &text[start..at]))
    })
}

/// Whether `tokens` of `text` begin with `phrase`, with only blanks or hyphens between its words.
fn begins(tokens: &[(usize, &str)], phrase: &[String], text: &str) -> bool {
    if tokens.len() < phrase.len() || !tokens.iter().zip(phrase).all(|((_, token), word)| is_form_of(token, word)) {
        return false;
    }
    let gap = |pair: &[(usize, &str)]| text[pair[0].0 + pair[0].1.len()..pair[1].0].chars().all(|c| c.is_whitespace() || c == '-');
    tokens[..phrase.len()].windows(2).all(gap)
}

/// Whether `token` is `word` or a regular inflection of it: draws, drawing, replaced, replacing, cropped, copies.
fn is_form_of(token: &str, word: &str) -> bool {
    if let Some(rest) = token.strip_prefix(word) {
        let doubled = word.chars().next_back().and_then(|last| rest.strip_prefix(last));
        return match rest {
            "" | "s" | "es" | "ed" | "ing" | "ings" => true,
            "d" => word.ends_with('e'),
            _ => matches!(doubled, Some("ed" | "ing")),
        };
    }
    let after = |end: char| word.strip_suffix(end).and_then(|stem| token.strip_prefix(stem));
    matches!(after('e'), Some("ing" | "ings")) || matches!(after('y'), Some("ies" | "ied"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(prompt: &str) -> Signs<'_> {
        Signs { prompt, has_pictures: false, has_links: false, draws_only: false }
    }

    #[test]
    fn drawing_words_of_either_language_want_a_picture() {
        let words = Words::parse(DEFAULT_WORDS);
        for prompt in [
            "画一只红色的狐狸",
            "畫一隻貓",
            "帮我绘制一幅山水",
            "幫我繪製一幅山水",
            "生成图片：赛博朋克城市",
            "来一张日落",
            "把天空换成星空",
            "把天空換成星空",
            "让它变为蓝色",
            "變成水彩",
            "颜色改成绿色",
            "修改一下",
            "背景虚化",
            "去掉路人",
            "抠图",
            "给老照片上色",
            "做个LOGO吧",
            "设计海报",
            "P图",
            "Draw a fox",
            "DRAW\na fox",
            "He drew me; please redraw it",
            "she is drawing",
            "two sketches, please",
            "painted in oil",
            "replacing the sky",
            "edited version",
            "an image of a fox",
            "Make  a\n picture",
            "generating an image",
            "pixel-art knight",
            "new wallpapers",
            "计划画一只猫",
            "国画风格的山",
        ] {
            assert_eq!(guess(&words, &signs(prompt)), Intent::Draw, "{prompt}");
        }
    }

    #[test]
    fn words_that_only_look_alike_do_not() {
        let words = Words::parse(DEFAULT_WORDS);
        for prompt in [
            "",
            "你好",
            "明年的计划是什么",
            "規畫一下行程",
            "我的年度計畫",
            "划算吗",
            "推荐几部动画片",
            "这段文字很有画面感",
            "介绍一下画家梵高",
            "法国大革命的历史背景",
            "a drawback of Rust",
            "painful memories",
            "which editor do you use",
            "withdraw money",
            "imagine of",
            "the image, of course",
            "hello",
            "logout",
            "renderer crash",
            "photography tips",
        ] {
            assert_eq!(guess(&words, &signs(prompt)), Intent::Chat, "{prompt}");
        }
    }

    #[test]
    fn other_signs_count_too() {
        let words = Words::parse(DEFAULT_WORDS);
        assert_eq!(guess(&words, &Signs { has_pictures: true, ..signs("这是什么") }), Intent::Draw);
        assert_eq!(guess(&words, &Signs { has_links: true, ..signs("再亮一点") }), Intent::Maybe);
        assert_eq!(guess(&words, &Signs { draws_only: true, ..signs("a red fox") }), Intent::Maybe);
        assert_eq!(guess(&words, &signs("see HTTPS://example.com/a.png")), Intent::Maybe);
        assert_eq!(guess(&words, &signs("what is http?")), Intent::Chat);
    }

    #[test]
    fn lists_are_read_as_people_write_them() {
        let words = Words::parse("  Foo ,bar baz\r\n猫，狗、,,\n FOO \n,…");
        for (text, found) in [
            ("foo", true),
            ("a FOOS b", true),
            ("food", false),
            ("bar\tbaz", true),
            ("bar. baz", false),
            ("baz bar", false),
            ("小狗", true),
            ("鱼", false),
            ("…", false),
        ] {
            assert_eq!(words.found_in(text), found, "{text}");
        }
        assert!(!Words::parse("").found_in("draw 画"));
        assert!(Words::parse("动画片").found_in("推荐动画片"), "what users name themselves is no exception");
        let long = "x".repeat(WORD_CHARS_MAX + 1);
        assert!(!Words::parse(&long).found_in(&long));
        let many: String = (0..600).map(|n| format!("word{n}x\n")).collect();
        let words = Words::parse(&many);
        assert!(words.found_in("word499x") && !words.found_in("word500x"));
    }

    #[test]
    fn every_default_word_is_kept_once_and_found() {
        let words = Words::parse(DEFAULT_WORDS);
        assert_eq!(words.fragments.len() + words.phrases.len(), DEFAULT_WORDS.lines().count());
        for word in DEFAULT_WORDS.lines() {
            assert!(words.found_in(word), "{word}");
        }
    }

    #[test]
    fn a_long_prompt_is_looked_at_by_its_ends_and_at_once() {
        let words = Words::parse(DEFAULT_WORDS);
        let filler = "好 x ".repeat(8_000_000 / 6);
        let began = std::time::Instant::now();
        assert!(!words.found_in(&format!("{filler}画{filler}")));
        assert!(words.found_in(&format!("画{filler}")));
        assert!(words.found_in(&format!("{filler} draw")));
        for piece in ["动画片", "dra ", "背", "generate a "] {
            assert!(!words.found_in(&piece.repeat(8_000_000 / piece.len())), "{piece}");
        }
        assert!(began.elapsed().as_secs() < 10, "took {:?}", began.elapsed());
    }
}
