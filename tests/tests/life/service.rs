//! A service manager such as systemd: it is told what happens, and may hand over sockets.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use millstream_tests::bench::folder;
use millstream_tests::manager::{self, Manager};
use millstream_tests::until::{PATIENCE, until_true};

/// What systemd would hear.
struct Ear(UnixDatagram);

impl Ear {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        manager::give_to_manager(path);
        Self(socket)
    }

    fn hear(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).expect("a word in time");
        String::from_utf8_lossy(&buffer[..length]).lines().map(str::to_owned).collect()
    }
}

#[test]
fn it_is_told_when_the_daemon_serves_reloads_and_stops() {
    let Some(folder) = folder() else { return };
    let ear = Ear::at(&folder.join("notify"));
    let own = folder.join("manager");
    std::fs::create_dir_all(&own).unwrap();
    manager::give_to_manager(&own);
    let mut command = Command::new(manager::program());
    let _ = command.env("NOTIFY_SOCKET", folder.join("notify"));
    let socket = own.join("m.sock");
    let configuration = format!("manager.connection_spec = \"unix:{}\"\n", socket.display());

    let mut running = Manager::start_with(&own, &configuration, command);

    assert_eq!(ear.hear(), ["READY=1"]);
    assert!(socket.exists());
    running.reload();
    let words = ear.hear();
    assert_eq!(words[0], "RELOADING=1");
    // systemd compares it with its own clock.
    assert!(
        words[1].strip_prefix("MONOTONIC_USEC=").is_some_and(|time| time.parse::<u64>().is_ok()),
        "{words:?}"
    );
    assert_eq!(ear.hear(), ["READY=1"]);
    running.stop();
    assert_eq!(ear.hear(), ["STOPPING=1"]);
    assert!(running.wait(PATIENCE).success());
}

#[test]
fn a_socket_that_it_hands_over_is_served_and_left_alone() {
    let Some(folder) = folder() else { return };
    if !millstream_tests::require::available("sockets that are handed over", &["python3"]) {
        return;
    }
    let own = folder.join("manager");
    std::fs::create_dir_all(&own).unwrap();
    manager::give_to_manager(&own);
    let socket = own.join("given.sock");
    // Descriptor 3, and the number of the process that it is meant for, as sd_listen_fds(3) has it.
    let script = "import os, socket, sys\n\
                  given = socket.socket(socket.AF_UNIX)\n\
                  given.bind(sys.argv[1]); given.listen(5); os.chmod(sys.argv[1], 0o666)\n\
                  if given.fileno() != 3: os.dup2(given.fileno(), 3)\n\
                  os.set_inheritable(3, True)\n\
                  os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n\
                  os.execv(sys.argv[2], sys.argv[2:])\n";
    let mut command = Command::new("python3");
    let _ = command.arg("-c").arg(script).arg(&socket).arg(manager::program());
    let elsewhere = own.join("configured.sock");
    let configuration = format!("manager.connection_spec = \"unix:{}\"\n", elsewhere.display());

    let mut running = Manager::start_with(&own, &configuration, command);

    running.process().wait_for_socket(&socket);
    until_true("its line", || running.log().contains("listening at what the service manager has opened"));
    let mut mta = millstream_tests::mta_side::MtaSide::connect(
        &millstream_tests::wire::Address::Unix(socket.clone()),
        PATIENCE,
    )
    .unwrap();
    mta.negotiate().unwrap();
    assert!(!elsewhere.exists());
    drop(mta);
    running.stop();
    assert!(running.wait(PATIENCE).success(), "{}", running.log());
    assert!(socket.exists(), "it belongs to who has made it");
}
