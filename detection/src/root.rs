//! The files of a system, which may lie below a directory: an image, a container, a test.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// The longest file that is read: what is longer is none of those that are looked for.
const MAX_FILE: u64 = 4 << 20;
/// How many links a path may go through, as Linux has it.
const MAX_LINKS: u32 = 40;

/// The root of a system. Paths are those of that system: absolute, and so are the targets of its links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    directory: PathBuf,
}

impl Default for Root {
    /// The running system.
    fn default() -> Self {
        Self::new("/")
    }
}

/// Why a file was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// There is none.
    Missing,
    /// There is one, and this is in the way.
    Odd(String),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Self::Missing,
            _ => Self::Odd(error.to_string()),
        }
    }
}

impl Root {
    /// The system below `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Whether this is the running system.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.directory == Path::new("/")
    }

    /// The text of a regular file. What is not UTF-8 in it is replaced: no key or path that is looked for has such bytes.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(&self, path: &str) -> Result<String, Unread> {
        // Opening a FIFO or a device must not wait.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open(self.resolve(path)?, flags, Mode::empty());
        let file = File::from(opened.map_err(io::Error::from)?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(Unread::Odd("a regular file was expected".to_owned()));
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(Unread::Odd(format!("a file of at most {MAX_FILE} bytes was expected")));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether something is there; a link to nothing is not.
    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        self.resolve(path).is_ok_and(|path| path.exists())
    }

    /// Whether a regular file is there that somebody may execute.
    #[must_use]
    pub fn is_executable(&self, path: &str) -> bool {
        let metadata = self.resolve(path).ok().and_then(|path| fs::metadata(path).ok());
        metadata.is_some_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    }

    /// The names in a directory, sorted; none where there is no such directory. Names that are not UTF-8 are left out.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(&self, directory: &str) -> Result<Vec<String>, Unread> {
        let resolved = match self.resolve(directory) {
            Err(Unread::Missing) => return Ok(Vec::new()),
            resolved => resolved?,
        };
        let entries = match fs::read_dir(resolved).map_err(Unread::from) {
            Err(Unread::Missing) => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    /// What a link says, as it stands there; `None` where there is no link at `path` itself.
    #[must_use]
    pub fn link(&self, path: &str) -> Option<String> {
        let (parent, name) = path.rsplit_once('/')?;
        let parent = self.resolve(if parent.is_empty() { "/" } else { parent }).ok()?;
        fs::read_link(parent.join(name)).ok()?.into_os_string().into_string().ok()
    }

    /// The path without links, as the system has it. The last part need not exist.
    #[must_use]
    pub fn real(&self, path: &str) -> Option<String> {
        let resolved = self.resolve(path).ok()?;
        let below = resolved.strip_prefix(&self.directory).ok()?.to_str()?;
        Some(format!("/{below}"))
    }

    /// The path on this machine, links followed within the root. The last part need not exist.
    ///
    /// # Errors
    /// When there are too many links, or one cannot be read.
    pub fn resolve(&self, path: &str) -> Result<PathBuf, Unread> {
        let mut resolved = self.directory.clone();
        let mut depth = 0_usize;
        let mut links = 0;
        let mut rest: Vec<PathBuf> = parts(Path::new(path));
        while let Some(part) = rest.pop() {
            if part == Path::new("..") {
                if depth > 0 {
                    resolved.pop();
                    depth -= 1;
                }
                continue;
            }
            resolved.push(&part);
            depth += 1;
            let Ok(target) = fs::read_link(&resolved) else { continue };
            links += 1;
            if links > MAX_LINKS {
                return Err(Unread::Odd(format!("at most {MAX_LINKS} links were expected on the way to it")));
            }
            if target.is_absolute() {
                resolved.clone_from(&self.directory);
                depth = 0;
            } else {
                resolved.pop();
                depth -= 1;
            }
            rest.extend(parts(&target));
        }
        Ok(resolved)
    }
}

/// The parts of a path that lead somewhere, the last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let leads = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().rev().filter(leads).map(|part| PathBuf::from(part.as_os_str())).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::symlink;

    use super::*;

    fn tree(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("millstream-root-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("etc")).unwrap();
        directory
    }

    #[test]
    fn absolute_links_stay_below_the_root() {
        let directory = tree("absolute");
        fs::create_dir_all(directory.join("usr/lib")).unwrap();
        fs::write(directory.join("usr/lib/unit"), "below").unwrap();
        symlink("/usr/lib", directory.join("lib")).unwrap();
        symlink("/lib/unit", directory.join("etc/unit")).unwrap();
        symlink("../../../../lib/unit", directory.join("etc/far")).unwrap();
        let root = Root::new(&directory);
        assert_eq!(root.read("/etc/unit").unwrap(), "below");
        assert_eq!(root.read("/etc/far").unwrap(), "below");
        assert_eq!(root.link("/etc/unit").as_deref(), Some("/lib/unit"));
        assert_eq!(root.link("/etc").as_deref(), None);
        assert_eq!(root.names("/etc").unwrap(), ["far", "unit"]);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn what_is_no_file_is_told_and_does_not_wait() {
        let directory = tree("odd");
        symlink("round", directory.join("etc/round")).unwrap();
        symlink("nothing", directory.join("etc/dangling")).unwrap();
        let fifo = directory.join("etc/fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let root = Root::new(&directory);
        assert_eq!(root.read("/etc/none"), Err(Unread::Missing));
        assert_eq!(root.read("/etc/dangling"), Err(Unread::Missing));
        assert!(!root.exists("/etc/dangling"));
        assert!(matches!(root.read("/etc/round"), Err(Unread::Odd(text)) if text.contains("40 links")));
        assert!(matches!(root.read("/etc/fifo"), Err(Unread::Odd(text)) if text.contains("regular file")));
        assert!(matches!(root.read("/etc"), Err(Unread::Odd(_))));
        fs::remove_dir_all(directory).unwrap();
    }
}
