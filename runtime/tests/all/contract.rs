//! Runtimes made up for the purpose: one whose poller lags, one that cannot begin, one that leaves its loop.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::task::{Wake, Waker};
use std::time::Duration;

use millstream_core::machine::{Input, IoError, IoKind, Peer};
use millstream_core::service::Notice;
use millstream_runtime::{
    Interest, Launch, Listener, Next, Options, Poller, Readiness, Runtime, Server, Service, Token,
};

use crate::common::{Folder, Kit, PATIENCE, Script};

/// Reports its first socket, the listener, all the time, and none of the others ever.
struct Late;

struct LatePoller {
    listener: Option<Token>,
}

impl Poller for LatePoller {
    type Socket = OwnedFd;

    const LAGS: bool = true;

    const LETS_WRITE: bool = true;

    fn watch(&mut self, socket: OwnedFd, token: Token, _interest: Interest) -> io::Result<OwnedFd> {
        self.listener.get_or_insert(token);
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

struct Knock(SyncSender<()>);

impl Wake for Knock {
    fn wake(self: Arc<Self>) {
        // One that is not taken yet is as good.
        let _ = self.0.try_send(());
    }
}

impl Runtime for Late {
    type Seat = Receiver<()>;
    type Poller = LatePoller;

    const DEFAULT_LOOPS: usize = 1;

    fn prepare() -> io::Result<(Receiver<()>, Waker)> {
        let (knock, knocks) = sync_channel(1);
        Ok((knocks, Waker::from(Arc::new(Knock(knock)))))
    }

    fn run<S: Service>(knocks: Receiver<()>, launch: Launch<S>) -> io::Result<()> {
        let mut event_loop = launch.begin(LatePoller { listener: None })?;
        loop {
            let until = match event_loop.pass(true) {
                Next::Over => return Ok(()),
                Next::More => continue,
                Next::Wait(at) => at.map_or(PATIENCE, |at| event_loop.until(at)),
            };
            match knocks.recv_timeout(until.min(Duration::from_millis(1))) {
                Ok(()) => event_loop.woken(),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            if let Some(token) = event_loop.poller().listener {
                event_loop.note(token, Readiness { readable: true, ..Readiness::default() });
            }
        }
    }
}

#[test]
fn what_was_never_reported_is_heard_before_a_deadline_fires() {
    let kit = Kit::new(|_, _| {
        Script::new(|base, now, input| match input {
            Input::Tick if base.wait.is_none() => {
                base.wait = Some(now + Duration::from_millis(300));
                // From a session that has spoken first nothing is read without a report.
                base.send(Peer::MTA, &b"r"[..]);
            }
            Input::Tick if base.wait.is_some_and(|at| at <= now) => {
                panic!("timed out although the bytes were there")
            }
            Input::Received { data, .. } => {
                base.wait = Some(now + PATIENCE);
                base.send(Peer::MTA, data.freeze());
            }
            _ => {}
        })
    });
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.socket()).unwrap();
    // Both are there before the session is.
    let mut client = UnixStream::connect(folder.socket()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"x").unwrap();
    let options = Options { loops: 1, ..Options::default() };
    let server = Server::start::<Late, _>(vec![Listener::Unix(listener)], Arc::clone(&kit), options).unwrap();
    let mut back = [0; 2];
    client.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"rx");
    assert_eq!(kit.notices.all(), []);
    server.stop_now();
    assert_eq!(server.join().cut, 1);
}

#[test]
fn what_is_there_with_the_connection_is_read_without_a_report() {
    let kit = Kit::new(|_, _| Script::new(crate::common::echo));
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.socket()).unwrap();
    let mut client = UnixStream::connect(folder.socket()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"x").unwrap();
    let options = Options { loops: 1, ..Options::default() };
    let server = Server::start::<Late, _>(vec![Listener::Unix(listener)], Arc::clone(&kit), options).unwrap();
    client.read_exact(&mut [0]).unwrap();
    server.stop_now();
    assert_eq!(server.join().cut, 1);
}

/// Has no rings.
struct Unable;

impl Runtime for Unable {
    type Seat = ();
    type Poller = LatePoller;

    const DEFAULT_LOOPS: usize = 3;

    fn prepare() -> io::Result<((), Waker)> {
        Ok(((), Waker::noop().clone()))
    }

    fn run<S: Service>((): (), launch: Launch<S>) -> io::Result<()> {
        Err(io::Error::other(format!("no ring for loop {}", launch.index())))
    }
}

#[test]
fn what_keeps_a_loop_from_beginning_is_an_error_of_the_start() {
    let kit = Kit::new(|_, _| Script::new(crate::common::echo));
    let options = Options { loops: 1, ..Options::default() };
    let error = Server::start::<Unable, _>(Vec::new(), Arc::clone(&kit), options).unwrap_err();
    assert_eq!(error.to_string(), "no ring for loop 0");
    assert_eq!(kit.notices.all(), []);
}

/// Begins its loops and goes away.
struct Unfaithful;

impl Runtime for Unfaithful {
    type Seat = ();
    type Poller = LatePoller;

    const DEFAULT_LOOPS: usize = 1;

    fn prepare() -> io::Result<((), Waker)> {
        Unable::prepare()
    }

    fn run<S: Service>((): (), launch: Launch<S>) -> io::Result<()> {
        launch.begin(LatePoller { listener: None }).map(drop)
    }
}

#[test]
fn a_loop_that_its_runtime_leaves_is_told_and_the_server_ends() {
    let kit = Kit::new(|_, _| Script::new(crate::common::echo));
    let options = Options { loops: 2, ..Options::default() };
    let server = Server::start::<Unfaithful, _>(Vec::new(), Arc::clone(&kit), options).unwrap();
    // Nobody has asked for a stop.
    assert_eq!(server.join().served, 0);
    let left = Notice::LoopFailed(IoError { kind: IoKind::Other, code: 0 });
    assert_eq!(kit.notices.all(), [left.clone(), left]);
}
