//! What kind of place a folder is in: how much room there is, and whether it is one where a database is in danger.

use std::path::Path;

/// A place that harms databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drive {
    /// A file system over the network, by its name. Locks and the shared memory of SQLite's log do not work there reliably.
    Network(&'static str),
    /// A folder that a program copies elsewhere while it is written, by that program's name.
    Synced(&'static str),
}

/// File systems over the network by the number that Linux gives them (statfs(2), linux/magic.h).
#[cfg(target_os = "linux")]
const NETWORK: [(u64, &str); 7] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "SMB"),
    (0xfe53_4d42, "SMB"),
    (0x517b, "SMB"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "CephFS"),
    (0x5346_414f, "AFS"),
];

/// Names of folders that programs keep in step with other computers.
const SYNCED: [(&str, &str); 10] = [
    ("OneDrive", "OneDrive"),
    ("Dropbox", "Dropbox"),
    ("Google Drive", "Google Drive"),
    ("GoogleDrive", "Google Drive"),
    ("Mobile Documents", "iCloud"),
    ("iCloudDrive", "iCloud"),
    ("Nextcloud", "Nextcloud"),
    ("Nutstore Files", "坚果云 (Nutstore)"),
    ("BaiduSyncdisk", "百度网盘 (Baidu)"),
    ("Syncthing", "Syncthing"),
];

/// Bytes that are free where `path` lies, and bytes in all; `None` where the system does not say.
pub fn space(path: &Path) -> Option<(u64, u64)> {
    let found = fs4::statvfs(path).ok()?;
    Some((found.available_space(), found.total_space()))
}

/// Whether `path`, or what of it exists, lies in a place that harms databases.
pub fn drive(path: &Path) -> Option<Drive> {
    #[cfg(target_os = "linux")]
    {
        let existing = path.ancestors().find(|path| path.exists());
        let kind = existing.and_then(|path| rustix::fs::statfs(path).ok()).map(|found| found.f_type as u64 & 0xffff_ffff);
        if let Some((_, name)) = NETWORK.iter().find(|(number, _)| Some(*number) == kind) {
            return Some(Drive::Network(name));
        }
    }
    // A share by its Windows name.
    if path.to_str().is_some_and(|path| path.starts_with(r"\\") && !path.starts_with(r"\\?\")) {
        return Some(Drive::Network("SMB"));
    }
    let named = |name: &str| {
        path.components().any(|part| {
            let part = part.as_os_str().to_string_lossy();
            // OneDrive of a company is called "OneDrive - Company"; the Mac keeps "OneDrive-Personal" in CloudStorage.
            part.strip_prefix(name).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        })
    };
    SYNCED.iter().find(|(name, _)| named(name)).map(|(_, program)| Drive::Synced(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_a_disk_is_told_on_every_system() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (free, total) = space(dir.path()).expect("the system says");
        assert!(0 < total && free <= total, "{free} of {total}");
        assert_eq!(space(&dir.path().join("absent")), None);
    }

    #[test]
    fn folders_of_known_programs_are_told_from_others() {
        for (path, program) in [
            ("/home/a/Dropbox/picgate", "Dropbox"),
            ("/Users/a/Library/CloudStorage/OneDrive-Personal/x", "OneDrive"),
            ("/home/a/OneDrive - Company/x", "OneDrive"),
            ("/Users/a/Library/Mobile Documents/x", "iCloud"),
            ("/home/a/Nutstore Files/我的坚果云", "坚果云 (Nutstore)"),
        ] {
            assert_eq!(drive(Path::new(path)), Some(Drive::Synced(program)), "{path}");
        }
        for path in ["/home/a/.local/share/picgate", "/home/a/Dropboxes/x", "/tmp/dropbox"] {
            assert_eq!(drive(Path::new(path)), None, "{path}");
        }
        assert_eq!(drive(Path::new(r"\\nas\share\picgate")), Some(Drive::Network("SMB")));
    }
}
