//! Machines and services for tests, made of closures.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use millstream_core::event::Event;
use millstream_core::machine::{Answer, Input, Machine, Output, Peer, Question};
use millstream_core::policy::{ChildIndex, Endpoint, Environment, Route};
use millstream_core::service::{Notice, Service, SessionId};
use millstream_core::time::Instant;
use millstream_core::wire::Negotiation;
use millstream_runtime::{Listener, Options, Server, Stopped};

/// Longer than anything here takes; what waits this long hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const CHILD: Peer = Peer::child(ChildIndex(0), 0);

/// The state of a test machine that every script needs.
#[derive(Default)]
pub struct Base {
    pub outputs: VecDeque<Output>,
    pub queues: BTreeMap<Peer, VecDeque<Bytes>>,
    pub wait: Option<Instant>,
    pub refuses_input: BTreeSet<Peer>,
    pub lend: Option<BytesMut>,
    /// What the machine says of the input that it had last.
    pub added_nothing: bool,
    finished: bool,
}

impl Base {
    pub fn send(&mut self, peer: Peer, data: impl Into<Bytes>) {
        self.queues.entry(peer).or_default().push_back(data.into());
    }

    pub fn queued(&self, peer: Peer) -> usize {
        self.queues.get(&peer).map_or(0, |queue| queue.iter().map(Bytes::len).sum())
    }

    pub fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub fn acquire(&mut self, peer: Peer, endpoint: Endpoint) {
        self.push(Output::Acquire {
            peer,
            route: Route::to("child", endpoint),
            offer: Negotiation::default(),
            fresh: false,
        });
    }

    pub fn close(&mut self, peer: Peer, flush_by: Option<Instant>) {
        self.push(Output::Close { peer, flush_by });
    }

    pub fn finish(&mut self) {
        self.finished = true;
    }

    fn wrote(&mut self, peer: Peer, mut n: usize) {
        let queue = self.queues.get_mut(&peer).expect("wrote to a peer without a queue");
        while n > 0 {
            let first = queue.front_mut().expect("wrote more than was queued");
            let here = n.min(first.len());
            first.advance(here);
            n -= here;
            if first.is_empty() {
                queue.pop_front();
            }
        }
    }
}

/// A machine whose behaviour is one closure, called for every input after written bytes were taken off the queue.
pub struct Script<F> {
    base: Base,
    step: F,
}

impl<F: FnMut(&mut Base, Instant, Input)> Script<F> {
    pub fn new(step: F) -> Self {
        Self { base: Base::default(), step }
    }
}

impl<F: FnMut(&mut Base, Instant, Input)> Machine for Script<F> {
    fn handle(&mut self, now: Instant, input: Input) {
        if let Input::Wrote { peer, n } = input {
            self.base.wrote(peer, n);
        }
        self.base.added_nothing = false;
        (self.step)(&mut self.base, now, input);
    }

    fn poll_output(&mut self) -> Output {
        match self.base.outputs.pop_front() {
            Some(output) => output,
            None if self.base.finished => Output::Finished,
            None => Output::Wait(self.base.wait),
        }
    }

    fn transmit<'a>(&'a self, peer: Peer, slices: &mut [&'a [u8]]) -> usize {
        let Some(queue) = self.base.queues.get(&peer) else { return 0 };
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(queue) {
            *slice = bytes;
            count += 1;
        }
        count
    }

    fn added_nothing(&self) -> bool {
        self.base.added_nothing
    }

    fn wants_input(&self, peer: Peer) -> bool {
        !self.base.refuses_input.contains(&peer)
    }

    fn read_buffer(&mut self, _peer: Peer) -> Option<BytesMut> {
        self.base.lend.take()
    }
}

