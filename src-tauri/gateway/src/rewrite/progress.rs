//! The texts that PicGate shows while it draws, and their removal from the histories that clients send back. Both are made of
//! the same words, so that what is written can always be taken out again.

mod strip;

pub use strip::strip;

/// The language that a user is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Simplified Chinese.
    Zh,
    /// English.
    En,
}

impl Language {
    /// Told by the script: Han is Chinese unless kana or hangul stand beside it; other letters are English, and no letters
    /// at all Chinese, as most users are.
    pub fn of(text: &str) -> Self {
        let (mut han, mut letters) = (false, false);
        for c in text.chars() {
            match u32::from(c) {
                // Kana without the middle dot, which Chinese names have too; hangul.
                0x3041..=0x30FA | 0x30FC..=0x30FF | 0x31F0..=0x31FF | 0xFF66..=0xFF9D => return Self::En,
                0x1100..=0x11FF | 0x3130..=0x318F | 0xAC00..=0xD7A3 => return Self::En,
                0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x323AF => han = true,
                _ => letters = letters || c.is_alphabetic(),
            }
        }
        if letters && !han { Self::En } else { Self::Zh }
    }

    fn words(self) -> &'static Words {
        match self {
            Self::Zh => &ZH,
            Self::En => &EN,
        }
    }
}

/// What is said in one language, line by line. A text that has ever been released stays here, or in a further set of words, for
/// as long as chats with it are about.
struct Words {
    heading: &'static str,
    received: &'static str,
    /// What stands before the number in the alternative text of a picture of the user's.
    original: &'static str,
    connecting: &'static str,
    drawing: &'static str,
    success: &'static str,
    finished: &'static str,
    caption: &'static str,
    picture: &'static str,
}

/// As the Python program has them (its README, 流式响应特性), so that one removal serves both.
const ZH: Words = Words {
    heading: "## 🎨 PicGate 图像处理中心",
    received: "**📥 已接收您的创作请求**",
    original: "📷 原图",
    connecting: "⏳ 正在连接 AI 绘图引擎，请稍候...",
    drawing: "🔄 **处理中**",
    success: "✨ **图像生成成功！** 正在优化输出格式...",
    finished: "## 🖼️ 创作完成",
    caption: "💡 _图片已保存，点击可查看大图_",
    picture: "生成的图片",
};

const EN: Words = Words {
    heading: "## 🎨 PicGate Image Studio",
    received: "**📥 Your request has been received**",
    original: "📷 Original ",
    connecting: "⏳ Connecting to the AI drawing engine, please wait...",
    drawing: "🔄 **Drawing**",
    success: "✨ **Image generated!** Preparing the result...",
    finished: "## 🖼️ Your picture is ready",
    caption: "💡 _The picture has been saved; click it for full size_",
    picture: "Generated image",
};

const ALL: [&Words; 2] = [&ZH, &EN];

const RULE: &str = "---";

/// How the heading of a card begins.
const CARD: &str = "## ⚠️ ";

/// How the last line of a card begins.
const HINT: &str = "💡 _";

/// Ends the heading of a card: the invisible separator, which nobody sees and no model writes, so that a warning of the
/// model's own is never taken for a card.
const SEAL: char = '\u{2063}';

/// Most lines between the headline and the hint of a card.
const CARD_LINES_MAX: usize = 32;

/// Ends an open counting line before other text.
pub const TICK_END: &str = "\n\n";

/// Everything up to and including the line that says we are connecting. `pictures`: links of the user's own pictures.
pub fn opening(language: Language, pictures: &[String]) -> String {
    let Words { heading, received, original, connecting, .. } = language.words();
    let shown = pictures.iter().enumerate().map(|(at, link)| format!("![{original}{}]({link})\n\n", at + 1)).collect::<String>();
    format!("{heading}\n\n{RULE}\n\n{received}\n\n{shown}{RULE}\n\n{connecting}\n")
}

/// The line that counts the seconds since the request came: `first` begins it, later calls append to it.
pub fn tick(language: Language, seconds: u64, first: bool) -> String {
    if first { format!("\n{} {seconds}s", language.words().drawing) } else { format!(" · {seconds}s") }
}

