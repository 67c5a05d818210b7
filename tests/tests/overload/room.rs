//! A small disk that the manager alone sees, filled and emptied by the test.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where the disk is, in the manager's own mount namespace.
pub(crate) const DISK: &str = "/mnt";

/// What has to stand before the manager for it to have the disk.
pub(crate) const STARTER: [&str; 5] = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    "mount -t tmpfs -o size=2m,mode=1777 none /mnt && TMPDIR=/mnt exec \"$0\" \"$@\"",
];

/// Takes all that is free on the disk of a process, until it is dropped.
pub(crate) struct Ballast(PathBuf);

impl Ballast {
    pub(crate) fn fill(process: u32) -> Self {
        let path = disk_of(process).join("ballast");
        let mut file = File::create(&path).expect("root may write there");
        let full = loop {
            if let Err(error) = file.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        Self(path)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The disk of a process, as seen from here.
pub(crate) fn disk_of(process: u32) -> PathBuf {
    Path::new("/proc").join(process.to_string()).join("root").join(&DISK[1..])
}
