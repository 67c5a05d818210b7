//! Whether io_uring can be had, and what to do if not.

use std::io;
use std::thread;

use rustix::io::Errno;

use crate::executor::executor;

/// Why this runtime cannot be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The kernel is too old.
    #[error("the kernel has no io_uring: Linux 5.8 or newer is needed")]
    Missing,
    /// The kernel's settings, a seccomp filter or a container forbid it.
    #[error(
        "io_uring is forbidden here: see the sysctl kernel.io_uring_disabled, the seccomp profile of the container, \
         and SystemCallFilter= of the unit, which needs @io-event"
    )]
    Forbidden,
    /// Less memory may be locked than the rings need.
    #[error(
        "too little memory may be locked ({0}): raise LimitMEMLOCK= of the unit, or \"memlock\" in limits.conf, to 8 MB \
         for each event loop"
    )]
    Memory(Box<str>),
    /// Fewer files may be open than the rings are.
    #[error("too few files may be open ({0}): raise LimitNOFILE= of the unit, or \"nofile\" in limits.conf")]
    Descriptors(Box<str>),
    /// Anything else.
    #[error("io_uring cannot be set up: {0}")]
    Other(Box<str>),
}

/// Sets an executor up and takes it down again.
///
/// # Errors
///
/// The reason, with what to raise.
pub fn probe() -> Result<(), Unusable> {
    // What is left of a ring interrupts later system calls of the thread that had it, and some of what an executor asks the
    // kernel for has to be there, or it panics: both stay with a thread of their own.
    let attempt = thread::Builder::new().name("probe".to_owned()).spawn(|| executor().map(drop));
    match attempt.map(thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) | Err(error) => Err(reason(&error)),
        Ok(Err(_)) => Err(Unusable::Other("the set-up of glommio has panicked".into())),
    }
}

pub(crate) fn reason(error: &io::Error) -> Unusable {
    let text = error.to_string();
    if matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE)) {
        return Unusable::Descriptors(text.into());
    }
    match error.kind() {
        io::ErrorKind::Unsupported => Unusable::Missing,
        io::ErrorKind::PermissionDenied => Unusable::Forbidden,
        io::ErrorKind::OutOfMemory => Unusable::Memory(text.into()),
        _ if text.contains("MemLockLimit") => Unusable::Memory(text.into()),
        _ => Unusable::Other(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_says_what_to_raise() {
        let of = |errno| reason(&io::Error::from_raw_os_error(errno)).to_string();
        assert!(of(38).contains("Linux 5.8"), "ENOSYS");
        assert!(of(1).contains("io_uring_disabled"), "EPERM");
        assert!(of(12).contains("LimitMEMLOCK="), "ENOMEM");
        assert!(reason(&io::Error::other("MemLockLimit(1/2)")).to_string().contains("LimitMEMLOCK="));
        assert!(of(24).contains("LimitNOFILE="), "EMFILE");
        assert!(of(22).contains("cannot be set up"), "EINVAL");
    }
}
