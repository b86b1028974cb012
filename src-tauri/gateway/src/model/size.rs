//! Sizes as people read them, the same everywhere: 1,024 of a unit are one of the next, as the admin UI, the settings in MB and
//! Windows count.

/// Three figures and the unit: `312 MB`, `1.5 GB`.
pub fn size_in_words(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KB", "MB", "GB", "TB", "PB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    // 1023.5 would be rounded to "1024 KB".
    while unit + 1 < UNITS.len() && value >= 1023.5 {
        value /= 1024.0;
        unit += 1;
    }
    let digits = match value {
        _ if unit == 0 => 0,
        99.95.. => 0,
        9.995.. => 1,
        _ => 2,
    };
    let number = format!("{value:.digits$}");
    let number = if digits > 0 { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
    format!("{number} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_read_as_in_the_admin_ui() {
        // The same cases as in ui/tests/format.test.ts.
        for (bytes, words) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KB"),
            (312 * 1024 * 1024, "312 MB"),
            (3 * 512 * 1024 * 1024, "1.5 GB"),
            (1024 * 1024 - 1, "1 MB"),
            (1234 * 1024 * 1024, "1.21 GB"),
            (100 * 1024, "100 KB"),
        ] {
            assert_eq!(size_in_words(bytes), words);
        }
    }
}
