//! Private folders.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::guardian;

/// A folder for one test, or for one MTA, gone when this is dropped.
///
/// Below `/run` and not below the system's temporary folder: opendkim and Sendmail refuse files below a folder that
/// everybody can write, and Postfix' user must be able to walk to the sockets in it.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new one whose name contains `label`.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new(label: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let parent = if fs::metadata("/run").is_ok_and(|run| run.permissions().mode() & 0o022 == 0) {
            Path::new("/run")
        } else {
            Path::new("/var/lib")
        };
        let name = format!("millstream-{label}-{}-{count}", process::id());
        let path = Self::make(&parent.join(&name)).or_else(|| Self::make(&std::env::temp_dir().join(&name)));
        let path = path.expect("a private folder can be made");
        guardian::folder(&path);
        Self { path }
    }

    fn make(path: &Path) -> Option<PathBuf> {
        fs::create_dir(path).ok()?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).ok()?;
        Some(path.to_owned())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file or folder in it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !guardian::keeps_folders() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
