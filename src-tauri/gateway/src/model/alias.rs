//! Model names that carry wishes: `picgate-16x9-4k: --ar 16:9 --size 4k`, one a line, as users edit them in the settings.

use super::{Saying, drawing::Wishes};

/// Most aliases that are taken; a model list that is longer helps nobody to choose.
pub const ALIASES_MAX: usize = 50;

/// Longest name, in characters.
const NAME_MAX: usize = 64;

/// What the settings begin with.
pub const DEFAULT_ALIASES: &str = "picgate-16x9-4k: --ar 16:9 --size 4k\npicgate-9x16: --ar 9:16\npicgate-1x1-2k: --ar 1:1 --size 2k\n";

/// Aliases in the order in which they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aliases(Vec<(String, Wishes)>);

impl Aliases {
    /// Reads `name: flags`, one a line or with `;` between them. Empty lines and lines that begin with `#` say nothing.
    /// The error names the line, counted from 1.
    pub fn parse(text: &str) -> Result<Self, Saying> {
        let mut aliases = Self::default();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#')) {
            // A Chinese keyboard writes the wide forms of `;` and `:`.
            for entry in line.split([';', '；']).map(str::trim).filter(|entry| !entry.is_empty()) {
                aliases.add(entry).map_err(|wrong| {
                    let (line, zh) = (at + 1, wrong.told(true));
                    Saying::new(format!("第 {line} 行：{zh}"), format!("line {line}: {wrong}"))
                })?;
            }
        }
        Ok(aliases)
    }

    /// The names, in the order in which they were written.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// What `name` stands for, exactly as it is written.
    pub fn wishes(&self, name: &str) -> Option<&Wishes> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, wishes)| wishes)
    }

    fn add(&mut self, entry: &str) -> Result<(), Saying> {
        let (name, flags) = entry
            .split_once([':', '：'])
            .ok_or_else(|| Saying::new("名字和参数之间缺少冒号", "a colon between name and flags is missing"))?;
        let (name, flags) = (name.trim_end(), flags.trim());
        let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if !fits || name.is_empty() || name.len() > NAME_MAX {
            let shown: String = name.chars().take(NAME_MAX).collect();
            return Err(Saying::new(
                format!("`{shown}` 不能用作名字：应为 1 到 {NAME_MAX} 个字母、数字或 . _ -"),
                format!("`{shown}` is no name: 1 to {NAME_MAX} letters, digits and . _ - are"),
            ));
        }
        if self.wishes(name).is_some() {
            return Err(Saying::new(format!("`{name}` 出现了两次"), format!("`{name}` stands there twice")));
        }
        if self.0.len() == ALIASES_MAX {
            return Err(Saying::new(format!("别名超过 {ALIASES_MAX} 个"), format!("there are more than {ALIASES_MAX} aliases")));
        }
        let wishes =
            Wishes::parse(flags).map_err(|wrong| Saying::new(format!("`{name}`：{}", wrong.told(true)), format!("`{name}`: {wrong}")))?;
        if wishes.is_empty() {
            return Err(Saying::new(format!("`{name}` 的冒号后面没有内容"), format!("`{name}` says nothing behind the colon")));
        }
        self.0.push((name.to_owned(), wishes));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_read_as_users_write_them() {
        for (text, names) in [
            ("", vec![]),
            ("a: --ar 16:9", vec!["a"]),
            ("a: --ar 16:9\r\n\r\n# b: nonsense; c\r\nB.2_x-y : --size 4k --webp\r\n", vec!["a", "B.2_x-y"]),
            ("a:--ar=16:9;b：—ar 9：16；c: --n 2;", vec!["a", "b", "c"]),
            (DEFAULT_ALIASES, vec!["picgate-16x9-4k", "picgate-9x16", "picgate-1x1-2k"]),
        ] {
            assert_eq!(
                Aliases::parse(text).map(|a| a.names().map(str::to_owned).collect::<Vec<_>>()),
                Ok(names.iter().map(|n| (*n).to_owned()).collect()),
                "{text:?}"
            );
        }
        let aliases = Aliases::parse("a: --ar 16:9; b：—ar 9：16 --q hd").unwrap();
        assert_eq!(aliases.wishes("a"), Some(&Wishes { aspect: Some((16, 9)), ..Wishes::default() }));
        assert_eq!(aliases.wishes("b"), Some(&Wishes { aspect: Some((9, 16)), quality: Some("hd".into()), ..Wishes::default() }));
        assert_eq!(aliases.wishes("A"), None);
    }

    #[test]
    fn an_error_names_its_line() {
        let many: String = (0..=ALIASES_MAX).map(|n| format!("a{n}: --n 2\n")).collect();
        let long = format!("{}: --n 2", "x".repeat(65));
        for (text, wrong) in [
            ("a", "line 1: a colon between name and flags is missing"),
            ("a: --n 2\n\nb: --foo 1", "line 3: `b`: unknown flag `--foo`"),
            ("a: --n 2; b: --n 11", "line 1: `b`: `--n` wants a number from 1 to 10, not `11`"),
            ("a: --n 2\na: --n 3", "line 2: `a` stands there twice"),
            ("a:", "line 1: `a` says nothing behind the colon"),
            ("a: --size auto", "line 1: `a` says nothing behind the colon"),
            (": --n 2", "line 1: `` is no name"),
            ("a b: --n 2", "line 1: `a b` is no name"),
            ("画: --n 2", "line 1: `画` is no name"),
            ("a: 16:9", "line 1: `a`: `16:9` is no flag"),
            (&long, "line 1: `xxx"),
            (&many, "line 51: there are more than 50 aliases"),
        ] {
            let error = Aliases::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(wrong), "{text:?}: {error}");
        }
    }
}