/// A list that grows in one thread and is waited for in another.
#[derive(Default)]
pub struct Log<T>(Arc<(Mutex<Vec<T>>, Condvar)>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Clone + Debug> Log<T> {
    pub fn new() -> Self {
        Self(Arc::new((Mutex::new(Vec::new()), Condvar::new())))
    }

    pub fn push(&self, entry: T) {
        self.0.0.lock().unwrap().push(entry);
        self.0.1.notify_all();
    }

    pub fn all(&self) -> Vec<T> {
        self.0.0.lock().unwrap().clone()
    }

    /// Waits until `done` is true of the list.
    pub fn wait(&self, done: impl Fn(&[T]) -> bool) -> Vec<T> {
        let guard = self.0.0.lock().unwrap();
        let (guard, waited) = self.0.1.wait_timeout_while(guard, PATIENCE, |list| !done(list)).unwrap();
        assert!(!waited.timed_out(), "waited in vain; so far: {:?}", *guard);
        guard.clone()
    }

    pub fn wait_for(&self, count: usize) -> Vec<T> {
        self.wait(|list| list.len() >= count)
    }
}

pub type Reply = Box<dyn FnOnce(Answer) + Send>;

/// A service made of closures.
pub struct Kit<A> {
    pub make: A,
    pub notices: Log<Notice>,
    pub events: Log<(SessionId, Event)>,
    pub asked: Mutex<Vec<(Question, Reply)>>,
    pub asked_count: Log<()>,
}

impl<A> Kit<A> {
    pub fn new(make: A) -> Arc<Self> {
        Arc::new(Self {
            make,
            notices: Log::new(),
            events: Log::new(),
            asked: Mutex::default(),
            asked_count: Log::new(),
        })
    }
}

impl<A, M> Service for Kit<A>
where
    A: Fn(SessionId, Environment) -> M + Send + Sync + 'static,
    M: Machine,
{
    type Machine = M;

    fn accept(&self, session: SessionId, environment: Environment) -> M {
        (self.make)(session, environment)
    }

    fn event(&self, session: SessionId, event: Event) {
        self.events.push((session, event));
    }

    /// That io_uring is forbidden where the tests run is none of theirs.
    fn notice(&self, notice: Notice) {
        if !matches!(notice, Notice::WritesAlone(_)) {
            self.notices.push(notice);
        }
    }

    fn look_up(&self, question: Question, reply: Reply) {
        self.asked.lock().unwrap().push((question, reply));
        self.asked_count.push(());
    }
}

/// Sends back what comes, stops reading while more than a megabyte waits, and ends with its client.
pub fn echo(base: &mut Base, _now: Instant, input: Input) {
    match input {
        Input::Received { peer, data } => base.send(peer, data.freeze()),
        Input::Closed { .. } | Input::Stop => base.finish(),
        _ => {}
    }
    if base.queued(Peer::MTA) > 1 << 20 {
        base.refuses_input.insert(Peer::MTA);
    } else {
        base.refuses_input.remove(&Peer::MTA);
    }
}

/// A folder that goes away with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("ms-rt-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub struct Running {
    pub server: Server,
    pub address: SocketAddr,
    pub folder: Folder,
}

impl Running {
    pub fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub fn unix(&self) -> UnixStream {
        let stream = UnixStream::connect(self.folder.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub fn stop(self) -> Stopped {
        self.server.stop();
        self.server.join()
    }
}

/// A runtime that is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Std,
    Smol,
    #[cfg(target_os = "linux")]
    Glommio,
}

/// Runs a test on each runtime. What fails says on which.
pub fn on_each(test: impl Fn(On)) {
    for on in On::ALL.into_iter().filter(|on| on.is_there()) {
        println!("on {on:?}");
        test(on);
    }
}

impl On {
    #[cfg(target_os = "linux")]
    const ALL: [Self; 3] = [Self::Std, Self::Smol, Self::Glommio];
    #[cfg(not(target_os = "linux"))]
    const ALL: [Self; 2] = [Self::Std, Self::Smol];

    /// io_uring may be forbidden where the tests run. In CI it must not be.
    fn is_there(self) -> bool {
        #[cfg(target_os = "linux")]
        if self == Self::Glommio
            && let Err(why) = millstream_runtime_glommio::probe()
        {
            let told = format!("SKIPPED: on glommio: {why}");
            assert!(std::env::var_os("CI").is_none(), "{told}");
            // Past cargo's capture, where ./check collects it.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{told}\n").as_bytes());
            return false;
        }
        true
    }

    pub fn serve<S: Service>(
        self,
        listeners: Vec<Listener>,
        service: Arc<S>,
        options: Options,
    ) -> std::io::Result<Server> {
        match self {
            Self::Std => millstream_runtime_std::start(listeners, service, options),
            Self::Smol => millstream_runtime_smol::start(listeners, service, options),
            #[cfg(target_os = "linux")]
            Self::Glommio => millstream_runtime_glommio::start(listeners, service, options),
        }
    }

    /// A server on a TCP port and a unix socket of its own.
    pub fn start<S: Service>(self, service: &Arc<S>, options: Options) -> Running {
        let folder = Folder::new();
        let unix = UnixListener::bind(folder.socket()).unwrap();
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = tcp.local_addr().unwrap();
        let listeners = vec![Listener::Unix(unix), Listener::Tcp(tcp)];
        let server = self.serve(listeners, Arc::clone(service), options).unwrap();
        Running { server, address, folder }
    }
}

pub fn loops(loops: usize) -> Options {
    Options { loops, ..Options::default() }
}

pub fn unix_endpoint(path: &Path) -> Endpoint {
    use std::os::unix::ffi::OsStrExt;
    Endpoint::Unix(Arc::from(path.as_os_str().as_bytes()))
}

pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// How often the loops of this process have slept and how much time they have used, in clock ticks; the thread that smol's
/// reactor has for itself counts as one.
pub fn loop_activity() -> (u64, u64) {
    let (mut sleeps, mut ticks) = (0, 0);
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        let name = std::fs::read_to_string(task.join("comm")).unwrap_or_default();
        if !name.starts_with("millstream-") && name.trim_end() != "async-io" {
            continue;
        }
        let status = std::fs::read_to_string(task.join("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
        sleeps += line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
        let stat = std::fs::read_to_string(task.join("stat")).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        ticks += fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    }
    (sleeps, ticks)
}
