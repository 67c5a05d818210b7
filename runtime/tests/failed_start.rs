//! A start of which one loop fails: what had begun has ended by then, and who waits at a listener waits on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;
use std::thread;

use common::{Kit, Script, echo, loops};
use millstream_runtime::{Interest, Launch, Listener, Next, Poller, Runtime, Server, Service, Token};

/// Reports nothing.
struct Deaf;

impl Poller for Deaf {
    type Socket = OwnedFd;

    const LAGS: bool = false;

    const LETS_WRITE: bool = false;

    fn watch(&mut self, socket: OwnedFd, _token: Token, _interest: Interest) -> io::Result<OwnedFd> {
        Ok(socket)
    }

    fn await_readable(&mut self, _socket: &mut OwnedFd) -> io::Result<()> {
        Ok(())
    }

    fn await_writable(&mut self, _socket: &mut OwnedFd) -> io::Result<()> {
        Ok(())
    }

    fn rest_writing(&mut self, _socket: &mut OwnedFd) -> io::Result<()> {
        Ok(())
    }

    fn pause(&mut self, _listener: &mut OwnedFd) {}

    fn resume(&mut self, _listener: &mut OwnedFd) -> io::Result<()> {
        Ok(())
    }

    fn close(&mut self, _socket: OwnedFd) {}
}

/// How many loops of [`Lame`] run.
static RUNNING: AtomicU32 = AtomicU32::new(0);

/// Loops of which the second does not begin: it panics, or says why.
struct Lame<const PANICS: bool>;

impl<const PANICS: bool> Runtime for Lame<PANICS> {
    type Seat = ();
    type Poller = Deaf;

    const DEFAULT_LOOPS: usize = 1;

    fn prepare() -> io::Result<((), Waker)> {
        Ok(((), Waker::noop().clone()))
    }

    fn run<S: Service>(_seat: (), launch: Launch<S>) -> io::Result<()> {
        if launch.index() == 1 {
            assert!(!PANICS, "no room for it");
            return Err(io::Error::other("no room for it"));
        }
        RUNNING.fetch_add(1, Ordering::SeqCst);
        let mut event_loop = launch.begin(Deaf)?;
        while event_loop.pass(true) != Next::Over {
            thread::yield_now();
        }
        RUNNING.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }
}

fn fails<const PANICS: bool>() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let waiting = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let listener = Listener::from(listener);
    let spare = listener.try_clone().unwrap();
    let kit = Kit::new(|_, _| Script::new(echo));

    let started = Server::start::<Lame<PANICS>, _>(vec![listener], Arc::clone(&kit), loops(3));

    assert_eq!(started.unwrap_err().to_string(), "no room for it");
    assert_eq!(RUNNING.load(Ordering::SeqCst), 0, "what had begun has ended");
    let Listener::Tcp(spare) = spare else { panic!() };
    assert_eq!(spare.accept().unwrap().1, waiting.local_addr().unwrap(), "nothing was accepted");
}

#[test]
fn a_loop_that_does_not_begin_ends_the_others_and_nothing_is_accepted() {
    fails::<false>();
    // One after the other: they count the same loops.
    fails::<true>();
}
