//! The index of words in prompts. SQLite's tokenizer takes a run of Chinese for one word, and its trigrams find nothing
//! shorter than three characters; so each Han character (and each kana and hangul) is a word of its own here, and words of
//! several are found as phrases.

use rusqlite::{Transaction, params};

/// Longest text that is indexed, in characters.
const INDEXED_MAX: usize = 8000;

/// Most words of a query that count.
const QUERY_WORDS_MAX: usize = 16;

fn stands_alone(c: char) -> bool {
    matches!(c, '\u{2E80}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// `text` with blanks between characters that are words of their own.
fn words(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for c in text.chars().take(INDEXED_MAX) {
        if stands_alone(c) {
            out.extend([' ', c, ' ']);
        } else {
            out.push(c);
        }
    }
    out
}

/// What FTS5 is asked for what a person typed: all words, the last one of letters as a beginning. `None` if there is
/// nothing to look for.
pub fn query(typed: &str) -> Option<String> {
    let mut terms = Vec::new();
    for word in typed.split_whitespace().take(QUERY_WORDS_MAX) {
        // Runs of Han are phrases, runs of letters are prefixes.
        let mut runs: Vec<(bool, String)> = Vec::new();
        for c in word.chars().filter(|c| c.is_alphanumeric() || stands_alone(*c)) {
            let alone = stands_alone(c);
            match runs.last_mut() {
                Some((kind, run)) if *kind == alone => run.push(c),
                _ => runs.push((alone, c.to_string())),
            }
        }
        for (alone, run) in runs {
            let text = if alone { run.chars().map(String::from).collect::<Vec<_>>().join(" ") } else { run };
            terms.push(format!("\"{text}\"{}", if alone { "" } else { "*" }));
        }
    }
    (!terms.is_empty()).then(|| terms.join(" "))
}

/// Indexes the words of image number `seq`.
pub fn index(transaction: &Transaction<'_>, seq: i64, texts: &[Option<&str>]) -> rusqlite::Result<()> {
    let text: Vec<String> = texts.iter().flatten().map(|text| words(text)).collect();
    if text.is_empty() {
        return Ok(());
    }
    transaction.prepare_cached("insert into images_words (rowid, words) values (?1, ?2)")?.execute(params![seq, text.join("\n")])?;
    Ok(())
}

/// Forgets the words of image number `seq`.
pub fn forget(transaction: &Transaction<'_>, seq: i64) -> rusqlite::Result<()> {
    transaction.prepare_cached("delete from images_words where rowid = ?1")?.execute([seq])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_phrases_of_characters_and_beginnings_of_words() {
        assert_eq!(query("雪山"), Some("\"雪 山\"".into()));
        assert_eq!(query(" 猫 Red fox"), Some("\"猫\" \"Red\"* \"fox\"*".into()));
        assert_eq!(query("4k雪"), Some("\"4k\"* \"雪\"".into()));
        for nothing in ["", "  ", "\"*()", "-"] {
            assert_eq!(query(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn one_and_two_characters_are_found_and_neighbours_matter() {
        let mut connection = rusqlite::Connection::open_in_memory().expect("opens");
        connection.execute_batch(include_str!("../../../../migrations/0001_library.sql")).expect("migrates");
        connection.execute_batch(include_str!("../../../../migrations/0003_admin.sql")).expect("migrates");
        let transaction = connection.transaction().expect("begins");
        for (seq, text) in [(1, "雪山下的红狐狸"), (2, "山上有雪"), (3, "A red fox, café 4K"), (4, "ネコと山")] {
            index(&transaction, seq, &[Some(text), None]).expect("indexes");
        }
        let found = |typed: &str| -> Vec<i64> {
            let query = query(typed).expect("words");
            let mut statement =
                transaction.prepare("select rowid from images_words where images_words match ?1 order by rowid").expect("prepares");
            statement.query_map([query], |row| row.get(0)).expect("runs").map(|r| r.expect("a row")).collect()
        };
        assert_eq!(found("雪"), [1, 2]);
        assert_eq!(found("雪山"), [1]);
        assert_eq!(found("山 雪"), [1, 2]);
        assert_eq!(found("狐狸"), [1]);
        assert_eq!(found("FO cafe"), [3]);
        assert_eq!(found("ネコ"), [4]);
        forget(&transaction, 1).expect("forgets");
        assert_eq!(found("雪"), [2]);
    }
}
