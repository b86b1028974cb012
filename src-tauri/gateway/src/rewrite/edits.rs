//! Changes to a JSON text that leave the rest of it as it was written.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use super::json::{Member, Node, quote};

/// Replacements of spans of one text. They must not overlap; the order of adding does not matter.
#[derive(Debug, Default)]
pub struct Edits {
    replaced: Vec<(Range<usize>, String)>,
    /// Members to be added, by the end of their object.
    added: BTreeMap<usize, Vec<String>>,
    /// Members that stay in an object that has lost some, by the end of the object.
    left: HashMap<usize, usize>,
}

impl Edits {
    /// Replaces a node by JSON text.
    pub fn replace(&mut self, node: &Node, json: impl Into<String>) {
        self.replaced.push((node.span.clone(), json.into()));
    }

    /// Replaces a node by a string.
    pub fn replace_string(&mut self, node: &Node, text: &str) {
        self.replace(node, quote(text));
    }

    /// Replaces the value of `key`, or adds the member at the end of the object. Of duplicates the last is replaced.
    pub fn set(&mut self, object: &Node, key: &str, json: &str) {
        match object.get(key) {
            Some(value) => self.replace(value, json),
            None => {
                let end = object.span.end - 1;
                self.left.entry(end).or_insert(object.members().len());
                self.added.entry(end).or_default().push(format!("{}:{json}", quote(key)));
            }
        }
    }

    /// Replaces a whole member, key and value.
    pub fn replace_member(&mut self, member: &Member, key: &str, json: &str) {
        self.replaced.push((member.start..member.value.span.end, format!("{}:{json}", quote(key))));
    }

    /// Removes an item of an array that is not the first. It must not be edited otherwise.
    pub fn remove_item(&mut self, items: &[Node], at: usize) {
        if let (Some(before), Some(item)) = (at.checked_sub(1).and_then(|at| items.get(at)), items.get(at)) {
            self.replaced.push((before.span.end..item.span.end, String::new()));
        }
    }

    /// Removes all members with one of `keys`. Members that are removed must not be edited otherwise.
    pub fn remove(&mut self, object: &Node, keys: &[&str]) {
        let members = object.members();
        let gone = |m: &Member| keys.contains(&m.key.as_str());
        self.left.insert(object.span.end - 1, members.iter().filter(|m| !gone(m)).count());
        let mut kept_before = false;
        for (at, member) in members.iter().enumerate() {
            if !gone(member) {
                kept_before = true;
                continue;
            }
            // With the comma before it when something stays before it, else with the comma after it.
            let span = if kept_before {
                members[at - 1].value.span.end..member.value.span.end
            } else {
                member.start..members.get(at + 1).map_or(member.value.span.end, |next| next.start)
            };
            self.replaced.push((span, String::new()));
        }
    }

    /// The text with all of them.
    pub fn apply(self, text: &[u8]) -> Vec<u8> {
        let mut all = self.replaced;
        for (end, members) in self.added {
            let comma = if self.left.get(&end).is_some_and(|left| *left > 0) { "," } else { "" };
            all.push((end..end, format!("{comma}{}", members.join(","))));
        }
        all.sort_by_key(|(span, _)| (span.start, span.end));
        let mut out = Vec::with_capacity(text.len() + all.iter().map(|(_, new)| new.len()).sum::<usize>());
        let mut at = 0;
        for (span, new) in all {
            // An overlap would be a mistake of ours: the later edit is dropped rather than the text torn.
            if span.start < at {
                continue;
            }
            out.extend_from_slice(&text[at..span.start]);
            out.extend_from_slice(new.as_bytes());
            at = span.end;
        }
        out.extend_from_slice(&text[at..]);
        out
    }
}
