//! Looks at JSON without losing a byte of it: a tree of spans over the text, and edits that replace spans. What is
//! not edited is copied verbatim, so key order, duplicate keys, number formats and unknown fields survive.

use std::{borrow::Cow, ops::Range};

pub use super::edits::Edits;

/// Most values in one text. Each takes some hundred bytes to think about.
const NODES_MAX: usize = 250_000;

/// A value and where it stands in the text.
#[derive(Clone, Debug)]
pub struct Node {
    /// Bytes of the text, without surrounding white space.
    pub span: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

/// See [`Node`].
#[derive(Clone, Debug)]
pub enum Kind {
    /// `{…}`
    Object(Vec<Member>),
    /// `[…]`
    Array(Vec<Node>),
    /// `"…"`
    String,
    /// `-1.5e3`
    Number,
    /// `true` or `false`
    Bool(bool),
    /// `null`
    Null,
}

/// One `"key": value` of an object.
#[derive(Clone, Debug)]
pub struct Member {
    /// The key with its escapes resolved.
    pub key: String,
    /// Where it begins: at the quote of the key.
    pub start: usize,
    /// The value.
    pub value: Node,
}

/// Why a text is no JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not UTF-8 at this byte.
    #[error("the JSON is not valid UTF-8 at byte {0}")]
    Encoding(usize),
    /// Something unexpected at this byte.
    #[error("the JSON is not valid at byte {0}")]
    Syntax(usize),
    /// More values than [`NODES_MAX`].
    #[error("the JSON holds more than {NODES_MAX} values")]
    TooMany,
    /// Deeper than the limit.
    #[error("the JSON is nested deeper than {0} levels")]
    TooDeep(usize),
}

/// A parsed text.
#[derive(Debug)]
pub struct Document {
    text: Vec<u8>,
    root: Node,
}

impl Document {
    /// Parses `text` whole, at most `depth` levels deep.
    ///
    /// # Errors
    /// [`JsonError`], with the byte where it went wrong.
    pub fn parse(text: Vec<u8>, depth: usize) -> Result<Self, JsonError> {
        let utf8 = std::str::from_utf8(&text).map_err(|e| JsonError::Encoding(e.valid_up_to()))?;
        let mut parser = Parser { text: utf8.as_bytes(), at: 0, depth, limit: depth, nodes: 0 };
        let root = parser.value()?;
        parser.space();
        if parser.at != text.len() {
            return Err(JsonError::Syntax(parser.at));
        }
        Ok(Self { text, root })
    }

    /// Parses what an upstream sent: a byte order mark before it, bytes that are no UTF-8 and anything behind it are
    /// no reason to lose a picture.
    ///
    /// # Errors
    /// [`JsonError`], with the byte where it went wrong.
    pub fn parse_lenient(text: Vec<u8>, depth: usize) -> Result<Self, JsonError> {
        let mut text = match String::from_utf8(text) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let mut parser = Parser { text: text.as_bytes(), at: 0, depth, limit: depth, nodes: 0 };
        let root = parser.value()?;
        let end = parser.at;
        text.truncate(end);
        Ok(Self { text: text.into_bytes(), root })
    }

    /// The outermost value.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The text that was parsed.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The text of one node as it was written.
    pub fn raw(&self, node: &Node) -> &str {
        self.slice(node.span.clone())
    }

    fn slice(&self, span: Range<usize>) -> &str {
        // The text was checked to be UTF-8 and spans begin and end at ASCII characters.
        std::str::from_utf8(&self.text[span]).unwrap_or_default()
    }

    /// The value of a string node; `None` for anything else. A lone surrogate becomes U+FFFD.
    pub fn string(&self, node: &Node) -> Option<Cow<'_, str>> {
        matches!(node.kind, Kind::String).then(|| unescape(self.slice(node.span.start + 1..node.span.end - 1)))
    }

    /// A string member of an object.
    pub fn string_at(&self, node: &Node, key: &str) -> Option<Cow<'_, str>> {
        self.string(node.get(key)?)
    }

    /// The text with `edits` applied.
    pub fn edited(&self, edits: Edits) -> Vec<u8> {
        edits.apply(&self.text)
    }
}

