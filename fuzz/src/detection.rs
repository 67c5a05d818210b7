//! Any files below a root, any detector: no panic and no rest that never comes; the same files are found alike; what is found names lines
//! that are there, and paths below the root; nobody is told more than can be read.
//!
//! The input is a candidate, and behind it files as the trees of the tests have them: `=== /path` begins one, `=== /path -> target` is
//! a link.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use millstream_detection::{Detector, Evidence, Host, Report, Root, detect};

const DETECTORS: [Detector; 9] = [
    Detector::Debian,
    Detector::DebianInit,
    Detector::DebianSystemd,
    Detector::RedHat,
    Detector::RedHatInit,
    Detector::RedHatUpstart,
    Detector::RedHatSystemd,
    Detector::FreeBsd,
    Detector::Pkgsrc,
];

/// More files, parts of a path and bytes in a part than a tree has here.
const MAX_FILES: usize = 24;
const MAX_PARTS: usize = 10;
const MAX_PART: usize = 80;
/// More milters and warnings than an administrator reads about one candidate, and more of a line than is shown.
const MAX_MILTERS: usize = 64;
const MAX_WARNINGS: usize = 50;
const MAX_SAYS: usize = 400;

pub fn detection(data: &[u8]) {
    let mut sections = split(data).into_iter();
    let candidate = sections.next().unwrap_or_default();
    let Ok(candidate) = std::str::from_utf8(candidate.trim_ascii()) else { return };
    let tree = Folder::new();
    for is_link in [false, true] {
        for section in sections.clone().take(MAX_FILES) {
            // What cannot be made is not there.
            let _ = tree.make(section, is_link);
        }
    }
    let host = Host { root: Root::new(&tree.0), ..Host::default() };
    for detector in DETECTORS {
        let report = detect(detector, &host, candidate, &mut |_, _| None);
        check(&report, &host.root, &tree.0);
        assert_eq!(report, detect(detector, &host, candidate, &mut |_, _| None), "{detector:?} twice");
    }
}

fn check(report: &Report, root: &Root, folder: &Path) {
    assert!(report.milters.len() <= MAX_MILTERS, "{} milters", report.milters.len());
    assert!(report.warnings.len() <= MAX_WARNINGS, "{} warnings", report.warnings.len());
    let folder = folder.to_str().unwrap_or_default();
    for found in &report.milters {
        assert!(found.connection_spec_by.is_none() || found.connection_spec.is_some());
        assert!(
            found.connection_spec.as_ref().is_none_or(|spec| !spec.trim().is_empty() && !spec.contains('\n'))
        );
        for evidence in found.connection_spec_by.iter().chain([&found.enabled_by]) {
            check_evidence(evidence, root);
            assert!(!evidence.to_string().contains(folder), "{evidence}");
        }
    }
    for warning in &report.warnings {
        assert!(!warning.text.is_empty() && !warning.to_string().contains(folder), "{warning}");
    }
    assert!(report.looked.iter().all(|looked| !looked.path.contains(folder)), "{:?}", report.looked);
}

fn check_evidence(evidence: &Evidence, root: &Root) {
    assert!(evidence.says.len() <= MAX_SAYS, "{} bytes of a line", evidence.says.len());
    let Some(line) = evidence.line else { return };
    let text = root.read(&evidence.path).unwrap_or_else(|_| panic!("{evidence} names no file"));
    assert!((1..=text.lines().count()).contains(&(line as usize)), "{evidence} names no line");
}

/// What stands before the first file, and the files.
fn split(data: &[u8]) -> Vec<&[u8]> {
    const BEGIN: &[u8] = b"\n=== ";
    let mut sections = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(BEGIN.len()).position(|window| window == BEGIN) {
        sections.push(&rest[..at]);
        rest = &rest[at + BEGIN.len()..];
    }
    sections.push(rest);
    sections
}

/// A folder that is gone when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = parent.join(format!("millstream-fuzz-{}-{count}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        Self(folder)
    }

    /// Makes a file or a link. Nothing is made through a link, which may lead out of the folder.
    fn make(&self, section: &[u8], is_link: bool) -> io::Result<()> {
        const ARROW: &[u8] = b" -> ";
        let end = section.iter().position(|byte| *byte == b'\n').unwrap_or(section.len());
        let (head, text) = (&section[..end], section.get(end + 1..).unwrap_or_default());
        let arrow = head.windows(ARROW.len()).position(|window| window == ARROW);
        match arrow {
            Some(at) if is_link => {
                symlink(OsStr::from_bytes(&head[at + ARROW.len()..]), self.path(&head[..at])?)
            }
            None if !is_link => {
                let path = self.path(head)?;
                // Neither over a link.
                fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
                fs::write(path, text)
            }
            _ => Ok(()),
        }
    }

    fn path(&self, path: &[u8]) -> io::Result<PathBuf> {
        let leads = |part: &&[u8]| !matches!(*part, b"" | b"." | b"..");
        let parts: Vec<_> = path.split(|byte| *byte == b'/').filter(leads).take(MAX_PARTS).collect();
        let mut whole = self.0.clone();
        for (at, part) in parts.iter().enumerate() {
            whole.push(OsStr::from_bytes(&part[..part.len().min(MAX_PART)]));
            if at + 1 < parts.len() && !fs::symlink_metadata(&whole).is_ok_and(|is| is.is_dir()) {
                fs::create_dir(&whole)?;
            }
        }
        Ok(whole)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
