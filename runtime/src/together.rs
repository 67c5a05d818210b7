//! What many sessions have to write, given to the kernel at once.
//!
//! A milter that waits for its next command may run as soon as that is in its socket, before the loop has written the commands of
//! the other sessions: then it is woken for each of them, and the loop is put aside as often. So a loop gathers what the
//! sessions of a pass have to write, and has it written by one system call where `io_uring` can be had ([`Ring`]).
//!
//! Nothing is said to be written before the kernel has taken it, and nothing is copied: what is gathered are slices of what the machines
//! keep until then.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::BorrowedFd;

use millstream_core::machine::Peer;

use crate::descriptor;
use crate::ring::Ring;

/// What sessions have to write.
#[derive(Debug, Default)]
pub(crate) struct Gathered<'a> {
    slices: Vec<IoSlice<'a>>,
    writes: Vec<(BorrowedFd<'a>, Range<usize>)>,
}

/// What one of them had to write for one peer.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// The place of the session.
    pub(crate) session: u32,
    pub(crate) peer: Peer,
    /// How many bytes; 0: there was nothing.
    pub(crate) length: usize,
    /// The machine has no more than that.
    pub(crate) is_all: bool,
    /// What came of it, once it was sent.
    pub(crate) sent: io::Result<usize>,
}

impl Attempt {
    pub(crate) const fn new(session: u32, peer: Peer, length: usize, is_all: bool) -> Self {
        Self { session, peer, length, is_all, sent: Ok(0) }
    }
}

impl<'a> Gathered<'a> {
    /// Adds what is to be written to a socket.
    pub(crate) fn add(&mut self, socket: BorrowedFd<'a>, slices: &[&'a [u8]]) {
        let first = self.slices.len();
        self.slices.extend(slices.iter().map(|slice| IoSlice::new(slice)));
        self.writes.push((socket, first..self.slices.len()));
    }

    /// What is to be written where, in the order in which it was added.
    pub(crate) fn writes(&self) -> impl ExactSizeIterator<Item = (BorrowedFd<'a>, &[IoSlice<'a>])> {
        self.writes.iter().map(|(socket, slices)| (*socket, &self.slices[slices.clone()]))
    }
}

/// Writes what was gathered.
#[derive(Debug)]
pub(crate) struct Together {
    ring: Option<Ring>,
}

impl Together {
    /// Each write takes a call of its own.
    pub(crate) const OFF: Self = Self { ring: None };

    /// With a ring, where one is built in and wanted.
    ///
    /// # Errors
    ///
    /// The kernel gives none.
    pub(crate) fn wanted(is_wanted: bool) -> io::Result<Self> {
        if !is_wanted || !Ring::IS_BUILT_IN {
            return Ok(Self::OFF);
        }
        Ok(Self { ring: Some(Ring::new()?) })
    }

    /// Whether many writes take one call.
    pub(crate) const fn is_on(&self) -> bool {
        self.ring.is_some()
    }

    /// Writes `gathered`, as far as there is room, and tells each of `attempts` that has something what came of it: those are as
    /// many, in the same order.
    ///
    /// # Errors
    ///
    /// The kernel serves the ring no more. All was written, and from now on each write takes a call of its own.
    pub(crate) fn send(&mut self, gathered: &Gathered<'_>, attempts: &mut [Attempt]) -> io::Result<()> {
        let mut served = Ok(());
        {
            let mut done = match &mut self.ring {
                // For one a ring is dearer than a call.
                Some(ring) if gathered.writes.len() > 1 => {
                    served = ring.send(gathered.writes());
                    Some(ring.outcomes())
                }
                _ => None,
            };
            let attempts = attempts.iter_mut().filter(|attempt| attempt.length > 0);
            for (attempt, (socket, slices)) in attempts.zip(gathered.writes()) {
                let outcome = done.as_mut().and_then(Iterator::next).flatten();
                attempt.sent = outcome.unwrap_or_else(|| descriptor::send(socket, slices));
            }
        }
        if served.is_err() {
            self.ring = None;
        }
        served
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write as _};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn attempt(length: usize) -> Attempt {
        Attempt::new(0, Peer::MTA, length, true)
    }

    fn pair() -> (UnixStream, UnixStream) {
        let (here, there) = UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        there.set_nonblocking(true).unwrap();
        (here, there)
    }

    fn read(from: &mut UnixStream) -> Vec<u8> {
        let mut bytes = vec![0; 1 << 20];
        let n = from.read(&mut bytes).unwrap();
        bytes.truncate(n);
        bytes
    }

    /// With the ring, where there is one, and without.
    fn both(test: impl Fn(&mut Together)) {
        test(&mut { Together::OFF });
        match Together::wanted(true) {
            Ok(mut together) => {
                test(&mut together);
                assert_eq!(together.is_on(), Ring::IS_BUILT_IN, "nothing that a socket says breaks the ring");
            }
            Err(error) => {
                let told = format!("SKIPPED: writing with a ring: {error}");
                assert!(std::env::var_os("CI").is_none(), "{told}");
                // Past cargo's capture, where ./check collects it.
                let _ = writeln!(std::io::stderr(), "{told}");
            }
        }
    }

    #[test]
    fn more_than_a_ring_holds_comes_where_it_belongs_and_in_order() {
        both(|together| {
            let mut pairs: Vec<_> = (0..300).map(|_| pair()).collect();
            let texts: Vec<String> = (0..300).map(|number| format!("number {number}")).collect();
            let mut gathered = Gathered::default();
            let mut attempts = Vec::new();
            for ((here, _), text) in pairs.iter().zip(&texts) {
                gathered.add(here.as_fd(), &[text.as_bytes(), b", ", b"and its end"]);
                attempts.push(attempt(text.len() + 13));
                attempts.push(attempt(0));
            }
            // The same socket again, behind all others.
            gathered.add(pairs[0].0.as_fd(), &[b"; once more"]);
            attempts.push(attempt(11));
            together.send(&gathered, &mut attempts).unwrap();
            for attempt in attempts.into_iter().filter(|attempt| attempt.length > 0) {
                assert_eq!(attempt.sent.unwrap(), attempt.length);
            }
            for (number, (_, there)) in pairs.iter_mut().enumerate() {
                let more = if number == 0 { "; once more" } else { "" };
                let expected = format!("number {number}, and its end{more}");
                assert_eq!(String::from_utf8(read(there)).unwrap(), expected);
            }
        });
    }

    #[test]
    fn each_socket_has_its_own_outcome() {
        both(|together| {
            let (good, full, gone) = (pair(), pair(), pair());
            drop(gone.1);
            let much = vec![b'x'; 8 << 20];
            let mut gathered = Gathered::default();
            let sockets = [&good.0, &full.0, &full.0, &gone.0, &good.0];
            let bytes: [&[u8]; 5] = [b"one", &much, b"behind", b"nobody", b"two"];
            for (socket, bytes) in sockets.iter().zip(bytes) {
                gathered.add(socket.as_fd(), &[bytes]);
            }
            let mut attempts = bytes.map(|bytes| attempt(bytes.len()));
            together.send(&gathered, &mut attempts).unwrap();
            let [one, part, behind, nobody, two] = attempts.map(|attempt| attempt.sent);
            assert_eq!((one.unwrap(), two.unwrap()), (3, 3));
            let part = part.unwrap();
            assert!((1..much.len()).contains(&part), "{part} of {} bytes", much.len());
            assert_eq!(behind.unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(nobody.unwrap_err().kind(), ErrorKind::BrokenPipe);
            let mut good = good.1;
            assert_eq!(read(&mut good), b"onetwo");
        });
    }
}
