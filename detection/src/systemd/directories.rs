//! Where a unit and its drop-ins are found.

use super::unit::{Entry, entries};
use crate::root::Root;
use crate::survey::Survey;

/// Where the administrator's units and links are.
pub(crate) const ETC: &str = "/etc/systemd/system";
/// Where those until the next start are.
pub(crate) const RUN: &str = "/run/systemd/system";
/// Where those of packages are.
pub(crate) const PACKAGES: &str = "/usr/lib/systemd/system";
/// The directories of units: the first one that has a file counts.
pub(crate) const DIRECTORIES: [&str; 5] =
    [ETC, RUN, "/usr/local/lib/systemd/system", PACKAGES, "/lib/systemd/system"];
/// How many drop-ins of a unit are read.
const MAX_DROP_INS: usize = 64;

/// A unit's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fragment {
    /// There is none.
    Missing,
    /// An empty file or a link to `/dev/null`: the unit cannot be started.
    Masked {
        /// The file or link.
        path: String,
    },
    /// The file at `path`.
    File {
        /// Where it was found.
        path: String,
        /// The unit's name, and the file's: another one than was asked for when that is an alias.
        name: String,
        /// Where the file is when it was found through a link that leads out of the directories of units.
        linked: Option<String>,
    },
}

/// Finds the file of the unit `name`, through the links that make it an alias of another.
pub(crate) fn fragment(survey: &mut Survey<'_>, name: &str) -> Fragment {
    for directory in DIRECTORIES {
        let path = format!("{directory}/{name}");
        let root = survey.root();
        let Some(real) = root.real(&path) else { continue };
        let exists = root.exists(&path);
        if exists || root.link(&path).is_some() {
            survey.look(&path, exists);
        }
        if real == "/dev/null" {
            return Fragment::Masked { path };
        }
        if !exists {
            continue;
        }
        if root.read(&path).is_ok_and(|text| text.is_empty()) {
            return Fragment::Masked { path };
        }
        let (parent, file) = real.rsplit_once('/').unwrap_or_default();
        if is_unit_directory(root, parent) {
            return Fragment::File { path: real.clone(), name: file.to_owned(), linked: None };
        }
        let linked = root.link(&path).is_some().then(|| real.clone());
        return Fragment::File { path, name: name.to_owned(), linked };
    }
    Fragment::Missing
}

/// The lines of a unit's file and of its drop-ins, in the order in which they count.
pub(crate) fn read(survey: &mut Survey<'_>, path: &str, name: &str) -> Vec<Entry> {
    let mut lines = survey.read(path).map(|text| entries(path, &text)).unwrap_or_default();
    for path in drop_ins(survey, name) {
        lines.extend(survey.read(&path).map(|text| entries(&path, &text)).unwrap_or_default());
    }
    lines
}

/// The drop-ins of a unit, by their names: of two with one name that of the earlier directory counts, of a directory for the unit before
/// one for its kin.
fn drop_ins(survey: &Survey<'_>, name: &str) -> Vec<String> {
    let (stem, kind) = name.rsplit_once('.').unwrap_or((name, "service"));
    let mut folders = vec![format!("{name}.d")];
    let dashes = stem.rmatch_indices('-').map(|(at, _)| format!("{}.{kind}.d", &stem[..=at]));
    folders.extend(dashes.filter(|folder| *folder != format!("{name}.d")));
    folders.push(format!("{kind}.d"));
    let mut found: Vec<(String, String)> = Vec::new();
    for folder in folders {
        for directory in DIRECTORIES {
            let folder = format!("{directory}/{folder}");
            for file in survey.root().names(&folder).unwrap_or_default() {
                if file.ends_with(".conf") && !found.iter().any(|(name, _)| *name == file) {
                    found.push((file.clone(), format!("{folder}/{file}")));
                }
            }
        }
    }
    found.sort();
    found.truncate(MAX_DROP_INS);
    let is_masked = |path: &String| survey.root().real(path).is_none_or(|real| real == "/dev/null");
    found.into_iter().map(|(_, path)| path).filter(|path| !is_masked(path)).collect()
}

/// Whether `directory`, links followed, is one of units.
pub(crate) fn is_unit_directory(root: &Root, directory: &str) -> bool {
    DIRECTORIES.iter().any(|unit| root.real(unit).is_some_and(|real| real == directory))
}
