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
    /// The configured user or group does not exist, or is root.
    pub fn identity(&self) -> Result<Option<Identity>, PrivilegeError> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        let name = self.user.unwrap_or(NOBODY);
        let user = match name.parse::<u32>() {
            Ok(number) => User::from_uid(Uid::from_raw(number)),
            Err(_) => User::from_name(name),
        };
        let no_user = || PrivilegeError::NoUser { name: name.to_owned(), setting: self.settings.user };
        let user = user.ok().flatten().ok_or_else(no_user)?;
        if user.uid.is_root() {
            return Err(PrivilegeError::IsRoot { name: name.to_owned(), settings: self.settings });
        }
        let group = match self.group {
            None => user.gid,
            Some(name) => {
                let group = match name.parse::<u32>() {
                    Ok(number) => Group::from_gid(Gid::from_raw(number)),
                    Err(_) => Group::from_name(name),
                };
                let no_group =
                    || PrivilegeError::NoGroup { name: name.to_owned(), setting: self.settings.group };
                group.ok().flatten().ok_or_else(no_group)?.gid
            }
        };
        Ok(Some(Identity { user, group, by_default: self.user.is_none() }))
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

impl Identity {
    /// A user with the groups that are its own.
    #[must_use]
    pub fn of(user: User) -> Self {
        Self { group: user.gid, user, by_default: false }
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

#[cfg(test)]
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
}
