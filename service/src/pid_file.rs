//! The process id in a file: the number of the process, for scripts that send it signals.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process;

use crate::Settings;

/// Everybody may read it, whatever the `umask` is.
const MODE: u32 = 0o644;

/// The file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error(
    "failed to write the process id: <{path}>: {error} ({}; the directory has to be writable by {})",
    .settings.pid_file,
    .settings.user
)]
pub struct PidFileError {
    path: String,
    error: io::Error,
    settings: &'static Settings,
}

/// The file of this process. Dropping it removes it.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    removed: bool,
}

impl PidFile {
    /// Writes the file under another name and renames it, so that nobody ever reads half a number.
    ///
    /// # Errors
    ///
    /// It cannot be written or renamed; nothing is left behind then.
    pub fn write(path: &Path, settings: &'static Settings) -> Result<Self, PidFileError> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", process::id()));
        let temporary = PathBuf::from(name);
        let filled = fill(&temporary).and_then(|()| fs::rename(&temporary, path));
        // In the background the working directory is another one by the end.
        let path = filled.and_then(|()| std::path::absolute(path)).map_err(|error| {
            let _ = fs::remove_file(&temporary);
            PidFileError { path: path.display().to_string(), error, settings }
        })?;
        Ok(Self { path, removed: false })
    }

    /// Removes the file, if it still names this process.
    ///
    /// # Errors
    ///
    /// It stays there.
    pub fn remove(mut self) -> Result<(), (PathBuf, io::Error)> {
        self.removed = true;
        remove_ours(&self.path).map_err(|error| (self.path.clone(), error))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if !self.removed {
            let _ = remove_ours(&self.path);
        }
    }
}

fn content() -> String {
    format!("{}\n", process::id())
}

fn fill(path: &Path) -> io::Result<()> {
    // One that a process with the same number has left.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(MODE))?;
    file.write_all(content().as_bytes())
}

fn remove_ours(path: &Path) -> io::Result<()> {
    match fs::read_to_string(path) {
        Ok(text) if text == content() => fs::remove_file(path),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;
    use crate::SETTINGS;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("millstream-pid-{}-{name}", process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn it_replaces_what_was_there_and_leaves_nothing_else() {
        let folder = folder("replace");
        let path = folder.join("m.pid");
        fs::write(&path, "1\n").unwrap();

        let file = PidFile::write(&path, &SETTINGS).unwrap();

        assert_eq!(fs::read_to_string(&path).unwrap(), content());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        file.remove().unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_start_that_fails_later_leaves_no_file() {
        let folder = folder("drop");
        drop(PidFile::write(&folder.join("m.pid"), &SETTINGS).unwrap());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_file_of_another_process_is_not_removed() {
        let folder = folder("other");
        let path = folder.join("m.pid");
        let file = PidFile::write(&path, &SETTINGS).unwrap();
        fs::write(&path, "1\n").unwrap();
        file.remove().unwrap();
        assert!(path.exists());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_written_names_the_setting() {
        let folder = folder("missing");
        let error = PidFile::write(&folder.join("no/m.pid"), &SETTINGS).unwrap_err().to_string();
        assert!(error.contains("no/m.pid>: No such file or directory"), "{error}");
        let advice = "(manager.pid_file; the directory has to be writable by security.effective_user)";
        assert!(error.ends_with(advice), "{error}");
        // A directory stands in the way of the rename.
        assert!(PidFile::write(&folder, &SETTINGS).is_err());
        assert!(!folder.parent().unwrap().read_dir().unwrap().any(|entry| {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            name.starts_with(&format!("millstream-pid-{}-missing.", process::id()))
        }));
        fs::remove_dir_all(&folder).unwrap();
    }
}
