//! How much damaged pictures may take up that are kept for support.

use std::{
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

/// Damaged pictures that are kept.
const QUARANTINE_MAX: usize = 100;

/// Bytes of all of them.
const QUARANTINE_BYTES: u64 = 256 * 1024 * 1024;

/// How long they are kept.
const QUARANTINE_TIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// Removes those that are older than [`QUARANTINE_TIME`], and the oldest beyond [`QUARANTINE_MAX`] and
/// [`QUARANTINE_BYTES`] once one more file of this length has come. Blocks.
pub(super) fn make_room(folder: &Path, coming: u64) -> io::Result<()> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        kept.push((meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), entry.path(), meta.len()));
    }
    kept.sort();
    let excess = (kept.len() + 1).saturating_sub(QUARANTINE_MAX);
    let mut bytes = kept.iter().fold(coming, |sum, (.., len)| sum.saturating_add(*len));
    for (at, (changed, path, len)) in kept.iter().enumerate() {
        if at < excess || bytes > QUARANTINE_BYTES || changed.elapsed().is_ok_and(|age| age > QUARANTINE_TIME) {
            fs::remove_file(path)?;
            bytes = bytes.saturating_sub(*len);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_until_the_new_one_fits() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (age, name) in [(30, "a"), (20, "b"), (10, "c")] {
            let file = fs::File::create(dir.path().join(name)).expect("makes");
            file.set_len(QUARANTINE_BYTES / 4).expect("grows");
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).expect("ages");
        }
        let left = |coming| {
            make_room(dir.path(), coming).expect("makes room");
            let mut names: Vec<_> = fs::read_dir(dir.path()).expect("reads").flatten().map(|e| e.file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(left(QUARANTINE_BYTES / 4), ["a", "b", "c"]);
        assert_eq!(left(QUARANTINE_BYTES / 2), ["b", "c"]);
        assert!(left(QUARANTINE_BYTES + 1).is_empty());
    }
}
