//! Whether the user who serves can connect to the unix sockets of milters, and which group would do.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use millstream_config::{Configuration, Milter, Security};
use millstream_service::Identity;
use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};

use crate::settings;

/// May enter a folder.
const ENTER: u32 = 0o1;
/// May connect to a socket.
const CONNECT: u32 = 0o2;

/// A user with the groups that count.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    name: String,
    uid: u32,
    groups: Vec<u32>,
    /// Nobody is configured.
    by_default: bool,
}

/// A socket that cannot be connected to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreachable {
    /// The milter.
    pub(crate) milter: String,
    /// It is not there, which it may be when the milter runs.
    pub(crate) is_missing: bool,
    /// Why, and what to do.
    pub(crate) text: String,
}

impl Who {
    /// Who serves with these settings; `None` where there is no such user, which is told elsewhere.
    pub(crate) fn configured(security: &Security) -> Option<Self> {
        if security.effective_user.is_none() && !geteuid().is_root() {
            return Some(Self::this_process());
        }
        settings::wish(security).look_up().ok().map(|identity| Self::of(&identity))
    }

    /// Who serves after giving up root.
    pub(crate) fn of(identity: &Identity) -> Self {
        Self {
            name: identity.user.name.clone(),
            uid: identity.user.uid.as_raw(),
            groups: identity.groups().into_iter().map(Gid::as_raw).collect(),
            by_default: identity.by_default,
        }
    }

    /// Who serves now.
    pub(crate) fn this_process() -> Self {
        let uid = geteuid();
        let groups = nix::unistd::getgroups().unwrap_or_default();
        Self {
            name: user_name(uid.as_raw()),
            uid: uid.as_raw(),
            groups: groups.into_iter().chain([getegid()]).map(Gid::as_raw).collect(),
            by_default: false,
        }
    }

    /// The unix sockets of enabled milters that it cannot connect to.
    pub(crate) fn cannot_reach(&self, configuration: &Configuration) -> Vec<Unreachable> {
        let enabled = configuration.milters.iter().filter(|milter| milter.enabled);
        enabled.flat_map(|milter| self.cannot_reach_of(milter)).collect()
    }

    /// Those of one milter.
    pub(crate) fn cannot_reach_of(&self, milter: &Milter) -> Vec<Unreachable> {
        let sockets = milter.connection_specs.iter().filter_map(|spec| Some((spec, spec.unix_path()?)));
        let closed = sockets.filter_map(|(spec, path)| {
            let (is_missing, reason) = self.obstacle(path)?;
            let place = milter.locations.get("connection_spec").or(milter.location.as_ref());
            let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
            let text =
                format!("{place}milter {:?}: {} cannot connect to {spec}: {reason}", milter.name, self.name);
            Some(Unreachable { milter: milter.name.clone(), is_missing, text })
        });
        closed.collect()
    }

    /// What is in the way of connecting to `path`, and whether that is only that nothing is there.
    fn obstacle(&self, path: &Path) -> Option<(bool, String)> {
        let mut joined = Vec::new();
        let mut closed = Vec::new();
        let mut ancestors: Vec<_> = path.ancestors().skip(1).collect();
        ancestors.reverse();
        let steps = ancestors.into_iter().map(|folder| (folder, ENTER)).chain([(path, CONNECT)]);
        for (place, needed) in steps {
            let metadata = match fs::metadata(place) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == ErrorKind::NotFound && closed.is_empty() => {
                    return Some((true, format!("{} is not there; is the milter running?", place.display())));
                }
                // Not there behind something closed, or not for us to see: no more is known.
                Err(_) => break,
            };
            if needed == CONNECT && !metadata.file_type().is_socket() {
                return Some((false, format!("{} is no socket", place.display())));
            }
            if self.may(&metadata, needed, &joined) {
                continue;
            }
            closed.push(told(place, &metadata));
            // The owner's own permissions count for the owner, whatever its groups.
            if metadata.mode() >> 3 & needed == 0 || metadata.uid() == self.uid {
                let advice = "no group would help; change the mode, or where the milter listens";
                return Some((false, format!("{}; {advice}", closed.join(", "))));
            }
            joined.push(metadata.gid());
        }
        (!closed.is_empty()).then(|| (false, format!("{}; {}", closed.join(", "), self.advice(&joined))))
    }

    fn may(&self, metadata: &Metadata, needed: u32, joined: &[u32]) -> bool {
        let mode = metadata.mode();
        let class = if metadata.uid() == self.uid {
            mode >> 6
        } else if self.groups.contains(&metadata.gid()) || joined.contains(&metadata.gid()) {
            mode >> 3
        } else {
            mode
        };
        class & needed == needed
    }

    fn advice(&self, groups: &[u32]) -> String {
        let groups: Vec<_> = groups.iter().map(|group| group_name(*group)).collect();
        if self.by_default {
            let groups = groups.join(" and ");
            return format!(
                "have it serve as a user of its own (security.effective_user) that is in group {groups}"
            );
        }
        let commands: Vec<_> = groups.iter().map(|group| join(group, &self.name)).collect();
        format!("{}, and restart milter-manager", commands.join(" && "))
    }
}

