//! Where milter manager's web interface keeps its file: the last directory in which files are looked for.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use millstream_config::{Configuration, LoadOptions};
use nix::unistd::{Uid, User, geteuid};

/// In the home of the user who serves, when nothing is configured.
const DEFAULT: &str = ".milter-manager";

/// A directory that is there. It is not made: nothing of ours is put there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CustomDirectory {
    path: PathBuf,
    /// It is root's, or that of whom this process runs as.
    is_ours: bool,
}

/// The directory as the files have it.
pub(crate) fn of(configuration: &Configuration) -> Option<CustomDirectory> {
    let path = match &configuration.manager.custom_configuration_directory {
        Some(directory) => PathBuf::from(directory),
        None => home(configuration.security.effective_user.as_deref())?.join(DEFAULT),
    };
    let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_dir)?;
    Some(CustomDirectory { path, is_ours: [0, geteuid().as_raw()].contains(&metadata.uid()) })
}

impl CustomDirectory {
    /// `options` with this directory. In one of another user nothing is looked for but the custom file: a file there that `load`
    /// finds could have root start programs.
    pub(crate) fn with(self, options: &LoadOptions) -> LoadOptions {
        let mut options = options.clone();
        if self.is_ours {
            options.config_dirs.push(self.path);
        } else {
            options.custom_dir = Some(self.path);
        }
        options
    }
}

/// The home of `user`, or of whom this process runs as.
fn home(user: Option<&str>) -> Option<PathBuf> {
    let found = match user.map(|user| user.parse::<u32>().map_err(|_| user)) {
        None => User::from_uid(geteuid()),
        Some(Ok(number)) => User::from_uid(Uid::from_raw(number)),
        Some(Err(name)) => User::from_name(name),
    };
    found.ok().flatten().map(|user| user.dir)
}
