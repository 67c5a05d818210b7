//! `defaults/*.conf` where no such file is installed: a copy of those in `config/etc`, which packages install.

macro_rules! file {
    ($name:literal) => {
        ($name, include_str!(concat!("../../etc/milter-manager/", $name)))
    };
}

/// What stands before the name of a built-in file where others have their directory.
const PLACE: &str = "<built-in>/";

const FILES: &[(&str, &str)] = &[
    file!("defaults/debian.conf"),
    file!("defaults/redhat.conf"),
    // Loads the file before it, and stands for all releases.
    file!("defaults/redhat10.conf"),
    file!("defaults/freebsd.conf"),
    file!("defaults/pkgsrc.conf"),
];

/// The place and text of the file that a configuration loads by this name.
pub(super) fn file(path: &str) -> Option<(String, &'static str)> {
    let release = path.strip_prefix("defaults/redhat").and_then(|rest| rest.strip_suffix(".conf"));
    let is_release = |release: &str| !release.is_empty() && release.bytes().all(|byte| byte.is_ascii_digit());
    let known = if release.is_some_and(is_release) { "defaults/redhat10.conf" } else { path };
    let (_, text) = FILES.iter().find(|(name, _)| *name == known)?;
    Some((format!("{PLACE}{path}"), text))
}
