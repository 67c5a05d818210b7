//! Which files a path in a configuration means.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern, glob_with};

use crate::problem::Complaint;

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
/// `directories`, of which every file is meant; a file in one of them; or a pattern, matched in each of them, where a file
/// stands for those of the same name in the directories behind. Files of one directory are sorted by name.
///
/// A directory that cannot be read is an error: it must not pass for an empty one.
pub(crate) fn resolve(directories: &[PathBuf], path: &str) -> Result<Vec<PathBuf>, Complaint> {
    if Path::new(path).is_absolute() {
        return Ok(vec![PathBuf::from(path)]);
    }
    let candidates = || directories.iter().map(|directory| directory.join(path));
    if let Some(directory) = candidates().find(|candidate| candidate.is_dir()) {
        return files_in(&directory);
    }
    if let Some(file) = candidates().find(|candidate| may_exist(candidate)) {
        return Ok(vec![file]);
    }
    // A copy of a configuration that is tried beside the one that serves is not to be mixed with it.
    let mut names = HashSet::new();
    let mut files = Vec::new();
    for directory in directories {
        for file in matches(directory, path)? {
            let name = file.strip_prefix(directory).unwrap_or(&file).to_owned();
            if names.insert(name) {
                files.push(file);
            }
        }
    }
    Ok(files)
}

/// Whether `path` exists or we may not know: reading it then tells why.
pub(crate) fn may_exist(path: &Path) -> bool {
    path.try_exists().unwrap_or(true)
}

fn files_in(directory: &Path) -> Result<Vec<PathBuf>, Complaint> {
    let unreadable = |error| Complaint::new(format!("{} cannot be read: {error}", directory.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn matches(directory: &Path, pattern: &str) -> Result<Vec<PathBuf>, Complaint> {
    let Some(name) = directory.to_str() else {
        let message = format!("the directory's name is not valid UTF-8: {}", directory.display());
        return Err(Complaint::with_hint(
            message,
            "patterns can only be matched in directories with a name in UTF-8",
        ));
    };
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let found = glob_with(&format!("{}/{pattern}", Pattern::escape(name)), options)
        .map_err(|error| Complaint::new(format!("{pattern} is not a pattern of file names: {error}")))?;
    let mut files = Vec::new();
    for path in found {
        let path = path.map_err(|error| {
            Complaint::new(format!("{} cannot be read: {}", error.path().display(), error.error()))
        })?;
        if !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
