//! Whether root alone can change a file: what it says is then root's own word.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Write permission of the group and of all others.
const OTHERS_WRITE: u32 = 0o022;

/// In a folder with this, nobody can replace what is another's.
const STICKY: u32 = 0o1000;

/// Tells why somebody else than root could change what is read from `path`.
pub(super) fn doubt(path: &Path) -> Option<String> {
    let real = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) => return Some(format!("{} cannot be looked at: {error}", path.display())),
    };
    // A link can be made to lead elsewhere by whom its folder belongs to.
    let folders = path.parent().map(Path::to_path_buf).into_iter();
    let folders = folders.filter_map(|folder| fs::canonicalize(folder).ok());
    let ancestors = |path: &Path| path.ancestors().map(Path::to_path_buf).collect::<Vec<PathBuf>>();
    let all = folders.flat_map(|folder| ancestors(&folder)).chain(ancestors(&real));
    all.into_iter().find_map(|place| doubt_about(&place))
}

fn doubt_about(place: &Path) -> Option<String> {
    let found = match fs::metadata(place) {
        Ok(found) => found,
        Err(error) => return Some(format!("{} cannot be looked at: {error}", place.display())),
    };
    if found.uid() != 0 {
        return Some(format!("{} belongs to another user than root", place.display()));
    }
    let sticky = found.is_dir() && found.mode() & STICKY != 0;
    (found.mode() & OTHERS_WRITE != 0 && !sticky).then(|| {
        format!("{} can be written by others than root (mode {:o})", place.display(), found.mode() & 0o7777)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    /// A folder of root's, where the tests run as root.
    fn folder(name: &str) -> Option<PathBuf> {
        let folder = PathBuf::from(format!("/run/millstream-trust-{}-{name}", std::process::id()));
        let made = fs::create_dir(&folder);
        (made.is_ok() && doubt(&folder).is_none()).then_some(folder)
    }

    #[test]
    fn what_root_alone_can_change_is_believed_and_nothing_else() {
        let Some(folder) = folder("files") else { return };
        let (file, link) = (folder.join("file"), folder.join("link"));
        fs::write(&file, "x").unwrap();
        symlink(&file, &link).unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(&file, 0o644);
        assert_eq!((doubt(&file), doubt(&link)), (None, None));

        for (place, bad, good) in [(&file, 0o664, 0o644), (&file, 0o646, 0o644), (&folder, 0o777, 0o755)] {
            mode(place, bad);
            for path in [&file, &link] {
                assert!(doubt(path).unwrap().contains("can be written by others than root"), "{path:?}");
            }
            mode(place, good);
        }
        mode(&folder, 0o1777);
        assert_eq!(doubt(&file), None);
        mode(&folder, 0o755);

        chown(&file, Some(65534), None).unwrap();
        assert!(doubt(&link).unwrap().contains("belongs to another user than root"));
        chown(&file, Some(0), None).unwrap();
        assert!(doubt(&folder.join("none")).unwrap().contains("cannot be looked at"));

        // A link in a folder of somebody else may lead to the right file today.
        let theirs = folder.join("theirs");
        fs::create_dir(&theirs).unwrap();
        symlink(&file, theirs.join("link")).unwrap();
        chown(&theirs, Some(65534), None).unwrap();
        assert!(doubt(&theirs.join("link")).is_some());
        fs::remove_dir_all(&folder).unwrap();
    }
}
