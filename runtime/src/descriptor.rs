//! System calls on nonblocking stream sockets, unix or TCP.

use std::ffi::OsStr;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use millstream_core::machine::{IoError, IoKind};
use millstream_core::pool::Address;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{set_tcp_nodelay, socket_error};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketAddrUnix, SocketType,
};

use crate::error::classify;

/// How far a connect has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The kernel is at it.
    Pending,
    /// The connection is there.
    Connected,
    /// It cannot be had.
    Failed(IoError),
}

/// Begins to connect; the socket is nonblocking and closed on exec.
///
/// # Errors
///
/// The address cannot be reached, or we are out of something.
pub fn connect(address: &Address) -> Result<(OwnedFd, Progress), IoError> {
    let begun = match address {
        Address::Unix(path) => connect_unix(path),
        Address::Tcp(address) => {
            let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            stream(family).and_then(|socket| {
                prepare(socket.as_fd(), true);
                begun(rustix::net::connect(&socket, address)).map(|()| socket)
            })
        }
    };
    match begun {
        Ok(socket) => {
            let progress = match (address, cfg!(target_os = "linux")) {
                // On Linux a unix socket is connected when the call returns.
                (Address::Unix(_), true) => Progress::Connected,
                _ => progress(socket.as_fd()),
            };
            Ok((socket, progress))
        }
        Err(errno) => {
            let mut error = classify(&errno.into());
            if error.kind == IoKind::Busy && matches!(address, Address::Tcp(_)) {
                // For TCP it is no local port that is left, not the listener's queue.
                error.kind = IoKind::Exhausted;
            }
            Err(error)
        }
    }
}

fn connect_unix(path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(Path::new(OsStr::from_bytes(path)))?;
    let socket = stream(AddressFamily::UNIX)?;
    prepare(socket.as_fd(), false);
    begun(rustix::net::connect(&socket, &address)).map(|()| socket)
}

/// A connect that goes on in the kernel is no error.
fn begun(result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match result {
        Err(Errno::INPROGRESS | Errno::INTR) => Ok(()),
        result => result,
    }
}

/// What has become of [`connect`]. An event alone proves nothing: it may be late or spurious.
#[must_use]
pub fn progress(socket: BorrowedFd<'_>) -> Progress {
    let failed = |errno: Errno| Progress::Failed(classify(&errno.into()));
    match socket_error(socket) {
        Ok(Ok(())) => {}
        Ok(Err(errno)) | Err(errno) => return failed(errno),
    }
    match rustix::net::getpeername(socket) {
        Ok(_) => Progress::Connected,
        Err(Errno::NOTCONN) => Progress::Pending,
        Err(errno) => failed(errno),
    }
}

/// Takes the next connection of a listener, nonblocking and closed on exec.
///
/// # Errors
///
/// What accept(2) says.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    #[cfg(not(target_vendor = "apple"))]
    return Ok(rustix::net::accept_with(listener, NEW)?);
    #[cfg(target_vendor = "apple")]
    return Ok(adopted(rustix::net::accept(listener)?)?);
}

/// Sets the options of a new connection. A socket that does not take them works without.
pub fn prepare(socket: BorrowedFd<'_>, tcp: bool) {
    if tcp {
        // Replies are single small frames that the other side waits for.
        let _ = set_tcp_nodelay(socket, true);
    }
    #[cfg(target_vendor = "apple")]
    let _ = rustix::net::sockopt::set_socket_nosigpipe(socket, true);
}

/// Whether a client waits at a listener, without accepting it.
#[must_use]
pub fn has_waiting(listener: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(listener, PollFlags::IN)];
    !matches!(poll(&mut polled, Some(&Timespec::default())), Ok(0))
}

/// Reads into uninitialised memory; returns how many bytes at its beginning are initialised now.
pub(crate) fn receive(socket: BorrowedFd<'_>, into: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    let receive =
        || rustix::net::recv(socket, &mut *into, RecvFlags::empty()).map(|((filled, _), _)| filled.len());
    Ok(retry(receive)?)
}

/// Writes the slices, as far as there is room, without a signal when the peer is gone.
///
/// # Errors
///
/// What sendmsg(2) says.
pub fn send(socket: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    #[cfg(not(target_vendor = "apple"))]
    let flags = SendFlags::NOSIGNAL;
    #[cfg(target_vendor = "apple")]
    let flags = SendFlags::empty();
    let written = match slices {
        [one] => retry(|| rustix::net::send(socket, one, flags)),
        _ => retry(|| rustix::net::sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), flags)),
    };
    Ok(written?)
}

/// Ends a connection whose last bytes were just written and from which more may have come. Closing a TCP socket with
/// unread bytes resets the connection, and the peer may lose the reply; so what is here is read and thrown away.
pub(crate) fn finish(socket: BorrowedFd<'_>) {
    let _ = rustix::net::shutdown(socket, Shutdown::Write);
    let mut waste = [MaybeUninit::uninit(); 4096];
    for _ in 0..DISCARDS {
        match receive(socket, &mut waste) {
            Ok(1..) => {}
            _ => break,
        }
    }
}

/// How many blocks of unread bytes are thrown away before a close.
const DISCARDS: usize = 64;

#[cfg(not(target_vendor = "apple"))]
const NEW: rustix::net::SocketFlags =
    rustix::net::SocketFlags::NONBLOCK.union(rustix::net::SocketFlags::CLOEXEC);

#[cfg(not(target_vendor = "apple"))]
fn stream(family: AddressFamily) -> rustix::io::Result<OwnedFd> {
    rustix::net::socket_with(family, SocketType::STREAM, NEW, None)
}

#[cfg(target_vendor = "apple")]
fn stream(family: AddressFamily) -> rustix::io::Result<OwnedFd> {
    adopted(rustix::net::socket(family, SocketType::STREAM, None)?)
}

/// There the flags of a new socket take calls of their own.
#[cfg(target_vendor = "apple")]
fn adopted(socket: OwnedFd) -> rustix::io::Result<OwnedFd> {
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
