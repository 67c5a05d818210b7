//! Milters that accept connections, and then nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use millstream_tests::bench::{self, Bench, folder};
use millstream_tests::counting_child::{Answer, Child, agree};
use millstream_tests::mta_side::MtaSide;
use millstream_tests::until::until_true;

use crate::assert_bounded;

/// Three connections in a row cost their sessions the time limit; then the milter is down, and nobody waits.
#[test]
fn one_that_never_negotiates_is_soon_asked_no_more() {
    const SESSIONS: usize = 60;
    let Some(folder) = folder() else { return };
    let (silent, well) = (folder.join("silent.sock"), folder.join("well.sock"));
    let mute = Mute::listen(&silent);
    let child = Child::agreeing(&well);
    let lines = ["reading_timeout = 0.5", "fallback_status = \"accept\"", "retry_interval = 3600"];
    let milters = bench::milter("silent", &[&silent], &lines)
        + &bench::milter("well", &[&well], &["fallback_status = \"reject\""]);
    let mut bench = Bench::start(&folder, "", &milters);
    for _ in 0..3 {
        assert_eq!(bench.mail(), 'c');
    }
    until_true("the line that it is down", || bench.manager.log().contains("[milter][down] silent"));
    let asked = mute.accepted();

    thread::scope(|scope| {
        for _ in 0..SESSIONS {
            scope.spawn(|| assert_eq!(bench.mail(), 'c', "{}", bench.manager.log()));
        }
    });

    assert_eq!(mute.accepted(), asked, "it is left alone");
    assert_eq!(child.count(b'E'), SESSIONS + 3, "the other has filtered all of it");
    assert_eq!(bench.lines(&["[milter][down] silent"]), 1);
    assert_eq!(bench.lines(&["silent=failed(accept)"]), SESSIONS + 3, "each line tells it");
    assert_bounded(&mut bench);
}

#[test]
fn one_that_comes_to_itself_is_used_again() {
    let Some(folder) = folder() else { return };
    let socket = folder.join("child.sock");
    let mute = Mute::listen(&socket);
    let lines = ["reading_timeout = 0.5", "fallback_status = \"temporary-failure\"", "retry_interval = 0.2"];
    let mut bench = Bench::start(&folder, "", &bench::milter("child", &[&socket], &lines));
    for _ in 0..5 {
        assert_eq!(bench.mail(), 't');
    }
    until_true("the line that it is down", || bench.manager.log().contains("[milter][down] child"));

    mute.end();
    let child = Child::agreeing(&socket);

    until_true("its answer", || bench.mail() == 'c');
    assert!(child.count(b'E') > 0);
    assert_eq!((bench.lines(&["[down]"]), bench.lines(&["[up]"])), (1, 1), "{}", bench.manager.log());
    assert_bounded(&mut bench);
}

/// No time limit passes here: while they hang, the others are done.
#[test]
fn sessions_that_it_keeps_waiting_do_not_slow_others() {
    const HANGING: usize = 30;
    let Some(folder) = folder() else { return };
    let (hangs, well) = (folder.join("hangs.sock"), folder.join("well.sock"));
    let hanging = Arc::new(AtomicUsize::new(0));
    let (count, mutes) = (Arc::clone(&hanging), Arc::new(Mutex::new(Vec::new())));
    let mut child = Child::scripted(&hangs, move |connection, frame| {
        let mut mutes = mutes.lock().unwrap();
        if frame.letter == b'C' && frame.first_string() == "mute" {
            mutes.push(connection);
        }
        if frame.letter == b'C' && mutes.contains(&connection) {
            count.fetch_add(1, Ordering::SeqCst);
            return Answer::Say(Vec::new());
        }
        agree(connection, frame)
    });
    let other = Child::agreeing(&well);
    let lines = ["reading_timeout = 3600", "fallback_status = \"temporary-failure\""];
    let milters = bench::milter("hangs", &[&hangs], &lines)
        + &bench::milter("well", &[&well], &["fallback_status = \"reject\""]);
    let mut bench = Bench::start(&folder, "manager.command_time_limit = 3600", &milters);
    assert_eq!(bench.mail(), 'c');
    let mut waiting: Vec<MtaSide> = (0..HANGING)
        .map(|_| {
            let mut mta = bench.session();
            mta.send(&bench::connect("mute")).expect("it reads");
            mta
        })
        .collect();
    until_true("all to hang", || hanging.load(Ordering::SeqCst) == HANGING);

    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    assert_eq!(bench.mail(), 'c', "{}", bench.manager.log());
                }
            });
        }
    });

    assert!(waiting.iter_mut().all(|mta| !mta.has_answer()), "they still hang");
    assert_eq!(other.count(b'E'), 101);
    child.stop();
    for mta in &mut waiting {
        assert_eq!(mta.receive().expect("an answer").letter, b't', "the milter is gone");
    }
    assert_bounded(&mut bench);
}

/// Accepts, and neither reads nor writes.
struct Mute {
    accepted: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
    socket: std::path::PathBuf,
}

impl Mute {
    fn listen(socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).expect("a socket can be made");
        fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).expect("its mode can be set");
        let (accepted, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, over) = (Arc::clone(&accepted), Arc::clone(&ended));
        let thread = thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                held.push(stream);
            }
        });
        Self { accepted, ended, thread, socket: socket.to_owned() }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Closes all connections, and its name is free.
    fn end(self) {
        self.ended.store(true, Ordering::SeqCst);
        // Lets it look.
        let _ = UnixStream::connect(&self.socket);
        self.thread.join().expect("it listens until now");
        fs::remove_file(&self.socket).expect("its socket is there");
    }
}
