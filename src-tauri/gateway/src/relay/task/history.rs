//! The conversation inside the prompt of a background task: `<chat_history>` around turns such as `USER: …`. Knows
//! nothing of what is asked about it.

use std::borrow::Cow;

const OPEN: &str = "<chat_history>";
const CLOSE: &str = "</chat_history>";

/// What clients put before the user's own words.
const BLOCKS: [(&str, &str); 3] = [("<attached_files>", "</attached_files>"), ("<details", "</details>"), ("<context>", "</context>")];

/// A prompt in three parts.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// Instructions before the conversation.
    pub before: &'a str,
    /// The conversation.
    pub inside: &'a str,
    /// Instructions, or what is being typed, after it.
    pub after: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    User,
    Assistant,
    System,
    Tool,
}

impl<'a> History<'a> {
    /// The parts of a prompt that has the tags.
    pub fn within_tags(text: &'a str) -> Option<Self> {
        // Instructions may name the tag too; the conversation begins on a new line or at once with a turn.
        let begins = |&(at, _): &(usize, &str)| {
            let rest = text[at + OPEN.len()..].trim_start_matches([' ', '\t', '\r']);
            rest.starts_with('\n') || marker(rest).is_some()
        };
        let start = text.match_indices(OPEN).find(begins)?.0;
        let inside = start + OPEN.len();
        let end = inside + text[inside..].rfind(CLOSE)?;
        Some(Self { before: &text[..start], inside: &text[inside..end], after: &text[end + CLOSE.len()..] })
    }

    /// The parts of any prompt, with an empty conversation if none can be found.
    pub fn read(text: &'a str) -> Self {
        let by_turn = || {
            let start = line_starts(text).find(|&at| matches!(marker(&text[at..]), Some((Role::User | Role::Assistant, _))));
            let (before, inside) = text.split_at(start.unwrap_or(text.len()));
            Self { before, inside, after: "" }
        };
        Self::within_tags(text).unwrap_or_else(by_turn)
    }

    /// Whether the tags stand on lines of their own, as nobody writes who merely talks about them.
    pub fn is_set_apart(&self) -> bool {
        let ends_line = self.before.is_empty() || self.before.trim_end_matches([' ', '\t']).ends_with('\n');
        let inside = self.inside.trim_matches([' ', '\t', '\r']);
        ends_line && inside.starts_with('\n') && inside.ends_with('\n')
    }

    /// Whether it begins with a turn.
    pub fn has_turns(&self) -> bool {
        marker(self.inside.trim_start()).is_some()
    }

    /// The words of the user's turns, in order. A conversation without a single `USER:` or the like is one turn of the user.
    pub fn user_turns(self) -> impl Iterator<Item = &'a str> {
        let text = self.inside;
        let mut next = next_turn(text, 0, None);
        if next.is_none() && !text.trim().is_empty() {
            next = Some((Role::User, 0, 0));
        }
        let turns = std::iter::from_fn(move || {
            let (role, _, words) = next?;
            next = next_turn(text, words, Some(role));
            let end = next.map_or(text.len(), |(_, at, _)| at);
            Some((role, text[words..end].trim()))
        });
        turns.filter(|(role, _)| *role == Role::User).map(|(_, words)| words)
    }
}

/// `text` without the blocks that clients put into it.
pub fn without_blocks(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for (open, close) in BLOCKS {
        if !text.contains(open) {
            continue;
        }
        let mut left = String::new();
        let mut rest = &*text;
        while let Some(start) = rest.find(open)
            && let Some(len) = rest[start..].find(close)
        {
            left.push_str(&rest[..start]);
            rest = &rest[start + len + close.len()..];
        }
        left.push_str(rest);
        text = Cow::Owned(left);
    }
    text
}

/// The first turn at or after `from`: whose it is, where it begins and where its words begin.
fn next_turn(text: &str, from: usize, before: Option<Role>) -> Option<(Role, usize, usize)> {
    let mut starts = line_starts(&text[from..]).map(|at| from + at).filter(|&at| at > from || before.is_none());
    let turn = |at: usize| marker(&text[at..]).filter(|(role, _)| may_follow(*role, before)).map(|(role, len)| (role, at, at + len));
    starts.find_map(turn)
}

/// Turns alternate, so a line such as `USER:` inside a user's own words is told from the beginning of a turn.
fn may_follow(role: Role, before: Option<Role>) -> bool {
    match (before, role) {
        (None, _) => true,
        (Some(Role::User), role) => role == Role::Assistant,
        (Some(Role::Assistant), role) => matches!(role, Role::User | Role::Tool),
        (Some(Role::System), role) => matches!(role, Role::User | Role::Assistant),
        (Some(Role::Tool), role) => role != Role::System,
    }
}

/// The role that a line begins with, and the length of its mark.
fn marker(line: &str) -> Option<(Role, usize)> {
    let roles = [("USER:", Role::User), ("ASSISTANT:", Role::Assistant), ("SYSTEM:", Role::System), ("TOOL:", Role::Tool)];
    let (mark, role) = roles.into_iter().find(|(mark, _)| line.starts_with(mark))?;
    let rest = &line[mark.len()..];
    (rest.is_empty() || rest.starts_with([' ', '\n', '\r'])).then_some((role, mark.len()))
}

fn line_starts(text: &str) -> impl Iterator<Item = usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(text: &str) -> Vec<&str> {
        History::read(text).user_turns().collect()
    }

    #[test]
    fn turns_are_told_from_the_words_inside_them() {
        for (inside, expected) in [
            ("USER: a\nASSISTANT: b\nUSER: c", &["a", "c"][..]),
            ("USER: a\n\nmore\nASSISTANT: \n", &["a\n\nmore"]),
            ("USER: what does\nUSER: x\nmean\nASSISTANT: b\nASSISTANT: c\nUSER: d", &["what does\nUSER: x\nmean", "d"]),
            ("SYSTEM: s\nUSER: say\nSYSTEM: no\nASSISTANT:\nUSER:\n", &["say\nSYSTEM: no", ""]),
            ("ASSISTANT: hi USER: no\nTOOL: x\nUSERS: y\nUSER: z", &["z"]),
            ("no marks at all", &["no marks at all"]),
            ("", &[]),
        ] {
            assert_eq!(users(&format!("x\n<chat_history>\n{inside}\n</chat_history>")), expected, "{inside}");
        }
    }

    #[test]
    fn a_conversation_is_found_with_and_without_tags() {
        assert_eq!(users("read <chat_history> well\n<chat_history>USER: a</chat_history> x"), ["a"]);
        assert_eq!(users("<chat_history>\nUSER: say </chat_history>\n</chat_history>"), ["say </chat_history>"]);
        assert_eq!(users("make a title\nUSER: a\nASSISTANT: b"), ["a"]);
        assert!(users("make a title").is_empty());
    }

    #[test]
    fn blocks_of_clients_are_left_out() {
        for (text, left) in [
            ("<attached_files>\n<file/>\n</attached_files>\n\nedit", "\n\nedit"),
            ("a<details type=\"x\">y</details>b<details>c</details>", "ab"),
            ("<attached_files> open", "<attached_files> open"),
            ("plain", "plain"),
        ] {
            assert_eq!(without_blocks(text), left, "{text}");
        }
    }
}
