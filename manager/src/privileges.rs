//! Giving up root before the first byte comes from outside.

use millstream_config::Security;
use nix::unistd::{Gid, Group, Uid, User, geteuid, initgroups, setgid, setuid};

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

impl Identity {
    /// Becomes that user for good.
    ///
    /// # Errors
    ///
    /// The operating system refuses, or root could be regained.
    pub(crate) fn assume(&self) -> Result<(), PrivilegeError> {
        let failed = |what| move |error| PrivilegeError::System { what, error };
        let name = std::ffi::CString::new(self.user.name.as_str()).unwrap_or_default();
        setgid(self.group).map_err(failed("setgid"))?;
        initgroups(&name, self.group).map_err(failed("initgroups"))?;
        setuid(self.user.uid).map_err(failed("setuid"))?;
        match setuid(Uid::from_raw(0)) {
            Err(_) => Ok(()),
            Ok(()) => Err(PrivilegeError::IsRoot(self.user.name.clone())),
        }
    }
}
