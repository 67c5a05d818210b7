//! On what kind of system this is: which `defaults/PLATFORM.conf` is for it.

use crate::root::Root;

/// The platform's name, as milter manager's packages have it: `debian`, `redhat9`, `freebsd`, `pkgsrc`, `solaris`, or `unknown`.
///
/// Of another system than the running one it is told by its files alone.
#[must_use]
pub fn platform(root: &Root) -> String {
    let known = if !root.is_running() || cfg!(target_os = "linux") {
        linux(root)
    } else if cfg!(target_os = "freebsd") {
        Some("freebsd".to_owned())
    } else if cfg!(any(target_os = "netbsd", target_os = "dragonfly")) {
        Some("pkgsrc".to_owned())
    } else if cfg!(any(target_os = "solaris", target_os = "illumos")) {
        Some("solaris".to_owned())
    } else {
        None
    };
    let known = known.or_else(|| bsd(root).filter(|_| !root.is_running()).map(str::to_owned));
    known.unwrap_or_else(|| "unknown".to_owned())
}

fn linux(root: &Root) -> Option<String> {
    if root.exists("/etc/debian_version") || root.is_executable("/usr/bin/dpkg") {
        return Some("debian".to_owned());
    }
    let release = match root.read("/etc/redhat-release") {
        Ok(text) => text,
        Err(_) if root.exists("/etc/redhat-release") => String::new(),
        Err(_) => return None,
    };
    // Fedora counts its releases otherwise.
    let version = major(&release).filter(|_| !release.starts_with("Fedora"));
    Some(format!("redhat{}", version.unwrap_or_default()))
}

/// The 9 of "Rocky Linux release 9.4 (Blue Onyx)".
fn major(release: &str) -> Option<&str> {
    let (_, version) = release.split_once("release ")?;
    let end = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    (end > 0).then(|| &version[..end])
}

/// By what stands on its disk.
fn bsd(root: &Root) -> Option<&'static str> {
    if root.exists("/bin/freebsd-version") || root.exists("/usr/local/etc/rc.d") {
        Some("freebsd")
    } else if root.exists("/usr/pkg") {
        Some("pkgsrc")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    /// The platform of a system with these files.
    fn of(name: &str, files: &[(&str, &str)]) -> String {
        let directory =
            std::env::temp_dir().join(format!("millstream-platform-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        for (path, text) in files {
            let path = directory.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found = platform(&Root::new(&directory));
        fs::remove_dir_all(directory).unwrap();
        found
    }

    #[test]
    fn a_system_is_known_by_its_files() {
        assert_eq!(of("debian", &[("etc/debian_version", "12.11\n")]), "debian");
        assert_eq!(of("freebsd", &[("bin/freebsd-version", ""), ("usr/pkg/x", "")]), "freebsd");
        assert_eq!(of("rc", &[("usr/local/etc/rc.d/milter-greylist", "")]), "freebsd");
        assert_eq!(of("pkgsrc", &[("usr/pkg/etc/rc.d/milter-greylist", "")]), "pkgsrc");
        assert_eq!(of("empty", &[]), "unknown");
        // To be there is not enough.
        assert_eq!(of("dpkg", &[("usr/bin/dpkg", "")]), "unknown");
    }

    #[test]
    fn red_hat_and_its_kin_have_their_major_version() {
        let release = |text| of("release", &[("etc/redhat-release", text)]);
        assert_eq!(release("CentOS Linux release 7.9.2009 (Core)\n"), "redhat7");
        assert_eq!(release("Rocky Linux release 9.4 (Blue Onyx)\n"), "redhat9");
        assert_eq!(release("AlmaLinux release 10.0 (Purple Lion)\n"), "redhat10");
        assert_eq!(release("Fedora release 41 (Forty One)\n"), "redhat");
        assert_eq!(release("something else\n"), "redhat");
    }
}
