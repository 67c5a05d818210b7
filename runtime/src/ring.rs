//! Writing to many sockets with one system call.
//!
//! The only place that knows `io_uring`. Its ring holds nothing between two calls: each write is asked for with `MSG_DONTWAIT`, so
//! that the kernel has no reason to keep it, and is waited for in any case.

#[cfg(all(target_os = "linux", feature = "uring"))]
pub(crate) use linux::Ring;
#[cfg(not(all(target_os = "linux", feature = "uring")))]
pub(crate) use nowhere::Ring;

#[cfg(all(target_os = "linux", feature = "uring"))]
mod linux {
    use std::io::{self, IoSlice};
    use std::os::fd::{AsRawFd, BorrowedFd};
    use std::process::abort;

    use io_uring::squeue::Entry;
    use io_uring::{IoUring, Probe, opcode, types};

    /// How many writes are asked for with one call. A ring of that size takes 14 KiB.
    const ENTRIES: usize = 128;

    /// Writes that the kernel does together.
    pub(crate) struct Ring {
        ring: IoUring,
        /// What is described of each write of one call; memory that is used again.
        headers: Vec<libc::msghdr>,
        sockets: Vec<types::Fd>,
        /// What came of each write.
        outcomes: Vec<Option<io::Result<usize>>>,
    }

    impl Ring {
        pub(crate) const IS_BUILT_IN: bool = true;

        /// A ring, with a descriptor of its own.
        ///
        /// # Errors
        ///
        /// The kernel has none, has too old a one, or does not let us.
        pub(crate) fn new() -> io::Result<Self> {
            let ring = IoUring::new(u32::try_from(ENTRIES).map_err(io::Error::other)?)?;
            let mut probe = Probe::new();
            ring.submitter().register_probe(&mut probe)?;
            if !probe.is_supported(opcode::SendMsg::CODE) {
                return Err(io::ErrorKind::Unsupported.into());
            }
            Ok(Self { ring, headers: Vec::new(), sockets: Vec::new(), outcomes: Vec::new() })
        }

        /// Does these writes; what came of them is in [`outcomes`](Self::outcomes).
        ///
        /// # Errors
        ///
        /// The kernel takes no more. Some may not have been done.
        pub(crate) fn send<'a>(
            &mut self,
            mut writes: impl ExactSizeIterator<Item = (BorrowedFd<'a>, &'a [IoSlice<'a>])>,
        ) -> io::Result<()> {
            self.outcomes.clear();
            self.outcomes.resize_with(writes.len(), || None);
            let mut first = 0;
            while writes.len() > 0 {
                self.headers.clear();
                self.sockets.clear();
                for (socket, slices) in writes.by_ref().take(ENTRIES) {
                    self.sockets.push(types::Fd(socket.as_raw_fd()));
                    self.headers.push(header(slices));
                }
                let flags = (libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT).cast_unsigned();
                for ((socket, header), at) in self.sockets.iter().zip(&self.headers).zip(0..) {
                    let entry = opcode::SendMsg::new(*socket, header).flags(flags).build().user_data(at);
                    if !push(&mut self.ring, &entry) {
                        break;
                    }
                }
                self.finish(first)?;
                first += self.headers.len();
            }
            Ok(())
        }

        /// What came of each write, in their order. `None`: the kernel did not come to it.
        pub(crate) fn outcomes(&mut self) -> impl Iterator<Item = Option<io::Result<usize>>> + use<'_> {
            self.outcomes.drain(..)
        }

        /// Has the kernel do what was asked for, of which the first is the write number `first`, and returns when it has nothing
        /// of it any more.
        fn finish(&mut self, first: usize) -> io::Result<()> {
            let mut done = 0;
            let asked = self.ring.submission().len();
            loop {
                let said = self.ring.submit_and_wait(asked - done);
                for completion in self.ring.completion() {
                    done += 1;
                    let at = usize::try_from(completion.user_data())
                        .ok()
                        .and_then(|at| self.outcomes.get_mut(first + at));
                    if let Some(at) = at {
                        *at = outcome(completion.result());
                    }
                }
                if done == asked {
                    return Ok(());
                }
                match said {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // It has taken nothing more, and what is left goes with the ring.
                    Err(error) if self.ring.submission().len() == asked - done => return Err(error),
                    // It still has what was lent to it, and nothing tells until when: whatever lies there next could be written
                    // to somebody. No kernel does that with writes that do not wait.
                    Err(_) => abort(),
                }
            }
        }
    }

    /// What `sendmsg` is told of one write.
    #[allow(unsafe_code)]
    fn header(slices: &[IoSlice<'_>]) -> libc::msghdr {
        // SAFETY: a `msghdr` is integers and pointers, for all of which zero is a value: no address, no ancillary data.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        // The kernel only reads there. An `IoSlice` is an `iovec`, as the standard library guarantees.
        header.msg_iov = slices.as_ptr().cast_mut().cast();
        header.msg_iovlen = slices.len() as _;
        header
    }

    /// Puts a write into the ring. Says whether there was room.
    #[allow(unsafe_code)]
    fn push(ring: &mut IoUring, entry: &Entry) -> bool {
        // SAFETY: what the entry points to (its header in `Ring::headers`, the slices and bytes that `Gathered` borrows) is
        // neither moved nor dropped before `Ring::finish` has returned, which `Ring::send` calls next and which does not
        // panic; by then the kernel has said of each entry that it is done with it, or has not seen it.
        unsafe { ring.submission().push(entry) }.is_ok()
    }

    /// What a completion says. Where the kernel was disturbed or had no memory for what a ring needs, nothing was done.
    fn outcome(result: i32) -> Option<io::Result<usize>> {
        let Ok(n) = usize::try_from(result) else {
            return match -result {
                libc::EINTR | libc::ENOMEM => None,
                errno => Some(Err(io::Error::from_raw_os_error(errno))),
            };
        };
        Some(Ok(n))
    }

    impl std::fmt::Debug for Ring {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("Ring").finish_non_exhaustive()
        }
    }
}

#[cfg(not(all(target_os = "linux", feature = "uring")))]
mod nowhere {
    use std::io::{self, IoSlice};
    use std::os::fd::BorrowedFd;

    /// There is none.
    #[derive(Debug)]
    pub(crate) enum Ring {}

    impl Ring {
        pub(crate) const IS_BUILT_IN: bool = false;

        /// # Errors
        ///
        /// Always.
        pub(crate) fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(crate) fn send<'a>(
            &mut self,
            _writes: impl ExactSizeIterator<Item = (BorrowedFd<'a>, &'a [IoSlice<'a>])>,
        ) -> io::Result<()> {
            match *self {}
        }

        pub(crate) fn outcomes(&mut self) -> std::iter::Empty<Option<io::Result<usize>>> {
            match *self {}
        }
    }
}
