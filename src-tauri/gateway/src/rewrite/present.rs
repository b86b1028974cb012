//! How an image looks in the text of a chat answer: `![image](link)`, whatever the upstream wrapped around it.
//! Streams: text is held back only while it may be what stands before an image.

use super::links;
use crate::model::PixelSize;

/// Longest opener (`![…](`, `<img … src="`) and longest closer (`"title")`, `…>`) that is waited for, in bytes.
const DRESS_MAX: usize = 512;

/// Longest address of an image elsewhere that is waited for, in bytes; signed ones are long.
const ADDRESS_MAX: usize = 4096;

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
    /// An image that the upstream keeps at an address of its own.
    Remote {
        /// The address.
        url: String,
        /// Alternative text, never empty.
        alt: String,
    },
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
            let mut done = 0;
            while let Some((start, end, shown)) = remote_image(&self.held[done..]) {
                push_text(out, &self.held[done..done + start]);
                out.push(shown);
                done += end;
            }
            self.held.drain(..done);
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

/// Of pictures in one answer, those that another one makes superfluous: the same shape, but larger. Models that think
/// in pictures show them on the way, and some relays pass them on.
pub fn drafts(sized: &[(usize, PixelSize)]) -> Vec<usize> {
    let area = |size: &PixelSize| u64::from(size.width) * u64::from(size.height);
    let is_draft = |(index, size): &&(usize, PixelSize)| {
        sized.iter().any(|(other, larger)| {
            let (a, b) = (u64::from(size.width) * u64::from(larger.height), u64::from(larger.width) * u64::from(size.height));
            other != index && area(larger) > area(size) && a.abs_diff(b) * 50 <= a
        })
    };
    sized.iter().filter(is_draft).map(|(index, _)| *index).collect()
}

/// An event's JSON without the markdown image whose address is `reference`.
pub fn without_image(event: &[u8], reference: &str) -> Vec<u8> {
    let Some(at) = memchr::memmem::find(event, reference.as_bytes()) else { return event.to_vec() };
    let end = at + reference.len();
    let start = memchr::memmem::rfind(&event[..at], b"![").filter(|start| at - start <= DRESS_MAX && event[..at].ends_with(b"]("));
    match start {
        Some(start) if event[end..].starts_with(b")") => [&event[..start], &event[end + 1..]].concat(),
        _ => event.to_vec(),
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
    if text.contains('\n') {
        return false;
    }
    match text.rfind("](") {
        Some(at) => {
            let address = text[at + 2..].trim_start_matches([' ', '<']);
            at <= DRESS_MAX && (address.trim_end().is_empty() || may_be_address(address))
        }
        None => text.len() <= DRESS_MAX,
    }
}

/// The beginning of `http://…`, perhaps with the beginning of a title, without the closing bracket.
fn may_be_address(text: &str) -> bool {
    let (address, title) = text.split_at(text.find([' ', '>']).unwrap_or(text.len()));
    let of = |scheme: &str| address.starts_with(scheme) || scheme.starts_with(address);
    let title = title.trim_start_matches([' ', '>']);
    let fits = text.len() <= ADDRESS_MAX && (of("http://") || of("https://"));
    fits && !text.contains(')') && (title.is_empty() || title.starts_with(['"', '\'']))
}

/// The first `![…](http…)` in `text` that is no link of ours: where it begins and ends, and what it is.
fn remote_image(text: &str) -> Option<(usize, usize, Shown)> {
    for (start, _) in text.match_indices("![") {
        let Some(middle) = links::head(&text[start..], DRESS_MAX).find("](").map(|at| start + at) else { continue };
        let alt = &text[start + 2..middle];
        let rest = links::head(&text[middle + 2..], ADDRESS_MAX + DRESS_MAX);
        let Some(close) = rest.find(')') else { continue };
        let inner = rest[..close].trim_matches([' ', '<', '>']);
        let url = inner.split([' ', '>']).next().unwrap_or_default();
        let fits = alt.len() <= DRESS_MAX && !alt.contains(['\n', '[', ']']) && url.len() <= ADDRESS_MAX;
        if fits && (url.starts_with("http://") || url.starts_with("https://")) && links::whole(url).is_none() {
            let alt = if alt.is_empty() { "image".to_owned() } else { alt.to_owned() };
            return Some((start, middle + 2 + close + 1, Shown::Remote { url: url.to_owned(), alt }));
        }
    }
    None
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
                Shown::Remote { url, alt } => format!("{{{alt}|{url}}}"),
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
            ("see ![a](http://h/x.png) b!", "see {a|http://h/x.png} b!"),
            ("![](<https://h/y?z=1> \"t\")![b](\u{1})", "{image|https://h/y?z=1}«b»"),
            (
                "![own](http://h/images/6129bbac-8578-48ed-b882-a2d123053b64)",
                "![own](http://h/images/6129bbac-8578-48ed-b882-a2d123053b64)",
            ),
            ("![cut](http://h/x", "![cut](http://h/x"),
            ("[link](http://h/x.png)", "[link](http://h/x.png)"),
        ] {
            for step in [1, 2, 3, 100] {
                assert_eq!(present(text, step), shown, "{text:?} in steps of {step}");
            }
        }
    }

    #[test]
    fn text_that_was_made_to_take_long_does_not() {
        for piece in ["![a](http://", "![](http://h/x ", "![", "](", "![a](http://h/x.png)"] {
            let text = piece.repeat(6_000_000 / piece.len());
            let (began, mut out) = (std::time::Instant::now(), Vec::new());
            let mut presenter = Presenter::default();
            presenter.text(&text, &mut out);
            presenter.finish(&mut out);
            assert!(began.elapsed().as_secs() < 30, "{piece} took {:?}", began.elapsed());
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
