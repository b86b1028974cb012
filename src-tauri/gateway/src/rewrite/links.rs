//! Finds links to our own images in text. A link is told by its path and id alone, whatever host and port it names,
//! so that old chats survive a change of address. Whether the id exists is for the library to say.

use std::ops::Range;

use crate::model::ImageId;

const PATH: &str = "/images/";

/// Longest alternative text, title or tag that is taken as part of a link.
const DRESS_MAX: usize = 512;

/// Longest address before its path. Looking further back would take for ever in text that was made to.
const ORIGIN_MAX: usize = 512;

/// Longest address of an image elsewhere.
const ADDRESS_MAX: usize = 4096;

/// The last `most` bytes of `text`, a little less where a character is in the way.
fn tail(text: &str, most: usize) -> &str {
    let mut at = text.len().saturating_sub(most);
    while !text.is_char_boundary(at) {
        at += 1;
    }
    &text[at..]
}

/// The first `most` bytes of `text`, likewise.
pub fn head(text: &str, most: usize) -> &str {
    let mut at = text.len().min(most);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    &text[..at]
}

/// A link and what stands around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The whole construct: `![alt](link "title")`, `<img … src="link" …>`, `[text](link)`, `<link>` or the link.
    pub span: Range<usize>,
    /// The image it names.
    pub id: ImageId,
    /// What is left when the image goes elsewhere: the text of `[text](link)`, else nothing.
    pub text: Range<usize>,
}

/// All links in `text`, in order, without overlaps.
pub fn find(text: &str) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for at in memchr::memmem::find_iter(text.as_bytes(), PATH.as_bytes()) {
        let taken = found.last().map_or(0, |f| f.span.end);
        if at < taken {
            continue;
        }
        let id_at = at + PATH.len();
        let Some(id) = text.get(id_at..id_at + ImageId::TEXT_LEN).and_then(|id| id.parse().ok()) else { continue };
        let end = url_end(text, id_at + ImageId::TEXT_LEN);
        let Some(start) = url_start(text, at, taken) else { continue };
        let (span, label) = dressed(text, start..end, taken);
        found.push(Found { span, id, text: label });
    }
    found
}

