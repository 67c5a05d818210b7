//! What `errno` means to a machine.

use std::io;

use millstream_core::machine::{IoError, IoKind};
use rustix::io::Errno;

/// The class and number of an error of the operating system.
pub(crate) fn classify(error: &io::Error) -> IoError {
    match Errno::from_io_error(error) {
        Some(errno) => IoError { kind: kind(errno), code: errno.raw_os_error() },
        None => IoError { kind: IoKind::Other, code: 0 },
    }
}

fn kind(errno: Errno) -> IoKind {
    match errno {
        Errno::CONNREFUSED => IoKind::Refused,
        Errno::NOENT | Errno::NOTDIR => IoKind::NotFound,
        Errno::ACCESS | Errno::PERM => IoKind::Denied,
        Errno::AGAIN => IoKind::Busy,
        Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::NETDOWN | Errno::HOSTDOWN => IoKind::Unreachable,
        Errno::TIMEDOUT => IoKind::TimedOut,
        Errno::CONNRESET | Errno::CONNABORTED => IoKind::Reset,
        Errno::PIPE => IoKind::BrokenPipe,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS | Errno::ADDRNOTAVAIL => IoKind::Exhausted,
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => IoKind::NoSpace,
        _ => IoKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_is_busy_and_a_missing_socket_is_not_found() {
        assert_eq!(classify(&Errno::AGAIN.into()).kind, IoKind::Busy);
        assert_eq!(classify(&Errno::NOENT.into()), IoError { kind: IoKind::NotFound, code: 2 });
    }

    #[test]
    fn an_error_without_a_number_is_other() {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "path too long");
        assert_eq!(classify(&error), IoError { kind: IoKind::Other, code: 0 });
    }
}
