//! Giving up root before the first byte comes from outside.

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, initgroups, setgid, setuid};

use crate::Settings;

/// Used when no user is configured, as milter manager does.
const NOBODY: &str = "nobody";

/// Why privileges cannot be given up.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// There is no such user.
    #[error("failed to drop privilege: no such user: {name} ({setting})")]
    NoUser {
        /// As it was asked for.
        name: String,
        /// Where that was.
        setting: &'static str,
    },
    /// There is no such group.
    #[error("failed to drop privilege: no such group: {name} ({setting})")]
    NoGroup {
        /// As it was asked for.
        name: String,
        /// Where that was.
        setting: &'static str,
    },
    /// The user is root.
    #[error("failed to drop privilege: {} is {name}, and {} does not serve as root", .settings.user, .settings.program)]
    IsRoot {
        /// As it was asked for.
        name: String,
        /// Whose settings these are.
        settings: &'static Settings,
    },
    /// Root can be had again afterwards.
    #[error("failed to drop privilege: as {name} root can be regained")]
    Regained {
        /// The user.
        name: String,
    },
    /// The operating system refuses.
    #[error("failed to drop privilege: {what}: {error}")]
    System {
        /// The call.
        what: &'static str,
        /// Its error.
        error: nix::Error,
    },
}

/// Whom a program is to become when it is started as root: names or numbers.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'c> {
    /// The user; nobody where there is none.
    pub user: Option<&'c str>,
    /// The group; the user's where there is none.
    pub group: Option<&'c str>,
    /// What these settings are called.
    pub settings: &'static Settings,
}

/// Whom the process becomes.
#[derive(Debug)]
pub struct Identity {
    /// The user.
    pub user: User,
    group: Gid,
    /// No user was configured.
    pub by_default: bool,
}

impl Wish<'_> {
    /// Finds out whom to become: nobody to be found means that the process is not root and stays who it is.
    ///
    /// # Errors
    ///
    /// See [`look_up`](Self::look_up).
    pub fn identity(&self) -> Result<Option<Identity>, PrivilegeError> {
        if geteuid().is_root() { self.look_up().map(Some) } else { Ok(None) }
    }

    /// Whom a process of root would become.
    ///
    /// # Errors
    ///
    /// The configured user or group does not exist, or is root.
    pub fn look_up(&self) -> Result<Identity, PrivilegeError> {
        let name = self.user.unwrap_or(NOBODY);
        let no_user = || PrivilegeError::NoUser { name: name.to_owned(), setting: self.settings.user };
        let user = find_user(name).ok_or_else(no_user)?;
        if user.uid.is_root() {
            return Err(PrivilegeError::IsRoot { name: name.to_owned(), settings: self.settings });
        }
        let group = match self.group {
            None => user.gid,
            Some(name) => {
                let no_group =
                    || PrivilegeError::NoGroup { name: name.to_owned(), setting: self.settings.group };
                find_group(name).ok_or_else(no_group)?.gid
            }
        };
        Ok(Identity { user, group, by_default: self.user.is_none() })
    }

    /// What is configured and cannot be had because the process is not root: a sentence for the log.
    #[must_use]
    pub fn unheeded(&self) -> Option<String> {
        let (uid, gid) = (geteuid(), getegid());
        if uid.is_root() {
            return None;
        }
        let user = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
        let group = Group::from_gid(gid).ok().flatten().map_or_else(|| gid.to_string(), |group| group.name);
        self.unheeded_by((&user, uid), (&group, gid))
    }

    fn unheeded_by(&self, user: (&str, Uid), group: (&str, Gid)) -> Option<String> {
        let is = |wanted: &str, name: &str, number: u32| wanted == name || wanted == number.to_string();
        let user_fits = self.user.is_none_or(|name| is(name, user.0, user.1.as_raw()));
        let group_fits = self.group.is_none_or(|name| is(name, group.0, group.1.as_raw()));
        let settings = match (user_fits, group_fits) {
            (true, true) => return None,
            (false, true) => self.settings.user.to_owned(),
            (true, false) => self.settings.group.to_owned(),
            (false, false) => format!("{} and {}", self.settings.user, self.settings.group),
        };
        Some(format!("not started as root, so without {settings}: running as {}, group {}", user.0, group.0))
    }
}

/// The user of a name, or of a number.
#[must_use]
pub fn find_user(text: &str) -> Option<User> {
    let found = match text.parse::<u32>() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(text),
    };
    found.ok().flatten()
}

fn find_group(text: &str) -> Option<Group> {
    let found = match text.parse::<u32>() {
        Ok(number) => Group::from_gid(Gid::from_raw(number)),
        Err(_) => Group::from_name(text),
    };
    found.ok().flatten()
}

