//! The files of a system, below a private folder.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::scratch::Scratch;

/// A folder with the files that a text describes, gone when this is dropped.
///
/// A line `=== /path` begins a file, and what follows is in it; `=== /path -> target` is a link; `=== /path (run)` begins a file that
/// may be executed.
#[derive(Debug)]
pub struct Tree {
    scratch: Scratch,
}

impl Tree {
    /// The files of `text`. A file that is described twice is as the last one says.
    ///
    /// # Panics
    /// When the text does not begin with a file, or they cannot be made.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let tree = Self { scratch: Scratch::new("tree") };
        tree.add(text);
        tree
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// Adds the files of another text.
    ///
    /// # Panics
    /// As with [`Tree::new`].
    pub fn add(&self, text: &str) {
        let text = text.trim_start_matches('\n');
        let mut parts = format!("\n{text}").split("\n=== ").map(ToOwned::to_owned).collect::<Vec<_>>();
        assert_eq!(parts.remove(0), "", "a tree begins with a line that names a file");
        for part in parts {
            let (head, text) = part.split_once('\n').unwrap_or((&part, ""));
            if let Some((path, target)) = head.split_once(" -> ") {
                let path = self.on_disk(path);
                let _ = fs::remove_file(&path);
                symlink(target, path).unwrap();
            } else if let Some(path) = head.strip_suffix(" (run)") {
                self.write(path, text);
                fs::set_permissions(self.on_disk(path), fs::Permissions::from_mode(0o755)).unwrap();
            } else {
                self.write(head, text);
            }
        }
    }

    /// Writes a file.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, path: &str, text: &str) {
        let ends = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        fs::write(self.on_disk(path), format!("{text}{ends}")).unwrap();
    }

    /// Changes a line of a file.
    ///
    /// # Panics
    /// When the file has no such line, or cannot be written.
    pub fn change(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.on_disk(path)).unwrap();
        assert!(text.lines().any(|line| line == from), "{path} has no line {from}");
        let changed: Vec<_> = text.lines().map(|line| if line == from { to } else { line }).collect();
        self.write(path, &changed.join("\n"));
    }

    /// Removes a file or link.
    ///
    /// # Panics
    /// When there is none.
    pub fn remove(&self, path: &str) {
        fs::remove_file(self.on_disk(path)).unwrap();
    }

    /// Where a file of the tree is, whose folders are made.
    fn on_disk(&self, path: &str) -> PathBuf {
        let path = path.strip_prefix('/').expect("a path of a tree is absolute");
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }
}
