//! Where a unit and its drop-ins are found.

use std::collections::BTreeMap;

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
/// How many links lead to a unit at most.
const MAX_LINKS: u32 = 16;
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

/// Finds the file of the unit `name`, through the links that make it an alias of another. The first directory that has it counts, and a
/// link to another name starts anew with that, wherever it leads itself.
pub(crate) fn fragment(survey: &mut Survey<'_>, name: &str) -> Fragment {
    let mut name = name.to_owned();
    for _ in 0..MAX_LINKS {
        let found =
            DIRECTORIES.into_iter().find_map(|directory| step(survey, format!("{directory}/{name}"), &name));
        match found {
            None => break,
            Some(Step::Ends(fragment)) => return fragment,
            Some(Step::Alias(target)) => name = target,
        }
    }
    Fragment::Missing
}

/// What a file or link of a unit is.
enum Step {
    Ends(Fragment),
    /// Another unit.
    Alias(String),
}

/// What is at `path` for the unit `name`.
fn step(survey: &mut Survey<'_>, mut path: String, name: &str) -> Option<Step> {
    for links in 0..MAX_LINKS {
        let root = survey.root();
        let Some(link) = root.link(&path) else {
            if !root.exists(&path) {
                // A link to nothing hides what later directories have.
                return (links > 0).then_some(Step::Ends(Fragment::Missing));
            }
            survey.look(&path, true);
            return Some(Step::Ends(file(root, path, name, None)));
        };
        let Some(real) = root.real(&path) else { return Some(Step::Ends(Fragment::Missing)) };
        survey.look(&path, root.exists(&path));
        if real == "/dev/null" {
            return Some(Step::Ends(Fragment::Masked { path }));
        }
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let target = if link.starts_with('/') { link } else { format!("{directory}/{link}") };
        let (parent, target_name) = target.rsplit_once('/').unwrap_or_default();
        let parent = root.real(parent)?;
        if !is_unit_directory(root, &parent) {
            let is_there = root.exists(&real);
            return is_there.then(|| Step::Ends(file(root, path, name, Some(real))));
        }
        if target_name != name {
            return Some(Step::Alias(target_name.to_owned()));
        }
        path = format!("{parent}/{target_name}");
    }
    None
}

fn file(root: &Root, path: String, name: &str, linked: Option<String>) -> Fragment {
    if root.read(&path).is_ok_and(|text| text.is_empty()) {
        Fragment::Masked { path }
    } else {
        Fragment::File { path, name: name.to_owned(), linked }
    }
}

/// The lines of a unit's file and of its drop-ins, in the order in which they count.
pub(crate) fn read(survey: &mut Survey<'_>, path: &str, name: &str) -> Vec<Entry> {
    let mut lines = survey.read(path).map(|text| entries(path, &text)).unwrap_or_default();
    lines.extend(drop_ins(survey, name));
    lines
}

/// The lines of a unit's drop-ins.
pub(crate) fn drop_ins(survey: &mut Survey<'_>, name: &str) -> Vec<Entry> {
    let mut lines = Vec::new();
    for path in drop_in_paths(survey, name) {
        lines.extend(survey.read(&path).map(|text| entries(&path, &text)).unwrap_or_default());
    }
    lines
}

/// The drop-ins of a unit, by their names: of two with one name that of the earlier directory counts, of a directory for the unit before
/// one for its kin.
fn drop_in_paths(survey: &Survey<'_>, name: &str) -> Vec<String> {
    let (stem, kind) = name.rsplit_once('.').unwrap_or((name, "service"));
    let mut folders = vec![format!("{name}.d")];
    let dashes = stem.rmatch_indices('-').map(|(at, _)| format!("{}.{kind}.d", &stem[..=at]));
    folders.extend(dashes.filter(|folder| *folder != format!("{name}.d")));
    folders.push(format!("{kind}.d"));
    let mut found = BTreeMap::new();
    for folder in folders {
        for directory in DIRECTORIES {
            let folder = format!("{directory}/{folder}");
            for file in survey.root().names(&folder).unwrap_or_default() {
                if file.ends_with(".conf") {
                    let path = format!("{folder}/{file}");
                    found.entry(file).or_insert(path);
                }
            }
        }
    }
    let is_masked = |path: &String| survey.root().real(path).is_none_or(|real| real == "/dev/null");
    found.into_values().take(MAX_DROP_INS).filter(|path| !is_masked(path)).collect()
}

/// Whether `directory`, links followed, is one of units.
pub(crate) fn is_unit_directory(root: &Root, directory: &str) -> bool {
    DIRECTORIES.iter().any(|unit| root.real(unit).is_some_and(|real| real == directory))
}
