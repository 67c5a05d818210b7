//! A private Postfix: its own configuration, queue, log and loopback ports, nothing shared with the system's.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::guardian;
use crate::lane::Lanes;
use crate::mta::{Entry, MOST_DIRECT, Mta, free_ports, port_of};
use crate::require::program_path;
use crate::until::{PATIENCE, until};

/// The services of `master.cf` that carry mail from the SMTP server to the sink. None is chrooted.
const SERVICES: &str = "\
cleanup   unix       n - n - 0    cleanup
qmgr      unix       n - n 300 1  qmgr
rewrite   unix       - - n - -    trivial-rewrite
bounce    unix       - - n - 0    bounce
defer     unix       - - n - 0    bounce
trace     unix       - - n - 0    bounce
verify    unix       - - n - 1    verify
flush     unix       n - n 1000? 0 flush
proxymap  unix       - - n - -    proxymap
proxywrite unix      - - n - 1    proxymap
smtp      unix       - - n - -    smtp
relay     unix       - - n - -    smtp
showq     unix       n - n - -    showq
error     unix       - - n - -    error
retry     unix       - - n - -    error
discard   unix       - - n - -    discard
anvil     unix       - - n - 1    anvil
scache    unix       - - n - 1    scache
postlog   unix-dgram n - n - 1    postlogd
";

/// How many tests run beside each other.
const LANES: usize = 16;

/// The running instance. It is ended by the [`guardian`] when the test process ends.
#[derive(Debug)]
pub struct Postfix {
    folder: PathBuf,
    base_port: u16,
    lanes: usize,
}

/// What the further services of a Postfix of one's own are made of.
#[derive(Debug)]
pub struct Site {
    /// The folder of its `main.cf`.
    pub configuration: PathBuf,
    /// The milters as `smtpd_milters` names them.
    pub milters: String,
    /// Free ports.
    pub ports: [SocketAddr; MOST_DIRECT + 1],
}

impl Postfix {
    /// What has to be installed.
    pub const NEEDS: &[&str] = &["postfix"];

