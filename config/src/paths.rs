//! Which files a path in a configuration means.

use std::fs;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern, glob_with};

/// The main file: a regular file, as named when absolute, else the first one in `directories`.
pub(crate) fn find_main(directories: &[PathBuf], file: &Path) -> Option<PathBuf> {
    if file.is_absolute() {
        return file.is_file().then(|| file.to_owned());
    }
    directories.iter().map(|directory| directory.join(file)).find(|path| path.is_file())
}

/// The files that `load path` means, in the order in which they are loaded; empty when there are none.
///
/// An absolute path is that file, whether it exists or not. A relative one is, in this order: a directory in one of
/// `directories`, of which every file is meant; a file in one of them; or a pattern, matched in each of them.
/// Files of one directory are sorted by name.
pub(crate) fn resolve(directories: &[PathBuf], path: &str) -> Vec<PathBuf> {
    if Path::new(path).is_absolute() {
        return vec![PathBuf::from(path)];
    }
    let candidates = || directories.iter().map(|directory| directory.join(path));
    if let Some(directory) = candidates().find(|candidate| candidate.is_dir()) {
        return files_in(&directory);
    }
    if let Some(file) = candidates().find(|candidate| candidate.exists()) {
        return vec![file];
    }
    directories.iter().flat_map(|directory| matches(directory, path)).collect()
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(|path| !path.is_dir()).collect();
    files.sort();
    files
}

fn matches(directory: &Path, pattern: &str) -> Vec<PathBuf> {
    let Some(directory) = directory.to_str() else { return Vec::new() };
    let whole = format!("{}/{pattern}", Pattern::escape(directory));
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let found = glob_with(&whole, options).into_iter().flatten().flatten();
    let mut files: Vec<_> = found.filter(|path| !path.is_dir()).collect();
    files.sort();
    files
}
