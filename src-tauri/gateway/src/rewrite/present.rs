//! How an image looks in the text of a chat answer: `![image](link)`, whatever the upstream wrapped around it.
//! Streams: text is held back only while it may be what stands before an image.

/// Longest opener (`![…](`, `<img … src="`) and longest closer (`"title")`, `…>`) that is waited for, in bytes.
const DRESS_MAX: usize = 512;

/// What goes to the client, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Text as it is.
    Text(String),
    /// An image to be shown.
    Image {
        /// Number of the reference.
        index: usize,
        /// Alternative text, never empty.
        alt: String,
    },
    /// An image that is only linked to: its address goes here.
    Address(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Nothing,
    /// Behind an image whose opener was `![…](`: drop up to `)`.
    Bracket,
    /// Behind an image whose opener was `<img …`: drop up to `>`.
    Tag,
}

/// The state machine for one text: one message, or one choice of a stream.
#[derive(Debug)]
pub struct Presenter {
    held: String,
    after: After,
}

impl Default for Presenter {
    fn default() -> Self {
        Self { held: String::new(), after: After::Nothing }
    }
}

impl Presenter {
    /// Text from the upstream.
    pub fn text(&mut self, text: &str, out: &mut Vec<Shown>) {
        self.held.push_str(text);
        self.drop_closer(false);
        if self.after == After::Nothing {
            let keep = opener_start(&self.held);
            push_text(out, self.held.drain(..keep).as_str());
        }
    }

    /// An image from the upstream.
    pub fn image(&mut self, index: usize, out: &mut Vec<Shown>) {
        self.drop_closer(true);
        let at = opener_start(&self.held);
        let opener = self.held.split_off(at);
        push_text(out, &std::mem::take(&mut self.held));
        if let Some(alt) = markdown_alt(&opener) {
            out.push(Shown::Image { index, alt: if alt.is_empty() { "image".into() } else { alt } });
            self.after = After::Bracket;
        } else if opener.get(..4).is_some_and(|tag| tag.eq_ignore_ascii_case("<img")) {
            out.push(Shown::Image { index, alt: "image".into() });
            self.after = After::Tag;
        } else {
            push_text(out, &opener);
            let linked =
                matches!(out.last(), Some(Shown::Text(text)) if text.ends_with("](") || text.ends_with("=\"") || text.ends_with("='"));
            out.push(if linked { Shown::Address(index) } else { Shown::Image { index, alt: "image".into() } });
        }
    }

    /// The text is over: what was held back goes out.
    pub fn finish(&mut self, out: &mut Vec<Shown>) {
        self.drop_closer(true);
        push_text(out, &std::mem::take(&mut self.held));
    }

    /// Drops what closes the image before it. `over`: nothing more will come to decide by.
    fn drop_closer(&mut self, over: bool) {
        let end = match self.after {
            After::Nothing => return,
            After::Bracket => {
                let rest = self.held.trim_start();
                let may_close = rest.is_empty() || rest.starts_with([')', '"', '\'', '>']);
                self.held.find(')').filter(|_| may_close).map(|at| at + 1).or((!may_close).then_some(0))
            }
            After::Tag => self.held.find('>').map(|at| at + 1),
        };
        let end = end.filter(|&end| end <= DRESS_MAX).or((over || self.held.len() > DRESS_MAX).then_some(0));
        if let Some(end) = end {
            self.held.drain(..end);
            self.after = After::Nothing;
        }
    }
}

fn push_text(out: &mut Vec<Shown>, text: &str) {
    match out.last_mut() {
        _ if text.is_empty() => {}
        Some(Shown::Text(last)) => last.push_str(text),
        _ => out.push(Shown::Text(text.to_owned())),
    }
}

/// Where what may be the opener of an image begins; the length of `text` if nothing may.
fn opener_start(text: &str) -> usize {
    let markdown = text.rfind("![").filter(|&at| may_be_markdown(&text[at..]));
    let tag = text.rfind('<').filter(|&at| may_be_tag(&text[at..]));
    let mark = text.ends_with('!').then(|| text.len() - 1);
    markdown.into_iter().chain(tag).chain(mark).min().unwrap_or(text.len())
}

/// `![`, any text without line breaks, and perhaps `](` at the very end.
fn may_be_markdown(text: &str) -> bool {
    if text.len() > DRESS_MAX || text.contains('\n') {
        return false;
    }
    match text.rfind("](") {
        Some(at) => text[at + 2..].trim_matches([' ', '<']).is_empty(),
        None => true,
    }
}

fn may_be_tag(text: &str) -> bool {
    let shown = text.len().min(4);
    text.len() <= DRESS_MAX && !text.contains('>') && text.as_bytes()[..shown].eq_ignore_ascii_case(&b"<img"[..shown])
}

fn markdown_alt(opener: &str) -> Option<String> {
    let inner = opener.strip_prefix("![")?.trim_end_matches([' ', '<']).strip_suffix("](")?;
    Some(inner.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `\u{1}` stands for an image.
    fn present(text: &str, step: usize) -> String {
        let (mut presenter, mut out) = (Presenter::default(), Vec::new());
        let chars: Vec<char> = text.chars().collect();
        for chunk in chars.chunks(step) {
            let chunk: String = chunk.iter().collect();
            for (at, part) in chunk.split('\u{1}').enumerate() {
                if at > 0 {
                    presenter.image(7, &mut out);
                }
                presenter.text(part, &mut out);
            }
        }
        presenter.finish(&mut out);
        out.into_iter()
            .map(|shown| match shown {
                Shown::Text(text) => text,
                Shown::Image { alt, .. } => format!("«{alt}»"),
                Shown::Address(_) => "§".into(),
            })
            .collect()
    }

    #[test]
    fn an_image_is_shown_alike_whatever_stands_around_it() {
        for (text, shown) in [
            ("done\n![image](\u{1}) and more", "done\n«image» and more"),
            ("![](\u{1})", "«image»"),
            ("![a cat](<\u{1}>)!", "«a cat»!"),
            ("![x](\u{1} \"title\") y", "«x» y"),
            ("\u{1} tail", "«image» tail"),
            ("a <IMG class='b' src=\"\u{1}\" alt=\"c\"/> d", "a «image» d"),
            ("[get it](\u{1})", "[get it](§)"),
            ("Hi! 5 < 6 ![not an image] <b>", "Hi! 5 < 6 ![not an image] <b>"),
            ("![a](\u{1})![b](\u{1})", "«a»«b»"),
            ("![open](\u{1}", "«open»"),
            ("\u{1}\u{1}", "«image»«image»"),
            ("![a](http://h/x.png) b!", "![a](http://h/x.png) b!"),
        ] {
            for step in [1, 2, 3, 100] {
                assert_eq!(present(text, step), shown, "{text:?} in steps of {step}");
            }
        }
    }

    #[test]
    fn text_is_held_back_only_while_it_may_begin_an_image() {
        let (mut presenter, mut out) = (Presenter::default(), Vec::new());
        presenter.text("Hello world", &mut out);
        assert_eq!(out, [Shown::Text("Hello world".into())]);
        presenter.text("! Next", &mut out);
        presenter.text(" ![im", &mut out);
        assert_eq!(out, [Shown::Text("Hello world! Next ".into())]);
        presenter.text(&"x".repeat(600), &mut out);
        assert!(matches!(&out[..], [Shown::Text(text)] if text.ends_with("xx")));
    }
}