    /// Starts an instance below `folder`, whose lanes lead to milters below `lanes` and whose mail ends at `sink`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(folder: &Path, lanes: &Path, sink: SocketAddr) -> Self {
        let postfix = Self { folder: folder.to_owned(), base_port: free_ports(LANES), lanes: LANES };
        postfix.set_up(lanes, sink, "");
        postfix
    }

    /// The same with a single lane, used by `entry`, and with the lines of `master.cf` that `services` makes.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_alone(
        folder: &Path,
        lanes: &Path,
        sink: SocketAddr,
        entry: Entry,
        services: impl FnOnce(&Site) -> String,
    ) -> (Self, Site) {
        // The ports of the second lane are for the services.
        let postfix = Self { folder: folder.to_owned(), base_port: free_ports(2), lanes: 1 };
        let site = Site {
            configuration: postfix.folder.join("etc"),
            milters: milters(lanes, 0, entry),
            ports: Entry::ALL.map(|entry| port_of(postfix.base_port, 1, entry)),
        };
        postfix.set_up(lanes, sink, &services(&site));
        (postfix, site)
    }

    fn set_up(&self, lanes: &Path, sink: SocketAddr, services: &str) {
        for name in ["etc", "queue", "data", "log"] {
            fs::create_dir_all(self.folder.join(name)).expect("a folder can be made");
        }
        let (user, group) = owner("postfix");
        chown(self.folder.join("data"), Some(user), Some(group)).expect("root may give a folder away");
        fs::write(self.folder.join("etc/main.cf"), self.main_cf(sink)).expect("main.cf can be written");
        fs::write(self.folder.join("etc/master.cf"), self.master_cf(lanes) + services)
            .expect("master.cf can be written");
        self.run();
    }

    fn run(&self) {
        let started = Command::new(program_path("postfix"))
            .arg("-c")
            .arg(self.folder.join("etc"))
            .arg("start")
            .stdin(Stdio::null())
            .output()
            .expect("postfix can be run");
        assert!(
            started.status.success(),
            "postfix does not start:\n{}{}\n{}",
            String::from_utf8_lossy(&started.stdout),
            String::from_utf8_lossy(&started.stderr),
            self.log()
        );
        let pid_file = self.folder.join("queue/pid/master.pid");
        let master = until(PATIENCE, "Postfix' process id", || {
            fs::read_to_string(&pid_file).ok()?.trim().parse::<u32>().ok()
        });
        guardian::watch(master);
    }

    fn main_cf(&self, sink: SocketAddr) -> String {
        let folder = self.folder.display();
        format!(
            "compatibility_level = 3.6\n\
             queue_directory = {folder}/queue\n\
             data_directory = {folder}/data\n\
             maillog_file = {folder}/log/mail.log\n\
             maillog_file_prefixes = {folder}/log\n\
             myhostname = mx.test\n\
             mydestination =\n\
             alias_maps =\n\
             alias_database =\n\
             inet_interfaces = 127.0.0.1\n\
             inet_protocols = ipv4\n\
             mynetworks = 127.0.0.0/8\n\
             smtpd_relay_restrictions = permit_mynetworks, reject\n\
             smtpd_peername_lookup = no\n\
             local_header_rewrite_clients =\n\
             append_dot_mydomain = no\n\
             enable_long_queue_ids = yes\n\
             notify_classes =\n\
             relayhost = [127.0.0.1]:{sink_port}\n\
             smtp_dns_support_level = disabled\n\
             smtp_line_length_limit = 0\n\
             disable_mime_output_conversion = yes\n\
             message_size_limit = 64000000\n\
             mailbox_size_limit = 0\n\
             in_flow_delay = 0\n\
             smtpd_error_sleep_time = 0\n\
             smtpd_soft_error_limit = 1000\n\
             smtpd_hard_error_limit = 1000\n\
             smtpd_client_connection_count_limit = 0\n\
             milter_protocol = 6\n\
             milter_default_action = tempfail\n",
            sink_port = sink.port()
        )
    }

    fn master_cf(&self, lanes: &Path) -> String {
        let mut text = SERVICES.to_owned();
        for lane in 0..self.lanes {
            for entry in Entry::ALL {
                writeln!(
                    text,
                    "{} inet n - n - - smtpd -o smtpd_milters={}",
                    self.address(lane, entry),
                    milters(lanes, lane, entry)
                )
                .expect("text takes text");
            }
        }
        text
    }

    /// Whether a queue file is in one of these queues.
    fn is_in(&self, queue_id: &str, queues: &[&str]) -> bool {
        queues.iter().any(|queue| {
            let queue = self.folder.join("queue").join(queue);
            // Some queues are split by the first characters of the id, and `incoming` never is.
            queue.join(queue_id).exists()
                || queue.join(queue_id.get(..1).unwrap_or_default()).join(queue_id).exists()
        })
    }
}

impl Mta for Postfix {
    fn address(&self, lane: usize, entry: Entry) -> SocketAddr {
        port_of(self.base_port, lane, entry)
    }

    fn lanes(&self) -> usize {
        self.lanes
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join("log/mail.log")).unwrap_or_default()).into_owned()
    }

    fn is_queued(&self, queue_id: &str) -> bool {
        self.is_in(queue_id, &["incoming", "active", "deferred", "hold"])
    }

    fn is_held(&self, queue_id: &str) -> bool {
        self.is_in(queue_id, &["hold"])
    }
}

/// The milters of an entry as `smtpd_milters` names them.
fn milters(lanes: &Path, lane: usize, entry: Entry) -> String {
    let folder = Lanes::folder_of(lanes, lane);
    let milters: Vec<_> =
        entry.sockets().into_iter().map(|socket| format!("unix:{}", folder.join(socket).display())).collect();
    milters.join(",")
}

/// User and group id of an account.
fn owner(account: &str) -> (u32, u32) {
    fs::read_to_string("/etc/passwd")
        .unwrap_or_default()
        .lines()
        .find_map(|line| {
            let mut fields = line.strip_prefix(account)?.strip_prefix(':')?.split(':').skip(1);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        })
        .unwrap_or_else(|| panic!("there is no account {account}"))
}
