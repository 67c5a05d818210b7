//! A private Sendmail: its own configuration, queue and loopback ports, nothing shared with the system's mail service.
//!
//! Debian's package conflicts with Postfix', so `./check` unpacks it into [`ROOT`] without installing it. It answers on
//! fewer lanes than Postfix, since its program knows at most 25 milters.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::lane::Lanes;
use crate::mta::{Entry, MOST_DIRECT, Mta, free_ports, port_of};
use crate::process::Process;
use crate::require::program_path;
use crate::until::{PATIENCE, until_true};

/// Where `./check` has unpacked Debian's packages sendmail-bin, sendmail-base and sendmail-cf.
pub const ROOT: &str = "/var/cache/millstream/sendmail";

/// The program.
pub const PROGRAM: &str = "/var/cache/millstream/sendmail/usr/libexec/sendmail/sendmail";

/// The macros of which its configuration is made.
const MACROS: &str = "/var/cache/millstream/sendmail/usr/share/sendmail/cf/";

/// Four milters each: within the 25 that the program has room for.
const LANES: usize = 6;

/// The running instance. It is ended by the [`guardian`](crate::guardian) when the test process ends.
#[derive(Debug)]
pub struct Sendmail {
    folder: PathBuf,
    base_port: u16,
    daemon: Process,
}

impl Sendmail {
    /// What has to be there.
    pub const NEEDS: &[&str] = &[PROGRAM, "m4", "unshare"];

    /// Starts an instance below `folder`, whose lanes lead to milters below `lanes` and whose mail ends at `sink`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(folder: &Path, lanes: &Path, sink: SocketAddr) -> Self {
        let queue = folder.join("queue");
        fs::create_dir_all(&queue).expect("a folder can be made");
        fs::set_permissions(&queue, fs::Permissions::from_mode(0o700)).expect("its mode can be set");
        // Without it Sendmail asks DNS, and waits.
        fs::write(folder.join("service.switch"), "hosts files\naliases files\n")
            .expect("a file can be written");
        // It reads /etc/hosts before its configuration and waits a minute where this host's name has no dot there: so it
        // is given another one, which nobody else sees.
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let hosts = format!("127.0.0.1 {0}.test {0}\n127.0.0.1 localhost\n", host.trim());
        fs::write(folder.join("hosts"), hosts).expect("a file can be written");
        fs::write(folder.join("aliases"), "").expect("a file can be written");
        let base_port = free_ports(LANES);
        let source = folder.join("sendmail.mc");
        fs::write(&source, mc(folder, lanes, base_port, sink)).expect("the configuration can be written");
        let configuration = Command::new(program_path("m4"))
            .arg(format!("-D_CF_DIR_={MACROS}"))
            .arg(format!("{MACROS}m4/cf.m4"))
            .arg(&source)
            .stdin(Stdio::null())
            .output()
            .expect("m4 can be run");
        assert!(configuration.status.success(), "{}", String::from_utf8_lossy(&configuration.stderr));
        fs::write(folder.join("sendmail.cf"), configuration.stdout)
            .expect("the configuration can be written");
        let mut command = Command::new(program_path("unshare"));
        command.args(["--mount", "/bin/sh", "-c", r#"mount --bind "$0" /etc/hosts && exec "$@""#]);
        // 64.10: what it does for milters.
        command.arg(folder.join("hosts")).args([PROGRAM, "-D"]).arg(folder.join("sendmail.log"));
        command.args(["-d64.10", "-bD", "-C"]).arg(folder.join("sendmail.cf"));
        let daemon = Process::start("sendmail", &mut command, &folder.join("sendmail.output"));
        let mut sendmail = Self { folder: folder.to_owned(), base_port, daemon };
        sendmail.wait();
        sendmail
    }

    fn wait(&mut self) {
        let last = self.address(LANES - 1, Entry::ALL[MOST_DIRECT]);
        until_true("Sendmail to listen", || {
            if let Some(status) = self.daemon.ended() {
                panic!("Sendmail ended with {status}:\n{}", self.daemon.output());
            }
            TcpStream::connect_timeout(&last, PATIENCE).is_ok()
        });
    }
}

/// The configuration, as `m4` reads it.
fn mc(folder: &Path, lanes: &Path, base_port: u16, sink: SocketAddr) -> String {
    let sink = sink.port();
    let folder = folder.display();
    let mut text = format!(
        "OSTYPE(`linux')dnl\n\
         define(`QUEUE_DIR', `{folder}/queue')dnl\n\
         define(`ALIAS_FILE', `{folder}/aliases')dnl\n\
         define(`STATUS_FILE', `{folder}/statistics')dnl\n\
         define(`confPID_FILE', `{folder}/pid')dnl\n\
         define(`confSERVICE_SWITCH_FILE', `{folder}/service.switch')dnl\n\
         define(`confDOMAIN_NAME', `mx.test')dnl\n\
         define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe')dnl\n\
         define(`confTO_IDENT', `0')dnl\n\
         define(`confBAD_RCPT_THROTTLE', `0')dnl\n\
         define(`confQUEUE_LA', `1000')dnl\n\
         define(`confREFUSE_LA', `1000')dnl\n\
         define(`SMART_HOST', `relay:[127.0.0.1]')dnl\n\
         define(`RELAY_MAILER_ARGS', `TCP $h {sink}')dnl\n\
         FEATURE(`no_default_msa')dnl\n\
         FEATURE(`nocanonify')dnl\n\
         FEATURE(`accept_unresolvable_domains')dnl\n\
         FEATURE(`promiscuous_relay')dnl\n"
    );
    for lane in 0..LANES {
        let lane_folder = Lanes::folder_of(lanes, lane);
        for socket in Entry::Manager.sockets().into_iter().chain(Entry::Direct(MOST_DIRECT).sockets()) {
            writeln!(
                text,
                "MAIL_FILTER(`{}', `S=unix:{}, F=T, T=C:30s;S:30s;R:30s;E:5m')dnl",
                filter(lane, &socket),
                lane_folder.join(&socket).display()
            )
            .expect("text takes text");
        }
        for entry in Entry::ALL {
            let filters: Vec<_> = entry.sockets().iter().map(|socket| filter(lane, socket)).collect();
            let port = port_of(base_port, lane, entry).port();
            writeln!(
                text,
                "DAEMON_OPTIONS(`Name=P{port}, Port={port}, Addr=127.0.0.1, InputMailFilters={}')dnl",
                filters.join(";")
            )
            .expect("text takes text");
        }
    }
    text.push_str("MAILER(`local')dnl\nMAILER(`smtp')dnl\n");
    text
}

/// The name of a milter in the configuration.
fn filter(lane: usize, socket: &str) -> String {
    format!("lane{lane}{}", socket.trim_end_matches(".sock"))
}

impl Mta for Sendmail {
    fn address(&self, lane: usize, entry: Entry) -> SocketAddr {
        port_of(self.base_port, lane, entry)
    }

    fn lanes(&self) -> usize {
        LANES
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join("sendmail.log")).unwrap_or_default()).into_owned()
    }

    fn is_queued(&self, queue_id: &str) -> bool {
        self.is_held(queue_id) || self.folder.join("queue").join(format!("qf{queue_id}")).exists()
    }

    fn is_held(&self, queue_id: &str) -> bool {
        self.folder.join("queue").join(format!("hf{queue_id}")).exists()
    }
}
