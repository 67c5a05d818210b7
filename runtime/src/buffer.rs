//! Reading into memory that is not initialised.

use std::io;
use std::os::fd::BorrowedFd;

use bytes::BytesMut;

use crate::descriptor;

/// What one read found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// As much as there was room for; there may be more.
    Full,
    /// Something, and that was all.
    Part,
    /// Nothing now.
    Nothing,
    /// Nothing any more.
    End,
}

/// Appends to `buffer` what a nonblocking socket has, as far as there is room.
///
/// # Errors
///
/// What recv(2) says, apart from that there is nothing now.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut BytesMut) -> io::Result<Received> {
    let spare = buffer.spare_capacity_mut();
    let room = spare.len();
    if room == 0 {
        // A lent buffer without room goes back as it is; a read of no bytes would look like the end.
        return Ok(Received::Full);
    }
    match descriptor::receive(socket, spare) {
        Ok(0) => Ok(Received::End),
        Ok(n) => {
            grow(buffer, n);
            Ok(if n < room { Received::Part } else { Received::Full })
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Received::Nothing),
        Err(error) => Err(error),
    }
}

/// Makes the `n` bytes that were just received behind the end of `buffer` part of it.
#[allow(unsafe_code)]
fn grow(buffer: &mut BytesMut, n: usize) {
    let end = buffer.len() + n;
    assert!(end <= buffer.capacity(), "more bytes were received than there was room for");
    // SAFETY: the only caller has just had the kernel fill the first `n` bytes of the spare capacity
    // (`descriptor::receive` returns the length of the part that it initialised), and `end` is within the capacity.
    unsafe { buffer.set_len(end) };
}
