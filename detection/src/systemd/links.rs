//! The links by which a unit is enabled.

use super::directories::{DIRECTORIES, ETC, RUN};
use crate::root::Root;

/// What the links say of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Links {
    /// The link of the administrator by which it is enabled.
    pub(crate) enabled: Option<String>,
    /// One until the next start.
    pub(crate) runtime: Option<String>,
    /// One of the package's own, which counts for units that cannot be enabled.
    pub(crate) shipped: Option<String>,
    /// A link of its own name to a file elsewhere.
    pub(crate) linked: Option<String>,
    /// The same until the next start.
    pub(crate) linked_runtime: Option<String>,
}

/// Looks for links to the unit `name`, whose file is at `path`. With `names`, only links that have one of these count.
///
/// In folders `.wants` and `.requires` the name of a link counts, and not where it leads; beside the units also where it leads.
pub(crate) fn links(root: &Root, name: &str, path: &str, names: Option<&[String]>) -> Links {
    let mut links = Links::default();
    let known = |link: &str| names.is_none_or(|names| names.iter().any(|name| name == link));
    // Beside the units, links of its own name below the directory of its file do not count: the file is before them.
    let mut is_shadowed = false;
    for directory in DIRECTORIES {
        let mut found = None;
        for folder in folders(root, directory) {
            if known(name) && root.link(&format!("{folder}/{name}")).is_some() {
                found = Some(format!("{folder}/{name}"));
                break;
            }
        }
        let mut same_name = None;
        if found.is_none() {
            for link in root.names(directory).unwrap_or_default() {
                let at = format!("{directory}/{link}");
                let Some(target) = root.link(&at) else { continue };
                let leads_here =
                    target.rsplit('/').next() == Some(name) || root.real(&at).as_deref() == Some(path);
                let is_named = !is_shadowed && link == name;
                if is_named && leads_here {
                    same_name = Some(at);
                } else if (is_named || leads_here) && known(&link) {
                    found = Some(at);
                    break;
                }
            }
        }
        let (slot, same_name_slot) = match directory {
            ETC => (&mut links.enabled, Some(&mut links.linked)),
            RUN => (&mut links.runtime, Some(&mut links.linked_runtime)),
            _ => (&mut links.shipped, None),
        };
        if found.is_some() {
            *slot = slot.take().or(found);
        } else if let Some(slot) = same_name_slot {
            *slot = same_name;
        }
        is_shadowed |=
            path.rsplit_once('/').is_some_and(|(parent, _)| root.real(directory).as_deref() == Some(parent));
    }
    links
}

/// The folders of a directory by whose links units are pulled in.
fn folders(root: &Root, directory: &str) -> Vec<String> {
    let names = root.names(directory).unwrap_or_default();
    let pulls_in = |name: &String| name.ends_with(".wants") || name.ends_with(".requires");
    names.into_iter().filter(pulls_in).map(|name| format!("{directory}/{name}")).collect()
}
