//! Giving up root before the first byte comes from outside.

use millstream_config::Security;
use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, initgroups, setgid, setuid};

/// Used when no user is configured, as milter manager does.
const NOBODY: &str = "nobody";

/// Why privileges cannot be given up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrivilegeError {
    #[error("failed to drop privilege: no such user: {0} (security.effective_user)")]
    NoUser(String),
    #[error("failed to drop privilege: no such group: {0} (security.effective_group)")]
    NoGroup(String),
    #[error(
        "failed to drop privilege: security.effective_user is {0}, and milter-manager does not serve as root"
    )]
    IsRoot(String),
    #[error("failed to drop privilege: {what}: {error}")]
    System { what: &'static str, error: nix::Error },
}

/// Whom the process becomes.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) user: User,
    group: Gid,
    /// No user was configured.
    pub(crate) by_default: bool,
}

/// Finds out whom to become: nobody to be found means that the process is not root and stays who it is.
///
/// # Errors
///
/// The configured user or group does not exist, or is root.
pub(crate) fn identity(security: &Security) -> Result<Option<Identity>, PrivilegeError> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let name = security.effective_user.as_deref().unwrap_or(NOBODY);
    let user = match name.parse::<u32>() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(name),
    };
    let user = user.ok().flatten().ok_or_else(|| PrivilegeError::NoUser(name.to_owned()))?;
    if user.uid.is_root() {
        return Err(PrivilegeError::IsRoot(name.to_owned()));
    }
    let group = match security.effective_group.as_deref() {
        None => user.gid,
        Some(name) => {
            let group = match name.parse::<u32>() {
                Ok(number) => Group::from_gid(Gid::from_raw(number)),
                Err(_) => Group::from_name(name),
            };
            group.ok().flatten().ok_or_else(|| PrivilegeError::NoGroup(name.to_owned()))?.gid
        }
    };
    Ok(Some(Identity { user, group, by_default: security.effective_user.is_none() }))
}

/// What is configured and cannot be had because the process is not root: a sentence for the log.
pub(crate) fn unheeded(security: &Security) -> Option<String> {
    let (uid, gid) = (geteuid(), getegid());
    if uid.is_root() {
        return None;
    }
    let user = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    let group = Group::from_gid(gid).ok().flatten().map_or_else(|| gid.to_string(), |group| group.name);
    unheeded_by((&user, uid), (&group, gid), security)
}

fn unheeded_by(user: (&str, Uid), group: (&str, Gid), security: &Security) -> Option<String> {
    let is = |wanted: &str, name: &str, number: u32| wanted == name || wanted == number.to_string();
    let user_fits = security.effective_user.as_deref().is_none_or(|name| is(name, user.0, user.1.as_raw()));
    let group_fits =
        security.effective_group.as_deref().is_none_or(|name| is(name, group.0, group.1.as_raw()));
    let settings = match (user_fits, group_fits) {
        (true, true) => return None,
        (false, true) => "security.effective_user",
        (true, false) => "security.effective_group",
        (false, false) => "security.effective_user and security.effective_group",
    };
    Some(format!("not started as root, so without {settings}: running as {}, group {}", user.0, group.0))
}

impl Identity {
    /// A user with the groups that are its own.
    pub(crate) fn of(user: User) -> Self {
        Self { group: user.gid, user, by_default: false }
    }

    /// Becomes that user for good.
    ///
    /// # Errors
    ///
    /// The operating system refuses, or root could be regained.
    pub(crate) fn assume(&self) -> Result<(), PrivilegeError> {
        self.become_it()?;
        match setuid(Uid::from_raw(0)) {
            Err(_) => Ok(()),
            Ok(()) => Err(PrivilegeError::IsRoot(self.user.name.clone())),
        }
    }

    /// Becomes that user, who may be root.
    ///
    /// # Errors
    ///
    /// The operating system refuses, or root could be regained by somebody else.
    pub(crate) fn become_it(&self) -> Result<(), PrivilegeError> {
        let failed = |what| move |error| PrivilegeError::System { what, error };
        let name = std::ffi::CString::new(self.user.name.as_str()).unwrap_or_default();
        setgid(self.group).map_err(failed("setgid"))?;
        initgroups(&name, self.group).map_err(failed("initgroups"))?;
        setuid(self.user.uid).map_err(failed("setuid"))?;
        if !self.user.uid.is_root() && setuid(Uid::from_raw(0)).is_ok() {
            return Err(PrivilegeError::IsRoot(self.user.name.clone()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unheeded_by_nobody(user: Option<&str>, group: Option<&str>) -> Option<String> {
        let security = Security {
            effective_user: user.map(str::to_owned),
            effective_group: group.map(str::to_owned),
            ..Security::default()
        };
        unheeded_by(("nobody", Uid::from_raw(65534)), ("nogroup", Gid::from_raw(65534)), &security)
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
