//! On what kind of system this runs: which `defaults/PLATFORM.conf` is loaded.

use std::path::Path;

/// The platform's name as milter manager's build finds it out.
pub(crate) fn detect() -> &'static str {
    if cfg!(target_os = "linux") {
        linux(Path::new("/"))
    } else if cfg!(target_os = "freebsd") {
        "freebsd"
    } else if cfg!(any(target_os = "netbsd", target_os = "dragonfly")) {
        "pkgsrc"
    } else if cfg!(any(target_os = "solaris", target_os = "illumos")) {
        "solaris"
    } else {
        "unknown"
    }
}

fn linux(root: &Path) -> &'static str {
    if root.join("etc/debian_version").exists() || root.join("usr/bin/dpkg").exists() {
        "debian"
    } else if root.join("etc/redhat-release").exists() {
        "redhat"
    } else {
        "unknown"
    }
}