impl Identity {
    /// A user with the groups that are its own.
    #[must_use]
    pub fn of(user: User) -> Self {
        Self { group: user.gid, user, by_default: false }
    }

    /// All groups that the process is in when it has [become](Self::become_it) that user: the one that it serves as, and those
    /// that have the user as a member.
    #[must_use]
    pub fn groups(&self) -> Vec<Gid> {
        groups_of(&self.user, self.group)
    }

    /// Becomes that user for good.
    ///
    /// # Errors
    ///
    /// The operating system refuses, or root could be regained.
    pub fn assume(&self) -> Result<(), PrivilegeError> {
        self.become_it()?;
        match setuid(Uid::from_raw(0)) {
            Err(_) => Ok(()),
            Ok(()) => Err(PrivilegeError::Regained { name: self.user.name.clone() }),
        }
    }

    /// Becomes that user, who may be root.
    ///
    /// # Errors
    ///
    /// The operating system refuses, or root could be regained by somebody else.
    pub fn become_it(&self) -> Result<(), PrivilegeError> {
        let failed = |what| move |error| PrivilegeError::System { what, error };
        let name = std::ffi::CString::new(self.user.name.as_str()).unwrap_or_default();
        setgid(self.group).map_err(failed("setgid"))?;
        initgroups(&name, self.group).map_err(failed("initgroups"))?;
        setuid(self.user.uid).map_err(failed("setuid"))?;
        if !self.user.uid.is_root() && setuid(Uid::from_raw(0)).is_ok() {
            return Err(PrivilegeError::Regained { name: self.user.name.clone() });
        }
        Ok(())
    }
}

#[cfg(not(target_vendor = "apple"))]
fn groups_of(user: &User, group: Gid) -> Vec<Gid> {
    let name = std::ffi::CString::new(user.name.as_str());
    let groups = name.ok().and_then(|name| nix::unistd::getgrouplist(&name, group).ok());
    groups.unwrap_or_else(|| vec![group])
}

/// That one only: nobody has asked for more there.
#[cfg(target_vendor = "apple")]
fn groups_of(_user: &User, group: Gid) -> Vec<Gid> {
    vec![group]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;
    use crate::SETTINGS;

    fn unheeded_by_nobody(user: Option<&str>, group: Option<&str>) -> Option<String> {
        let wish = Wish { user, group, settings: &SETTINGS };
        wish.unheeded_by(("nobody", Uid::from_raw(65534)), ("nogroup", Gid::from_raw(65534)))
    }

    #[test]
    fn another_user_or_group_cannot_be_had_without_root() {
        assert_eq!(
            unheeded_by_nobody(Some("filter"), None).as_deref(),
            Some("not started as root, so without security.effective_user: running as nobody, group nogroup")
        );
        assert!(unheeded_by_nobody(None, Some("mail")).is_some());
        assert!(unheeded_by_nobody(Some("filter"), Some("mail")).is_some());
    }

    #[test]
    fn who_is_that_user_already_misses_nothing() {
        assert_eq!(unheeded_by_nobody(None, None), None);
        assert_eq!(unheeded_by_nobody(Some("nobody"), Some("nogroup")), None);
        assert_eq!(unheeded_by_nobody(Some("65534"), Some("65534")), None);
    }

    #[test]
    fn a_user_is_found_by_name_and_by_number_and_a_group_of_ones_own_replaces_the_users() {
        let nobody = Wish { user: None, group: None, settings: &SETTINGS }.look_up().unwrap();
        assert!(nobody.by_default);
        let number = nobody.user.uid.to_string();
        let root = Group::from_gid(Gid::from_raw(0)).unwrap().unwrap();
        for group in ["0", &root.name] {
            let wish = Wish { user: Some(&number), group: Some(group), settings: &SETTINGS };
            let identity = wish.look_up().unwrap();
            assert_eq!(identity.user, nobody.user);
            assert!(identity.groups().contains(&root.gid));
            assert!(!identity.groups().contains(&nobody.user.gid), "its own is given up");
        }
        assert!(nobody.groups().contains(&nobody.user.gid));
    }

    #[test]
    fn who_is_root_or_not_there_is_refused() {
        let look_up =
            |user, group| Wish { user: Some(user), group, settings: &SETTINGS }.look_up().unwrap_err();
        assert!(matches!(look_up("0", None), PrivilegeError::IsRoot { .. }));
        assert!(matches!(look_up("no-such-user", None), PrivilegeError::NoUser { .. }));
        assert!(matches!(look_up(NOBODY, Some("no-such-group")), PrivilegeError::NoGroup { .. }));
    }
}
