//! Where io_uring is forbidden, or not wanted, sessions write one by one, and the log says so once.

use std::process::Command;

use millstream_tests::bench::folder;
use millstream_tests::manager;
use millstream_tests::mta_side::MtaSide;
use millstream_tests::process::Process;
use millstream_tests::require;
use millstream_tests::until::{PATIENCE, until_true};
use millstream_tests::wire::Address;

/// Becomes the program of its arguments, for which the kernel refuses `io_uring_setup`, as the seccomp profiles of containers do.
/// The filter: load the number of the call; unless it is 425, skip one; refuse with EPERM; allow.
const SCRIPT: &str = "import ctypes, os, struct, sys\n\
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]\n\
    code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *step) for step in steps))\n\
    program = ctypes.create_string_buffer(struct.pack('HxxxxxxP', len(steps), ctypes.addressof(code)))\n\
    call = ctypes.CDLL(None, use_errno=True).prctl\n\
    assert call(38, 1, 0, 0, 0) == 0 and call(22, 2, program) == 0, os.strerror(ctypes.get_errno())\n\
    os.execv(sys.argv[1], sys.argv[1:])\n";

const LINE: &str = "[loop][io_uring] not to be had: ";

/// The log of a manager on `backend` that has served two sessions at the same time and was stopped.
fn log_of(backend: &str, lines: &str) -> Option<String> {
    if !require::available("io_uring that is forbidden", &["python3"]) {
        return None;
    }
    let folder = folder()?;
    let own = folder.join("manager");
    std::fs::create_dir_all(&own).unwrap();
    manager::give_to_manager(&own);
    let socket = own.join("manager.sock");
    let configuration = format!(
        "manager.connection_spec = \"unix:{}\"\nlog.use_syslog = false\nlog.level = \"default|info\"\n{lines}\n",
        socket.display()
    );
    std::fs::write(own.join("milter-manager.conf"), configuration).unwrap();
    let mut command = Command::new("python3");
    command.args(["-c", SCRIPT]).arg(manager::program());
    command.args(["--no-daemon", "--event-loop-backend", backend, "--n-workers", "2"]);
    command.arg("-c").arg(&own).env_remove("MILTER_MANAGER_CONFIG_DIR");
    let mut process = Process::start("milter-manager", &mut command, &own.join("output"));
    process.wait_for_socket(&socket);

    let connect = || MtaSide::connect(&Address::Unix(socket.clone()), PATIENCE).unwrap();
    let mut clients = [connect(), connect()];
    for client in &mut clients {
        client.negotiate().expect("served all the same");
    }
    for client in clients {
        client.quit().unwrap();
    }
    until_true("the start in the log", || process.output().contains("0 milters enabled"));
    process.signal("TERM");
    assert!(process.wait(PATIENCE).success(), "{}", process.output());
    let log = process.output();
    assert!(log.contains(", cut off 0"), "{log}");
    Some(log)
}

#[test]
fn who_may_not_have_io_uring_serves_without_and_says_so_once() {
    for backend in ["std", "smol"] {
        let Some(log) = log_of(backend, "") else { return };
        assert_eq!(log.matches(LINE).count(), 1, "on {backend}: {log}");
        assert!(log.contains("kernel.io_uring_disabled"), "{log}");
    }
}

#[test]
fn who_does_not_want_it_is_told_nothing() {
    let Some(log) = log_of("std", "manager.use_io_uring = false") else { return };
    assert_eq!(log.matches(LINE).count(), 0, "{log}");
}