/// What stands before the result. An open counting line is to be ended first.
pub fn success(language: Language) -> String {
    let Words { success, finished, .. } = language.words();
    format!("{success}\n\n{RULE}\n\n{finished}\n\n")
}

/// What stands behind the last picture.
pub fn caption(language: Language) -> String {
    format!("\n\n{}", language.words().caption)
}

/// The alternative text of a result.
pub fn picture_alt(language: Language) -> &'static str {
    language.words().picture
}

/// An error in plain words. Headline and hint must not be empty.
#[derive(Clone, Copy, Debug)]
pub struct Card<'a> {
    /// What kind of trouble it is.
    pub title: &'a str,
    /// What happened, in one sentence.
    pub headline: &'a str,
    /// Particulars, a paragraph each; no more than 32 are shown.
    pub lines: &'a [String],
    /// What the user can do.
    pub hint: &'a str,
}

/// The card as markdown. Line breaks inside its parts become blanks, and markup that would break its structure is defused: parts
/// may come from an upstream.
pub fn card(card: &Card<'_>) -> String {
    let headline = flat(card.headline).replace("**", "");
    let body = card.lines.iter().map(|line| flat(line)).filter(|line| !line.is_empty()).take(CARD_LINES_MAX);
    let body = body.map(|line| if line.starts_with(['#', '💡', '-']) { format!("· {line}\n\n") } else { format!("{line}\n\n") });
    let (title, hint) = (flat(card.title), flat(card.hint));
    format!("{CARD}{title}{SEAL}\n\n**{headline}**\n\n{}{HINT}{hint}_\n", body.collect::<String>())
}

/// One line without our seal, and without pictures.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace(SEAL, "").replace("![", "! [").replace("](", "] (").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_told_by_the_script() {
        for (text, language) in [
            ("画一只猫", Language::Zh),
            ("画一只 cat，https://h/x.png", Language::Zh),
            ("阿诺德・施瓦辛格", Language::Zh),
            ("猫を描いて", Language::En),
            ("고양이", Language::En),
            ("draw a cat", Language::En),
            ("нарисуй кота", Language::En),
            ("", Language::Zh),
            ("🐱 123 --ar", Language::En),
            ("🐱 123", Language::Zh),
        ] {
            assert_eq!(Language::of(text), language, "{text:?}");
        }
    }

    #[test]
    fn the_texts_read_as_the_python_program_wrote_them() {
        let begun = opening(Language::Zh, &["https://h/images/1".into(), "https://h/images/2".into()]);
        let counted = tick(Language::Zh, 3, true) + &tick(Language::Zh, 6, false) + TICK_END;
        let end = success(Language::Zh) + "![" + picture_alt(Language::Zh) + "](https://h/images/9)" + &caption(Language::Zh);
        assert_eq!(
            begun + &counted + &end,
            "## 🎨 PicGate 图像处理中心\n\n---\n\n**📥 已接收您的创作请求**\n\n![📷 原图1](https://h/images/1)\n\n![📷 原图2](https://h/images/2)\n\n\
             ---\n\n⏳ 正在连接 AI 绘图引擎，请稍候...\n\n🔄 **处理中** 3s · 6s\n\n✨ **图像生成成功！** 正在优化输出格式...\n\n---\n\n\
             ## 🖼️ 创作完成\n\n![生成的图片](https://h/images/9)\n\n💡 _图片已保存，点击可查看大图_"
        );
    }

    #[test]
    fn a_card_keeps_its_structure_whatever_is_in_it() {
        let lines = ["one\ntwo".to_owned(), String::new(), "# three".to_owned(), "![x](y)".to_owned()];
        let shown = card(&Card { title: "Busy", headline: "**quota**\nused up", lines: &lines, hint: "wait" });
        assert_eq!(shown, "## ⚠️ Busy\u{2063}\n\n**quota used up**\n\none two\n\n· # three\n\n! [x] (y)\n\n💡 _wait_\n");
        assert_eq!(strip(&shown).as_deref(), Some(""));
    }
}