impl Node {
    /// The value of the last member called `key`, as most parsers read it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.members().iter().rev().find(|m| m.key == key).map(|m| &m.value)
    }

    /// The members of an object; empty for anything else.
    pub fn members(&self) -> &[Member] {
        match &self.kind {
            Kind::Object(members) => members,
            _ => &[],
        }
    }

    /// The items of an array; empty for anything else.
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::Array(items) => items,
            _ => &[],
        }
    }

    /// Whether this is an object.
    pub fn is_object(&self) -> bool {
        matches!(self.kind, Kind::Object(_))
    }

    /// Whether this is an array.
    pub fn is_array(&self) -> bool {
        matches!(self.kind, Kind::Array(_))
    }

    /// Whether this is a string.
    pub fn is_string(&self) -> bool {
        matches!(self.kind, Kind::String)
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }
}

/// `text` as a JSON string.
pub fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn unescape(inner: &str) -> Cow<'_, str> {
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    if let Ok(text) = serde_json::from_str(&format!("\"{inner}\"")) {
        return Cow::Owned(text);
    }
    // A lone surrogate: decode unit by unit.
    let mut units = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            units.extend(c.encode_utf16(&mut [0; 2]).iter());
            continue;
        }
        match rest.next() {
            Some('u') => {
                let digits: String = rest.by_ref().take(4).collect();
                units.push(u16::from_str_radix(&digits, 16).unwrap_or(0xFFFD));
            }
            Some('n') => units.push(10),
            Some('r') => units.push(13),
            Some('t') => units.push(9),
            Some('b') => units.push(8),
            Some('f') => units.push(12),
            Some(other) => units.extend(other.encode_utf16(&mut [0; 2]).iter()),
            None => {}
        }
    }
    Cow::Owned(String::from_utf16_lossy(&units))
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    limit: usize,
    nodes: usize,
}