/// The command that puts a user into a group.
fn join(group: &str, user: &str) -> String {
    if cfg!(target_os = "freebsd") {
        format!("pw groupmod {group} -m {user}")
    } else {
        format!("usermod -aG {group} {user}")
    }
}

fn told(place: &Path, metadata: &Metadata) -> String {
    format!(
        "{} belongs to {}:{} with mode {:04o}",
        place.display(),
        user_name(metadata.uid()),
        group_name(metadata.gid()),
        metadata.mode() & 0o7777
    )
}

fn user_name(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

fn group_name(gid: u32) -> String {
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    group.map_or_else(|| gid.to_string(), |group| group.name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use super::*;

    /// A folder with a socket in it; whoever runs the test owns both.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str, folder: u32, socket: u32) -> Self {
            let path = std::env::temp_dir().join(format!("millstream-reach-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            drop(UnixListener::bind(path.join("s")).unwrap());
            fs::set_permissions(path.join("s"), fs::Permissions::from_mode(socket)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(folder)).unwrap();
            Self(path)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700));
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Somebody else than the owner.
    fn somebody(groups: &[u32]) -> Who {
        let uid = geteuid().as_raw() + 1;
        Who { name: "milter-manager".to_owned(), uid, groups: groups.to_vec(), by_default: false }
    }

    fn own_group() -> (u32, String) {
        let gid = getegid().as_raw();
        (gid, group_name(gid))
    }

    #[test]
    fn a_folder_for_its_group_names_the_group_to_join() {
        let place = Place::new("folder", 0o750, 0o660);
        let (gid, group) = own_group();
        let (is_missing, text) = somebody(&[]).obstacle(&place.0.join("s")).unwrap();
        assert!(!is_missing);
        let owner = user_name(geteuid().as_raw());
        let expected = format!(
            "{} belongs to {owner}:{group} with mode 0750; {}, and restart milter-manager",
            place.0.display(),
            join(&group, "milter-manager")
        );
        assert_eq!(text, expected);
        assert_eq!(somebody(&[gid]).obstacle(&place.0.join("s")), None);
    }

    #[test]
    fn a_socket_for_its_owner_alone_is_helped_by_no_group() {
        let place = Place::new("socket", 0o755, 0o700);
        let (gid, _) = own_group();
        let (_, text) = somebody(&[gid]).obstacle(&place.0.join("s")).unwrap();
        assert!(text.contains("/s belongs to ") && text.contains("no group would help"), "{text}");
    }

    #[test]
    fn what_is_not_there_may_come() {
        let place = Place::new("missing", 0o755, 0o666);
        let (is_missing, text) = somebody(&[]).obstacle(&place.0.join("other")).unwrap();
        assert!(is_missing && text.ends_with("/other is not there; is the milter running?"), "{text}");
        assert_eq!(somebody(&[]).obstacle(&place.0.join("s")), None);
        fs::write(place.0.join("file"), "").unwrap();
        assert!(somebody(&[]).obstacle(&place.0.join("file")).unwrap().1.ends_with("is no socket"));
    }

    #[test]
    fn nobody_is_put_into_no_group() {
        let place = Place::new("nobody", 0o750, 0o660);
        let who = Who { by_default: true, ..somebody(&[]) };
        let (_, text) = who.obstacle(&place.0.join("s")).unwrap();
        assert!(text.contains("a user of its own (security.effective_user)"), "{text}");
    }
}
