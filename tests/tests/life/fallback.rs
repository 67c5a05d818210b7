//! A runtime that the system does not give all that it needs: another one serves in its place, and no client notices.

use std::path::{Path, PathBuf};
use std::process::Command;

use millstream_tests::bench::folder;
use millstream_tests::manager;
use millstream_tests::mta_side::MtaSide;
use millstream_tests::process::Process;
use millstream_tests::require;
use millstream_tests::scratch::Scratch;
use millstream_tests::until::{PATIENCE, until};
use millstream_tests::wire::Address;

/// The probe of io_uring finds as many descriptors as it needs, and so does smol; 32 executors do not.
const DESCRIPTORS: usize = 100;

/// Listens at the first argument with a limit of descriptors, and becomes the program behind when somebody waits there: the
/// listener is descriptor 3, as sd_listen_fds(3) has it.
const SCRIPT: &str = "import os, resource, select, socket, sys\n\
    given = socket.socket(socket.AF_UNIX)\n\
    given.bind(sys.argv[1]); given.listen(5); os.chmod(sys.argv[1], 0o666)\n\
    select.select([given], [], [])\n\
    if given.fileno() != 3: os.dup2(given.fileno(), 3)\n\
    os.set_inheritable(3, True)\n\
    os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n\
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]),) * 2)\n\
    os.execv(sys.argv[3], sys.argv[3:])\n";

/// A manager that begins when a client waits already.
struct Awaited {
    process: Process,
    client: MtaSide,
    _folder: Scratch,
}

impl Awaited {
    /// On glommio with all the loops that there can be.
    fn start(lines: &str) -> Option<Self> {
        let folder = folder()?;
        let own: PathBuf = folder.join("manager");
        std::fs::create_dir_all(&own).unwrap();
        manager::give_to_manager(&own);
        let socket = own.join("given.sock");
        let configuration = format!("log.use_syslog = false\nlog.level = \"default|info\"\n{lines}\n");
        std::fs::write(own.join("milter-manager.conf"), configuration).unwrap();
        let mut command = Command::new("python3");
        command.args(["-c", SCRIPT]).arg(&socket).arg(DESCRIPTORS.to_string()).arg(manager::program());
        command.args(["--no-daemon", "--event-loop-backend", "glommio", "--n-workers", "32"]);
        command.arg("-c").arg(&own).env_remove("MILTER_MANAGER_CONFIG_DIR");
        let process = Process::start("milter-manager", &mut command, &own.join("output"));
        let client = until(PATIENCE, "a listener", || connected(&socket));
        Some(Self { process, client, _folder: folder })
    }
}

fn connected(socket: &Path) -> Option<MtaSide> {
    MtaSide::connect(&Address::Unix(socket.to_owned()), PATIENCE).ok()
}

#[test]
fn executors_that_cannot_all_be_had_leave_the_clients_to_another_runtime() {
    if !require::available("the limits of io_uring", &["python3"]) {
        return;
    }
    let Some(mut many) = Awaited::start("") else { return };

    many.client.negotiate().expect("who waited since before the start is served");
    many.client.quit().unwrap();
    many.process.signal("TERM");
    assert!(many.process.wait(PATIENCE).success(), "{}", many.process.output());
    let log = many.process.output();
    assert_eq!(log.matches("serving on smol instead of glommio").count(), 1, "{log}");
    assert!(log.contains("0 milters enabled, on smol"), "{log}");
    assert!(log.contains("[stop] served 1, cut off 0"), "nobody was accepted twice: {log}");
}

#[test]
fn who_wants_no_other_runtime_is_told_what_is_in_the_way() {
    if !require::available("the limits of io_uring", &["python3"]) {
        return;
    }
    let Some(mut many) = Awaited::start("manager.event_loop_fallback = false") else { return };

    assert_eq!(many.process.wait(PATIENCE).code(), Some(1));
    let told = many.process.output();
    assert!(told.contains("milter-manager: failed to start: cannot serve on glommio: "), "{told}");
    assert!(told.contains("; manager.event_loop_fallback is false"), "{told}");
}