/// Addresses of images on other servers in `text`, each with the construct that is to go with it: `![…](…)`, `<img …>`,
/// or an address that ends like an image file.
pub fn external(text: &str) -> Vec<(Range<usize>, String)> {
    const ENDINGS: [&str; 7] = [".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".heic"];
    let mut found: Vec<(Range<usize>, String)> = Vec::new();
    let mut at = 0;
    while let Some(start) = memchr::memmem::find(&text.as_bytes()[at..], b"http").map(|found| at + found) {
        let floor = found.last().map_or(0, |(span, _)| span.end);
        let window = head(&text[start..], ADDRESS_MAX);
        let end = start + window.bytes().position(is_boundary).unwrap_or(window.len());
        // Each byte is looked at once: what stands in an address begins none.
        at = end.max(start + 1);
        if start < floor || end - start == ADDRESS_MAX || !(window.starts_with("http://") || window.starts_with("https://")) {
            continue;
        }
        let url = text[start..end].trim_end_matches(['.', ',', ';', ':', '!', '?']);
        let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        let (span, label) = dressed(text, start..start + url.len(), floor);
        let is_shown = span.len() > url.len() && label.is_empty() && !text[span.clone()].starts_with('<')
            || text[span.clone()].get(..4).is_some_and(|tag| tag.eq_ignore_ascii_case("<img"));
        if whole(url).is_none() && (is_shown || ENDINGS.iter().any(|ending| path.ends_with(ending))) {
            found.push((span, url.to_owned()));
        }
    }
    found
}

/// The id in a value that is a link as a whole: `http://host/images/{id}` or `/images/{id}`.
pub fn whole(value: &str) -> Option<ImageId> {
    let value = value.trim();
    let found = find(value).into_iter().next()?;
    (found.span == (0..value.len())).then_some(found.id)
}

fn is_boundary(byte: u8) -> bool {
    byte.is_ascii_whitespace()
        || matches!(byte, b'"' | b'\'' | b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'`' | b'|' | b'\\')
        || !byte.is_ascii()
}

/// An extension, a query or a fragment behind the id belong to the link.
fn url_end(text: &str, from: usize) -> usize {
    let rest = &text.as_bytes()[from..];
    let mut end = rest.iter().position(|&b| is_boundary(b)).unwrap_or(rest.len());
    if !matches!(rest.first(), Some(b'?' | b'#' | b'.' | b'/')) {
        end = 0;
    }
    // A full stop or comma at the end belongs to the sentence.
    while end > 0 && matches!(rest[end - 1], b'.' | b',' | b';' | b':' | b'!' | b'?') {
        end -= 1;
    }
    from + end
}

/// Where the URL begins: at its scheme, or at the path if there is no host.
fn url_start(text: &str, path: usize, floor: usize) -> Option<usize> {
    let before = tail(&text[floor..path], ORIGIN_MAX).as_bytes();
    let start = path - before.len() + before.iter().rposition(|&b| is_boundary(b)).map_or(0, |p| p + 1);
    let head = &text[start..path];
    if head.is_empty() {
        return Some(path);
    }
    let lower = head.to_ascii_lowercase();
    let scheme = lower.rfind("http://").max(lower.rfind("https://"))?;
    Some(start + scheme)
}

fn dressed(text: &str, url: Range<usize>, floor: usize) -> (Range<usize>, Range<usize>) {
    let nothing = url.start..url.start;
    if let Some((span, label)) = markdown(text, &url, floor) {
        let is_image = text[..span.start].ends_with('!') && span.start > floor;
        return if is_image { (span.start - 1..span.end, nothing) } else { (span, label) };
    }
    if let Some(span) = html_image(text, &url, floor) {
        return (span, nothing);
    }
    let autolink = url.start > floor && text[..url.start].ends_with('<') && text[url.end..].starts_with('>');
    if autolink {
        return (url.start - 1..url.end + 1, nothing);
    }
    (url, nothing)
}

/// `[label](url "title")` around `url`: the whole and the label.
fn markdown(text: &str, url: &Range<usize>, floor: usize) -> Option<(Range<usize>, Range<usize>)> {
    let before = tail(&text[floor..url.start], 2 * DRESS_MAX);
    let opener = before.trim_end_matches(['<', ' ']).strip_suffix("](")?;
    let label_end = url.start - before.len() + opener.len();
    let label = tail(opener, DRESS_MAX);
    let label_start = label_end - label.len() + label.rfind('[')? + 1;
    let after = head(&text[url.end..], DRESS_MAX);
    let close = after.find(')')?;
    let title = after[..close].trim_matches(['>', ' ']);
    let is_title = title.is_empty() || title.len() > 1 && title.starts_with(['"', '\'']) && title.ends_with(['"', '\'']);
    is_title.then_some((label_start - 1..url.end + close + 1, label_start..label_end))
}

fn html_image(text: &str, url: &Range<usize>, floor: usize) -> Option<Range<usize>> {
    let before = tail(&text[floor..url.start], DRESS_MAX);
    let tag = before.rfind('<')?;
    let inside = &before[tag..];
    let is_image = inside.get(..4)?.eq_ignore_ascii_case("<img") && !inside.contains('>');
    let close = head(&text[url.end..], DRESS_MAX).find('>').filter(|_| is_image)?;
    Some(url.start - before.len() + tag..url.end + close + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6129bbac-8578-48ed-b882-a2d123053b64";

    fn spans(text: &str) -> Vec<(String, String)> {
        find(text).into_iter().map(|f| (text[f.span].to_owned(), text[f.text].to_owned())).collect()
    }

    #[test]
    fn every_way_to_write_a_link_is_found_whole() {
        for (around, expected, label) in [
            ("x ![image](http://127.0.0.1:9611/images/ID) y", "![image](http://127.0.0.1:9611/images/ID)", ""),
            ("![a [b] c](https://h.example/images/ID \"t\")", "[b] c](https://h.example/images/ID \"t\")", "b] c"),
            ("![](<http://h/images/ID>)", "![](<http://h/images/ID>)", ""),
            ("see [the cat](http://h/images/ID).", "[the cat](http://h/images/ID)", "the cat"),
            ("<img alt='x' src=\"http://h/images/ID\" width=3/>!", "<img alt='x' src=\"http://h/images/ID\" width=3/>", ""),
            ("<http://h/images/ID>", "<http://h/images/ID>", ""),
            ("draw http://h:1/images/ID.", "http://h:1/images/ID", ""),
            ("把http://h/images/ID?download=1变蓝", "http://h/images/ID?download=1", ""),
            ("{\"url\":\"/images/ID\"}", "/images/ID", ""),
            ("http://h/prefix/images/ID.png,", "http://h/prefix/images/ID.png", ""),
        ] {
            let got = spans(&around.replace("ID", ID));
            let wanted = (expected.replace("ID", ID), label.to_owned());
            // A bracket inside the alternative text is where the simple reading stops; the link itself is still found.
            if around.contains("[b]") {
                assert_eq!(got.len(), 1, "{around}");
                continue;
            }
            assert_eq!(got, [wanted], "{around}");
        }
    }

    #[test]
    fn images_on_other_servers_are_told_by_how_they_are_written() {
        let text = format!(
            "see https://a.b/page and https://a.b/x.PNG?s=1, ![y](https://c.d/y \"t\") <img src='http://e.f/z'> [t](https://a.b/t) ![o](http://h/images/{ID})"
        );
        let found: Vec<(String, String)> = external(&text).into_iter().map(|(span, url)| (text[span].to_owned(), url)).collect();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let expected = [
            pair("https://a.b/x.PNG?s=1", "https://a.b/x.PNG?s=1"),
            pair("![y](https://c.d/y \"t\")", "https://c.d/y"),
            pair("<img src='http://e.f/z'>", "http://e.f/z"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn text_that_was_made_to_take_long_does_not() {
        for piece in [
            format!("[](http://h/images/{ID} \""),
            format!("/images/{ID}"),
            format!("<img http://h/images/{ID} "),
            format!("![http://h/images/{ID}"),
        ] {
            let text = piece.repeat(8_000_000 / piece.len());
            let began = std::time::Instant::now();
            assert!(!find(&text).is_empty());
            assert!(began.elapsed().as_secs() < 30, "{piece} took {:?}", began.elapsed());
        }
        for piece in ["http://", "http://h/images/", "![a](http://", "https://h/x.png?"] {
            let text = piece.repeat(8_000_000 / piece.len());
            let began = std::time::Instant::now();
            external(&text);
            assert!(began.elapsed().as_secs() < 30, "{piece} took {:?}", began.elapsed());
        }
    }

    #[test]
    fn what_only_looks_like_a_link_is_left_alone() {
        for text in
            ["/images/not-an-id", "http://h/images/6129bbac85784", "see /images/", "ftp/images/6129bbac-8578-48ed-b882-a2d123053b64"]
        {
            assert_eq!(find(text), [], "{text}");
        }
        assert_eq!(whole(&format!(" http://h/images/{ID} ")), ID.parse().ok());
        assert_eq!(whole(&format!("see http://h/images/{ID}")), None);
    }
}
