//! A disk that is small enough to be filled.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// A file system of its own, in memory; gone when dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounted at a folder that is there. `None` where that is not allowed: it takes root, on Linux.
    pub fn at(folder: &Path, megabytes: usize) -> Option<Self> {
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(folder.to_owned()));
        }
        eprintln!("skipped: a file system cannot be mounted here");
        None
    }

    /// Takes whatever room is left, to the last byte.
    pub fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filled")).expect("a file");
        let mut block = vec![7; 64 * 1024];
        while !block.is_empty() {
            if file.write_all(&block).is_err() {
                block.truncate(block.len() / 2);
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}