impl Parser<'_> {
    fn space(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.eat(byte) { Ok(()) } else { Err(JsonError::Syntax(self.at)) }
    }

    fn value(&mut self) -> Result<Node, JsonError> {
        self.space();
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(JsonError::TooMany);
        }
        let start = self.at;
        let kind = match self.text.get(self.at) {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::array)?,
            Some(b'"') => {
                self.string()?;
                Kind::String
            }
            Some(b't') => self.word("true", Kind::Bool(true))?,
            Some(b'f') => self.word("false", Kind::Bool(false))?,
            Some(b'n') => self.word("null", Kind::Null)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => return Err(JsonError::Syntax(self.at)),
        };
        Ok(Node { span: start..self.at, kind })
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Result<Kind, JsonError>) -> Result<Kind, JsonError> {
        if self.depth == 0 {
            return Err(JsonError::TooDeep(self.limit));
        }
        self.depth -= 1;
        self.at += 1;
        let kind = inner(self)?;
        self.depth += 1;
        Ok(kind)
    }

    fn object(&mut self) -> Result<Kind, JsonError> {
        let mut members = Vec::new();
        self.space();
        if self.eat(b'}') {
            return Ok(Kind::Object(members));
        }
        loop {
            self.space();
            let start = self.at;
            self.string()?;
            let key = std::str::from_utf8(&self.text[start + 1..self.at - 1]).unwrap_or_default();
            let key = unescape(key).into_owned();
            self.space();
            self.expect(b':')?;
            let value = self.value()?;
            members.push(Member { key, start, value });
            self.space();
            if self.eat(b'}') {
                return Ok(Kind::Object(members));
            }
            self.expect(b',')?;
        }
    }

    fn array(&mut self) -> Result<Kind, JsonError> {
        let mut items = Vec::new();
        self.space();
        if self.eat(b']') {
            return Ok(Kind::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.space();
            if self.eat(b']') {
                return Ok(Kind::Array(items));
            }
            self.expect(b',')?;
        }
    }

    fn string(&mut self) -> Result<(), JsonError> {
        self.expect(b'"')?;
        loop {
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0x20..) => self.at += 1,
                _ => return Err(JsonError::Syntax(self.at)),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        match self.text.get(self.at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.text.get(self.at).is_some_and(u8::is_ascii_hexdigit) {
                        return Err(JsonError::Syntax(self.at));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(JsonError::Syntax(self.at)),
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { Err(JsonError::Syntax(start)) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Kind, JsonError> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        Ok(Kind::Number)
    }

    fn word(&mut self, word: &str, kind: Kind) -> Result<Kind, JsonError> {
        if !self.text[self.at..].starts_with(word.as_bytes()) {
            return Err(JsonError::Syntax(self.at));
        }
        self.at += word.len();
        Ok(kind)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Document {
        Document::parse(text.as_bytes().to_vec(), 16).expect("valid JSON")
    }

    #[test]
    fn an_edit_touches_nothing_else() {
        let document = parse(r#" {"a" : 1.50e+3, "b":[ "x\/y", null ],"a":2,"c":{}} "#);
        let root = document.root();
        let mut edits = Edits::default();
        edits.replace_string(&root.get("b").expect("b").items()[0], "é\n");
        edits.set(root, "a", "3");
        edits.set(root.get("c").expect("c"), "new", "true");
        assert_eq!(String::from_utf8_lossy(&document.edited(edits)), r#" {"a" : 1.50e+3, "b":[ "é\n", null ],"a":3,"c":{"new":true}} "#);
    }

    #[test]
    fn members_go_with_their_commas() {
        let text = r#"{"a":1, "b":2 ,"c":3,"d":4}"#;
        for (keys, left) in [
            (&["a"][..], r#"{"b":2 ,"c":3,"d":4}"#),
            (&["d"], r#"{"a":1, "b":2 ,"c":3}"#),
            (&["b", "c"], r#"{"a":1,"d":4}"#),
            (&["a", "b"], r#"{"c":3,"d":4}"#),
            (&["a", "b", "c", "d"], "{}"),
            (&["a", "c"], r#"{"b":2,"d":4}"#),
        ] {
            let document = parse(text);
            let mut edits = Edits::default();
            edits.remove(document.root(), keys);
            let out = document.edited(edits);
            assert_eq!(String::from_utf8_lossy(&out), left, "{keys:?}");
        }
    }

    #[test]
    fn adding_and_removing_in_one_object_keeps_it_valid() {
        for (text, shaped) in [
            (r#"{"images":[1]}"#, r#"{"a":1,"b":2}"#),
            (r#"{"x":0,"images":[1]}"#, r#"{"x":0,"a":1,"b":2}"#),
            (r#"{"images":[1],"x":0}"#, r#"{"x":0,"a":1,"b":2}"#),
            ("{}", r#"{"a":1,"b":2}"#),
            ("{ }", r#"{ "a":1,"b":2}"#),
        ] {
            let document = parse(text);
            let mut edits = Edits::default();
            edits.set(document.root(), "a", "1");
            edits.remove(document.root(), &["images"]);
            edits.set(document.root(), "b", "2");
            assert_eq!(String::from_utf8_lossy(&document.edited(edits)), shaped);
        }
    }

    #[test]
    fn an_upstreams_untidy_json_is_read_all_the_same() {
        for text in ["\u{feff}{\"a\":1}", "{\"a\":1}\0\0", " {\"a\":1} trailing"] {
            let document = Document::parse_lenient(text.into(), 16).expect("read");
            assert!(document.root().get("a").is_some(), "{text:?}");
            assert_eq!(document.raw(document.root()), "{\"a\":1}");
        }
        assert!(Document::parse_lenient(b"{\"a\xff\":1}".to_vec(), 16).is_ok());
        assert!(Document::parse_lenient(b"{\"a\":".to_vec(), 16).is_err());
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        for (text, error) in [
            ("", JsonError::Syntax(0)),
            ("{\"a\":01}", JsonError::Syntax(6)),
            ("[1,]", JsonError::Syntax(3)),
            ("\"\u{1}\"", JsonError::Syntax(1)),
            ("{} x", JsonError::Syntax(3)),
            ("\"\\x\"", JsonError::Syntax(2)),
            ("nul", JsonError::Syntax(0)),
        ] {
            assert_eq!(Document::parse(text.into(), 16).map(|_| ()), Err(error), "{text}");
        }
        assert_eq!(Document::parse(vec![b'"', 0xff, b'"'], 16).map(|_| ()), Err(JsonError::Encoding(1)));
        assert_eq!(Document::parse("[".repeat(99).into(), 16).map(|_| ()), Err(JsonError::TooDeep(16)));
    }

    #[test]
    fn a_lone_surrogate_is_replaced() {
        let document = parse(r#""a\ud800\/\u00e9""#);
        assert_eq!(document.string(document.root()).as_deref(), Some("a\u{FFFD}/é"));
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{}",:0-9a-e\\u.\- tfnrules]{0,24}"#) {
            let ours = Document::parse(text.clone().into_bytes(), 128).is_ok();
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            // serde_json additionally refuses lone surrogates and numbers beyond f64.
            let lenient = theirs.as_ref().is_err_and(|e| e.to_string().contains("surrogate") || e.to_string().contains("out of range")
                || e.to_string().contains("hex escape"));
            prop_assert!(ours == theirs.is_ok() || ours && lenient, "{text:?} {theirs:?}");
        }
    }
}
